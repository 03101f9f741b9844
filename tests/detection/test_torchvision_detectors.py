"""The three ResNet-50-FPN detectors against torchvision's own, stage by stage, end to end, and in training.

Every stage is given what torchvision's stage was given, since a difference of one rounding may turn the order of two
boxes, and with it everything behind. All in float32; a thousandth of the largest value is allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.detection.detected import Detector
from refdet.detection.faster_rcnn import FasterRCNN, Seen
from refdet.detection.ground_truth import GroundTruth
from refdet.detection.preparation import Prepared
from refdet.detection.roi_heads import BoxDetections, BoxOutput
from refdet.detection.roi_training import candidate_regions
from refdet.detection.rpn import RPNOutput, anchors_of_maps, propose
from refdet.detection.rpn_training import drawn_anchors, rpn_losses, rpn_targets
from refdet.detection.torchvision_detectors import (
    IMAGENET,
    SEVERAL_SIZES,
    TorchvisionSettings,
    fasterrcnn_resnet50_fpn,
    keypointrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn,
)
from refdet.features.backbones.torchvision_names import from_torchvision
from refdet.masks.paste import paste_soft_masks
from tests.detection.torchvision_detectors_program import (
    KINDS,
    LONG,
    N_ANCHORS,
    N_CLASSES,
    N_DETECTIONS,
    N_JOINTS,
    N_REGIONS,
    POST_NMS,
    PRE_NMS,
    PROGRAM,
    SHORT,
    WIDTH,
    pictures,
)
from tests.torchvision_process import ask_torchvision

pytestmark = pytest.mark.oracle

BUILDERS: dict[str, Callable[..., FasterRCNN]] = {
    "faster": fasterrcnn_resnet50_fpn,
    "mask": maskrcnn_resnet50_fpn,
    "keypoint": keypointrcnn_resnet50_fpn,
}
CLASS_NAMES = tuple("background" if i == 0 else f"class {i}" for i in range(N_CLASSES))
RELATIVE = 1e-3
LOSS_NAMES = {
    "loss_objectness": "rpn_objectness",
    "loss_rpn_box_reg": "rpn_box",
    "loss_classifier": "class",
    "loss_box_reg": "box",
    "loss_mask": "mask",
    "loss_keypoint": "keypoint",
}


@dataclass
class Case:
    """One of the detectors, with torchvision's weights and what torchvision's said."""

    kind: str
    net: FasterRCNN
    theirs: dict[str, Array]
    asked: dict[str, Any]

    def maps(self) -> list[Tensor]:
        return [Tensor(self.theirs[f"map{i}"]) for i in range(5)]

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.theirs["sizes"][0].tolist()
        return height, width

    def seen(self) -> Seen:
        prepared = Prepared(self.theirs["batch"], (self.size,), (self.asked["image0"].shape[:2],), ())
        return Seen(prepared, tuple(self.maps()))

    def detections(self) -> BoxDetections:
        return BoxDetections(self.theirs["boxes"], self.theirs["probabilities"], self.theirs["classes"])


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    return ask_torchvision(PROGRAM, pictures(), Path(tmp_path_factory.mktemp("torchvision")))


def settings() -> TorchvisionSettings:
    default = TorchvisionSettings()
    return replace(
        default,
        width=WIDTH,
        norm_eps=1e-5,
        n_frozen=0,
        n_joints=N_JOINTS,
        preparation=replace(default.preparation, short=SHORT, long=LONG),
        rpn=replace(default.rpn, pre_nms=PRE_NMS, post_nms=POST_NMS, n_drawn=N_ANCHORS),
        head=replace(default.head, n_drawn=N_REGIONS, n_detections=N_DETECTIONS),
    )


@pytest.fixture(scope="module", params=KINDS)
def case(request: pytest.FixtureRequest, answers: dict[str, Array]) -> Case:
    return case_of(request.param, answers)


def case_of(kind: str, answers: dict[str, Array]) -> Case:
    theirs = {key.removeprefix(f"{kind}/"): value for key, value in answers.items() if key.startswith(f"{kind}/")}
    net = BUILDERS[kind](CLASS_NAMES, rng=np.random.default_rng(0), settings=settings())
    state = {key.removeprefix("state/"): value for key, value in theirs.items() if key.startswith("state/")}
    net.load_state_dict(from_torchvision(state))
    return Case(kind, net, theirs, pictures())


def assert_near(ours: Array, theirs: Array) -> None:
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=RELATIVE, atol=RELATIVE * max(np.abs(theirs).max(initial=0), 1e-6))


def assert_same_set(ours: tuple[Array, ...], theirs: tuple[Array, ...], *, pixels: float) -> None:
    """Match every box with the nearest of the others of its class; scores and the rest must be near."""
    assert len(ours[0]) == len(theirs[0]) > 0
    apart = np.abs(ours[0][:, None] - theirs[0]).max(axis=2)  # (D, D')
    if len(ours) > 2:
        apart[ours[2][:, None] != theirs[2]] = np.inf
    match = apart.argmin(axis=1)
    assert sorted(match.tolist()) == list(range(len(match)))
    assert apart.min(axis=1).max() < pixels
    if len(ours) > 1:
        np.testing.assert_allclose(ours[1], theirs[1][match], rtol=0, atol=RELATIVE)


def test_is_a_detector(case: Case) -> None:
    assert isinstance(case.net, Detector)


def test_crowds_are_not_learned(case: Case) -> None:
    """As in torchvision's reference training; `CocoImages` calls them difficult."""
    assert not case.net.with_difficult


def test_picture(case: Case) -> None:
    prepared = case.net.preparation.picture(case.asked["image0"])
    assert prepared.sizes == (case.size,)
    assert_near(prepared.images, case.theirs["batch"])


def test_several_sizes_of_pictures(answers: dict[str, Array]) -> None:
    """The sizes are those of torchvision's detector of joints; each one in training, and the last in testing."""
    assert tuple(answers["several/sizes"].tolist()) == SEVERAL_SIZES
    several = replace(IMAGENET, short=SEVERAL_SIZES)
    for i, (height, width) in enumerate(pictures()["originals"].tolist()):
        for j, short in enumerate(SEVERAL_SIZES):
            theirs = tuple(answers[f"several/{i}/{j}"].tolist())
            assert replace(IMAGENET, short=short).size((height, width)) == theirs
        of_training = {several.size((height, width), rng=np.random.default_rng(seed)) for seed in range(60)}
        assert of_training == {tuple(answers[f"several/{i}/{j}"].tolist()) for j in range(len(SEVERAL_SIZES))}
        assert several.size((height, width)) == tuple(answers[f"several/{i}/test"].tolist())


def test_maps(case: Case) -> None:
    with no_grad():
        maps = case.net.backbone.maps(Tensor(case.theirs["batch"]), training=False, rng=None)
    for ours, theirs in zip(maps, case.maps(), strict=True):
        assert_near(ours.data, theirs.data)


def test_anchors_are_equal(case: Case) -> None:
    sizes = [(x.shape[2], x.shape[3]) for x in case.maps()]
    anchors, levels = anchors_of_maps(case.net.rpn.settings, sizes, case.seen().batch_size, case.net.backbone.strides)
    np.testing.assert_array_equal(anchors, case.theirs["anchors"])
    assert np.bincount(levels).tolist() == [3 * H * W for H, W in sizes]


def test_rpn_outputs(case: Case) -> None:
    with no_grad():
        output = case.net.rpn_output(case.seen())
    assert_near(output.logits.data.reshape(-1, 1), case.theirs["logits"])
    assert_near(output.deltas.data[0], case.theirs["deltas"])


def rpn_output(case: Case) -> RPNOutput:
    """Return torchvision's outputs, one picture, as ours."""
    counts = [3 * x.shape[2] * x.shape[3] for x in case.maps()]
    levels = np.repeat(np.arange(5), counts)
    logits, deltas = case.theirs["logits"].reshape(1, -1), case.theirs["deltas"][None]
    return RPNOutput(Tensor(logits), Tensor(deltas), case.theirs["anchors"], levels, sum(counts) // 3)


def test_proposals(case: Case) -> None:
    ours = propose(case.net.rpn.settings, rpn_output(case), 0, case.size, training=False)
    assert len(ours.boxes) == POST_NMS[1]
    assert_same_set((ours.boxes,), (case.theirs["proposals"],), pixels=1e-3)


def test_crops_and_box_outputs(case: Case) -> None:
    with no_grad():
        crops = case.net.crops(case.maps(), [case.theirs["proposals"]], 7)
        output = case.net.roi_heads.box_output(Tensor(case.theirs["crops"]))
    assert_near(crops.data, case.theirs["crops"])
    assert_near(output.logits.data, case.theirs["scores"])
    assert_near(output.deltas.data, case.theirs["transforms"])


def test_detections(case: Case) -> None:
    output = BoxOutput(Tensor(case.theirs["scores"]), Tensor(case.theirs["transforms"]))
    ours = case.net.roi_heads.box_detections(output, case.theirs["proposals"], case.size)
    assert_same_set(tuple(ours), tuple(case.detections()), pixels=1e-3)


def test_masks_and_joints(case: Case) -> None:
    heads, found = case.net.roi_heads, case.detections()
    with no_grad():
        crops = case.net.crops(case.maps(), [found.boxes], 14)
        if case.kind == "mask":
            assert_near(crops.data, case.theirs["mask_crops"])
            assert_near(heads.mask_logits(Tensor(case.theirs["mask_crops"])).data, case.theirs["mask_logits"])
        if case.kind == "keypoint":
            assert_near(crops.data, case.theirs["joint_crops"])
            assert_near(heads.keypoint_logits(Tensor(case.theirs["joint_crops"])).data, case.theirs["joint_logits"])
            joints, scores = case.net.joints(case.seen(), found)
            assert_near(joints, case.theirs["end/keypoints"][:, :, :2])
            assert_near(scores, case.theirs["joint_scores"])


def test_pasted_masks(answers: dict[str, Array]) -> None:
    case = case_of("mask", answers)
    size, soft = case.asked["image0"].shape[:2], case.theirs["end/masks"][:, 0]
    logits, classes = case.theirs["mask_logits"], case.theirs["classes"]
    probabilities = (1 / (1 + np.exp(-logits)))[np.arange(len(classes)), classes]
    ours = paste_soft_masks(probabilities, case.theirs["end/boxes"], size, convention="torchvision")
    assert_near(ours, soft)
    pasted = case.net.masks(case.seen(), case.detections(), case.theirs["end/boxes"])
    decided = np.abs(soft - 0.5) > RELATIVE
    assert decided.mean() > 0.9
    np.testing.assert_array_equal(pasted[decided], (soft >= 0.5)[decided])


def test_end_to_end(case: Case) -> None:
    ours = case.net.detect(case.asked["image0"])
    theirs = tuple(case.theirs[f"end/{name}"] for name in ("boxes", "scores", "labels"))
    assert_same_set((ours.boxes, ours.scores, ours.classes), theirs, pixels=0.1)
    match = np.abs(ours.boxes[:, None] - theirs[0]).max(axis=2).argmin(axis=1)
    if ours.masks is not None:
        agree = ours.masks == (case.theirs["end/masks"][match, 0] >= 0.5)
        assert agree.mean() > 0.999
    if ours.joints is not None:
        near = np.abs(ours.joints - case.theirs["end/keypoints"][match, :, :2]).max(axis=2) < 0.1
        assert near.mean() > 0.9  # of two nearly equal maxima each may take its own


def training_truths(case: Case) -> list[GroundTruth]:
    """Return what torchvision made of the objects in the batch."""
    truths = []
    for i in range(2):
        masks, joints = (case.theirs.get(f"train/{name}{i}") for name in ("masks", "keypoints"))
        truths.append(
            GroundTruth(
                case.theirs[f"train/boxes{i}"],
                case.theirs[f"train/labels{i}"],
                None if masks is None else masks.astype(bool),
                None if joints is None else np.ascontiguousarray(joints[:, :, :2]),
                None if joints is None else joints[:, :, 2] > 0,
            )
        )
    return truths


def test_losses_and_gradients_for_what_torchvision_drew(case: Case) -> None:
    """The draw is torchvision's; the labels from which it was made are compared on the way."""
    net, theirs, truths = case.net, case.theirs, training_truths(case)
    sizes = tuple((int(h), int(w)) for h, w in theirs["train/sizes"])
    none = np.zeros(0, np.int64)
    samples = tuple(Sample(f"{i}", np.zeros((*s, 3)), np.zeros((0, 4)), none, none == 0) for i, s in enumerate(sizes))
    maps = net.backbone.maps(Tensor(theirs["train/batch"]), training=True, rng=None)
    seen = Seen(Prepared(theirs["train/batch"], sizes, sizes, samples), maps)

    output = net.rpn_output(seen, training=True)
    boxes = [t.boxes for t in truths]
    targets = [rpn_targets(output.anchors, b, s, net.rpn.settings) for b, s in zip(boxes, sizes, strict=True)]
    drawn = np.stack([theirs[f"train/drawn_anchors{i}"] for i in range(2)])  # (2, 3, A): label, positive, negative
    np.testing.assert_array_equal(np.stack([t.labels for t in targets]), drawn[:, 0])
    assert (drawn[:, 1].sum(axis=1) > 0).all()
    positives, negatives = (np.flatnonzero(drawn[:, row]) for row in (1, 2))
    losses = rpn_losses(
        output, drawn_anchors(output.anchors, boxes, targets, positives, negatives, net.rpn.settings), net.rpn.settings
    )

    regions = []
    for i, truth in enumerate(truths):
        candidates = candidate_regions(theirs[f"train/proposals{i}"], truth, net.roi_heads.settings)
        label, positive, negative = theirs[f"train/drawn_regions{i}"]
        np.testing.assert_array_equal(candidates.classes, label)
        regions.append(candidates.only(np.flatnonzero(positive | negative)))
    losses |= net.region_losses(seen, regions, truths)

    assert {LOSS_NAMES[key.removeprefix("loss/")] for key in theirs if key.startswith("loss/")} == set(losses)
    for name, ours in LOSS_NAMES.items():
        if ours in losses:
            np.testing.assert_allclose(losses[ours].data, theirs[f"loss/{name}"], rtol=RELATIVE)

    net.zero_grad()
    total = losses["rpn_objectness"]
    for name, loss in losses.items():
        total = total if name == "rpn_objectness" else total + loss
    total.backward()
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    assert {key.removeprefix("grad/") for key in theirs if key.startswith("grad/")} == set(gradients)
    for name, gradient in gradients.items():
        assert gradient is not None
        expected = theirs[f"grad/{name}"]
        tolerance = max(RELATIVE * np.abs(expected).max(), 1e-7)  # softmax over places does not see the joint's bias
        np.testing.assert_allclose(gradient, expected, rtol=RELATIVE, atol=tolerance, err_msg=name)


def test_older_names_of_published_files(answers: dict[str, Array]) -> None:
    """Files of before torchvision 0.14 lack a level of names; what is loaded is the same."""
    kind = "mask"
    state = {key.removeprefix(f"{kind}/state/"): v for key, v in answers.items() if key.startswith(f"{kind}/state/")}
    older = {}
    for name, value in state.items():
        old = name.replace("conv.0.0", "conv")
        for part in ("inner_blocks", "layer_blocks"):
            for i in range(4):
                old = old.replace(f"{part}.{i}.0.", f"{part}.{i}.")
        for i in range(4):
            old = old.replace(f"mask_head.{i}.0.", f"mask_head.mask_fcn{i + 1}.")
        older[old] = value
    assert set(older) != set(state)
    net = BUILDERS[kind](CLASS_NAMES, rng=np.random.default_rng(0), settings=settings())
    net.load_state_dict(from_torchvision(older))
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, state[name])
