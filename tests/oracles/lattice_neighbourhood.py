"""The vertices around each lattice vertex, up to s steps along the axes.

A tap is a tuple (i_0, ..., i_d) of steps 0 ... s whose smallest is 0; taps are in lexicographic order, so that tap 0 is
the vertex itself. It lies at v + sum_m i_m a_m, where a_m is d at coordinate m and -1 at the others; a vertex has d + 1
coordinates, of which its key leaves out the last, -(sum of the others). A tap without a vertex is -1. If the traversal
is "walk", so is one with a vertex missing on the way from v: all steps along axis 0 first, then along axis 1, and so
on.

Source: Kiefel, Jampani and Gehler, "Permutohedral Lattice CNNs", ICLR workshop 2015; Jampani, Kiefel and Gehler,
"Learning Sparse High Dimensional Filters", CVPR 2016, and their code for the walk.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array


def forward(vertices: Array, *, size: int, traversal: str) -> NDArray[np.int64]:
    """Return taps, shape (T, M)."""
    d = vertices.shape[1]
    id_of: dict[tuple[int, ...], int] = {}
    for v, key in enumerate(vertices.tolist()):
        id_of[(*key, -sum(key))] = v

    steps = [tap for tap in itertools.product(range(size + 1), repeat=d + 1) if min(tap) == 0]
    taps = np.full((len(steps), len(vertices)), -1, dtype=np.int64)
    for t, tap in enumerate(steps):
        walk = [axis for axis, count in enumerate(tap) for _ in range(count)]
        for vertex, v in id_of.items():
            place, whole = vertex, True
            for axis in walk:
                place = tuple(c + (d if m == axis else -1) for m, c in enumerate(place))
                whole = whole and place in id_of
            if whole or traversal == "exact":
                taps[t, v] = id_of.get(place, -1)
    return taps
