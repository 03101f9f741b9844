"""encode_keypoints and decode_keypoints: the definition, torchvision, there and back; edges and ties; the errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.detection.keypoint_coding import CONVENTIONS, decode_keypoints, encode_keypoints
from tests.agreement import assert_agrees, in_layout, layouts, seeds
from tests.oracles import decode_keypoints as decode_oracle
from tests.oracles import encode_keypoints as encode_oracle
from tests.torchvision_process import ask_torchvision

ANSWER_ALL = """
import torch.nn.functional as F
from torchvision.models.detection.roi_heads import heatmaps_to_keypoints, keypoints_to_heatmap
joints, boxes, logits = (torch.tensor(asked[name]) for name in ("joints", "boxes", "logits"))
positions, valid = keypoints_to_heatmap(joints, boxes, int(asked["side"]))
answers["positions"], answers["valid"] = positions.numpy(), valid.numpy()
places, answers["scores"] = (t.numpy() for t in heatmaps_to_keypoints(logits, boxes))
answers["places"] = places[..., :2]
shares = torch.zeros(2, len(boxes), logits.shape[1])
for i, (x1, y1, x2, y2) in enumerate(boxes):
    size = (int((y2 - y1).clamp(min=1).ceil()), int((x2 - x1).clamp(min=1).ceil()))
    z = F.interpolate(logits[i : i + 1], size=size, mode="bicubic", align_corners=False)[0].flatten(1)
    shares[0, i] = 1 / (logits[i].flatten(1) - z.max(1, keepdim=True)[0]).exp().sum(1)
    shares[1, i] = z.softmax(1).max(1)[0]
answers["shares"] = shares.numpy()
"""
WHOLE = np.array([[0.0, 0, 10, 10]])


@given(seed=seeds, side=st.integers(1, 9), dtype=st.sampled_from(["float32", "float64"]), layout=layouts)
def test_encoding_is_as_defined(seed: int, side: int, dtype: str, layout: str) -> None:
    """Joints and boxes are on a grid of quarters, so that many joints are on a border."""
    rng = np.random.default_rng(seed)
    start = rng.integers(-8, 16, (3, 2)) / 4
    boxes = np.concatenate([start, start + rng.integers(-2, 32, (3, 2)) / 4], axis=1).astype(dtype)
    joints = (rng.integers(-12, 48, (3, 4, 2)) / 4).astype(dtype)
    joints[0, 0] = boxes[0, 2:]
    arrays = [in_layout(joints, layout), rng.random((3, 4)) < 0.8, in_layout(boxes, layout)]
    assert_agrees("encode_keypoints", encode_oracle, arrays, rng=rng, params={"side": side})


@given(
    seed=seeds,
    m=st.integers(2, 5),
    convention=st.sampled_from(CONVENTIONS),
    dtype=st.sampled_from(["float32", "float64"]),
    layout=layouts,
)
def test_decoding_is_as_defined(seed: int, m: int, convention: str, dtype: str, layout: str) -> None:
    """One place stands out, so that rounding does not decide which it is."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(-8, 8, (2, 2))
    boxes = np.concatenate([start, start + rng.uniform(-1, 9, (2, 2))], axis=1).astype(dtype)
    logits = rng.uniform(-1, 1, (2, 2, m, m)).astype(dtype)
    for d, k in np.ndindex(2, 2):
        logits[d, k, rng.integers(m), rng.integers(m)] += rng.uniform(4, 8)
    arrays = [in_layout(logits, layout), in_layout(boxes, layout)]
    if dtype == "float32" and not _is_clear(logits, boxes):
        return
    assert_agrees("decode_keypoints", decode_oracle, arrays, rng=rng, params={"convention": convention})


def _is_clear(logits: Array, boxes: Array) -> bool:
    """Say whether the joints are where they are with logits that are off a little."""
    joints, _ = decode_keypoints(logits.astype(np.float64), boxes.astype(np.float64))
    ramp = 1e-5 * np.arange(logits[0, 0].size).reshape(logits.shape[2:])
    return all(
        np.allclose(decode_keypoints(logits + sign * ramp, boxes.astype(np.float64))[0], joints) for sign in (-1, 1)
    )


@pytest.mark.parametrize(
    ("joint", "position"),
    [
        ((0.0, 0.0), 0),
        ((5.0, 0.0), 2),
        ((4.99, 0.0), 1),
        ((5.0, 5.0), 10),
        ((10.0, 10.0), 15),
        ((10.0, 0.0), 3),
        ((0.0, 10.0), 12),
        ((np.nextafter(10, 11), 5.0), None),
        ((-1e-300, 5.0), None),
        ((5.0, np.nextafter(10, 11)), None),
        ((5.0, -1e-300), None),
        ((10.0, 10.5), None),
        ((np.nan, 5.0), None),
        ((np.inf, 5.0), None),
    ],
)
def test_edges(joint: tuple[float, float], position: int | None) -> None:
    positions, valid = encode_keypoints(np.array([[joint]]), np.ones((1, 1), bool), WHOLE, side=4)
    assert valid.item() == (position is not None)
    assert positions.item() == (position or 0)
    hidden = encode_keypoints(np.array([[joint]]), np.zeros((1, 1), bool), WHOLE, side=4)
    assert [x.item() for x in hidden] == [0, False]


@pytest.mark.parametrize("ends", [(12.94, 31.23), (31.23, 12.94)])
def test_before_the_end_is_inside_where_rounding_says_otherwise(ends: tuple[float, float]) -> None:
    start, end = ends
    joint = np.nextafter(end, start)
    assert (joint - start) * 56 / (end - start) == 56
    box = np.array([[start, start, end, end]])
    positions, valid = encode_keypoints(np.array([[[joint, joint]]]), np.ones((1, 1), bool), box, side=56)
    assert (positions.item(), valid.item()) == (55 * 56 + 55, True)


def test_a_whole_number_of_places_is_met_exactly() -> None:
    """Of 46 pixels the 23rd ends 14 of 28 places, though 23 · (28/46) is less in float32."""
    joints, box = np.array([[[23, 23]]], np.float32), np.array([[0, 0, 46, 46]], np.float32)
    assert np.float32(23) * (np.float32(28) / np.float32(46)) < 14
    assert encode_keypoints(joints, np.ones((1, 1), bool), box, side=28)[0].item() == 14 * 28 + 14


@given(seed=seeds, side=st.integers(2, 12))
def test_there_and_back(seed: int, side: int) -> None:
    """In a box of as many pixels as places a joint comes back to the middle of its pixel."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(-50, 50, 2)
    box = np.concatenate([corner, corner + side])[None].astype(np.float64)
    joints = corner + rng.uniform(0, side, (1, 6, 2))
    positions, valid = encode_keypoints(joints, np.ones((1, 6), bool), box, side=side)
    assert valid.all()
    logits = np.zeros((1, 6, side * side))
    np.put_along_axis(logits, positions[..., None], 1.0, axis=2)
    for convention in CONVENTIONS:
        found, _ = decode_keypoints(logits.reshape(1, 6, side, side), box, convention=convention)
        np.testing.assert_array_equal(found, np.floor(joints) + 0.5)


def test_the_first_of_equal_logits() -> None:
    logits = np.zeros((1, 3, 4, 4))
    logits[0, 0, [2, 1], [0, 3]] = 1
    logits[0, 1, 3, [2, 1]] = 1
    joints, _ = decode_keypoints(logits, np.array([[0.0, 0, 4, 4]]))
    assert joints.tolist() == [[[3.5, 1.5], [1.5, 3.5], [0.5, 0.5]]]


@pytest.mark.parametrize(("side", "n"), [(0.25, 1), (1.0, 1), (1.001, 2), (3.0, 3), (3.5, 4), (-2.0, 1)])
def test_sides_are_rounded_up_and_a_pixel_at_least(side: float, n: int) -> None:
    """The last place of a row that rises is the last pixel, ½ of side/n from the right edge."""
    logits = np.broadcast_to(np.arange(8.0), (1, 1, 8, 8)).copy()
    joints, _ = decode_keypoints(logits, np.array([[2.0, 0, 2 + side, 8]]))
    assert joints[0, 0, 0] == pytest.approx(2 + (n - 0.5) * max(side, 1) / n, abs=1e-12)


def test_scores() -> None:
    """One logit of log 3 among 4: ½ of the sum 3 + 1 + 1 + 1, where nothing is resized."""
    logits, box = np.array([[[[0, np.log(3)], [0, 0]]]]), np.array([[0.0, 0, 2, 2]])
    assert decode_keypoints(logits, box)[1].item() == np.log(3)
    for convention in CONVENTIONS[1:]:
        assert decode_keypoints(logits, box, convention=convention)[1].item() == pytest.approx(0.5, rel=1e-15)
    apart = [decode_keypoints(logits, 8 * box, convention=c)[1].item() for c in CONVENTIONS]
    assert apart[0] > np.log(3)  # bicubic interpolation overshoots
    assert apart[1] == pytest.approx(np.exp(apart[0]) / 6)
    assert apart[2] < 0.02  # of 256 places


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_what_is_not_finite(convention: str) -> None:
    boxes = np.array([[np.nan, 0, 4, 4], [0, 0, np.inf, 4], [0, 0, 4, 4]])
    logits = np.zeros((3, 1, 4, 4))
    logits[2, 0, 3, 3] = np.nan
    joints, scores = decode_keypoints(logits, boxes, convention=convention)
    assert np.isnan(joints[:2]).all()
    assert np.isnan(scores).all()
    assert joints[2].tolist() == [[1.5, 1.5]]  # the first place that reads the NaN


@pytest.mark.parametrize("n", [0, 2])
def test_no_detections_and_no_joints(n: int) -> None:
    joints, scores = decode_keypoints(np.zeros((n, 3 * (not n), 4, 4), np.float32), np.zeros((n, 4), np.float32))
    assert (joints.shape, scores.shape) == ((n, 3 * (not n), 2), (n, 3 * (not n)))
    assert joints.dtype == scores.dtype == np.float32


@pytest.fixture(scope="module")
def asked() -> dict[str, Array]:
    rng = np.random.default_rng(3)
    start, side = rng.uniform(-9, 90, (40, 2)), rng.uniform(1, 60, (40, 2))
    boxes = np.concatenate([start, start + side], axis=1)
    boxes[:6, 2:] = boxes[:6, :2] + [[0.5, 20], [20, 0.25], [0, 0], [7, 7], [14, 7], [1, 1]]
    boxes = boxes.astype(np.float32)
    joints = rng.uniform(-0.2, 1.2, (40, 5, 2)) * np.maximum(side, 2)[:, None] + start[:, None]
    joints = joints.astype(np.float32)
    joints[6:, 0, 0], joints[6:, 1, 1], joints[6:, 2] = boxes[6:, None, 2].T, boxes[6:, 3], boxes[6:, 2:]
    seen = rng.integers(0, 3, (40, 5, 1))
    y, centres = np.arange(14.0), rng.uniform(0, 13, (40, 5, 2))
    logits = -((y[:, None] - centres[..., :1, None]) ** 2 + (y - centres[..., 1:, None]) ** 2) / 4
    logits += rng.normal(0, 0.5, logits.shape)
    return {
        "joints": np.concatenate([joints, seen], axis=2, dtype=np.float32),
        "boxes": boxes,
        "logits": logits.astype(np.float32),
        "side": np.array(14),
    }


@pytest.fixture(scope="module")
def theirs(asked: dict[str, Array], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    return ask_torchvision(ANSWER_ALL, asked, tmp_path_factory.mktemp("torchvision"))


@pytest.mark.oracle
def test_encoding_against_torchvision(asked: dict[str, Array], theirs: dict[str, Array]) -> None:
    joints = asked["joints"]
    positions, valid = encode_keypoints(joints[..., :2], joints[..., 2] > 0, asked["boxes"], side=14)
    assert 0.3 < valid.mean() < 0.7
    np.testing.assert_array_equal(valid, theirs["valid"] > 0)
    np.testing.assert_array_equal(positions, theirs["positions"])


@pytest.mark.oracle
def test_decoding_against_torchvision(asked: dict[str, Array], theirs: dict[str, Array]) -> None:
    for i, convention in enumerate(CONVENTIONS):
        joints, scores = decode_keypoints(asked["logits"], asked["boxes"], convention=convention)
        np.testing.assert_allclose(joints, theirs["places"], rtol=0, atol=2e-5)
        expected = theirs["scores"] if i == 0 else theirs["shares"][i - 1]
        np.testing.assert_allclose(scores, expected, rtol=2e-5, atol=1e-5)


JOINTS, SEEN = np.zeros((1, 3, 2)), np.ones((1, 3), bool)


@pytest.mark.parametrize(
    ("joints", "visible", "boxes", "side", "message"),
    [
        (JOINTS[0], SEEN, WHOLE, 4, r"joints must have rank 3 \(P, K, 2\)"),
        (np.zeros((1, 3, 3)), SEEN, WHOLE, 4, r"joints must have shape \(P, K, 2\), rows \(x, y\), got \(1, 3, 3\)"),
        (JOINTS, SEEN[:, :2], WHOLE, 4, r"visible must have shape \(1, 3\) \(one per joint\), got \(1, 2\)"),
        (JOINTS, SEEN.astype(int), WHOLE, 4, "visible must be a boolean array, got int64"),
        (JOINTS, SEEN, np.zeros((2, 4)), 4, r"boxes must have 1 rows, one per region, got \(2, 4\)"),
        (JOINTS.astype(np.float32), SEEN, WHOLE, 4, "joints is float32 but boxes is float64"),
        (JOINTS, SEEN, WHOLE, 0, "side must be at least 1, got 0"),
        (JOINTS, SEEN, WHOLE, 4.0, "side must be an integer, got 4.0"),
    ],
)
def test_bad_input_of_encoding(joints: Array, visible: Array, boxes: Array, side: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^encode_keypoints: .*{message}"):
        encode_keypoints(joints, visible, boxes, side=side)


@pytest.mark.parametrize(
    ("shape", "boxes", "convention", "message"),
    [
        ((1, 3, 4), WHOLE, "torchvision", r"logits must have rank 4 \(D, K, m, m\)"),
        (
            (1, 3, 4, 5),
            WHOLE,
            "torchvision",
            r"maps of logits must be square and have a place, got shape \(1, 3, 4, 5\)",
        ),
        ((1, 3, 0, 0), WHOLE, "torchvision", "maps of logits must be square and have a place"),
        ((2, 3, 4, 4), WHOLE, "torchvision", r"boxes must have 2 rows, one per detection, got \(1, 4\)"),
        ((1, 3, 4, 4), WHOLE.astype(np.float32), "torchvision", "logits is float64|boxes is float32"),
        ((1, 3, 4, 4), WHOLE, "caffe2", "convention must be one of 'torchvision', 'detectron2', 'detectron1'"),
    ],
)
def test_bad_input_of_decoding(shape: tuple[int, ...], boxes: Array, convention: str, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^decode_keypoints: .*({message})"):
        decode_keypoints(np.zeros(shape), boxes, convention=convention)
