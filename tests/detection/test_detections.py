"""detections: by hand, against the definition and torchvision, layouts of deltas, and every cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes import SCALE_CLAMP, box_iou
from refdet.core.kernel import Backend, use_backend
from refdet.detection import detections, detections_stages
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import detections as oracle
from tests.torchvision_process import ask_torchvision

NAN, INF = np.nan, np.inf
BOX = np.array([[0.0, 0, 8, 8]])
IMAGE: dict[str, Any] = {"height": 16, "width": 16}
PLAIN = (1.0, 1.0, 1.0, 1.0)
limits = st.sampled_from([None, 0, 1, 3, 50])


def every_param(**given: Any) -> dict[str, Any]:
    plain = {
        "height": 24,
        "width": 20,
        "background": "first",
        "transform_convention": "continuous",
        "weights": (2.0, 2.0, 1.0, 1.0),
        "mean": (0.0, 0.5, 0.0, 0.0),
        "std": (0.5, 1.0, 1.0, 1.0),
        "clamp": None,
        "clip_convention": "continuous",
        "score_threshold": 0.125,
        "min_size": None,
        "pre_nms": None,
        "nms_threshold": 0.5,
        "offset": 0,
        "post_nms": 5,
    }
    return plain | given


def problem(rng: np.random.Generator, n: int, n_columns: int, n_blocks: int) -> list[Array]:
    """Return proposals on multiples of 4 that move by quarters of their sides, and scores with ties."""
    corner = 4 * rng.integers(-1, 5, (n, 2))
    proposals = np.concatenate([corner, corner + 4 * rng.integers(1, 4, (n, 2))], axis=1)
    deltas = np.zeros((n, n_blocks, 4))
    deltas[..., :2] = rng.integers(-1, 2, (n, n_blocks, 2)) / 2
    return [proposals.astype(np.float64), deltas.reshape(n, 4 * n_blocks), rng.integers(0, 6, (n, n_columns)) / 8]


def test_hand_example() -> None:
    """The second dog is suppressed by the first, the cat in its place is not; the third box is clipped."""
    proposals = np.array([[0.0, 0, 8, 8], [0, 0, 8, 8], [8, 0, 16, 8]])
    scores = np.array([[0.125, 0.875, 0.0], [0.25, 0.25, 0.5], [0.5, 0.0, 0.5]])
    boxes, s, classes = detections(proposals, np.zeros((3, 4)), scores, height=8, width=12)
    np.testing.assert_array_equal(boxes, [[0, 0, 8, 8], [0, 0, 8, 8], [8, 0, 12, 8]])
    np.testing.assert_array_equal(s, [0.875, 0.5, 0.5])
    np.testing.assert_array_equal(classes, [1, 2, 2])
    assert classes.dtype == np.int64


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Numbers that float32 has exactly, in every layout of the deltas; now and then a NaN or an infinity."""
    rng = np.random.default_rng(seed)
    background = data.draw(st.sampled_from(["first", "last", "none"]))
    n_columns = data.draw(st.integers(1, 3))
    n_blocks = data.draw(st.sampled_from([1, n_columns, n_columns - (background != "none")]))
    arrays = problem(rng, data.draw(st.integers(0, 8)), n_columns, n_blocks)
    if data.draw(st.booleans()):
        wrong = data.draw(st.sampled_from([NAN, INF, -INF]))
        arrays[1:] = [np.where(rng.random(x.shape) < 0.03, wrong, x) for x in arrays[1:]]
    inputs = [in_layout(x.astype(dtype), layout) for x in arrays]
    params = every_param(
        background=background,
        transform_convention=data.draw(st.sampled_from(["continuous", "py-faster", "detectron1"])),
        clip_convention=data.draw(st.sampled_from(["continuous", "legacy", "matlab"])),
        min_size=data.draw(st.sampled_from([None, 0.0, 4.0])),
        pre_nms=data.draw(limits),
        post_nms=data.draw(limits),
        nms_threshold=data.draw(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
        offset=data.draw(st.integers(0, 1)),
    )
    assert_agrees("detections", oracle, inputs, rng=rng, params=params)
    with np.errstate(invalid="ignore"):
        expected = oracle.stages(*inputs, **params)
    stages = detections_stages(*inputs, **params)._asdict()
    assert list(stages) == list(expected)
    for name, x in expected.items():
        assert stages[name].dtype.kind == x.dtype.kind, name
        np.testing.assert_allclose(stages[name], x, rtol=1e-6, err_msg=name)


def test_three_layouts_of_the_same_deltas() -> None:
    """One transform for all classes, repeated for each, and with the background's, which says something else."""
    proposals, deltas, scores = problem(np.random.default_rng(0), 20, 3, 1)
    expected = detections(proposals, deltas, scores, **IMAGE)
    for others in (np.tile(deltas, 2), np.concatenate([deltas + 5, deltas, deltas], axis=1)):
        for x, y in zip(detections(proposals, others, scores, **IMAGE), expected, strict=True):
            np.testing.assert_array_equal(x, y)


def test_where_the_background_is_changes_names_only() -> None:
    proposals, deltas, scores = problem(np.random.default_rng(1), 20, 3, 2)
    first = detections(proposals, deltas, scores, **IMAGE)
    last = detections(proposals, deltas, np.roll(scores, -1, axis=1), **IMAGE, background="last")
    np.testing.assert_array_equal(first[2], last[2] + 1)
    for x, y in zip(first[:2], last[:2], strict=True):
        np.testing.assert_array_equal(x, y)


def test_default_weights_are_those_of_the_heads() -> None:
    """δ = (10, 10, 0, 0) is a move by a width and a height."""
    boxes, _, _ = detections(BOX, np.array([[10.0, 10, 0, 0]]), np.array([[0.0, 1.0]]), **IMAGE)
    np.testing.assert_array_equal(boxes, [[8, 8, 16, 16]])


@pytest.mark.parametrize("threshold", [0.05, np.float64(0.05)], ids=["python", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_score_equal_to_the_threshold_is_none(dtype: str, threshold: float) -> None:
    """In float32, 0.05 is 0.0500000007, which is > 0.05 in float64: the threshold is rounded too."""
    scores = np.array([[0, 0.05]], dtype)
    boxes, _, _ = detections(BOX.astype(dtype), np.zeros((1, 4), dtype), scores, **IMAGE, score_threshold=threshold)
    assert not len(boxes)


def test_a_side_equal_to_the_least_stays() -> None:
    def count(min_size: float | None, width: float) -> int:
        box = np.array([[0.0, 0, width, 8]])
        return len(detections(box, np.zeros((1, 4)), np.array([[0.0, 1.0]]), **IMAGE, min_size=min_size)[0])

    assert [count(2, 2), count(2, 1.5), count(0.01, 0), count(None, 0)] == [1, 0, 0, 1]


def test_cuts_before_and_after_suppression() -> None:
    """Of three boxes the second is suppressed: it takes a place before, and none after."""
    proposals = np.array([[0.0, 0, 8, 8], [0, 0, 8, 7], [8, 8, 16, 16]])
    scores = np.array([[0, 0.75], [0, 0.5], [0, 0.25]])
    _, before, _ = detections(proposals, np.zeros((3, 4)), scores, **IMAGE, pre_nms=2)
    _, after, _ = detections(proposals, np.zeros((3, 4)), scores, **IMAGE, post_nms=2)
    assert (before.tolist(), after.tolist()) == ([0.75], [0.75, 0.25])


def test_the_last_cut_is_exact() -> None:
    """Two classes of one proposal tie with the class of another: the lower proposal first, then the lower class."""
    proposals, scores = np.array([[8.0, 8, 16, 16], [0, 0, 8, 8]]), np.array([[0, 0.25, 0.25], [0, 0.25, 0.5]])
    boxes, s, classes = detections(proposals, np.zeros((2, 4)), scores, **IMAGE, post_nms=3)
    np.testing.assert_array_equal(boxes, proposals[[1, 0, 0]])
    assert (s.tolist(), classes.tolist()) == ([0.5, 0.25, 0.25], [2, 1, 2])


@pytest.mark.parametrize("wrong", [NAN, INF, -INF])
def test_what_is_not_finite_drops_its_proposal(wrong: float) -> None:
    """In the background's score, or in the box of one class; the background's deltas are not looked at."""
    proposals = np.tile(BOX, (3, 1)) + 8 * np.arange(3)[:, None] % 16
    scores, deltas = np.tile([0.25, 0.5, 0.25], (3, 1)), np.zeros((3, 12))
    scores[0, 0] = deltas[1, 8] = deltas[2, 0] = wrong
    boxes, _, classes = detections(proposals, deltas, scores, **IMAGE)
    np.testing.assert_array_equal(boxes, proposals[[2, 2]])
    assert classes.tolist() == [1, 2]


def test_what_is_detected() -> None:
    """Inside the image, above the threshold, in descending order; boxes of one class apart from each other."""
    boxes, scores, classes = detections(*problem(np.random.default_rng(2), 60, 4, 4), **IMAGE, nms_threshold=0.25)
    assert len(boxes) > 10
    assert np.all((boxes >= 0) & (boxes <= 16))
    assert np.all(scores > 0.05)
    assert np.all(np.diff(scores) <= 0)
    overlap = np.triu(box_iou(boxes, boxes), 1) > 0.25
    assert overlap.any()
    assert not np.any(overlap & (classes[:, None] == classes))


def test_a_backend_is_inherited() -> None:
    backend = Backend("none", {"class_nms": lambda boxes, scores, classes, **_: np.zeros(0, np.int64)}, "reference")
    with use_backend(backend):
        boxes, scores, classes = detections(BOX, np.zeros((1, 4)), np.array([[0.0, 1.0]]), **IMAGE)
    assert (boxes.shape, scores.shape, classes.shape) == ((0, 4), (0,), (0,))


TORCHVISION = """
from torchvision.models.detection.roi_heads import RoIHeads
heads = RoIHeads(None, None, None, 0.5, 0.5, 512, 0.25, None, 0.05, 0.5, 30)
heads.eval()
logits, deltas, proposals = (torch.from_numpy(asked[name]) for name in ("logits", "deltas", "proposals"))
boxes, scores, labels = heads.postprocess_detections(logits, deltas, [proposals], [(60, 64)])
answers["boxes"], answers["scores"], answers["labels"] = boxes[0].numpy(), scores[0].numpy(), labels[0].numpy()
"""


@pytest.mark.oracle
def test_against_torchvision(tmp_path: Path) -> None:
    """80 proposals, three classes and the background, probabilities without ties."""
    rng = np.random.default_rng(3)
    corner = rng.uniform(-20, 60, (80, 2))
    proposals = np.concatenate([corner, corner + rng.uniform(4, 40, (80, 2))], axis=1).astype(np.float32)
    logits, deltas = (rng.standard_normal((80, n)).astype(np.float32) for n in (4, 16))
    theirs = ask_torchvision(TORCHVISION, {"proposals": proposals, "logits": logits, "deltas": deltas}, tmp_path)
    powers = np.exp(logits)
    boxes, scores, classes = detections(
        proposals,
        deltas,
        powers / powers.sum(axis=1, keepdims=True),
        height=60,
        width=64,
        clamp=SCALE_CLAMP,
        min_size=0.01,
        post_nms=30,
    )
    assert len(boxes) == 30
    np.testing.assert_array_equal(classes, theirs["labels"])
    np.testing.assert_allclose(boxes, theirs["boxes"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(scores, theirs["scores"], rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"proposals": np.zeros(4)}, ValueError, r"detections: proposals must have shape \(N, 4\)"),
        ({"deltas": np.zeros((1, 3))}, ValueError, r"deltas must have 1 rows.* of 4 or 8 or 12 numbers .*got \(1, 3\)"),
        ({"deltas": np.zeros((2, 4))}, ValueError, r"detections: deltas must have 1 rows.*got \(2, 4\)"),
        ({"deltas": np.zeros((1, 4), np.float32)}, TypeError, "detections: proposals is float64 but deltas is float32"),
        ({"scores": np.zeros(3)}, ValueError, r"detections: scores must have rank 2 \(R, K\)"),
        ({"scores": np.zeros((2, 3))}, ValueError, r"detections: scores must have 1 rows, one per proposal, got"),
        ({"scores": np.zeros((1, 0))}, ValueError, "detections: scores must have a column for the background"),
        ({"background": 0}, ValueError, "detections: background must be one of 'first', 'last', 'none', got 0"),
        ({"transform_convention": "ssd"}, ValueError, "detections: transform_convention must be one of"),
        ({"clip_convention": "none"}, ValueError, "detections: clip_convention must be one of"),
        ({"weights": (1, 1)}, ValueError, "detections: weights must be four numbers"),
        ({"std": (1, 1, 1, 0)}, ValueError, r"detections: std must lie in \(0, inf\), got 0"),
        ({"height": 1.5}, TypeError, "detections: height must be an integer, got 1.5"),
        ({"width": 0, "clip_convention": "matlab"}, ValueError, "detections: width must be at least 1, got 0"),
        ({"clamp": NAN}, ValueError, "detections: clamp must be a finite number, got nan"),
        ({"score_threshold": -INF}, ValueError, "detections: score_threshold must be a finite number, got -inf"),
        ({"min_size": -1}, ValueError, r"detections: min_size must lie in \[0, inf\), got -1"),
        ({"nms_threshold": -1}, ValueError, r"detections: nms_threshold must lie in \[0, 1\], got -1"),
        ({"offset": True}, ValueError, "detections: offset must be 0 .* or 1"),
        ({"pre_nms": -1}, ValueError, "detections: pre_nms must be at least 0, got -1"),
        ({"post_nms": "all"}, TypeError, "detections: post_nms must be an integer, got 'all'"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {"proposals": BOX, "deltas": np.zeros((1, 4)), "scores": np.zeros((1, 3)), **IMAGE}
    with pytest.raises(error, match=message):
        detections(**(given | change))
