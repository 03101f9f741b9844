"""Run-length encoding and decoding, without turning the mask.

Encoding counts down the columns, but the pixels of a row lie side by side. So it goes over the rows twice:

    a pixel is a change if it differs from the one above it, in row 0 from the last one of the column before
    for each row, for each x:  count the changes of column x
    running sums say where the changes of each column begin
    for each row, for each change in it:  note its position in its column's list, which so comes to ascend

Decoding writes the runs of true pixels down the columns of a mask that is laid out so in memory.

Workspace: 2 · W indices and the positions of the changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled

GROUP = 32  # pixels that are passed over at once if there is no change among them


def rle_encode(mask: Array) -> Array:
    """Return the counts, (n,) int64."""
    counts: Array = _counts(native(mask).view(np.uint8))
    return counts


def rle_decode(counts: Array, *, size: Pair) -> Array:
    """Return the mask, (H, W) bool."""
    runs = native(counts, np.int64)
    n_pixels = size[0] * size[1]
    if runs.min(initial=0) < 0 or runs.max(initial=0) > n_pixels or runs.sum() != n_pixels:
        raise ValueError(f"rle_decode: counts must be at least 0 and sum to H·W = {n_pixels}, got {counts.tolist()}")
    pixels = np.zeros(n_pixels, bool)
    _fill(runs, pixels)
    return pixels.reshape(size, order="F")


@compiled
def _counts(mask: Any) -> Any:
    H, W = mask.shape
    if H * W == 0:
        return np.zeros(1, np.int64)
    before_row_0 = np.zeros(W, np.uint8)
    before_row_0[1:] = mask[H - 1, :-1]
    n_changes = np.zeros(W, np.int64)
    for y in range(H):
        _find_changes(mask[y], mask[y - 1] if y > 0 else before_row_0, y, H, n_changes, n_changes[:0])
    ends = np.cumsum(n_changes)
    counts, next_place = np.empty(ends[-1] + 1, np.int64), ends - n_changes
    for y in range(H):
        _find_changes(mask[y], mask[y - 1] if y > 0 else before_row_0, y, H, next_place, counts)
    counts[-1] = H * W
    for i in range(len(counts) - 1, 0, -1):
        counts[i] -= counts[i - 1]
    return counts


@compiled
def _find_changes(row: Any, before: Any, y: Any, H: Any, next_place: Any, positions: Any) -> None:
    """Move each column's place on where row y differs from what is before it; note the position, if there is room."""
    for start in range(0, len(row), GROUP):
        pixels, befores = row[start : start + GROUP], before[start : start + GROUP]
        differs = np.uint8(0)
        for k in range(len(pixels)):
            differs |= pixels[k] ^ befores[k]
        if differs == 0:
            continue
        for k in range(len(pixels)):
            if pixels[k] != befores[k]:
                x = start + k
                if len(positions):
                    positions[next_place[x]] = x * H + y
                next_place[x] += 1


@compiled
def _fill(counts: Any, pixels: Any) -> None:
    position = 0
    for i in range(len(counts)):
        if i % 2 == 1:
            pixels[position : position + counts[i]] = True
        position += counts[i]
