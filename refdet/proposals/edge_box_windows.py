"""The sliding windows of EdgeBoxes: neighbours in position, size or shape overlap by an IoU of α.

    size         √min_area · s^i,       s = √(1/α)             two boxes of one shape and centre have IoU 1/s²
    shape        width size·r^a, height size/r^a, r = (1 + α)/(2α)     likewise, one step of shape: 1/(2r − 1)
    translation  t · side,              t = (1 − α)/(1 + α)    a shift by d of a side b has IoU (b − d)/(b + d)

Zitnick & Dollár, "Edge Boxes", ECCV 2014, §3.3. Conventions, those of the authors' code and OpenCV's:

- i = 0 … ⌈log_s(longer side of the map / √min_area)⌉ − 1, and |a| ≤ ⌊log(max_aspect_ratio) / log r²⌋: width over height
  is r^2a. A map without a side longer than √min_area has no window.
- Sides are rounded down, steps too, to at least 2 pixels. Positions start at 0 and go on as long as a window overhangs
  by less than a step; what overhangs is clipped where it is scored.
- Sizes, shapes and steps are computed in float32, so that they round down to the same integers as OpenCV's.
- The order is that of size, shape, x, y.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.core.check import Array
from refdet.proposals.windows import MAX_WINDOWS, Pair

Single = np.float32


def translation_step(alpha: float) -> np.float32:
    """Return t, the step of the translation as a share of the side.

    >>> translation_step(0.5).item()  # a third: then 2/3 of the side are shared, of 4/3 in all
    0.3333333432674408
    """
    return (1 - Single(alpha)) / (1 + Single(alpha))


def edge_box_windows(size: Pair, *, alpha: float, min_area: float, max_aspect_ratio: float) -> Array:
    """List the windows over a map of `size` (height, width).

    Args:
        size: of the map of edges.
        alpha: the IoU of neighbours, in [0.01, 0.99].
        min_area: of the smallest window, in square pixels.
        max_aspect_ratio: of the longer side to the shorter, at least 1.

    Returns:
        (N, 4) int64, rows of (x0, y0, x1, y1), the last column and row included, and not clipped to the map.

    One size and one shape, a side of 4, in steps of 2. What overhangs is clipped later:

    >>> edge_box_windows((4, 5), alpha=0.3, min_area=16, max_aspect_ratio=1)
    array([[0, 0, 4, 4],
           [2, 0, 6, 4]])
    """
    H, W = size
    share = translation_step(alpha)
    grids = [
        (_starts(W, width, share), _starts(H, height, share), width, height)
        for width, height in _shapes(max(H, W), alpha, min_area, max_aspect_ratio)
    ]
    n_windows = sum(len(xs) * len(ys) for xs, ys, _, _ in grids)
    if n_windows > MAX_WINDOWS:
        raise ValueError(
            f"edge_boxes: alpha {alpha} gives {n_windows} windows over {H} × {W} pixels, more than {MAX_WINDOWS}; "
            "take a smaller alpha, a larger min_area, or a smaller picture"
        )
    windows = [np.zeros((0, 4), np.int64)]
    for xs, ys, width, height in grids:
        x, y = (corner.ravel() for corner in np.meshgrid(xs, ys, indexing="ij"))
        windows.append(np.stack([x, y, x + width, y + height], axis=1))
    return np.concatenate(windows)


def _shapes(longer_side: int, alpha: float, min_area: float, max_aspect_ratio: float) -> list[Pair]:
    """Return (width, height) of each kind of window."""
    smallest = Single(math.sqrt(Single(min_area)))
    s = Single(math.sqrt(1 / Single(alpha)))
    r = (1 + Single(alpha)) / (2 * Single(alpha))
    if longer_side <= smallest:
        return []
    n_sizes = math.ceil(_log(Single(longer_side) / smallest) / _log(s))
    n_steps = int(_log(Single(max_aspect_ratio)) / _log(r * r))
    shapes = []
    for i in range(n_sizes):
        for a in range(-n_steps, n_steps + 1):
            side, stretch = smallest * Single(float(s) ** i), Single(float(r) ** a)
            shapes.append((int(side * stretch), int(side / stretch)))
    return shapes


def _log(x: np.float32) -> np.float32:
    return Single(math.log(x))


def _starts(length: int, side: int, share: np.float32) -> Array:
    """Return where windows of that side start."""
    step = max(2, int(Single(side) * share))
    return np.arange(0, max(0, length - side + step), step, dtype=np.int64)
