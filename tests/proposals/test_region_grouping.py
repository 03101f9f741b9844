"""group_regions: the definition, its ties, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.proposals.region_grouping import Weights, group_regions
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import group_regions as oracle

EQUAL: Weights = (1.0, 1.0, 1.0, 1.0)


def regions(rng: np.random.Generator, n: int, *, n_pairs: int, n_bins: tuple[int, int], dyadic: bool) -> list[Array]:
    """Return n regions: with few dyadic values, so that pairs tie exactly, or with many, so that none nearly does."""
    if dyadic:
        sizes = np.full(n, 2)
        corners = rng.integers(0, 2, (n, 2)) * 4.0
        boxes = np.concatenate([corners, corners + 4], axis=1)
        histograms = [rng.integers(0, 2, (n, bins)) / 4 for bins in n_bins]
    else:
        sizes = rng.integers(1, 1000, n)
        corners = rng.integers(0, 100, (n, 2)) / 2
        boxes = np.concatenate([corners, corners + rng.integers(1, 50, (n, 2))], axis=1)
        histograms = [rng.dirichlet(np.ones(bins), n) if bins else np.zeros((n, 0)) for bins in n_bins]
    return [sizes, boxes, *histograms, rng.integers(0, n, (n_pairs if n else 0, 2))]


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts, dyadic=st.booleans())
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str, dyadic: bool) -> None:
    rng = np.random.default_rng(seed)
    n_bins = data.draw(st.sampled_from([(0, 0), (3, 0), (4, 6)]))
    inputs = regions(
        rng, data.draw(st.integers(0, 9)), n_pairs=data.draw(st.integers(0, 25)), n_bins=n_bins, dyadic=dyadic
    )
    weights = data.draw(st.sampled_from([EQUAL, (0.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 1.0, 0.0)]))
    if not dyadic and weights == EQUAL:
        weights = (1.0, 0.5, 2.0, 0.75)
    inputs = [in_layout(x.astype(dtype) if x.dtype.kind == "f" else x, layout) for x in inputs]
    params: dict[str, Any] = {"weights": weights, "image_area": 4096.0}
    assert_agrees("group_regions", oracle, inputs, rng=rng, params=params)


def in_a_row(n: int) -> dict[str, Array]:
    """Return n pixels in a row, without histograms."""
    x = np.arange(float(n))
    return {
        "sizes": np.ones(n, int),
        "boxes": np.stack([x, 0 * x, x + 1, 0 * x + 1], axis=1),
        "colours": np.zeros((n, 0)),
        "textures": np.zeros((n, 0)),
        "pairs": np.stack([np.arange(n - 1), np.arange(1, n)], axis=1),
    }


def test_hand_example() -> None:
    """Four pixels in a row by size: the pairs (0, 1) and (2, 3), then both."""
    merges, boxes = group_regions(**in_a_row(4), weights=(0, 0, 1, 0), image_area=4)
    assert merges.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert boxes[4:].tolist() == [[0, 0, 2, 1], [2, 0, 4, 1], [0, 0, 4, 1]]
    assert merges.dtype == np.int64


def test_the_largest_similarity_is_merged_first() -> None:
    """Histograms of two bins that share 1/4, 3/4 and 1/2 from pixel to pixel."""
    row = in_a_row(4) | {"colours": np.array([[1, 0], [0.25, 0.75], [0, 1], [0.5, 0.5]])}
    merges, _ = group_regions(**row, weights=(1, 0, 0, 0), image_area=4)
    assert merges.tolist() == [[1, 2], [3, 4], [0, 5]]  # region 4 is (1/8, 7/8) and shares 5/8 with 3, 1/8 with 0


@given(seed=seeds)
def test_what_every_hierarchy_is(seed: int) -> None:
    """Of regions that hang together each is merged once, and the last, which is not, holds all the others."""
    rng = np.random.default_rng(seed)
    n = 9
    sizes, boxes, colours, textures, _ = regions(rng, n, n_pairs=0, n_bins=(4, 6), dyadic=False)
    pairs = np.array([(i, rng.integers(0, i)) for i in range(1, n)])
    merges, all_boxes = group_regions(sizes, boxes, colours, textures, pairs, image_area=1e4)
    assert sorted(merges.ravel().tolist()) == list(range(2 * n - 2))
    assert (merges[:, 0] < merges[:, 1]).all()
    for union, merged in zip(all_boxes[n:], merges, strict=True):
        np.testing.assert_array_equal(union[:2], all_boxes[merged, :2].min(axis=0))
        np.testing.assert_array_equal(union[2:], all_boxes[merged, 2:].max(axis=0))
    np.testing.assert_array_equal(all_boxes[-1], [*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0)])


def test_the_scale_of_the_weights_changes_nothing() -> None:
    """Halving every weight is exact, and OpenCV's and the authors' division by their sum in effect does that."""
    inputs = regions(np.random.default_rng(3), 9, n_pairs=30, n_bins=(4, 6), dyadic=False)
    whole = group_regions(*inputs, image_area=1e4)[0]
    half = group_regions(*inputs, weights=(0.5, 0.5, 0.5, 0.5), image_area=1e4)[0]
    np.testing.assert_array_equal(whole, half)


def test_boxes_keep_their_dtype() -> None:
    row: dict[str, Any] = {k: x.astype(np.float32) if x.dtype.kind == "f" else x for k, x in in_a_row(3).items()}
    assert group_regions(**row, image_area=3)[1].dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"sizes": np.ones((3, 1), int)}, ValueError, r"group_regions: sizes must have rank 1 \(n\), got rank 2"),
        ({"sizes": np.ones(3)}, TypeError, "group_regions: sizes must be an integer array, got float64"),
        ({"sizes": np.array([1, 0, 1])}, ValueError, "group_regions: sizes must be at least 1, got 0"),
        ({"boxes": np.zeros((2, 4))}, ValueError, r"group_regions: boxes must have shape \(3, 4\)"),
        ({"boxes": np.full((3, 4), np.nan)}, ValueError, "group_regions: boxes must be finite, got nan"),
        ({"colours": np.zeros((2, 5))}, ValueError, r"group_regions: colours must have shape \(3, 5\)"),
        ({"colours": np.full((3, 5), np.inf)}, ValueError, "group_regions: colours must be finite, got inf"),
        ({"textures": np.zeros((3, 1), "f4")}, TypeError, "group_regions: boxes is float64 but textures is float32"),
        ({"pairs": np.array([[0, 3]])}, ValueError, "group_regions: pairs must join regions 0 … 2, got 0 … 3"),
        ({"pairs": np.array([[0, 1, 2]])}, ValueError, r"group_regions: pairs must have shape \(1, 2\)"),
        ({"pairs": np.array([[0.0, 1.0]])}, TypeError, "group_regions: pairs must be an integer array, got float64"),
        ({"weights": (1, 1, 1)}, ValueError, "group_regions: weights must be four, of colour, texture, size and fill"),
        ({"weights": 1.0}, ValueError, "group_regions: weights must be four, of colour, .* got 1.0"),
        ({"weights": (1, 1, 1, -1)}, ValueError, "group_regions: weights must lie in"),
        ({"image_area": 0}, ValueError, "group_regions: image_area must lie in"),
    ],
)
def test_bad_input(changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        group_regions(**{**in_a_row(3), "image_area": 9.0, **changes})
