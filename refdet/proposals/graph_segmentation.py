"""Segmentation by merging the vertices of a graph along its edges, lightest first.

Two components C and D are merged along an edge of weight w between them iff

    w ≤ min( Int(C) + k/|C| ,  Int(D) + k/|D| ),    Int(C) = the heaviest edge of C's minimum spanning tree, 0 at first

where w then is the new Int, since the edges come in ascending order. Afterwards the edges are walked once more, and
components are merged along those where one of the two has fewer than min_size vertices.

Felzenszwalb & Huttenlocher, "Efficient graph-based image segmentation", IJCV 59(2), 2004, §4 and §5. In a picture the
vertices are the pixels, smoothed by a Gaussian; the edges join neighbours, and weigh the Euclidean distance of their
colours. It is where Selective Search begins.

Conventions:

- Edges are visited in ascending weight; those of equal weight in the order in which they are given (a stable sort). In
  a picture that is pixel by pixel in row-major order, and from each pixel right, down, down right, up right (with 4
  neighbours right, down). The first pass gives the same components in any order of equal weights: a merge at weight w
  leaves a bound of at least w. In the second pass the order decides whom a small component joins; the authors, OpenCV
  and scikit-image sort without keeping it.
- An edge that weighs exactly the bound merges, as in the paper, which keeps two components apart iff the difference is
  *larger*; `comparison="<"` is scikit-image's.
- A component with exactly min_size vertices is large enough. An edge of weight NaN comes last, and merges only for the
  sake of min_size.
- Weights are compared in float64. Labels are 0, 1, 2, … in order of each component's first vertex.
- OpenCV joins 4 neighbours and scikit-image 8; scikit-image counts colours from 0 to 1, and divides k by 255 to match.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import (
    Array,
    as_index,
    check_choice,
    check_floating,
    check_integer,
    check_number,
    check_rank,
    check_shape,
    shape_of,
)
from refdet.core.kernel import kernel
from refdet.core.pixel_graph import AHEAD, pixel_edges
from refdet.proposals.gaussian import smooth
from refdet.proposals.intensities import intensities

COMPARISONS = ("<=", "<")


def _check(weights: Array, edges: Array, *, n_vertices: int, k: float, min_size: int, comparison: str) -> None:
    check_rank("merge_graph", "weights", weights, "E")
    check_floating("merge_graph", weights=weights)
    check_integer("merge_graph", edges=edges)
    check_shape("merge_graph", "edges", edges, (*shape_of(weights), 2), "two ends for each of the weights")
    for name, value in (("n_vertices", n_vertices), ("min_size", min_size)):
        if as_index(value) is None or value < 0:
            raise ValueError(f"merge_graph: {name} must be an integer of at least 0, got {value!r}")
    check_number("merge_graph", "k", k, low=0)
    check_choice("merge_graph", "comparison", comparison, COMPARISONS)


@kernel("merge_graph", check=_check)
def merge_graph_kernel(
    weights: Array, edges: Array, *, n_vertices: int, k: float, min_size: int, comparison: str
) -> Array:
    """Return the component of each vertex: two passes over the sorted edges, with a forest of parents."""
    order = np.argsort(weights, kind="stable")
    sorted_weights = weights[order].astype(np.float64)
    starts, ends = edges[order].T
    k = float(k)  # a float32 would make the bounds float32
    parent = list(range(n_vertices))  # lists: element by element they are faster than arrays
    size = [1] * n_vertices
    bound = [k] * n_vertices  # of a root: Int + k / size
    equal_merges = comparison == "<="

    def root_of(v: int) -> int:
        while parent[v] != v:
            parent[v] = parent[parent[v]]  # halves the path for the next search
            v = parent[v]
        return v

    def merge(a: int, b: int) -> int:
        if size[a] < size[b]:
            a, b = b, a
        parent[b] = a
        size[a] += size[b]
        return a

    for w, v, u in zip(sorted_weights.tolist(), starts.tolist(), ends.tolist(), strict=True):
        a, b = root_of(v), root_of(u)
        if a != b:
            least = bound[a] if bound[a] < bound[b] else bound[b]
            if w < least or (equal_merges and w == least):
                root = merge(a, b)
                bound[root] = w + k / size[root]

    # Components only grow, so most edges need no second visit: ends in one component, or in two that are large enough.
    roots, sizes = np.array([root_of(v) for v in range(n_vertices)], np.int64), np.array(size)
    start_roots, end_roots = roots[starts], roots[ends]
    visit = (start_roots != end_roots) & (np.minimum(sizes[start_roots], sizes[end_roots]) < min_size)
    for v, u in zip(start_roots[visit].tolist(), end_roots[visit].tolist(), strict=True):
        a, b = root_of(v), root_of(u)
        if a != b and (size[a] < min_size or size[b] < min_size):
            merge(a, b)
    return _in_order_of_appearance(np.array([root_of(v) for v in range(n_vertices)], np.int64))


def _in_order_of_appearance(names: Array) -> Array:
    """Return 0 for every element equal to the first, 1 for those equal to the next new one, and so on."""
    _, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]


def merge_graph(
    weights: Array, edges: Array, *, n_vertices: int, k: float, min_size: int = 0, comparison: str = "<="
) -> Array:
    """Merge the vertices of a graph along its edges, lightest first.

    Args:
        weights: (E,), float32 or float64, in any order.
        edges: (E, 2), integers from 0 to n_vertices − 1: the ends of each. One from a vertex to itself does nothing.
        n_vertices: how many there are.
        k: the larger, the larger the components, at least 0.
        min_size: components with fewer vertices are merged with a neighbour, if they have one.
        comparison: "<=" or "<": whether an edge that weighs exactly the bound merges.

    Returns:
        The component of each vertex, (n_vertices,), int64, 0, 1, 2, … in order of the first vertex.

    Four vertices in a row, with edges of 1, 5 and 1. The first and the last merge, since 1 ≤ 0 + 2/1; the middle one
    does not, since 5 > 1 + 2/2:

    >>> merge_graph(np.array([1.0, 5.0, 1.0]), np.array([[0, 1], [1, 2], [2, 3]]), n_vertices=4, k=2)
    array([0, 0, 1, 1])
    """
    _check(weights, edges, n_vertices=n_vertices, k=k, min_size=min_size, comparison=comparison)
    if edges.size and (edges.min() < 0 or edges.max() >= n_vertices):
        raise ValueError(
            f"merge_graph: edges must join vertices 0 … {n_vertices - 1}, got {edges.min()} … {edges.max()}"
        )
    return merge_graph_kernel(weights, edges, n_vertices=n_vertices, k=k, min_size=min_size, comparison=comparison)


def colour_distances(field: Array, edges: Array) -> Array:
    """Return the Euclidean distance of the colours at the two ends of each edge, (E,), of a field (H, W, C)."""
    colours = field.reshape(-1, field.shape[2])
    difference = colours.take(edges[:, 0], axis=0) - colours.take(edges[:, 1], axis=0)  # rows: faster than by indexing
    distances: Array = np.sqrt((difference**2).sum(axis=1))
    return distances


def graph_segmentation(
    image: Array, *, k: float, sigma: float = 0.8, min_size: int = 20, neighbours: int = 8, comparison: str = "<="
) -> Array:
    """Divide a picture into regions of like colour.

    Args:
        image: (H, W) or (H, W, C), uint8, or float32 or float64 in [0, 1].
        k: the larger, the larger the regions; for colours from 0 to 255, whatever the dtype.
        sigma: of the Gaussian that smooths the picture first, in pixels; 0 (in effect all below 1/100) for none.
        min_size: regions with fewer pixels are merged with a neighbour.
        neighbours: 8 or 4.
        comparison: as for `merge_graph`.

    Returns:
        The region of each pixel, (H, W), int64, 0, 1, 2, … in row-major order of each region's first pixel.

    >>> graph_segmentation(np.array([[10, 12, 90], [11, 10, 91]], np.uint8), k=20, sigma=0, min_size=1)
    array([[0, 0, 1],
           [0, 0, 1]])
    """
    field = intensities("graph_segmentation", image)
    sigma = check_number("graph_segmentation", "sigma", sigma, low=0)
    if as_index(neighbours) not in AHEAD:
        raise ValueError(f"graph_segmentation: neighbours must be 4 or 8, got {neighbours!r}")
    H, W = field.shape[:2]
    edges = pixel_edges((H, W), neighbours=neighbours)
    labels = merge_graph_kernel(
        colour_distances(smooth(field, sigma), edges),
        edges,
        n_vertices=H * W,
        k=k,
        min_size=min_size,
        comparison=comparison,
    )
    return labels.reshape(H, W)
