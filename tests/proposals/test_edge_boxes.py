"""edge_boxes: the search by its definition, OpenCV's boxes, and the objects that it finds in photographs."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.iou import box_iou
from refdet.core.check import Array
from refdet.proposals.adaptive_nms import adaptive_nms
from refdet.proposals.edge_affinities import edge_affinities
from refdet.proposals.edge_boxes import edge_boxes
from refdet.proposals.edge_maps import rounded
from refdet.proposals.gradient_edges import gradient_edges
from refdet.proposals.group_edges import group_edges
from refdet.proposals.score_edge_boxes import score_edge_boxes
from tests.agreement import seeds
from tests.real_data import real

module = sys.modules[edge_boxes.__module__]


def shapes(seed: int, size: tuple[int, int] = (110, 140), n: int = 7) -> Array:
    """Return a picture of discs and rectangles with a little noise, so that no two boxes score the same."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(size)
    picture = np.full(size, 0.5)
    for i in range(n):
        centre_y, centre_x, a, b = rng.uniform([10, 10, 8, 8], [size[0] - 10, size[1] - 10, 30, 30])
        u, v = (x - centre_x) / a, (y - centre_y) / b
        inside = u**2 + v**2 < 1 if i % 2 else np.maximum(abs(u), abs(v)) < 1
        picture[inside] = rng.random()
    return (picture + rng.normal(0, 0.004, size)).clip(0, 1).astype(np.float32)


def photograph(name: str) -> Array:
    """Return a photograph of VOC 2012, (H, W, 3) uint8."""
    from PIL import Image

    return np.asarray(Image.open(real("voc") / f"2007_000{name}.jpg"))


def halved(picture: Array) -> Array:
    """Return a photograph at half its size, the mean of 2 × 2 pixels, in [0, 1]; an odd last row or column is lost."""
    H, W = (n // 2 for n in picture.shape[:2])
    pixels = picture[: 2 * H, : 2 * W].astype(np.float32) / 255
    means: Array = pixels.reshape(H, 2, W, 2, 3).mean(axis=(1, 3))
    return means.clip(0, 1)


# The search


def test_a_square_is_found() -> None:
    """The outline from 12 to 52: no better box than one that lies closely around it."""
    rows, columns = np.indices((64, 64))
    ring = np.maximum(abs(rows - 31.5), abs(columns - 31.5)) == 19.5
    orientation = np.where(abs(columns - 31.5) == 19.5, 0, math.pi / 2)
    for convention in ("paper", "opencv"):
        boxes, scores = edge_boxes(ring.astype(np.float64), orientation, convention=convention)
        assert box_iou(boxes[:1], np.array([[12.0, 12, 52, 52]])).item() > 0.85
        assert (np.diff(scores) <= 0).all()


def refined_by_loops(
    box: list[int], score: Callable[[list[int]], float], ratio: float, size: tuple[int, int]
) -> tuple[list[int], float]:
    """Refine one box as the docstring says."""
    best, H, W = score(box), *size
    step_x, step_y = int((box[2] - box[0]) * ratio), int((box[3] - box[1]) * ratio)
    while True:
        step_x, step_y = step_x // 2, step_y // 2
        if step_x <= 2 and step_y <= 2:
            return box, best
        step_x, step_y = max(step_x, 1), max(step_y, 1)
        for side, step in ((1, -step_y), (3, step_y), (0, -step_x), (2, step_x)):
            for move in (step, -step):
                moved = box.copy()
                moved[side] = min(max(moved[side] + move, 0), (W, H)[side % 2] - 1)
                if score(moved) > best:
                    box, best = moved, score(moved)
                    break


@given(seed=seeds, n=st.integers(0, 6))
def test_refinement_box_by_box(seed: int, n: int) -> None:
    """Together as one by one, on a landscape of scores with many plateaus."""
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(40, 120)), int(rng.integers(40, 120)))
    corners = np.sort(rng.integers(0, size[::-1], (n, 2, 2)), axis=1)
    boxes = corners.reshape(n, 4)
    peaks = rng.integers(0, [*size[::-1], *size[::-1]], (3, 4))

    def score(b: Array) -> Array:
        distance = abs(b[:, None] - peaks).max(axis=2) // 4
        best: Array = (1 / (1.0 + distance)).max(axis=1)
        return best

    found, scores = module._refined(boxes, score(boxes), score, 0.25, size)
    expected = [
        refined_by_loops(box, lambda b: float(score(np.array([b])).item()), 0.25, size) for box in boxes.tolist()
    ]
    assert found.tolist() == [box for box, _ in expected]
    np.testing.assert_array_equal(scores, [s for _, s in expected])


@pytest.mark.parametrize("convention", ["paper", "opencv"])
def test_what_all_proposals_are(convention: str) -> None:
    """Of the dtype of the maps, inside the picture, distinct, scored as they are, in order."""
    for dtype in (np.float32, np.float64):
        edges, orientation = gradient_edges(shapes(0).astype(dtype))
        boxes, scores = edge_boxes(edges, orientation, convention=convention)
        assert boxes.dtype == scores.dtype == dtype
        assert len(boxes) > 50
        assert boxes.min() >= 0
        assert (boxes.max(axis=0) <= [140, 110, 140, 110]).all()
        overlaps = box_iou(boxes, boxes)
        assert np.triu(overlaps, 1).max() <= 0.75
        assert (np.diff(scores) <= 0).all()
        groups = group_edges(edges, orientation)
        pixels = (boxes - {"paper": 0.5, "opencv": 1.0}[convention]).astype(np.int64)
        linked = edge_affinities(edges, orientation, groups)
        np.testing.assert_array_equal(score_edge_boxes(pixels, edges, groups, *linked, convention=convention), scores)


def test_conventions_of_the_corners() -> None:
    """At the centres of pixels under "paper", where pixels meet under "opencv"."""
    edges, orientation = gradient_edges(shapes(1, (80, 100), 5))
    options: dict[str, Any] = {"min_score": 0.0, "max_boxes": 20}
    paper, opencv = (edge_boxes(edges, orientation, convention=c, **options)[0] for c in ("paper", "opencv"))
    assert set((paper % 1).ravel().tolist()) == {0.5}
    assert set((opencv % 1).ravel().tolist()) == {0.0}


def test_the_least_score_is_opencvs_in_either_convention() -> None:
    """2 (b_w + b_h)^κ = 2^(1 + κ) (b_w/2 + b_h/2)^κ: the same boxes are dropped, but for rounded halves."""
    for kappa in (0.0, 1.5, 1.75):
        np.testing.assert_allclose(module._least_score("paper", kappa) * 2 ** (1 + kappa), 0.01, rtol=1e-12)
        assert module._least_score("opencv", kappa) == 0.01
    edges, orientation = gradient_edges(shapes(2, (80, 100), 5))
    for convention, least in (("paper", 0.01 / 2**2.5), ("opencv", 0.01)):
        boxes, scores = edge_boxes(edges, orientation, convention=convention)
        explicit, _ = edge_boxes(edges, orientation, convention=convention, min_score=least)
        np.testing.assert_array_equal(boxes, explicit)
        assert scores.min() >= least
        fewer, few_scores = edge_boxes(edges, orientation, convention=convention, min_score=3 * least)
        assert 0 < len(fewer) < len(boxes)
        assert few_scores.min() >= 3 * least


def test_fewer_boxes_are_the_best_of_more() -> None:
    edges, orientation = gradient_edges(shapes(3, (60, 80), 4))
    boxes, scores = edge_boxes(edges, orientation)
    assert len(boxes) > 7
    few, few_scores = edge_boxes(edges, orientation, max_boxes=7)
    np.testing.assert_array_equal(few, boxes[:7])
    np.testing.assert_array_equal(few_scores, scores[:7])
    assert edge_boxes(edges, orientation, max_boxes=0)[0].shape == (0, 4)


def test_without_edges_there_are_no_boxes() -> None:
    for size in ((0, 0), (0, 50), (1, 1), (2, 2), (20, 20), (40, 50)):
        for convention in ("paper", "opencv"):
            maps = np.zeros((2, *size), np.float32)
            boxes, scores = edge_boxes(maps[0], maps[1], convention=convention)
            assert (boxes.shape, scores.shape) == ((0, 4), (0,))
            assert boxes.dtype == scores.dtype == np.float32


def test_small_and_narrow_maps() -> None:
    """No side above √1000 gives no window; a narrow map has windows that are clipped to its width."""
    ring = np.zeros((31, 31))
    ring[5, 5:25] = ring[24, 5:25] = ring[5:25, 5] = ring[5:25, 24] = 1
    assert len(edge_boxes(ring, np.zeros((31, 31)))[0]) == 0
    boxes, _ = edge_boxes(np.pad(ring, ((0, 9), (0, 0))), np.zeros((40, 31)))
    assert len(boxes) > 0
    assert boxes[:, 2].max() <= 30.5


def test_inputs_are_left_alone() -> None:
    maps = [np.asfortranarray(x) for x in gradient_edges(shapes(4, (50, 60), 3))]
    copies = [x.copy() for x in maps]
    for x in maps:
        x.flags.writeable = False
    boxes, scores = edge_boxes(maps[0], maps[1])
    swapped = edge_boxes(*(x.astype(">f4") for x in copies))
    np.testing.assert_array_equal(boxes, swapped[0])
    np.testing.assert_array_equal(scores, swapped[1])
    assert swapped[0].dtype.isnative
    for x, copy in zip(maps, copies, strict=True):
        np.testing.assert_array_equal(x, copy)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edges": np.full((40, 40), 1.5)}, r"edge_boxes: edges must lie in \[0, 1\], got 1.5"),
        ({"edges": np.full((40, 40), np.nan)}, r"edge_boxes: edges must lie in \[0, 1\], got nan"),
        ({"orientation": np.full((40, 40), -1.0)}, r"edge_boxes: orientation must lie in \[0, π\], got -1"),
        ({"orientation": np.zeros((40, 39))}, r"edge_boxes: orientation must have shape \(40, 40\)"),
        ({"alpha": 1.0}, r"edge_boxes: alpha must lie in \[0.01, 0.99\], got 1"),
        ({"min_area": 0.0}, r"edge_boxes: min_area must lie in \[1, 1e\+12\], got 0"),
        ({"max_aspect_ratio": 0.5}, r"edge_boxes: max_aspect_ratio must lie in \[1, 1000\], got 0.5"),
        ({"max_aspect_ratio": 1e39}, r"edge_boxes: max_aspect_ratio must lie in \[1, 1000\], got 1e\+39"),
        ({"convention": "matlab"}, r"edge_boxes: convention must be one of 'paper', 'opencv', got 'matlab'"),
        ({"max_boxes": -1}, "edge_boxes: max_boxes must be at least 0, got -1"),
        ({"min_score": -0.1}, r"edge_boxes: min_score must lie in \[0, inf\), got -0.1"),
        ({"beta": 1.5}, r"edge_boxes: beta must lie in \[0, 1\], got 1.5"),
        ({"eta": 0.0}, r"edge_boxes: eta must lie in \(0, 1\], got 0"),
        ({"min_magnitude": -1.0}, "edge_boxes: min_magnitude must lie in"),
        ({"merge_threshold": 0.0}, "edge_boxes: merge_threshold must lie in"),
        ({"min_group": math.nan}, "edge_boxes: min_group must be a finite number"),
        ({"gamma": -1.0}, "edge_boxes: gamma must lie in"),
        ({"kappa": math.inf}, "edge_boxes: kappa must be a finite number"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        edge_boxes(**({"edges": np.zeros((40, 40)), "orientation": np.zeros((40, 40))} | options))


# OpenCV


def opencv() -> Any:
    """Return the module, or skip the test, saying what is absent."""
    cv2 = pytest.importorskip("cv2", reason="opencv, which is compared with, is not installed")
    if not hasattr(cv2, "ximgproc"):
        pytest.skip("this opencv is without its contributed modules; opencv-contrib-python-headless has ximgproc")
    return cv2


def boxes_of_opencv(edges: Array, orientation: Array, **options: Any) -> tuple[Array, Array]:
    """Return OpenCV's boxes, as corners, and their scores."""
    boxes, scores = (
        opencv()
        .ximgproc.createEdgeBoxes(maxBoxes=1000, **{OPENCV_NAMES[name]: value for name, value in options.items()})
        .getBoundingBoxes(edges, orientation)
    )
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners, np.array(scores, np.float64).ravel()


OPENCV_NAMES = {"alpha": "alpha", "beta": "beta", "eta": "eta", "kappa": "kappa", "min_area": "minBoxArea"}


@pytest.fixture
def sines_of_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let affinities be computed with sinf, cosf and atan2f, as in OpenCV.

    They may differ from the rounded sine by a last bit. Where two moves of a side are equally good but for that bit, it
    decides between them, and so between boxes that differ by pixels.
    """
    import ctypes
    import ctypes.util

    path = ctypes.util.find_library("m")
    if path is None:
        pytest.skip("the mathematical functions of the C library are in no library of their own here")
    library = ctypes.CDLL(path)
    functions = {np.sin: library.sinf, np.cos: library.cosf, np.arctan2: library.atan2f}
    for function, n_arguments in zip(functions.values(), (1, 1, 2), strict=True):
        function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float] * n_arguments

    def in_single_precision(function: Any, *arguments: Array) -> Array:
        if function not in functions:
            return rounded(function, *arguments)
        values = [functions[function](*numbers) for numbers in zip(*(a.tolist() for a in arguments), strict=True)]
        return np.array(values, np.float32)

    monkeypatch.setattr(sys.modules[edge_affinities.__module__], "rounded", in_single_precision)


def assert_boxes_of_opencv(edges: Array, orientation: Array, *, n_at_least: int, share: float = 1.0) -> None:
    """Compare the best 1000 boxes and their scores rank by rank, within 1e-4, of `share` of the ranks at least.

    Where scores tie, OpenCV's order is open: its box may be another one, if it has the very same score.
    """
    theirs, their_scores = boxes_of_opencv(edges, orientation)
    ours, scores = edge_boxes(edges, orientation, convention="opencv", max_boxes=1000)
    assert len(ours) == len(theirs) >= n_at_least
    np.testing.assert_allclose(scores, their_scores, rtol=0, atol=1e-4)
    groups = group_edges(edges, orientation)
    pairs, affinities = edge_affinities(edges, orientation, groups)
    pixels = (theirs - 1).astype(np.int64)
    tied = scores == score_edge_boxes(pixels, edges, groups, pairs, affinities, convention="opencv")
    equal = abs(ours - theirs).max(axis=1) <= 1e-4
    assert equal.mean() >= 0.99
    assert (equal | tied).mean() >= share


def assert_boxes_of_opencv_but_for_ties(
    edges: Array, orientation: Array, *, n_at_least: int, beta: float = 0.75, eta: float = 1.0, **options: Any
) -> None:
    """Compare the best 1000 boxes as a set, where ties are frequent and decide what is dropped.

    Of all refined boxes, those that OpenCV keeps go before others of the same score. The suppression must then keep the
    same ones.
    """
    theirs, their_scores = boxes_of_opencv(edges, orientation, beta=beta, eta=eta, **options)
    every, scores = edge_boxes(edges, orientation, convention="opencv", beta=1.0, max_boxes=10**6, **options)
    every, first = np.unique(every, axis=0, return_index=True)
    kept_by_opencv = set(map(tuple, theirs.tolist()))
    favour = np.array([tuple(box) in kept_by_opencv for box in every.tolist()])
    assert favour.sum() == len(theirs) >= n_at_least
    preferred = scores[first].astype(np.float64) * (1 + 1e-9 * favour)  # float32 scores are 6e-8 apart
    kept = adaptive_nms(every.astype(np.float64), preferred, threshold=beta, eta=eta, max_boxes=1000)
    assert set(map(tuple, every[kept].tolist())) == kept_by_opencv
    np.testing.assert_allclose(scores[first][kept], their_scores, rtol=0, atol=1e-4)


@pytest.mark.oracle
@pytest.mark.usefixtures("sines_of_the_c_library")
@pytest.mark.parametrize("seed", range(4))
def test_opencv_on_shapes(seed: int) -> None:
    edges, orientation = gradient_edges(shapes(seed))
    assert_boxes_of_opencv_but_for_ties(edges, orientation, n_at_least=100)


@pytest.mark.oracle
@pytest.mark.usefixtures("sines_of_the_c_library")
@pytest.mark.parametrize(
    "options",
    [{"alpha": 0.5, "min_area": 400.0}, {"beta": 0.5}, {"beta": 0.9, "eta": 0.98}, {"kappa": 1.25}],
    ids=str,
)
def test_opencv_with_other_parameters(options: dict[str, float]) -> None:
    edges, orientation = gradient_edges(shapes(7, (80, 100), 5))
    assert_boxes_of_opencv_but_for_ties(edges, orientation, n_at_least=20, **options)


@pytest.mark.oracle
@pytest.mark.usefixtures("sines_of_the_c_library")
def test_opencv_on_random_edges() -> None:
    """Edges that are not thinned, of any orientation: small groups, dissolved ones, and many affinities."""
    rng = np.random.default_rng(0)
    size = (60, 70)
    edges = (rng.random(size) * (rng.random(size) < 0.3)).astype(np.float32)
    orientation = rng.uniform(0, 3.14, size).astype(np.float32)
    assert_boxes_of_opencv_but_for_ties(edges, orientation, n_at_least=50)


@pytest.mark.oracle
@pytest.mark.real
@pytest.mark.usefixtures("sines_of_the_c_library")
def test_opencv_on_photographs() -> None:
    """One at its own size, in which both find 391 boxes; and one at half its size, in which there are over 1000."""
    for picture, n in ((photograph("243"), 391), (halved(photograph("272")), 1000)):
        assert_boxes_of_opencv(*gradient_edges(picture), n_at_least=n)


@pytest.mark.oracle
@pytest.mark.real
def test_opencv_on_a_photograph_with_our_own_sines() -> None:
    """All scores, and 99 of 100 boxes: the last bit of a sine may prefer another box."""
    edges, orientation = gradient_edges(halved(photograph("272")))
    assert_boxes_of_opencv(edges, orientation, n_at_least=1000, share=0.99)


@pytest.mark.oracle
@pytest.mark.real
@pytest.mark.usefixtures("sines_of_the_c_library")
def test_opencv_on_sobel_edges() -> None:
    """Edges by OpenCV's Sobel, neither smoothed nor thinned, of a photograph at half its size."""
    cv2 = opencv()
    grey = cv2.cvtColor(photograph("243"), cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    dx, dy = (cv2.Sobel(grey, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    length = np.hypot(dx, dy)
    orientation = np.mod(np.arctan2(dy, dx), np.float32(np.pi))
    assert_boxes_of_opencv_but_for_ties(length / length.max(), orientation, n_at_least=100)
