"""Segmentation of a weighted graph by merging its components.

Every vertex begins as a component C of its own, with |C| = 1 and Int(C) = 0. The edges are visited by ascending weight,
equal weights by ascending index, NaN last. An edge of weight w between two different components A and B merges them if

    w <= min(Int(A) + k / |A|, Int(B) + k / |B|)        (comparison "<=";  or <, comparison "<")

and then Int(A or B) = w: visited in this order, w is the largest weight of the union's minimum spanning tree. A second
visit to all edges, in the same order, merges A and B if |A| < min_size or |B| < min_size.

The labels 0, 1, ... number the components in order of their first vertices.

Source: Felzenszwalb and Huttenlocher, "Efficient graph-based image segmentation" (2004), section 4, algorithm 1; the
second visit and its min_size are those of the authors' program.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array


def forward(
    weights: Array, edges: Array, *, n_vertices: int, k: float, min_size: int, comparison: str
) -> NDArray[np.int64]:
    """Return the label of each vertex, of shape (n_vertices,)."""
    component = {v: {v} for v in range(n_vertices)}  # each vertex's component; its vertices share one set
    internal = dict.fromkeys(range(n_vertices), 0.0)  # Int of each vertex's component

    def merge(a: int, b: int) -> None:
        union = component[a] | component[b]
        for v in union:
            component[v] = union

    order = sorted((math.isnan(w), float(w), e) for e, w in enumerate(weights))
    walk = [(w, int(edges[e, 0]), int(edges[e, 1])) for _, w, e in order]
    for w, a, b in walk:
        bars = [internal[v] + k / len(component[v]) for v in (a, b)]
        passes = all(w <= bar if comparison == "<=" else w < bar for bar in bars)
        if b not in component[a] and passes:
            merge(a, b)
            for v in component[a]:
                internal[v] = w
    for _, a, b in walk:
        if b not in component[a] and min(len(component[a]), len(component[b])) < min_size:
            merge(a, b)

    firsts = sorted({min(vertices) for vertices in component.values()})
    return np.array([firsts.index(min(component[v])) for v in range(n_vertices)], dtype=np.int64)
