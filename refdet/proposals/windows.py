"""Sliding windows: every box of a given size, a stride apart, and the pixel that its label belongs to.

    window (i, j) of h × w = [j·s, i·s, j·s + w, i·s + h],  0 ≤ i ≤ ⌊(H − h)/s⌋,  0 ≤ j ≤ ⌊(W − w)/s⌋

"The straightforward solution" of deck 002: classify every crop of the size that a classifier takes, a background class
among the answers, and give the answer to the crop's central pixel. An image of 1000 × 2000 has 777 · 1777 = 1 380 729
crops of 224 × 224. Deck 001 counts the boxes of every size, which nobody would classify (`refdet.boxes.counting`).

Conventions:

- Boxes are continuous: the window over pixels r … r + h − 1 ends at r + h. Their rows are row-major, and size after
  size where several are given ("scales").
- A window that does not fit is not there: a size larger than the image gives none.
- The central pixel is the one that contains the centre of the window, its coordinates rounded down: of an odd size the
  pixel in the middle, of an even one that below and to the right of the centre, row r + h/2.
- More than MAX_WINDOWS are refused before anything is allocated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.boxes.counting import count_windows
from refdet.core.check import Array, integers, sequence

Pair = tuple[int, int]

MAX_WINDOWS = 4_000_000  # 128 MB of boxes; the image of deck 002 has a third of it


def sliding_windows(size: int | Pair, windows: Sequence[int | Pair], *, stride: int | Pair = 1) -> Array:
    """List all windows of some sizes over an image.

    Args:
        size: (height, width) of the image, or one integer for both.
        windows: (height, width) of each kind of window, likewise; at least 1. One kind is [(2, 3)]; (2, 3) are two,
            of 2 × 2 and of 3 × 3.
        stride: pixels from one window to the next, (down, across), likewise; at least 1.

    Returns:
        (N, 4) float64, rows of (x1, y1, x2, y2): size after size, each in row-major order.

    A window of one row and two columns has two places in 1 × 3 pixels:

    >>> sliding_windows((1, 3), [(1, 2)])
    array([[0., 0., 2., 1.],
           [1., 0., 3., 1.]])
    """
    op = "sliding_windows"
    height, width = integers(op, "size", size, count=2, low=0)
    sizes = [integers(op, "windows", window, count=2, low=1) for window in sequence(op, "windows", windows)]
    down, across = integers(op, "stride", stride, count=2, low=1)
    n_windows = sum(count_windows((height, width), (h, w), stride=(down, across)) for h, w in sizes)
    if n_windows > MAX_WINDOWS:
        raise ValueError(
            f"{op}: {n_windows} windows of {sizes}, {(down, across)} apart, in an image of {height} × {width} are "
            f"more than {MAX_WINDOWS}; take a larger stride or fewer sizes, or split the image"
        )
    return np.concatenate([np.empty((0, 4)), *(_one_size(height, width, h, w, down, across) for h, w in sizes)])


def _one_size(height: int, width: int, h: int, w: int, down: int, across: int) -> Array:
    """Return the windows of h × w."""
    rows = np.arange(0, height - h + 1, down, dtype=np.float64)
    columns = np.arange(0, width - w + 1, across, dtype=np.float64)
    y, x = (corner.ravel() for corner in np.meshgrid(rows, columns, indexing="ij"))
    return np.stack([x, y, x + w, y + h], axis=1)


def window_centres(windows: Array) -> Array:
    """Return the pixel at the centre of each window, where its label goes.

    Args:
        windows: (N, 4), rows of (x1, y1, x2, y2), float32 or float64, finite.

    Returns:
        (N, 2) int64, rows of (row, column).

    The middle of rows 2, 3, 4 is row 3; of the columns 0, 1, 2, 3, column 2:

    >>> window_centres(np.array([[0.0, 2.0, 4.0, 5.0]]))
    array([[3, 2]])
    """
    op = "window_centres"
    check_boxes(op, windows=windows)
    with np.errstate(over="ignore", invalid="ignore"):
        centres = (windows[:, [1, 0]] + windows[:, [3, 2]]) / 2
    nowhere = np.flatnonzero(~np.all(np.abs(centres) < 2.0**63, axis=1))
    if nowhere.size:
        i = int(nowhere[0])
        y, x = centres[i]
        raise ValueError(f"{op}: row {i} of windows must have a centre that int64 can hold, got ({y:g}, {x:g})")
    return np.floor(centres).astype(np.int64)
