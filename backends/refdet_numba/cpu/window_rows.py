"""How pooling windows are taken: first down the columns of a plane, then across the rows of what is left.

Down: rows first ≤ i < stop of windows have the real row i·stride + offset under a vertical tap.

Across: a few rows lie one behind the other in a work space, each with the padding of its windows and `pitch` numbers
long, so that number u + b·dilation lies under tap b of the window that starts at u. The windows at all u are made, and
the stride-th ones are kept: one long loop over neighbouring numbers, which goes several at a time, where steps of
`stride` would go one by one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair
from refdet.ops.pooling import PoolingWindows

NUMBERS = 2048  # of a work space, about: they stay in the nearest cache


class WindowRows(NamedTuple):
    """The plan for planes of one size, in plain numbers for compiled code."""

    taps: Array  # (k, 3), int64: first, stop, offset of every vertical tap
    down: int  # the vertical stride
    across: int  # the horizontal stride
    n_across: int  # horizontal taps
    dilation: int  # between them
    before: int  # padding at the start of a row of the work space
    pitch: int  # length of such a row
    at_once: int  # how many of them there are


def window_rows(windows: PoolingWindows, size: Pair) -> WindowRows:
    """Return how the windows are taken over planes of `size`."""
    (kh, kw), (sh, sw), (dh, dw) = windows.kernel_size, windows.stride, windows.dilation
    ((top, _), (left, _)), (Ho, Wo) = windows.padding, windows.output_size(size)
    offset = np.arange(kh) * dh - top
    first = np.maximum(0, -(offset // sh))  # ⌈−offset / stride⌉
    stop = np.minimum(Ho, -((offset - size[0]) // sh))
    pitch = max(left + size[1], (Wo - 1) * sw + (kw - 1) * dw + 1)
    at_once = max(1, min(Ho, NUMBERS // pitch))
    return WindowRows(np.stack([first, stop, offset], axis=1), sh, sw, kw, dw, left, pitch, at_once)


def n_positions(windows: PoolingWindows, size: Pair, border: Padding) -> Array:
    """Return how many positions of each window lie in the plane enlarged by `border`, (Ho, Wo)."""
    counts = []
    for n, n_windows, k, s, (before, _), (low, high) in zip(
        size, windows.output_size(size), windows.kernel_size, windows.stride, windows.padding, border, strict=True
    ):
        starts = np.arange(n_windows) * s - before
        counts.append(np.maximum(0, np.minimum(starts + k, n + high) - np.maximum(starts, -low)))
    rows, columns = counts
    product: Array = rows[:, None] * columns
    return product
