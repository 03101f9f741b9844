"""rle_encode and rle_decode: the definition, the COCO API; area, box, union and intersection; the errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.masks.rle import (
    RLE,
    rle_area,
    rle_decode,
    rle_encode,
    rle_encode_kernel,
    rle_intersect,
    rle_merge,
    rle_to_box,
)
from refdet.masks.rle_iou import rle_iou
from refdet.masks.rle_string import rle_to_string
from tests.agreement import assert_agrees, in_layout, layouts, seeds
from tests.oracles import rle_decode as decode_oracle
from tests.oracles import rle_encode as encode_oracle

sizes = st.tuples(st.integers(0, 6), st.integers(0, 6))
densities = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])


def random_masks(seed: int, n: int, size: tuple[int, int], density: float) -> Array:
    return np.random.default_rng(seed).random((n, *size)) < density


def rle(*counts: int, size: tuple[int, int]) -> RLE:
    return RLE(np.array(counts, np.int64), size)


def test_hand_example() -> None:
    """The columns (0 0), (0 1), (1 1): three false, then three true."""
    mask = np.array([[False, False, True], [False, True, True]])
    counts, size = rle_encode(mask)
    np.testing.assert_array_equal(counts, [3, 3])
    assert counts.dtype == np.int64
    assert size == (2, 3)
    np.testing.assert_array_equal(rle_decode(RLE(counts, size)), mask)


@pytest.mark.parametrize(
    ("mask", "counts"),
    [
        ([[1, 0], [1, 1]], [0, 2, 1, 1]),  # begins with true: no false pixels come first
        ([[0, 0], [0, 0]], [4]),
        ([[1, 1], [1, 1]], [0, 4]),
        (np.zeros((0, 3)), [0]),
        (np.zeros((3, 0)), [0]),
    ],
)
def test_first_run_is_false(mask: Any, counts: list[int]) -> None:
    np.testing.assert_array_equal(rle_encode(np.array(mask, bool)).counts, counts)


@given(seed=seeds, size=sizes, density=densities, layout=layouts)
def test_against_the_definition(seed: int, size: tuple[int, int], density: float, layout: str) -> None:
    rng = np.random.default_rng(seed)
    mask = in_layout(random_masks(seed, 1, size, density)[0], layout)
    assert_agrees("rle_encode", encode_oracle, [mask], rng=rng, params={})
    counts = in_layout(encode_oracle.forward(mask), layout)
    assert_agrees("rle_decode", decode_oracle, [counts], rng=rng, params={"size": size})


def test_empty_runs_are_read() -> None:
    """One false, two true, none false, one true: the pixels 1, 2 and 3 are true."""
    counts = np.array([1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(rle_decode(RLE(counts, (2, 3))), [[False, True, False], [True, True, False]])


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64", ">i4", ">u8"])
def test_counts_of_any_integers(dtype: str) -> None:
    """Unsigned ones would become floats beside int64."""
    wide = rle(1, 200, 100, 0, 99, size=(20, 20))
    short = RLE(wide.counts.astype(dtype), wide.size)
    np.testing.assert_array_equal(rle_decode(short), rle_decode(wide))
    np.testing.assert_array_equal(rle_to_box(short), rle_to_box(wide))
    assert rle_area(short) == rle_area(wide) == 200
    assert rle_to_string(short) == rle_to_string(wide)
    merged = rle_merge([short, wide])
    np.testing.assert_array_equal(merged.counts, [1, 200, 199])
    assert merged.counts.dtype == np.int64
    assert rle_iou([short], [short, wide]).tolist() == [[1, 1]]


def test_area() -> None:
    assert rle_area(rle(1, 2, 0, 1, 2, 0, size=(2, 3))) == 3
    assert rle_area(rle(6, size=(2, 3))) == 0


def test_box() -> None:
    """Three rows and four columns; pixel p lies in row p mod 3 of column p div 3."""
    np.testing.assert_array_equal(rle_to_box(rle(4, 1, 7, size=(3, 4))), [1, 1, 1, 1])
    np.testing.assert_array_equal(rle_to_box(rle(4, 2, 6, size=(3, 4))), [1, 1, 1, 2])
    np.testing.assert_array_equal(rle_to_box(rle(5, 2, 5, size=(3, 4))), [1, 0, 2, 3])  # around the end of column 1
    np.testing.assert_array_equal(rle_to_box(rle(3, 1, 4, 1, 3, size=(3, 4))), [1, 0, 2, 3])
    np.testing.assert_array_equal(rle_to_box(rle(4, 0, 2, 1, 5, size=(3, 4))), [2, 0, 1, 1])  # an empty run is nowhere
    np.testing.assert_array_equal(rle_to_box(rle(12, size=(3, 4))), [0, 0, 0, 0])
    assert rle_to_box(rle(12, size=(3, 4))).dtype == np.float64


@given(seed=seeds, size=sizes, density=densities, n=st.integers(1, 4))
def test_union_and_intersection(seed: int, size: tuple[int, int], density: float, n: int) -> None:
    """As of the masks, in the one encoding that has no empty runs."""
    masks = random_masks(seed, n, size, density)
    encoded = [rle_encode(mask) for mask in masks]
    for merged, expected in (
        (rle_merge(encoded), np.logical_or.reduce(masks)),
        (rle_intersect(encoded), np.logical_and.reduce(masks)),
    ):
        np.testing.assert_array_equal(merged.counts, rle_encode(expected).counts)
        assert merged.size == size
        assert merged.counts.dtype == np.int64


def test_merging_removes_empty_runs() -> None:
    np.testing.assert_array_equal(rle_merge([rle(1, 2, 0, 1, 2, 0, size=(2, 3))]).counts, [1, 3, 2])


@pytest.mark.oracle
@given(seed=seeds, size=st.tuples(st.integers(1, 8), st.integers(1, 8)), density=densities)
def test_against_pycocotools(seed: int, size: tuple[int, int], density: float) -> None:
    coco = pytest.importorskip("pycocotools.mask")
    masks = random_masks(seed, 3, size, density)
    theirs = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    ours = [rle_encode(mask) for mask in masks]
    for their, our in zip(theirs, ours, strict=True):
        assert rle_to_string(our) == their["counts"].decode()
        assert rle_area(our) == coco.area(their)
        np.testing.assert_array_equal(rle_to_box(our), coco.toBbox(their))
    assert rle_to_string(rle_merge(ours)) == coco.merge(theirs)["counts"].decode()
    assert rle_to_string(rle_intersect(ours)) == coco.merge(theirs, True)["counts"].decode()


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (rle(3, 2, size=(2, 3)), ValueError, r"rle_decode: the counts of the mask must sum to H·W = 6 .*, got 5"),
        (rle(7, -1, size=(2, 3)), ValueError, r"rle_decode: the mask has a negative count, -1"),
        (rle(6, size=(-2, -3)), ValueError, r"rle_decode: the size of the mask must be at least 0, got \(-2, -3\)"),
        (RLE(np.array([6]), [2, 3]), TypeError, r"the size of the mask must be a tuple \(H, W\) of"),  # type: ignore[arg-type]
        (RLE(np.array([9]), 3), TypeError, r"the size of the mask must be a tuple \(H, W\) of .* got 3"),  # type: ignore[arg-type]
        (rle(2**63 - 1, 2**63 - 1, 8, size=(2, 3)), ValueError, r"must sum to H·W = 6 .*, got 18446744073709551622"),
        (RLE(np.array([6.0]), (2, 3)), TypeError, r"rle_decode: counts must be an integer array, got float64"),
        (RLE(np.array([[6]]), (2, 3)), ValueError, r"rle_decode: counts must have rank 1 \(n\), got rank 2"),
        (RLE([6], (2, 3)), TypeError, r"rle_decode: counts must be an array, got list"),  # type: ignore[arg-type]
        (([6], (2, 3)), TypeError, r"rle_decode: the mask must be an RLE \(counts, size\), got tuple"),
    ],
)
def test_bad_encodings(bad: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        rle_decode(bad)


def test_bad_masks() -> None:
    with pytest.raises(TypeError, match=r"rle_encode: mask must be a boolean array, got uint8; compare it with 0"):
        rle_encode(np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match=r"rle_encode: mask must have rank 2 \(H, W\), got rank 1"):
        rle_encode_kernel(np.zeros(3, bool))


def test_masks_are_equal_by_their_runs_and_sizes() -> None:
    one, same = rle(1, 3, size=(2, 2)), RLE(np.array([1, 3], np.uint8), (2, 2))
    others = (rle(1, 3, size=(4, 1)), rle(2, 2, size=(2, 2)), rle(1, 3, 0, size=(2, 2)), rle(4, size=(2, 2)))
    assert one == same
    assert (one != same) is False
    assert hash(one) == hash(same)
    assert one in [*others, same]
    for other in (*others, tuple(one), None):
        assert one != other
        assert (one == other) is False
    assert len({one, same, *others}) == 5


def test_bad_unions() -> None:
    for op in (rle_merge, rle_intersect):
        with pytest.raises(TypeError, match=f"{op.__name__}: masks must be a sequence, got 5"):
            op(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"rle_merge: at least one mask is needed"):
        rle_merge([])
    with pytest.raises(ValueError, match=r"rle_intersect: masks must have one size, got \(2, 3\) and, of mask 1, \(3,"):
        rle_intersect([rle(6, size=(2, 3)), rle(6, size=(3, 2))])
