"""The second stage: that each of its settings does what it says, and that every region learns from its own object."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.detection.detections import detections
from refdet.detection.ground_truth import GroundTruth
from refdet.detection.keypoint_coding import encode_keypoints
from refdet.detection.mask_head import mask_targets
from refdet.detection.preparation import Prepared
from refdet.detection.roi_heads import BoxHead, BoxOutput, BoxPredictor, RoIHeads
from refdet.detection.roi_settings import HeadSettings
from refdet.detection.roi_training import Regions
from refdet.ops.softmax import softmax

SETTINGS = HeadSettings(weights=(1.0, 1.0, 1.0, 1.0), clamp=None, min_size=None, n_detections=None)
DIRECT: dict[str, Any] = {
    "height": 40, "width": 50, "transform_convention": "continuous", "weights": (1, 1, 1, 1), "mean": (0, 0, 0, 0),
    "std": (1, 1, 1, 1), "clamp": None, "clip_convention": "continuous", "score_threshold": 0.05, "min_size": None,
    "pre_nms": None, "nms_threshold": 0.5, "offset": 0, "post_nms": None,
}  # fmt: skip


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def heads(settings: HeadSettings = SETTINGS) -> RoIHeads:
    return RoIHeads(settings, BoxHead(2, 3, (4, 4), rng=rng()), BoxPredictor(4, 3, rng=rng()))


def output() -> tuple[BoxOutput, Array]:
    """Return what a head may say of 60 proposals in a picture of 40 × 50, and the proposals."""
    random = rng()
    corners = random.uniform(0, 30, (60, 2))
    proposals = np.concatenate([corners, corners + random.uniform(1, 12, (60, 2))], axis=1)
    return BoxOutput(Tensor(random.normal(0, 2, (60, 3))), Tensor(random.normal(0, 0.3, (60, 12)))), proposals


@pytest.mark.parametrize(
    ("setting", "argument", "value"),
    [
        ("transform", "transform_convention", "detectron1"),
        ("weights", "weights", (2.0, 2.0, 3.0, 3.0)),
        ("mean", "mean", (0.1, 0.0, 0.2, 0.0)),
        ("std", "std", (0.5, 0.5, 0.25, 0.25)),
        ("clamp", "clamp", 0.1),
        ("clip", "clip_convention", "legacy"),
        ("score_threshold", "score_threshold", 0.4),
        ("min_size", "min_size", 4.0),
        ("pre_nms", "pre_nms", 5),
        ("nms_threshold", "nms_threshold", 0.2),
        ("coordinates", "offset", 1),
        ("n_detections", "post_nms", 7),
    ],
)
def test_every_setting_of_detections_has_its_effect(setting: str, argument: str, value: Any) -> None:
    said, proposals = output()
    scores = softmax(said.logits, axis=1).data
    found = heads(replace(SETTINGS, **{setting: value})).box_detections(said, proposals, (40, 50))
    expected = detections(proposals, said.deltas.data, scores, **{**DIRECT, argument: value})
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    before = heads().box_detections(said, proposals, (40, 50)).boxes
    assert before.shape != found.boxes.shape or not np.array_equal(before, found.boxes)


@pytest.mark.parametrize("frame", ["batch", "picture"])
def test_detections_in_a_frame(frame: str) -> None:
    """The picture was enlarged to twice its width and 2½ times its height; what is returned fits the batch and it."""
    said, proposals = output()
    prepared = Prepared(np.zeros((1, 3, 40, 50), np.float32), ((40, 50),), ((16, 25),), ())
    settings = replace(SETTINGS, frame=frame, coordinates=1)
    found, boxes = heads(settings).detections_in(said, proposals, prepared)
    ratio = np.array([2, 2.5, 2, 2.5])
    in_frame = proposals if frame == "batch" else proposals / ratio
    size = {"height": 40, "width": 50} if frame == "batch" else {"height": 16, "width": 25}
    scores = softmax(said.logits, axis=1).data
    expected = detections(in_frame, said.deltas.data, scores, **{**DIRECT, **size, "offset": 1})
    np.testing.assert_array_equal(found.scores, expected[1])
    last = expected[0] / ratio if frame == "batch" else expected[0]  # pixels inside
    np.testing.assert_allclose(found.boxes, last * ratio, atol=1e-12)
    ends = last + np.array([0, 0, 1, 1])
    assert (ends > (25, 16, 25, 16)).any()
    np.testing.assert_allclose(boxes, np.minimum(ends, (25, 16, 25, 16)), atol=1e-12)


def test_a_detection_ends_where_its_picture_does() -> None:
    """541 pixels of the batch, divided by 541/203 in float32, are 203.00002 of the picture."""
    prepared = Prepared(np.zeros((1, 3, 600, 541), np.float32), ((600, 541),), ((225, 203),), ())
    ratio = prepared.ratio(0).astype(np.float32)
    assert np.float32(541) / ratio[0] > 203
    wide = np.array([[-500, 0, 2000, 600]], np.float32)
    said = BoxOutput(Tensor(np.array([[0, 9, 0]], np.float32)), Tensor(np.zeros((1, 12), np.float32)))
    _, boxes = heads(replace(SETTINGS, frame="batch", coordinates=0)).detections_in(said, wide, prepared)
    assert boxes.tolist() == [[0, 0, 203, 225]]


def test_dropout_of_both_layers() -> None:
    """In training half of the features are 0, and the others twice as large; otherwise nothing is dropped."""
    plain, net = BoxHead(2, 3, (400, 400), rng=rng()), BoxHead(2, 3, (400, 400), dropout=0.5, rng=rng())
    net.fc7.weight.data = np.eye(400, dtype=np.float32)
    plain.load_state_dict(net.state_dict())
    x = rng().standard_normal((1, 2, 3, 3)).astype(np.float32)
    whole, dropped = plain(x).data, net(x, training=True, rng=rng()).data
    np.testing.assert_array_equal(net(x).data, whole)
    left = (dropped != 0).sum() / (whole != 0).sum()
    assert left == pytest.approx(0.25, abs=0.1)  # two layers
    np.testing.assert_allclose(dropped[dropped != 0], 4 * whole[dropped != 0], rtol=1e-5)


def test_weights_start_as_fast_r_cnn_has_them() -> None:
    predictor = BoxPredictor(100, 21, rng=rng())
    assert predictor.cls_score.weight.data.std() == pytest.approx(0.01, rel=0.1)
    assert predictor.bbox_pred.weight.data.std() == pytest.approx(0.001, rel=0.1)


REGIONS = [  # of two pictures; the second region of the first is the one of object 0
    Regions(np.array([[0.0, 0, 8, 8], [1, 0, 9, 8]]), np.array([2, 1]), np.array([1, 0])),
    Regions(np.array([[2.0, 2, 10, 10]]), np.array([1]), np.array([2])),
]


@pytest.mark.parametrize("convention", ["torchvision", "detectron2"])
def test_every_region_learns_the_mask_of_its_object(convention: str) -> None:
    random = rng()
    masks = [random.random((n, 12, 12)) < 0.5 for n in (2, 3)]
    logits = random.normal(size=(3, 3, 4, 4))
    expected = 0.0
    own = [(0, 0, 1, 2), (0, 1, 0, 1), (1, 0, 2, 1)]  # picture, its region, its object, class
    for row, (n, i, g, c) in enumerate(own):
        t = mask_targets(masks[n][g : g + 1], REGIONS[n].boxes[i : i + 1], np.array([0]), 4, convention=convention)[0]
        p = 1 / (1 + np.exp(-logits[row, c]))
        expected -= (t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / (3 * 16)
    found = heads(replace(SETTINGS, mask_convention=convention)).mask_losses(Tensor(logits), REGIONS, masks)["mask"]
    assert found.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("context", [1.0, 1.5])
def test_every_region_learns_the_joints_of_its_object(context: float) -> None:
    random = rng()
    joints = [(random.uniform(2, 9, (n, 2, 2)), random.random((n, 2)) < 0.7) for n in (2, 3)]
    logits = random.normal(size=(3, 2, 4, 4))
    losses = []
    for row, (n, i, g) in enumerate([(0, 0, 1), (0, 1, 0), (1, 0, 2)]):
        (at, visible), (x1, y1, x2, y2) = joints[n], REGIONS[n].boxes[i]
        more_x, more_y = (context - 1) * (x2 - x1) / 2, (context - 1) * (y2 - y1) / 2  # at each side
        box = np.array([[x1 - more_x, y1 - more_y, x2 + more_x, y2 + more_y]])
        positions, valid = encode_keypoints(at[g : g + 1], visible[g : g + 1], box, side=4)
        for k in np.flatnonzero(valid[0]).tolist():
            z = logits[row, k].ravel()
            losses.append(np.log(np.exp(z).sum()) - z[positions[0, k]])
    assert 3 < len(losses) < 6
    found = (
        heads(replace(SETTINGS, keypoint_context=context))
        .keypoint_losses(Tensor(logits), REGIONS, joints)["keypoint"]
        .item()
    )
    assert found == pytest.approx(np.mean(losses), rel=1e-10)


def test_box_losses_of_several_pictures() -> None:
    """The objects of each picture are its own: rows and targets stay together."""
    truths = [
        GroundTruth(np.array([[0, 0, 8, 9], [1, 1, 8, 8]], np.float32), np.array([1, 2]), None, None, None),
        GroundTruth(np.tile(np.array([[2, 2, 10, 11]], np.float32), (3, 1)), np.array([2, 2, 1]), None, None, None),
    ]
    logits, deltas = rng().normal(size=(3, 3)), np.zeros((3, 12))
    for row, (n, i, g, c) in enumerate([(0, 0, 1, 2), (0, 1, 0, 1), (1, 0, 2, 1)]):
        (px, py, _, _), (x1, y1, x2, y2) = REGIONS[n].boxes[i], truths[n].boxes[g]
        centre = [((x1 + x2) / 2 - px - 4) / 8, ((y1 + y2) / 2 - py - 4) / 8]
        deltas[row, 4 * c : 4 * c + 4] = [*centre, np.log((x2 - x1) / 8), np.log((y2 - y1) / 8)]
    losses = heads().box_losses(BoxOutput(Tensor(logits), Tensor(deltas)), REGIONS, truths)
    assert losses["box"].item() == pytest.approx(0, abs=1e-12)
