"""Merging the vertices of a graph along its edges, lightest first: two walks over the edges with a forest of parents.

    for each edge (v, u) of weight w, ascending:                      bound of a root = Int + k / size
        a, b = roots of v and u
        if a ≠ b and w ≤ min(bound of a, bound of b):  the smaller tree hangs under the root of the larger one
    for each edge (v, u), in the same order:
        the same, where one of the two trees has fewer than min_size vertices

Felzenszwalb & Huttenlocher, "Efficient graph-based image segmentation", IJCV 59(2), 2004. Every merge depends on those
before it, so one thread does it all. A search for a root halves the path that it walks.

The edges are put in their order by NumPy, which notices if they are in it already.

Workspace: 24 bytes per vertex, and 32 per edge for the sorted edges and their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled


def merge_graph(weights: Array, edges: Array, *, n_vertices: int, k: float, min_size: int, comparison: str) -> Array:
    """Return the component of each vertex, as the reference does."""
    if edges.size and (edges.min() < 0 or edges.max() >= n_vertices):  # compiled code does not look where it reads
        raise IndexError(
            f"merge_graph: edges must join vertices 0 … {n_vertices - 1}, got {edges.min()} … {edges.max()}"
        )
    order = np.argsort(weights, kind="stable")
    sorted_weights, sorted_edges = native(weights[order], np.float64), native(edges.take(order, axis=0), np.int64)
    index = np.int32 if n_vertices < 2**31 else np.int64
    parent, size = np.arange(n_vertices, dtype=index), np.ones(n_vertices, index)
    bound = np.full(n_vertices, float(k))
    _merge_by_weight(sorted_weights, sorted_edges, parent, size, bound, float(k), comparison == "<=")
    _merge_small(sorted_edges, parent, size, int(min_size))
    labels: Array = _in_order_of_appearance(parent)
    return labels


@compiled
def _merge_by_weight(weights: Any, edges: Any, parent: Any, size: Any, bound: Any, k: Any, equal_merges: Any) -> None:
    for e in range(len(weights)):
        a, b = _root(parent, edges[e, 0]), _root(parent, edges[e, 1])
        if a != b:
            w, least = weights[e], min(bound[a], bound[b])
            if w < least or (equal_merges and w == least):
                root = _join(parent, size, a, b)
                bound[root] = w + k / size[root]


@compiled
def _merge_small(edges: Any, parent: Any, size: Any, min_size: Any) -> None:
    for e in range(len(edges)):
        a, b = _root(parent, edges[e, 0]), _root(parent, edges[e, 1])
        if a != b and (size[a] < min_size or size[b] < min_size):
            _join(parent, size, a, b)


@compiled
def _in_order_of_appearance(parent: Any) -> Any:
    """Return 0 for the tree of vertex 0, 1 for the next new one, and so on."""
    label_of_root = np.full(len(parent), -1, np.int64)
    labels = np.empty(len(parent), np.int64)
    n_labels = 0
    for v in range(len(parent)):
        root = _root(parent, v)
        if label_of_root[root] < 0:
            label_of_root[root] = n_labels
            n_labels += 1
        labels[v] = label_of_root[root]
    return labels


@compiled
def _root(parent: Any, v: Any) -> Any:
    while parent[v] != v:
        parent[v] = parent[parent[v]]
        v = parent[v]
    return v


@compiled
def _join(parent: Any, size: Any, a: Any, b: Any) -> Any:
    if size[a] < size[b]:
        a, b = b, a
    parent[b] = a
    size[a] += size[b]
    return a
