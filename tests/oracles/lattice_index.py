"""The vertices that occur among lattice keys, in lexicographic order, and their neighbours along the d + 1 axes.

With the coordinate that a key leaves out, -(sum of the others), a vertex v has d + 1 coordinates. Its neighbours along
axis j are v + a_j and v - a_j, where a_j is d at j and -1 elsewhere; -1 where that is not a vertex.

Source: Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010,
section 3.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array

Integers = NDArray[np.int64]


def forward(keys: Array) -> tuple[Integers, Integers, Integers]:
    """Return (vertices, ids, neighbours), of shapes (M, d), (N, K) and (d + 1, 2, M)."""
    n_points, n_corners, d = keys.shape
    seen = sorted({tuple(int(c) for c in keys[i, k]) for i, k in np.ndindex(n_points, n_corners)})
    id_of = {(*key, -sum(key)): v for v, key in enumerate(seen)}

    vertices = np.array(seen, dtype=np.int64).reshape(len(seen), d)
    ids = np.zeros((n_points, n_corners), dtype=np.int64)
    for i, k in np.ndindex(ids.shape):
        key = tuple(int(c) for c in keys[i, k])
        ids[i, k] = id_of[(*key, -sum(key))]

    neighbours = np.zeros((d + 1, 2, len(seen)), dtype=np.int64)
    for vertex, v in id_of.items():
        for j in range(d + 1):
            for side, sign in enumerate((1, -1)):
                place = tuple(c + sign * (d if m == j else -1) for m, c in enumerate(vertex))
                neighbours[j, side, v] = id_of.get(place, -1)
    return vertices, ids, neighbours
