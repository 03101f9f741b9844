"""rpn_proposals: by hand, against the definition and torchvision, and what its parts hand down to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes import SCALE_CLAMP, box_iou, decode_boxes
from refdet.core.kernel import KERNELS, ROUND_TRIPS, Backend, use_backend
from refdet.detection import rpn_proposals, rpn_proposals_stages
from refdet.detection.composition import best_of_each
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.duck import DUCKS, unwrapped, wrapped
from tests.oracles import rpn_proposals as oracle
from tests.torchvision_process import ask_torchvision

NAN, INF = np.nan, np.inf
THREE = np.array([[0.0, 0, 1, 8], [0, 0, 8, 8], [8, 0, 16, 8]])
STILL = np.zeros((3, 4))
DESCENDING = np.array([0.75, 0.5, 0.25])
IMAGE: dict[str, Any] = {"height": 16, "width": 16}
limits = st.sampled_from([None, 0, 1, 3, 50])


def every_param(**given: Any) -> dict[str, Any]:
    plain = {
        "height": 24,
        "width": 20,
        "order": "filter_first",
        "transform_convention": "continuous",
        "clamp": None,
        "clip_convention": "continuous",
        "min_size": 4.0,
        "size_convention": "torchvision",
        "pre_nms": 5,
        "nms_threshold": 0.5,
        "offset": 0,
        "post_nms": 4,
    }
    return plain | given


def problem(rng: np.random.Generator, n: int) -> list[Array]:
    """Return anchors on multiples of 4 that move by quarters of their sides, scores with ties, and three levels."""
    corner = 4 * rng.integers(-1, 5, (n, 2))
    anchors = np.concatenate([corner, corner + 4 * rng.integers(1, 4, (n, 2))], axis=1)
    deltas = np.concatenate([rng.integers(-1, 2, (n, 2)) / 4, np.zeros((n, 2))], axis=1)
    return [anchors.astype(np.float64), deltas, rng.integers(0, 6, n) / 8, rng.integers(0, 3, n)]


def test_hand_example() -> None:
    """The second box moves to [14, 0, 22, 8] and is cut off; the third overlaps the first by 7/9."""
    anchors = np.array([[0.0, 0, 8, 8], [12, 0, 20, 8], [1, 0, 9, 8]])
    deltas = np.array([[0.0, 0, 0, 0], [0.25, 0, 0, 0], [0, 0, 0, 0]])
    boxes, scores = rpn_proposals(anchors, deltas, DESCENDING, height=10, width=20, min_size=4)
    np.testing.assert_array_equal(boxes, [[0, 0, 8, 8], [14, 0, 20, 8]])
    np.testing.assert_array_equal(scores, [0.75, 0.5])


def test_the_order_decides_who_has_the_place() -> None:
    """The best box is too narrow: it goes before the best two are taken, or has taken a place."""
    filtered, _ = rpn_proposals(THREE, STILL, DESCENDING, **IMAGE, min_size=2, pre_nms=2)
    np.testing.assert_array_equal(filtered, THREE[1:])
    cut, _ = rpn_proposals(THREE, STILL, DESCENDING, **IMAGE, min_size=2, pre_nms=2, order="topk_first")
    np.testing.assert_array_equal(cut, THREE[1:2])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Numbers that float32 has exactly, so that every comparison is that of the definition."""
    rng = np.random.default_rng(seed)
    *floats, levels = problem(rng, data.draw(st.integers(0, 12)))
    if data.draw(st.booleans()):
        floats[1:] = [
            np.where(rng.random(x.shape) < 0.05, data.draw(st.sampled_from([NAN, INF])), x) for x in floats[1:]
        ]
    anchors, deltas, scores = (in_layout(x.astype(dtype), layout) for x in floats)
    params = every_param(
        order=data.draw(st.sampled_from(["filter_first", "topk_first"])),
        transform_convention=data.draw(st.sampled_from(["continuous", "py-faster", "detectron1"])),
        clip_convention=data.draw(st.sampled_from(["continuous", "legacy", "matlab"])),
        size_convention=data.draw(st.sampled_from(["torchvision", "detectron2", "py-faster"])),
        pre_nms=data.draw(limits),
        post_nms=data.draw(limits),
        nms_threshold=data.draw(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
        offset=data.draw(st.integers(0, 1)),
    )
    levelled = in_layout(levels, layout) if data.draw(st.booleans()) else None
    assert_agrees("rpn_proposals", oracle, [anchors, deltas, scores, levelled], rng=rng, params=params)
    with np.errstate(invalid="ignore"):
        expected = oracle.stages(anchors, deltas, scores, levelled, **params)
    found = rpn_proposals_stages(anchors, deltas, scores, levelled, **params)
    stages = {name: x for name, x in found._asdict().items() if x is not None}
    assert list(stages) == list(expected)
    for name, x in expected.items():
        assert stages[name].dtype.kind == x.dtype.kind, name
        np.testing.assert_allclose(stages[name], x, rtol=1e-6, err_msg=name)


def test_without_a_cut_the_orders_agree() -> None:
    anchors, deltas, scores, levels = problem(np.random.default_rng(0), 60)
    options: dict[str, Any] = {"min_size": 5, "pre_nms": None, "post_nms": None, "nms_threshold": 0.5}
    first, second = (
        rpn_proposals(anchors, deltas, scores, levels, **IMAGE, **options, order=order)
        for order in ("filter_first", "topk_first")
    )
    for x, y in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, y)


def test_what_is_proposed() -> None:
    """Inside the image, large enough, in descending order, apart from each other on each level."""
    anchors, deltas, scores, _ = problem(np.random.default_rng(1), 100)
    boxes, s = rpn_proposals(anchors, deltas, scores, **IMAGE, min_size=6, nms_threshold=0.25)
    assert len(boxes) > 3
    assert np.all((boxes >= 0) & (boxes <= 16))
    assert np.all(boxes[:, 2:] - boxes[:, :2] >= 6)
    assert np.all(np.diff(s) <= 0)
    assert np.all(np.triu(box_iou(boxes, boxes), 1) <= 0.25)


def test_what_is_not_finite_takes_no_place() -> None:
    """In either order: a NaN score, an infinite one, and an infinite box, which is not clipped into the whole image."""
    deltas = np.array([[0.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 800, 0], [0, 0, 0, 0]])
    anchors, scores = np.tile([[0.0, 0, 8, 8]], (4, 1)), np.array([NAN, INF, 0.5, 0.25])
    for order in ("filter_first", "topk_first"):
        boxes, s = rpn_proposals(anchors, deltas, scores, **IMAGE, min_size=1, pre_nms=1, order=order)
        np.testing.assert_array_equal(boxes, [[0, 0, 8, 8]])
        np.testing.assert_array_equal(s, [0.25])


def test_ties_lowest_index_first_across_levels() -> None:
    """Four equal scores of two levels: one of each, the lower anchor first, whatever its level is called."""
    anchors = np.array([[0.0, 0, 4, 4], [4, 0, 8, 4], [8, 0, 12, 4], [12, 0, 16, 4]])
    levels = np.array([9, 1, 1, 9])
    boxes, _ = rpn_proposals(anchors, np.zeros((4, 4)), np.full(4, 0.5), levels, **IMAGE, min_size=1, pre_nms=1)
    np.testing.assert_array_equal(boxes, anchors[:2])
    np.testing.assert_array_equal(best_of_each(np.full(4, 0.5), levels, None), [0, 1, 2, 3])


def test_a_backend_is_inherited() -> None:
    """Whoever replaces the suppression replaces it here too, and the clipping likewise."""
    backend = Backend("none survives", {"nms": lambda boxes, scores, **_: np.zeros(0, np.int64)}, "reference")
    with use_backend(backend):
        boxes, scores = rpn_proposals(THREE, STILL, DESCENDING, **IMAGE, min_size=1)
    assert boxes.shape == (0, 4)
    assert scores.shape == (0,)
    unclipped = Backend("does not clip", {"clip_boxes": lambda boxes, **_: boxes}, "reference")
    with use_backend(unclipped):
        boxes, _ = rpn_proposals(THREE + 12, STILL, DESCENDING, **IMAGE, min_size=1)
    np.testing.assert_array_equal(boxes, THREE + 12)


def test_a_device_keeps_its_arrays_but_for_the_suppression() -> None:
    """A backend with arrays of its own and no kernels: the steps run on them, and what cannot makes a round trip."""
    inputs = THREE, STILL, DESCENDING
    expected = KERNELS["rpn_proposals"](*inputs, None, **every_param())
    before = ROUND_TRIPS.copy()
    with use_backend(DUCKS):
        found = KERNELS["rpn_proposals"](*map(wrapped, inputs), None, **every_param())
    assert ROUND_TRIPS - before == {"nms": 1}
    for x, y in zip(unwrapped(found), expected, strict=True):
        np.testing.assert_array_equal(x, y)


TORCHVISION = """
from torchvision.models.detection.rpn import RegionProposalNetwork
limits = {"training": 40, "testing": 40}, {"training": 25, "testing": 25}
rpn = RegionProposalNetwork(torch.nn.Module(), torch.nn.Module(), 0.7, 0.3, 256, 0.5, *limits, 0.6)
rpn.eval()
t = {name: torch.from_numpy(x) for name, x in asked.items()}
boxes, scores = rpn.filter_proposals(t["decoded"][None], t["logits"][None], [(60, 64)], t["per_level"].tolist())
answers["boxes"], answers["scores"] = boxes[0].numpy(), scores[0].numpy()
"""


@pytest.mark.oracle
def test_against_torchvision(tmp_path: Path) -> None:
    """300 anchors of two levels, distinct logits, and sides that fall below 0.001 by clipping."""
    rng = np.random.default_rng(2)
    corner = rng.uniform(-20, 60, (300, 2))
    anchors = np.concatenate([corner, corner + rng.uniform(4, 30, (300, 2))], axis=1).astype(np.float32)
    deltas = rng.normal(0, 0.3, (300, 4)).astype(np.float32)
    logits = (rng.permutation(300) / 50 - 3).astype(np.float32)
    levels = np.repeat([0, 1], [200, 100])
    decoded = decode_boxes(anchors, deltas, clamp=SCALE_CLAMP)
    asked = {"decoded": decoded, "logits": logits, "per_level": np.array([200, 100])}
    theirs = ask_torchvision(TORCHVISION, asked, tmp_path)
    boxes, scores = rpn_proposals(
        anchors,
        deltas,
        logits,
        levels,
        height=60,
        width=64,
        order="topk_first",
        clamp=SCALE_CLAMP,
        min_size=1e-3,
        pre_nms=40,
        nms_threshold=0.6,
        post_nms=25,
    )
    assert len(boxes) == 25
    np.testing.assert_allclose(boxes, theirs["boxes"], rtol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores)), theirs["scores"], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"anchors": np.zeros((3, 5))}, ValueError, r"rpn_proposals: anchors must have shape \(N, 4\).*got \(3, 5\)"),
        ({"deltas": np.zeros((2, 4))}, ValueError, r"rpn_proposals: deltas must have shape \(3, 4\) \(one transform"),
        ({"scores": np.zeros(2)}, ValueError, r"rpn_proposals: scores must have shape \(3,\) \(one per box\), got"),
        ({"scores": np.zeros(3, np.float32)}, TypeError, "rpn_proposals: boxes is float64 but scores is float32"),
        ({"levels": np.zeros(3)}, TypeError, "rpn_proposals: levels must be an integer array, got float64"),
        ({"levels": np.zeros(2, int)}, ValueError, r"rpn_proposals: levels must have shape \(3,\) \(one per anchor\)"),
        ({"order": "nms_first"}, ValueError, "rpn_proposals: order must be one of 'filter_first', 'topk_first', got"),
        ({"transform_convention": "ssd"}, ValueError, "rpn_proposals: transform_convention must be one of"),
        ({"clip_convention": "none"}, ValueError, "rpn_proposals: clip_convention must be one of"),
        ({"size_convention": "none"}, ValueError, "rpn_proposals: size_convention must be one of"),
        ({"height": -1}, ValueError, "rpn_proposals: height must be at least 0, got -1"),
        ({"width": 0, "clip_convention": "legacy"}, ValueError, "rpn_proposals: width must be at least 1, got 0"),
        ({"clamp": INF}, ValueError, "rpn_proposals: clamp must be a finite number, got inf"),
        ({"min_size": -1}, ValueError, r"rpn_proposals: min_size must lie in \[0, inf\), got -1"),
        ({"nms_threshold": 2}, ValueError, r"rpn_proposals: nms_threshold must lie in \[0, 1\], got 2"),
        ({"offset": 2}, ValueError, "rpn_proposals: offset must be 0 .* or 1"),
        ({"pre_nms": 2.5}, TypeError, "rpn_proposals: pre_nms must be an integer, got 2.5"),
        ({"post_nms": -1}, ValueError, "rpn_proposals: post_nms must be at least 0, got -1"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {"anchors": THREE, "deltas": STILL, "scores": DESCENDING, **IMAGE} | change
    with pytest.raises(error, match=message):
        rpn_proposals(**given)
