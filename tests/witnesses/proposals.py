"""Graph segmentation, hierarchical grouping and the score of EdgeBoxes, as others have them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Answer = Callable[[Question], Mapping[str, Any]]


def merge_graph(
    question: Question, *, comparison: str | None = None, k_divided_by: float = 1.0, stale_sizes: bool = False
) -> dict[str, Any]:
    """scikit-image, _felzenszwalb_cy.pyx of 2012, with a stable sort: its two passes over a forest.

    The root of a component is its first vertex, as in ccomp.pyx, join_trees, and `size` is kept at the root. With
    `stale_sizes` the second pass joins trees without adding up sizes.
    """
    p = question.params
    comparison, k = comparison or p["comparison"], p["k"] / k_divided_by
    weights = np.asarray(question.arguments["weights"]).astype(float).tolist()
    edges = np.asarray(question.arguments["edges"]).tolist()
    order = sorted(
        range(len(weights)), key=lambda e: (math.isnan(weights[e]), 0.0 if math.isnan(weights[e]) else weights[e])
    )
    root = list(range(p["n_vertices"]))
    size, inner = [1] * len(root), [0.0] * len(root)

    def join(a: int, b: int) -> int:
        first, other = min(a, b), max(a, b)
        for v in range(len(root)):
            if root[v] == other:
                root[v] = first
        return first

    for e in order:
        a, b = root[edges[e][0]], root[edges[e][1]]
        if a == b:
            continue
        bound = min(inner[a] + k / size[a], inner[b] + k / size[b])
        if weights[e] < bound or (comparison == "<=" and weights[e] == bound):
            new, total = join(a, b), size[a] + size[b]
            size[new], inner[new] = total, weights[e]
    for e in order:
        a, b = root[edges[e][0]], root[edges[e][1]]
        if a != b and (size[a] < p["min_size"] or size[b] < p["min_size"]):
            new, total = join(a, b), size[a] + size[b]
            if not stale_sizes:
                size[new] = total
    numbers: dict[int, int] = {}
    return {"labels": np.array([numbers.setdefault(r, len(numbers)) for r in root], np.int64)}


def group_regions(
    question: Question, *, shrunk: int = 0, tie: str = "first", weights: tuple[float, ...] | None = None
) -> dict[str, Any]:
    """selectivesearch.py, selective_search: a dictionary S of pairs, of which the most similar is merged.

    shrunk: what is missing of the width and height of every box in sim_fill, where boxes end at their last pixel.
    tie: "last" is sorted(S.items(), key=lambda i: i[1])[-1], in the order in which the pairs came into S.
    """
    arguments, area = question.arguments, question.params["image_area"]
    a = question.params["weights"] if weights is None else weights
    size = np.asarray(arguments["sizes"]).tolist()
    box, colour, texture = (
        np.asarray(arguments[name]).astype(float).tolist() for name in ("boxes", "colours", "textures")
    )

    def around(i: int, j: int) -> list[Any]:
        return [f(box[i][c], box[j][c]) for c, f in enumerate((min, min, max, max))]

    def similarity(i: int, j: int) -> float:
        x1, y1, x2, y2 = around(i, j)
        fill = (x2 - x1 - shrunk) * (y2 - y1 - shrunk) - size[i] - size[j]
        terms = (
            math.fsum(map(min, colour[i], colour[j])),
            math.fsum(map(min, texture[i], texture[j])),
            1.0 - (size[i] + size[j]) / area,
            1.0 - fill / area,
        )
        return float(sum(w * term for w, term in zip(a, terms, strict=True) if w != 0))

    S: dict[tuple[int, int], float] = {}
    for i, j in sorted({(min(pair), max(pair)) for pair in np.asarray(arguments["pairs"]).tolist()}):
        if i != j:
            S[i, j] = similarity(i, j)
    merges = []
    while S:
        if tie == "last":
            i, j = sorted(S.items(), key=lambda item: item[1])[-1][0]
        else:
            i, j = min(S, key=lambda pair: (-S[pair], pair))
        t, both = len(size), size[i] + size[j]
        for histogram in (colour, texture):
            pairs = zip(histogram[i], histogram[j], strict=True)
            histogram.append([(u * size[i] + v * size[j]) / both for u, v in pairs])
        box.append(around(i, j))
        size.append(both)
        merges.append((i, j))
        gone = [pair for pair in S if i in pair or j in pair]
        for pair in gone:
            del S[pair]
        for pair in gone:
            if pair != (i, j):
                n = pair[1] if pair[0] in (i, j) else pair[0]
                S[n, t] = similarity(n, t)
    return {"merges": np.array(merges, np.int64).reshape(-1, 2), "merged_boxes": np.array(box, float).reshape(-1, 4)}


def score_edge_boxes(question: Question, *, convention: str | None = None) -> dict[str, Any]:
    """OpenCV's edgeboxes.cpp, scoreBox, with sums in place of integral images; "paper" has its own norm and centre."""
    p, arguments = question.params, question.arguments
    convention = convention or p["convention"]
    E, groups = np.asarray(arguments["edges"]).astype(float), np.asarray(arguments["groups"]).tolist()
    h, w = E.shape
    place: dict[int, tuple[int, int]] = {}  # of a group: the last of its pixels
    mass: dict[int, float] = {}
    for x in range(w):
        for y in range(h):
            if groups[y][x] >= 0:
                place[groups[y][x]] = (x, y)
                mass[groups[y][x]] = mass.get(groups[y][x], 0.0) + float(E[y, x])
    ties: dict[int, list[tuple[int, float]]] = {}
    affinities = np.asarray(arguments["affinities"]).astype(float).tolist()
    for (i, j), affinity in zip(np.asarray(arguments["pairs"]).tolist(), affinities, strict=True):
        ties.setdefault(i, []).append((j, affinity))
        ties.setdefault(j, []).append((i, affinity))

    def score(x0: int, y0: int, x1: int, y1: int) -> float:
        if x1 < x0 or y1 < y0 or not E.size:
            return 0.0
        x0, x1, y0, y1 = (min(max(v, 0), n - 1) for v, n in ((x0, w), (x1, w), (y0, h), (y1, h)))
        bw, bh = x1 - x0, y1 - y0
        if convention == "opencv":
            bw, bh = bw // 2, bh // 2
        if bw + bh == 0:
            return 0.0
        norm = (1 / (bw + bh)) ** float(p["kappa"]) / (1 if convention == "opencv" else 2)

        def central(x: int, y: int) -> bool:
            if convention == "paper":
                return abs(x - (x0 + x1) / 2) <= bw / 4 and abs(y - (y0 + y1) / 2) <= bh / 4
            x0m, y0m = x0 + bw // 2, y0 + bh // 2
            return x0m <= x <= x0m + bw and y0m <= y <= y0m + bh and E[y, x] > p["min_magnitude"] and x > 0 and y > 0

        def inside(group: int) -> bool:
            return group in place and x0 <= place[group][0] <= x1 and y0 <= place[group][1] <= y1

        border = [(x, y) for x in range(x0, x1 + 1) for y in (y0, y1)]
        border += [(x, y) for y in range(y0, y1 + 1) for x in (x0, x1)]
        tied = {groups[y][x]: 1.0 for x, y in border if groups[y][x] >= 0}
        waiting = list(tied)
        while waiting:
            i = waiting.pop(0)
            for q, affinity in ties.get(i, []):
                product = tied[i] * affinity
                if product >= 0.05 and product > tied.get(q, 0.0) and (q in tied or inside(q)):
                    tied[q] = product
                    waiting.append(q)
        terms = [(1 - tied.get(i, 0.0)) * m for i, m in mass.items() if inside(i)]
        terms += [-float(E[y, x]) for x in range(w) for y in range(h) if central(x, y)]
        v: float = math.fsum(terms) * norm
        return 0.0 if v < p["min_score"] else v

    return {"scores": np.array([score(*row) for row in np.asarray(arguments["boxes"]).tolist()], float)}


CONFORMING: list[tuple[str, Answer]] = [
    ("merge_graph", merge_graph),
    ("group_regions", group_regions),
    ("score_edge_boxes", score_edge_boxes),
]


def _graph(key: str, source: str, **options: Any) -> Witness:
    return Witness(f"graph.{key}", "merge_graph", source, partial(merge_graph, **options))


def _group(key: str, source: str, **options: Any) -> Witness:
    return Witness(f"ss.{key}", "group_regions", source, partial(group_regions, **options))


_CYTHON = "scikit-image, _felzenszwalb_cy.pyx, _felzenszwalb_grey"
_SEARCH = "AlpacaTechJP/selectivesearch, selectivesearch.py, "
WITNESSES = [
    _graph("cmp=le", "P. Felzenszwalb, segment-graph.h: if (a != b) and w <= threshold", comparison="<="),
    _graph("cmp=lt", _CYTHON + ": costs_p[0] < min(inner_cost0, inner_cost1)", comparison="<"),
    _graph("scale=over_255", _CYTHON + ": scale = float(scale) / 255.", k_divided_by=255.0),
    _graph("small=stale_sizes", _CYTHON + " of 2012: join_trees alone", stale_sizes=True),
    _group("box=last_pixel", _SEARCH + "sim_fill of (min_x, max_x)", shrunk=1),
    _group("tie=last", _SEARCH + "selective_search: sorted(S.items(), ...)[-1]", tie="last"),
    _group("weights=equal", _SEARCH + "calc_sim", weights=(1.0, 1.0, 1.0, 1.0)),
    Witness(
        "edges.score=opencv",
        "score_edge_boxes",
        "opencv_contrib, modules/ximgproc/src/edgeboxes.cpp, scoreBox",
        partial(score_edge_boxes, convention="opencv"),
    ),
]
