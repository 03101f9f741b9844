"""The neighbourhood graph of an image with the lengths of its edges, as the adjacency CRFs of deck 004 have it.

The edges are those of `refdet.core.pixel_graph` in its order, pixel by pixel: each unordered pair once, but with the
pixel that comes first in row-major order in front, i < j. Lengths are float64, whatever the picture is;
`contrast_weights` takes them so.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, as_index, integers
from refdet.core.pixel_graph import AHEAD, pixel_edges


def grid_edges(shape: tuple[int, int], neighbourhood: int = 4) -> tuple[Array, Array]:
    """Return the edges of a grid of pixels and their lengths.

    Args:
        shape: (H, W).
        neighbourhood: 4 or 8 neighbours.

    Returns:
        The edges, (E, 2) int64, i < j in each row; and the distances between the centres of their pixels, (E,) float64:
        1, or √2 along a diagonal.

    Two rows of two pixels, 0 1 above 2 3:

    >>> edges, lengths = grid_edges((2, 2), 8)
    >>> edges.tolist(), lengths.round(2).tolist()
    ([[0, 1], [0, 2], [0, 3], [1, 3], [2, 3], [1, 2]], [1.0, 1.0, 1.41, 1.0, 1.0, 1.41])
    """
    H, W = integers("grid_edges", "shape", shape, count=2, low=0)
    if as_index(neighbourhood) not in AHEAD:
        raise ValueError(f"grid_edges: neighbourhood must be 4 or 8, got {neighbourhood!r}")
    edges = np.sort(pixel_edges((H, W), neighbours=neighbourhood), axis=1)
    (y_i, y_j), (x_i, x_j) = np.divmod(edges.T, max(W, 1))
    return edges, np.sqrt((y_i - y_j) ** 2 + (x_i - x_j) ** 2)
