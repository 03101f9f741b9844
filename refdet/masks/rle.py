"""Run-length encoded masks, as COCO keeps them.

    m = mask read down its columns: m[x·H + y] = mask[y, x]
    counts = lengths of the runs of equal values of m, of which the first is false

Lin et al., "Microsoft COCO: common objects in context" (2014); the format is that of the COCO API, `maskApi.c`.

Conventions:

- Columns come one after the other (Fortran order), unlike images everywhere else here.
- The first count is of false pixels: 0 where the first pixel is true. No other count is 0 in what is made here, so that
  every mask has exactly one encoding; what is read may have empty runs anywhere.
- A mask without pixels has counts [0].
- Counts sum to H·W. They are int64 in what is made here; other integers are read as well. A mask of all false has the
  one count H·W.
- The box of a mask is (x, y, w, h) with w and h counting pixels: it ends at the far side of its last pixel, in the
  continuous coordinates of `refdet.boxes`. Where nothing is true it is (0, 0, 0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, check_integer, check_rank, check_sequence, is_array, not_an_array
from refdet.core.geometry import Pair, pair
from refdet.core.kernel import kernel


class RLE(NamedTuple):
    """A mask by the lengths of its runs. Two are equal if their runs and sizes are: empty runs make a difference."""

    counts: Array  # (n,) int64, false first
    size: Pair  # (H, W)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RLE) and self.size == other.size and np.array_equal(self.counts, other.counts)

    def __ne__(self, other: object) -> bool:  # that of tuples would compare arrays
        return not self == other

    def __hash__(self) -> int:
        return hash((self.size, tuple(np.ravel(self.counts).tolist())))


def check_rle(op: str, name: str, rle: RLE) -> None:
    """Refuse what does not encode a mask of its size; unlike the check of a kernel this reads the counts."""
    if not isinstance(rle, RLE):
        raise TypeError(f"{op}: {name} must be an RLE (counts, size), got {type(rle).__name__}")
    size = rle.size
    if not isinstance(size, tuple) or len(size) != 2 or not all(isinstance(n, (int, np.integer)) for n in size):
        raise TypeError(f"{op}: the size of {name} must be a tuple (H, W) of integers, got {size!r}")
    if min(size) < 0:
        raise ValueError(f"{op}: the size of {name} must be at least 0, got {size}")
    _check_row(op, rle.counts)
    n_pixels = size[0] * size[1]
    least, most = rle.counts.min(initial=0), rle.counts.max(initial=0)
    if least < 0:
        raise ValueError(f"{op}: {name} has a negative count, {least}")
    if most > n_pixels or rle.counts.sum() != n_pixels:  # the sum of larger ones might overflow
        n_counted = sum(rle.counts.tolist())
        raise ValueError(f"{op}: the counts of {name} must sum to H·W = {n_pixels} (size {size}), got {n_counted}")


def check_same_size(op: str, masks: Sequence[RLE]) -> Pair:
    """Return the size of all masks, each of which is checked; refuse several sizes, or no mask at all."""
    check_sequence(op, "masks", masks)
    if len(masks) == 0:
        raise ValueError(f"{op}: at least one mask is needed")
    for i, rle in enumerate(masks):
        check_rle(op, f"mask {i}", rle)
        if rle.size != masks[0].size:
            raise ValueError(f"{op}: masks must have one size, got {masks[0].size} and, of mask {i}, {rle.size}")
    return masks[0].size


def _check_mask(mask: Array) -> None:
    check_rank("rle_encode", "mask", mask, "H, W")
    if mask.dtype.kind != "b":
        raise TypeError(f"rle_encode: mask must be a boolean array, got {mask.dtype.name}; compare it with 0 first")


def check_counts(op: str, counts: Array, *, size: Pair) -> None:
    """Refuse counts that are not a row of integers, and a size that is not (H, W)."""
    _check_row(op, counts)
    pair(op, "size", size, low=0)


def _check_row(op: str, counts: Array) -> None:
    if not is_array(counts):
        raise not_an_array(op, "counts", counts)
    check_integer(op, counts=counts)
    check_rank(op, "counts", counts, "n")


@kernel("rle_encode", check=_check_mask)
def rle_encode_kernel(mask: Array) -> Array:
    """Return the counts, (n,) int64."""
    pixels = mask.ravel(order="F")
    changes = 1 + np.flatnonzero(pixels[1:] != pixels[:-1])
    return counts_of_changes(np.concatenate([np.flatnonzero(pixels[:1]), changes]), pixels.size)


@kernel("rle_decode", check=lambda counts, *, size: check_counts("rle_decode", counts, size=size))
def rle_decode_kernel(counts: Array, *, size: Pair) -> Array:
    """Return the mask, (H, W) bool."""
    is_true = np.arange(len(counts)) % 2 == 1
    return np.repeat(is_true, counts.astype(np.int64)).reshape(size, order="F")


def counts_of_changes(changes: Array, n_pixels: int) -> Array:
    """Return the counts of a mask whose value changes at each of some positions, which ascend; it begins with false."""
    return np.diff(np.concatenate([[0], changes, [n_pixels]])).astype(np.int64)


def true_runs(counts: Array) -> tuple[Array, Array]:
    """Return where each run of true pixels starts and where it stops, int64; empty ones are left out."""
    counts = counts.astype(np.int64, copy=False)
    stops, lengths = np.cumsum(counts)[1::2], counts[1::2]
    return (stops - lengths)[lengths > 0], stops[lengths > 0]


def area_of_counts(counts: Array) -> int:
    """Return the number of true pixels of a mask whose counts have been checked."""
    return int(counts[1::2].sum())


def box_of_counts(counts: Array, H: int) -> Array:
    """Return the box (x, y, w, h) of a mask of H rows whose counts have been checked."""
    starts, stops = true_runs(counts)
    if not starts.size:
        return np.zeros(4)
    (first_column, top), (last_column, bottom) = np.divmod(starts, H), np.divmod(stops - 1, H)
    x, w = first_column[0], last_column[-1] - first_column[0] + 1
    if np.any(first_column != last_column):  # a run around the end of a column touches both the last row and the first
        return np.array([x, 0, w, H], np.float64)
    return np.array([x, top.min(), w, bottom.max() - top.min() + 1], np.float64)


def rle_encode(mask: Array) -> RLE:
    """Encode a mask.

    Args:
        mask: (H, W), booleans.

    Returns:
        The counts, column after column, and the size.

    Columns (0 0), (0 1), (1 1): three pixels are false, then three are true:

    >>> rle_encode(np.array([[False, False, True], [False, True, True]]))
    RLE(counts=array([3, 3]), size=(2, 3))
    """
    counts = rle_encode_kernel(mask)
    return RLE(counts, (mask.shape[0], mask.shape[1]))


def rle_decode(rle: RLE) -> Array:
    """Return the mask that was encoded, (H, W) bool.

    One pixel is false, the other three are true; the columns are (0 1) and (1 1):

    >>> rle_decode(RLE(np.array([1, 3]), (2, 2)))
    array([[False,  True],
           [ True,  True]])
    """
    check_rle("rle_decode", "the mask", rle)
    return rle_decode_kernel(rle.counts, size=rle.size)


def rle_area(rle: RLE) -> int:
    """Count the true pixels.

    >>> rle_area(RLE(np.array([1, 3]), (2, 2)))
    3
    """
    check_rle("rle_area", "the mask", rle)
    return area_of_counts(rle.counts)


def rle_to_box(rle: RLE) -> Array:
    """Return the smallest box around the true pixels, (x, y, w, h), float64; zeros where there are none.

    Three rows and two columns, of which the pixels 4 and 5 are true: the last two of column 1.

    >>> rle_to_box(RLE(np.array([4, 2]), (3, 2)))
    array([1., 1., 1., 2.])
    """
    check_rle("rle_to_box", "the mask", rle)
    return box_of_counts(rle.counts, rle.size[0])


def rle_merge(masks: Sequence[RLE]) -> RLE:
    """Return the union of one or more masks of one size: what is true in any of them.

    >>> rle_merge([RLE(np.array([0, 1, 3]), (2, 2)), RLE(np.array([3, 1]), (2, 2))])
    RLE(counts=array([0, 1, 2, 1]), size=(2, 2))
    """
    return _at_least("rle_merge", masks, 1)


def rle_intersect(masks: Sequence[RLE]) -> RLE:
    """Return the intersection of one or more masks of one size: what is true in all of them.

    >>> rle_intersect([RLE(np.array([0, 3, 1]), (2, 2)), RLE(np.array([2, 2]), (2, 2))])
    RLE(counts=array([2, 1, 1]), size=(2, 2))
    """
    return _at_least("rle_intersect", masks, None)


def _at_least(op: str, masks: Sequence[RLE], n: int | None) -> RLE:
    """Return where at least n of the masks are true, or all of them."""
    H, W = check_same_size(op, masks)
    starts, stops = (np.concatenate(ends) for ends in zip(*(true_runs(rle.counts) for rle in masks), strict=True))
    positions, entry = np.unique(np.concatenate([starts, stops]), return_inverse=True)
    steps = np.repeat([1, -1], [len(starts), len(stops)])
    n_true = np.cumsum(np.bincount(entry, steps, len(positions)))  # how many masks are true from each position on
    is_true = n_true >= (len(masks) if n is None else n)
    was_true = np.concatenate([[False], is_true[:-1]])
    changes = positions[is_true != was_true]
    return RLE(counts_of_changes(changes[changes < H * W], H * W), (H, W))
