"""rle_iou: the definition, crowds, pieces of the work, the COCO API, the errors."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.masks.rle import RLE, rle_encode
from refdet.masks.rle_iou import ragged, rle_iou, rle_iou_kernel
from tests.agreement import assert_agrees, in_layout, layouts, seeds
from tests.oracles import rle_iou as oracle


def random_masks(rng: np.random.Generator, n: int, size: tuple[int, int]) -> list[RLE]:
    density = rng.choice([0, 0.1, 0.5, 1], n)[:, None, None]
    return [rle_encode(mask) for mask in rng.random((n, *size)) < density]


def pixels(start: int, stop: int) -> RLE:
    """Return the pixels start to stop − 1 of 4 × 3."""
    return RLE(np.array([start, stop - start, 12 - stop]), (4, 3))


def test_hand_example() -> None:
    """Five pixels against: four of them; three of which one is shared; the rest; all."""
    iou = rle_iou([pixels(2, 7)], [pixels(2, 6), pixels(6, 9), pixels(7, 12), pixels(0, 12)])
    np.testing.assert_array_equal(iou, [[4 / 5, 1 / 7, 0, 5 / 12]])
    assert iou.dtype == np.float64


def test_crowd_is_divided_by_the_detection() -> None:
    iou = rle_iou([pixels(2, 7)], [pixels(6, 9)] * 2, np.array([False, True]))
    np.testing.assert_array_equal(iou, [[1 / 7, 1 / 5]])


def test_nothing_is_shared_with_an_empty_mask() -> None:
    empty = RLE(np.array([12]), (4, 3))
    for crowd in (False, True):
        np.testing.assert_array_equal(rle_iou([empty, pixels(0, 12)], [empty], np.array([crowd])), [[0], [0]])


def test_masks_without_pixels() -> None:
    """No run at all, one of none, two of none: 0 with each other."""
    empty = [RLE(np.zeros(n, np.int64), (0, 4)) for n in range(3)]
    np.testing.assert_array_equal(rle_iou(empty, empty), np.zeros((3, 3)))
    np.testing.assert_array_equal(rle_iou(empty[:1], empty[2:]), [[0]])


@given(data=st.data(), seed=seeds, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, layout: str) -> None:
    rng = np.random.default_rng(seed)
    size = data.draw(st.tuples(st.integers(0, 5), st.integers(0, 5)))
    counts, starts = ragged(random_masks(rng, data.draw(st.integers(0, 3)), size))
    other_counts, other_starts = ragged(random_masks(rng, data.draw(st.integers(0, 3)), size))
    crowd = rng.random(len(other_starts) - 1) < 0.5 if data.draw(st.booleans()) else None
    arrays = [None if x is None else in_layout(x, layout) for x in (counts, starts, other_counts, other_starts, crowd)]
    assert_agrees("rle_iou", oracle, arrays, rng=rng, params={"size": size})


@given(seed=seeds)
def test_in_pieces(seed: int) -> None:
    """Some rows at a time give the same."""
    rng = np.random.default_rng(seed)
    d, g = random_masks(rng, 7, (5, 4)), random_masks(rng, 3, (5, 4))
    whole = rle_iou(d, g)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("refdet.masks.rle_iou"), "CHUNK_ELEMENTS", 9)
        np.testing.assert_array_equal(rle_iou(d, g), whole)


@pytest.mark.oracle
@given(seed=seeds, n=st.integers(1, 4), m=st.integers(1, 4))
def test_against_pycocotools(seed: int, n: int, m: int) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(1, 9)), int(rng.integers(1, 9)))
    d, g, crowd = random_masks(rng, n, size), random_masks(rng, m, size), rng.random(m) < 0.5
    theirs = [coco.frPyObjects({"size": list(size), "counts": rle.counts.tolist()}, *size) for rle in (*d, *g)]
    expected = coco.iou(theirs[:n], theirs[n:], crowd.tolist())
    np.testing.assert_array_equal(rle_iou(d, g, crowd), expected)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            ([pixels(0, 1)], [RLE(np.array([12]), (3, 4))]),
            ValueError,
            r"rle_iou: masks must have one size, got \(4, 3\) and, of mask 1, \(3, 4\)",
        ),
        (
            ([pixels(0, 1)], [pixels(0, 1)], np.array([True, True])),
            ValueError,
            r"rle_iou: crowd must have shape \(1,\) \(one flag per ground truth\), got \(2,\)",
        ),
        (
            ([pixels(0, 1)], [pixels(0, 1)], np.array([1])),
            TypeError,
            r"rle_iou: crowd must be a boolean array, got int",
        ),
        (([pixels(0, 1)], [pixels(0, 1)], [True]), TypeError, r"rle_iou: crowd must be an array, got list"),
        ((5, [pixels(0, 1)]), TypeError, r"rle_iou: detections must be a sequence, got 5"),
        (([pixels(0, 1)], None), TypeError, r"rle_iou: ground_truths must be a sequence, got None"),
        (([RLE(np.array([11]), (4, 3))], []), ValueError, r"rle_iou: the counts of mask 0 must sum to H·W = 12"),
    ],
)
def test_bad_input(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rle_iou(*arguments)


def test_bad_starts() -> None:
    counts = np.array([12])
    with pytest.raises(ValueError, match=r"rle_iou: starts must have one entry per mask and one more, got none"):
        rle_iou_kernel(counts, np.zeros(0, np.int64), counts, np.array([0, 1]), None, size=(4, 3))
