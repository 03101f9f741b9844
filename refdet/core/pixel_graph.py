"""The neighbourhood graph of an image: an edge between every two pixels that touch.

Pixels count in row-major order, p = y·W + x. Graph-based segmentation, the grouping of regions and the adjacency CRF of
deck 004 all walk these edges. Each pair is one edge, from the pixel that has the other *ahead* of it: to its right or
below it; with 8 neighbours also below right or above right.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array

AHEAD = {  # (rows down, columns right) to the neighbours ahead; the opposite ones have the pixel ahead of them
    4: ((0, 1), (1, 0)),
    8: ((0, 1), (1, 0), (1, 1), (-1, 1)),
}


def pixel_edges(size: tuple[int, int], *, neighbours: int) -> Array:
    """Return the edges, (E, 2) int64, of an (H, W) picture with 4 or 8 neighbours, pixel by pixel.

    >>> pixel_edges((2, 2), neighbours=8).tolist()
    [[0, 1], [0, 2], [0, 3], [1, 3], [2, 3], [2, 1]]
    """
    H, W = size
    down, right = np.array(AHEAD[neighbours], np.int64).T
    row, column = np.indices((H, W))[..., None]  # (H, W, 1) each
    pixel, other = row * W + column, (row + down) * W + (column + right)  # (H, W, 1), (H, W, n)
    exists = (row + down >= 0) & (row + down < H) & (column + right < W)
    return np.stack([np.broadcast_to(pixel, other.shape)[exists], other[exists]], axis=1).astype(np.int64)
