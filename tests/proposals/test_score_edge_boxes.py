"""score_edge_boxes: what is enclosed, what is tied to the boundary, two conventions."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.proposals.score_edge_boxes import score_edge_boxes
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import score_edge_boxes as oracle

NO_PAIRS = np.zeros((0, 2), np.int64)
CONVENTIONS = ("paper", "opencv")


def scattered(rng: np.random.Generator, size: tuple[int, int], n_groups: int, n_boxes: int) -> list[Array]:
    """Return boxes, magnitudes in eighths, groups, pairs, affinities in sixteenths: no product comes near 0.05.

    A group is up to three pixels in a corner of some 2 × 2; there are loose pixels too.
    """
    edges, groups = np.zeros(size), np.full(size, -1)
    inner = [max(0, n - 1) for n in size]
    for group in range(n_groups if min(inner) else 0):
        y, x = (int(rng.integers(n)) for n in inner)
        for dy, dx in [(0, 0), (0, 1), (1, 0)][: rng.integers(1, 4)]:
            edges[y + dy, x + dx], groups[y + dy, x + dx] = rng.integers(1, 9) / 8, group
    loose = (groups < 0) & (rng.random(size) < 0.02)
    edges[loose] = rng.integers(1, 9, loose.sum()) / 8
    present = int(groups.max(initial=-1)) + 1
    pairs = np.array([(i, j) for j in range(present) for i in range(j) if rng.random() < 3 / n_groups])
    corners = rng.integers(-2, 8, (n_boxes, 2))
    boxes = np.concatenate([corners, corners + rng.integers(-1, 18, (n_boxes, 2))], axis=1)
    return [boxes, edges, groups, pairs.reshape(-1, 2).astype(np.int64), rng.integers(0, 17, len(pairs)) / 16]


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts, convention=st.sampled_from(CONVENTIONS))
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str, convention: str) -> None:
    rng = np.random.default_rng(seed)
    size = data.draw(st.integers(0, 18)), data.draw(st.integers(0, 18))
    inputs = scattered(rng, size, data.draw(st.integers(0, 16)), data.draw(st.integers(0, 9)))
    inputs = [in_layout(x.astype(dtype) if x.dtype.kind == "f" else x, layout) for x in inputs]
    params: dict[str, Any] = {
        "convention": convention,
        "kappa": data.draw(st.sampled_from([0.0, 1.0, 1.5])),
        "min_score": data.draw(st.sampled_from([0.0, 0.01])),
        "min_magnitude": data.draw(st.sampled_from([0.0, 0.125])),
    }
    assert_agrees("score_edge_boxes", oracle, inputs, rng=rng, params=params)


def contours(*rows: tuple[int, range], size: tuple[int, int] = (20, 20)) -> tuple[Array, Array]:
    """Return edges of 1/2 along stretches of rows, each of them a group."""
    edges, groups = np.zeros(size), np.full(size, -1)
    for group, (y, columns) in enumerate(rows):
        edges[y, columns], groups[y, columns] = 0.5, group
    return edges, groups


def links(pairs: dict[tuple[int, int], float]) -> tuple[Array, Array]:
    """Return pairs and affinities."""
    return np.array(list(pairs)), np.array(list(pairs.values()))


BOX = np.array([[1, 1, 17, 17]])  # sides of 16, and 16² = 256
CROSSING, INSIDE, FURTHER = (3, range(0, 3)), (3, range(3, 6)), (3, range(6, 9))  # Σ E = 3/2 each


def score(
    edges: Array, groups: Array, pairs: Array = NO_PAIRS, affinities: Array | None = None, **options: Any
) -> float:
    """Return the score of `BOX` times 2 · (16 + 16), with κ = 1."""
    a = np.zeros(0) if affinities is None else affinities
    return float(score_edge_boxes(BOX, edges, groups, pairs, a, **({"kappa": 1.0} | options)).item() * 64)


def test_hand_example() -> None:
    """The first crosses the left side; the second is tied to it by 1/2, the third to the second by 1/2."""
    edges, groups = contours(CROSSING, INSIDE, FURTHER)
    assert score(edges, groups) == 3
    assert score(edges, groups, *links({(0, 1): 0.5, (1, 2): 0.5})) == 1.5 * (1 / 2 + 3 / 4)


def test_norms() -> None:
    """1 / (2 · 32^κ) and 1 / 16^κ."""
    edges, groups = contours(INSIDE)
    assert score(edges, groups, kappa=2.0) == 1.5 / 32
    assert score(edges, groups, kappa=1.5, convention="opencv") == 1.5  # 16^1.5 = 64


def test_the_strongest_path_counts_however_long() -> None:
    """(7/8)² = 49/64 beats 1/4, and the third group in turn is tied by half of it."""
    edges, groups = contours(CROSSING, INSIDE, FURTHER, (3, range(9, 12)))
    pairs = links({(0, 2): 0.25, (2, 3): 0.5, (0, 1): 0.875, (1, 2): 0.875})
    assert score(edges, groups, *pairs) == 1.5 * (1 / 8 + 15 / 64 + 79 / 128)


def test_paths_end_at_a_product_below_a_twentieth() -> None:
    """0.2 · 0.25 = 0.05 is not below; 0.2 · 0.24 is."""
    edges, groups = contours(CROSSING, INSIDE, FURTHER)
    np.testing.assert_allclose(score(edges, groups, *links({(0, 1): 0.2, (1, 2): 0.25})), 1.5 * (0.8 + 0.95))
    np.testing.assert_allclose(score(edges, groups, *links({(0, 1): 0.2, (1, 2): 0.24})), 1.5 * (0.8 + 1))


def test_paths_stay_inside() -> None:
    """Group 1 lies right of the box: what it would tie to the boundary is not tied."""
    edges, groups = contours(CROSSING, (3, range(18, 20)), FURTHER)
    assert score(edges, groups, *links({(0, 1): 1.0, (1, 2): 1.0})) == 1.5


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_mirrored_and_turned(convention: str) -> None:
    """Transposing everything changes nothing, nor does mirroring boxes with sides that are multiples of 4.

    But for row 0 and column 0, which OpenCV leaves out of the centre; they are empty here.
    """
    rng = np.random.default_rng(0)
    _, edges, groups, pairs, affinities = scattered(rng, (20, 20), 20, 0)
    edges[0], edges[:, 0], edges[-1], edges[:, -1] = 0, 0, 0, 0
    corners = rng.integers(0, 8, (50, 2))
    boxes = np.concatenate([corners, corners + 4 * rng.integers(1, 4, (50, 2))], axis=1).clip(0, 19)
    boxes = boxes[((boxes[:, 2:] - boxes[:, :2]) % 4 == 0).all(axis=1)]
    expected = score_edge_boxes(boxes, edges, groups, pairs, affinities, convention=convention)
    assert (expected > 0).sum() > 5
    turned = score_edge_boxes(boxes[:, [1, 0, 3, 2]], edges.T, groups.T, pairs, affinities, convention=convention)
    mirrored = 19 - boxes[:, [2, 1, 0, 3]]
    mirrored[:, 1::2] = boxes[:, 1::2]
    flipped = score_edge_boxes(mirrored, edges[:, ::-1], groups[:, ::-1], pairs, affinities, convention=convention)
    np.testing.assert_allclose(turned, expected, atol=1e-12)
    np.testing.assert_allclose(flipped, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("box", "paper", "opencv"),
    [
        ([0, 0, 8, 8], range(2, 7), range(2, 7)),
        ([0, 0, 9, 9], range(3, 7), range(2, 7)),  # 2.25 … 6.75; ⌊9/2⌋ = 4, from 2
        ([0, 0, 10, 10], range(3, 8), range(2, 8)),  # 2.5 … 7.5; 5, from 2
        ([0, 0, 11, 11], range(3, 9), range(2, 8)),  # 2.75 … 8.25; 5, from 2
    ],
)
def test_centres(box: list[int], paper: range, opencv: range) -> None:
    """One pixel after another along row 5: in the centre it is subtracted, and the score falls from 1 to 1/2."""
    edges, groups = np.zeros((12, 12)), np.full((12, 12), -1)
    edges[1, 1], groups[1, 1] = 1, 0
    for convention, centre, norm in (("paper", paper, 2), ("opencv", opencv, 1)):
        inside = []
        for x in range(12):
            edges[5, x] += 0.5
            (found,) = score_edge_boxes(
                np.array([box]), edges, groups, NO_PAIRS, np.zeros(0), convention=convention, kappa=0.0
            )
            edges[5, x] -= 0.5
            inside += [x] if found * norm == 0.5 else []
        assert inside == list(centre), convention


def test_what_counts_in_the_centre() -> None:
    """Under "opencv" only what is > min_magnitude, and not in row 0 or column 0; under "paper" everything."""
    edges, groups = np.zeros((12, 12)), np.full((12, 12), -1)
    edges[1, 1], groups[1, 1] = 1, 0
    faint = edges.copy()
    faint[5, 5] = 0.125
    arguments = (NO_PAIRS, np.zeros(0))
    large, small = np.array([[0, 0, 10, 10]]), np.array([[0, 0, 3, 3]])  # of the small one the centre starts at 0
    for convention, expected in (("paper", 0.875 / 2), ("opencv", 1)):
        options: dict[str, Any] = {"convention": convention, "kappa": 0.0, "min_magnitude": 0.125}
        assert score_edge_boxes(large, faint, groups, *arguments, **options) == expected
    border = np.zeros((12, 12))
    border[2, 2], border[0, 1], border[1, 0], groups = 1, 0.5, 0.5, np.roll(groups, 1, (0, 1))
    assert score_edge_boxes(small, border, groups, *arguments, convention="opencv", kappa=0.0) == 1


def test_low_scores_are_zero() -> None:
    edges, groups = contours(INSIDE)
    assert score(edges, groups, min_score=1.5 / 64) == 1.5
    assert score(edges, groups, min_score=1.6 / 64) == 0
    edges[10, 10] = 1  # in no group, and in the centre
    edges[10, 11] = 1
    assert score(edges, groups) == 0


def test_boxes_without_extent() -> None:
    """A pixel has b_w + b_h = 0. Of 2 × 1 pixels "opencv" has ⌊1/2⌋ + 0 = 0."""
    edges, groups = contours((3, range(3, 4)))
    boxes = np.array([[3, 3, 3, 3], [3, 3, 4, 3], [9, 0, 2, 9], [0, 9, 9, 2]])
    for convention in CONVENTIONS:
        found = score_edge_boxes(boxes, edges, groups, NO_PAIRS, np.zeros(0), convention=convention)
        np.testing.assert_array_equal(found, np.zeros(4))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint64", ">i4"])
def test_integers_of_any_kind(dtype: str) -> None:
    inputs = scattered(np.random.default_rng(1), (18, 18), 16, 60)
    inputs[0] = np.maximum(inputs[0], 0)
    inputs[2] = np.where(inputs[2] < 0, 100, inputs[2])  # what was loose is a group that crosses every box
    expected = score_edge_boxes(*inputs)
    assert (expected > 0).sum() > 10
    found = score_edge_boxes(*(x.astype(dtype) if x.dtype.kind == "i" else x for x in inputs))
    np.testing.assert_array_equal(found, expected)


def test_many_boxes_go_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = scattered(np.random.default_rng(1), (18, 18), 16, 60)
    whole = score_edge_boxes(*inputs)
    assert (whole > 0).sum() > 10
    monkeypatch.setattr(sys.modules[score_edge_boxes.__module__], "BOXES_AT_A_TIME", 7)
    np.testing.assert_array_equal(score_edge_boxes(*inputs), whole)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"boxes": np.zeros((3, 5), int)}, r"score_edge_boxes: boxes must have shape \(3, 4\) \(x0, y0, x1, y1\), got"),
        ({"boxes": np.zeros(4, int)}, r"score_edge_boxes: boxes must have rank 2"),
        ({"groups": np.zeros((3, 3), int)}, r"score_edge_boxes: groups must have shape \(9, 9\) \(that of edges\)"),
        ({"pairs": np.zeros((2, 3), int)}, r"pairs must have shape \(2, 2\) \(group, group\), got \(2, 3\)"),
        (
            {"pairs": np.array([[0, 1]]), "affinities": np.zeros(1)},
            "score_edge_boxes: pairs must name groups of the map, of which there are 1, numbered from 0; got 0 … 1",
        ),
        ({"affinities": np.zeros(3)}, r"affinities must have shape \(0,\) \(one per pair\), got \(3,\)"),
        ({"edges": np.zeros((1, 9, 9))}, r"edges must have rank 2 \(H, W\)"),
        ({"edges": np.full((9, 9), np.nan)}, r"score_edge_boxes: edges must lie in \[0, 1\], got nan"),
        ({"edges": np.full((9, 9), -0.5)}, r"score_edge_boxes: edges must lie in \[0, 1\], got -0.5"),
        ({"groups": np.full((9, 9), 81)}, r"score_edge_boxes: groups must be numbered 0, 1, …, .* below 81, got 81"),
        (
            {"pairs": np.array([[0, 0]]), "affinities": np.array([1.5])},
            r"score_edge_boxes: affinities must lie in \[0, 1\], got 1.5",
        ),
        ({"convention": "matlab"}, r"convention must be one of 'paper', 'opencv', got 'matlab'"),
        ({"kappa": -1.0}, r"kappa must lie in \[0, inf\), got -1"),
        ({"min_score": np.nan}, "min_score must be a finite number, got nan"),
        ({"min_magnitude": -0.5}, "min_magnitude must lie in"),
    ],
)
def test_bad_input(changed: dict[str, Any], message: str) -> None:
    good = {
        "boxes": np.zeros((2, 4), int),
        "edges": np.zeros((9, 9)),
        "groups": np.zeros((9, 9), int),
        "pairs": NO_PAIRS,
        "affinities": np.zeros(0),
    }
    with pytest.raises(ValueError, match=message):
        score_edge_boxes(**(good | changed))


def test_bad_dtypes() -> None:
    edges, groups = contours(INSIDE)
    with pytest.raises(TypeError, match="score_edge_boxes: boxes must be an integer array, got float64"):
        score_edge_boxes(BOX.astype(float), edges, groups, NO_PAIRS, np.zeros(0))
    with pytest.raises(TypeError, match="edges is float64 but affinities is float32"):
        score_edge_boxes(BOX, edges, groups, NO_PAIRS, np.zeros(0, np.float32))
    missing: Any = None
    with pytest.raises(TypeError, match="score_edge_boxes: pairs must be an array, got NoneType"):
        score_edge_boxes(BOX, edges, groups, missing, np.zeros(0))
    with pytest.raises(TypeError, match="score_edge_boxes: groups must be an array, got NoneType"):
        score_edge_boxes(BOX, edges, missing, NO_PAIRS, np.zeros(0))
