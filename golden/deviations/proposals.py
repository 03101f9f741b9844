"""Deviations of region proposals: graph segmentation, the grouping of Selective Search, Edge Boxes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.wrapping import setting
from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation

SKIMAGE = "scikit-image/scikit-image, skimage/segmentation/_felzenszwalb_cy.pyx"
ALPACA = "AlpacaTechJP/selectivesearch, selectivesearch/selectivesearch.py"


def _k_over_255(body: Body) -> Body:
    def merge_graph(weights: Array, edges: Array, *, k: float, **params: Any) -> Any:
        return body(weights, edges, k=k / 255, **params)

    return merge_graph


def _sizes_of_the_first_pass(body: Body) -> Body:
    def merge_graph(weights: Array, edges: Array, *, n_vertices: int, min_size: int, **params: Any) -> Array:
        first = body(weights, edges, n_vertices=n_vertices, min_size=0, **params)
        size = np.bincount(first, minlength=n_vertices)
        root = list(range(n_vertices))  # of the components of the first pass

        def root_of(c: int) -> int:
            while root[c] != c:
                c = root[c]
            return c

        for v, u in edges[np.argsort(weights, kind="stable")].tolist():
            a, b = root_of(first[v]), root_of(first[u])
            if size[a] < min_size or size[b] < min_size:
                root[max(a, b)] = min(a, b)  # and size[min(a, b)] stays what it was
        names = np.array([root_of(c) for c in first.tolist()], np.int64)
        return np.unique(names, return_inverse=True)[1]  # the lowest name of a component is that of its first vertex

    return merge_graph


def _grouping(
    sizes: Array,
    boxes: Array,
    colours: Array,
    textures: Array,
    pairs: Array,
    *,
    weights: Any,
    image_area: float,
    newest: bool = False,  # of equally similar pairs the last of the list, not the smallest
    missing: int = 0,  # from the width and height of every box
) -> tuple[Array, Array]:
    """Group regions with a list of pairs and their similarities, in the order in which they are found."""
    regions = [
        (float(n), box.astype(np.float64), colour.astype(np.float64), texture.astype(np.float64))
        for n, box, colour, texture in zip(sizes, boxes, colours, textures, strict=True)
    ]

    def similarity(i: int, j: int) -> float:
        (n, box, colour, texture), (m, other_box, other_colour, other_texture) = regions[i], regions[j]
        x1, y1 = np.minimum(box[:2], other_box[:2])
        x2, y2 = np.maximum(box[2:], other_box[2:])
        terms = (
            np.minimum(colour, other_colour).sum(),
            np.minimum(texture, other_texture).sum(),
            1 - (n + m) / image_area,
            1 - ((x2 - x1 - missing) * (y2 - y1 - missing) - n - m) / image_area,
        )
        return float(sum(weight * term for weight, term in zip(weights, terms, strict=True) if weight))

    merges = []
    neighbours = sorted({(min(i, j), max(i, j)) for i, j in pairs.tolist() if i != j})
    similarities = {(i, j): similarity(i, j) for i, j in neighbours}
    while similarities:
        if newest:
            i, j = sorted(similarities.items(), key=lambda pair: pair[1])[-1][0]
        else:
            i, j = min(similarities, key=lambda pair: (-similarities[pair], pair))
        (n, box, colour, texture), (m, other_box, other_colour, other_texture) = regions[i], regions[j]
        around = np.concatenate([np.minimum(box[:2], other_box[:2]), np.maximum(box[2:], other_box[2:])])
        union = (n + m, around, (n * colour + m * other_colour) / (n + m))
        regions.append((*union, (n * texture + m * other_texture) / (n + m)))
        merges.append((i, j))
        gone = [pair for pair in similarities if i in pair or j in pair]
        for pair in gone:
            del similarities[pair]
        for pair in gone:
            other = pair[1] if pair[0] in (i, j) else pair[0]
            if other not in (i, j):
                similarities[other, len(regions) - 1] = similarity(other, len(regions) - 1)
    all_boxes = np.array([box for _, box, _, _ in regions]).reshape(-1, 4).astype(boxes.dtype)
    return np.array(merges, np.int64).reshape(-1, 2), all_boxes


def _where(**choice: Any) -> Callable[[Body], Body]:
    """Group like that, with a choice added to those that were made before."""

    def wrap(body: Body) -> Body:
        return functools.partial(body if isinstance(body, functools.partial) else _grouping, **choice)

    return wrap


DEVIATIONS = [
    Deviation(
        key="graph.cmp=lt",
        title="an edge merges only if it weighs less than the bound",
        effect="The parameter `comparison` is not read: an edge that weighs exactly the bound does not merge.",
        who=(f"{SKIMAGE}, _felzenszwalb_grey",),
        change='Merge where w ≤ bound if comparison is "<=".',
        kernels={"merge_graph": setting(comparison="<")},
    ),
    Deviation(
        key="graph.cmp=le",
        title="an edge that weighs exactly the bound merges",
        effect="The parameter `comparison` is not read.",
        who=(
            "P. Felzenszwalb's segment.tar, segment-graph.h, segment_graph",
            "opencv/opencv_contrib, modules/ximgproc/src/graphsegmentation.cpp, segmentGraph",
        ),
        change='Merge only where w < bound if comparison is "<".',
        kernels={"merge_graph": setting(comparison="<=")},
    ),
    Deviation(
        key="graph.scale=over_255",
        title="k is divided by 255",
        effect="The bounds are made for colours from 0 to 1; with others nearly nothing merges in the first pass.",
        who=(f"{SKIMAGE}, _felzenszwalb_grey",),
        change="Add k / |C| to the heaviest edge, with k as it is given.",
        kernels={"merge_graph": _k_over_255},
    ),
    Deviation(
        key="graph.small=stale_sizes",
        title="the second pass does not count what it has merged",
        effect="In the second pass two merged components count as many pixels as the one that holds their first vertex "
        "did, so that a component that has grown large enough may still be merged as a small one.",
        who=(f"{SKIMAGE}, _felzenszwalb_grey of commits 0b5c55e and b719fd7",),
        change="Update the size of a component whenever two are merged, in the second pass too.",
        kernels={"merge_graph": _sizes_of_the_first_pass},
    ),
    Deviation(
        key="ss.weights=equal",
        title="all four similarities count alike, and `weights` is not read",
        effect="Colour, texture, size and fill are always added up.",
        who=(f"{ALPACA}, calc_sim",),
        change="Multiply each similarity by its weight; leave out those of weight 0.",
        kernels={"group_regions": setting(weights=(1.0, 1.0, 1.0, 1.0))},
    ),
    Deviation(
        key="ss.tie=last",
        title="of equally similar pairs the one found last is merged",
        effect="Pairs stand in a list: first those that are given, in ascending order of (i, j) with i < j, whatever "
        "their order in `pairs`; behind them, merge by merge, those of the new region, each in the place of the first "
        "pair that it replaces. Of equally similar pairs the last of the list is merged.",
        who=(f"{ALPACA}, selective_search",),
        change="Of equally similar pairs merge that with the smallest i, then the smallest j.",
        kernels={"group_regions": _where(newest=True)},
    ),
    Deviation(
        key="ss.box=last_pixel",
        title="boxes end at the last pixel, so that they count one row and column too few",
        effect="The similarity of fill sees a box of (w − 1)(h − 1) pixels around two regions.",
        who=(f"{ALPACA}, extract_regions and sim_fill",),
        change="Let boxes end behind their last pixel, or add 1 to their width and height.",
        kernels={"group_regions": _where(missing=1)},
    ),
    Deviation(
        key="edges.score=opencv",
        title="boxes are always scored as in the authors' code",
        effect="The parameter `convention` is not read: sides are halved and rounded down, the centre is half as wide "
        "and high, and faint pixels do not count in it.",
        who=(
            "pdollar/edges, private/edgeBoxesMex.cpp, scoreBox",
            "opencv/opencv_contrib, modules/ximgproc/src/edgeboxes.cpp, scoreBox",
        ),
        change='Divide by 2 (b_w + b_h)^κ and take the whole centre if convention is "paper".',
        kernels={"score_edge_boxes": setting(convention="opencv")},
    ),
]
