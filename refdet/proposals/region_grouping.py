"""Hierarchical grouping: merge the two most similar neighbouring regions, until one is left.

    s(i, j) = a_c S_colour + a_t S_texture + a_s S_size + a_f S_fill

    S_colour  = Σ_k min(c_i^k, c_j^k)        S_size = 1 − (n_i + n_j) / n_image
    S_texture = Σ_k min(t_i^k, t_j^k)        S_fill = 1 − (|B_ij| − n_i − n_j) / n_image

n is a size in pixels, c and t are histograms, and B_ij is the box around both. The merged region has the size
n_i + n_j, the box B_ij, the histograms (n_i c_i + n_j c_j) / (n_i + n_j), and the neighbours of both. R regions that
hang together give R − 1 merges, and so 2R − 1 boxes.

Uijlings et al., "Selective Search for Object Recognition", IJCV 104(2), 2013, Algorithm 1 and equations (1) to (6).

Conventions:

- Of equally similar pairs the one with the smallest i is merged, then that with the smallest j; i < j throughout.
- The given regions are 0 … n − 1; merge m gives region n + m.
- Everything is computed in float64; the boxes come back in their dtype. A term whose weight is 0 is left out.
- Merging ends when no two neighbours are left: regions that do not hang together stay apart.
- The authors' code divides s by the number of terms, which changes no order.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.core.check import (
    Array,
    check_floating,
    check_integer,
    check_number,
    check_rank,
    check_shape,
    shape_of,
)
from refdet.core.kernel import kernel

Weights = tuple[float, float, float, float]  # of colour, texture, size, fill


class _Features(NamedTuple):
    """One row per region of the whole hierarchy, filled as regions are born."""

    sizes: Array
    boxes: Array
    colours: Array
    textures: Array


def _check(
    sizes: Array, boxes: Array, colours: Array, textures: Array, pairs: Array, *, weights: Weights, image_area: float
) -> None:
    check_rank("group_regions", "sizes", sizes, "n")
    (n,) = shape_of(sizes)
    check_rank("group_regions", "colours", colours, "n, bins")
    check_rank("group_regions", "textures", textures, "n, bins")
    check_rank("group_regions", "pairs", pairs, "P, 2")
    check_integer("group_regions", sizes=sizes, pairs=pairs)
    check_floating("group_regions", boxes=boxes, colours=colours, textures=textures)
    check_shape("group_regions", "boxes", boxes, (n, 4), "one for each of the sizes")
    check_shape("group_regions", "colours", colours, (n, shape_of(colours)[1]), "one row for each of the sizes")
    check_shape("group_regions", "textures", textures, (n, shape_of(textures)[1]), "one row for each of the sizes")
    check_shape("group_regions", "pairs", pairs, (shape_of(pairs)[0], 2), "two regions each")
    check_weights("group_regions", "weights", weights)
    check_number("group_regions", "image_area", image_area, low=0, open_low=True)


def check_weights(op: str, name: str, weights: Weights) -> None:
    """Refuse what is not four numbers of at least 0."""
    if not isinstance(weights, Sequence) or len(weights) != 4:
        raise ValueError(f"{op}: {name} must be four, of colour, texture, size and fill, got {weights!r}")
    for weight in weights:
        check_number(op, name, weight, low=0)


@kernel("group_regions", check=_check)
def group_regions_kernel(
    sizes: Array, boxes: Array, colours: Array, textures: Array, pairs: Array, *, weights: Weights, image_area: float
) -> tuple[Array, Array]:
    """Return merges (M, 2) and boxes (n + M, 4); a heap of pairs, from which those of the dead are dropped when met."""
    n = len(sizes)
    features = _Features(*(_with_room_for_unions(x) for x in (sizes, boxes, colours, textures)))
    neighbours: list[set[int]] = [set() for _ in range(n)]
    for i, j in pairs.tolist():
        if i != j:
            neighbours[i].add(j)
            neighbours[j].add(i)
    first, second = np.array([(i, j) for i in range(n) for j in neighbours[i] if i < j], np.int64).reshape(-1, 2).T
    similarities = _similarity(features, first, second, weights, image_area)
    heap = list(zip((-similarities).tolist(), first.tolist(), second.tolist(), strict=True))
    heapq.heapify(heap)

    alive = [True] * n
    merges: list[tuple[int, int]] = []
    while heap:
        _, i, j = heapq.heappop(heap)
        if not (alive[i] and alive[j]):
            continue
        union = len(alive)
        merges.append((i, j))
        _merge(features, i, j, union)
        around = (neighbours[i] | neighbours[j]) - {i, j}
        for region in around:
            neighbours[region] -= {i, j}
            neighbours[region].add(union)
        neighbours.append(around)
        alive[i] = alive[j] = False
        alive.append(True)
        others = sorted(around)
        similarities = _similarity(features, union, others, weights, image_area)
        for similarity, other in zip(similarities.tolist(), others, strict=True):
            heapq.heappush(heap, (-similarity, other, union))
    merged_boxes = features.boxes[: len(alive)].astype(boxes.dtype.newbyteorder("="))
    return np.array(merges, np.int64).reshape(-1, 2), merged_boxes


def _with_room_for_unions(x: Array) -> Array:
    """Return (n, …) in float64 with rows for the n − 1 regions that may be born."""
    rows = np.zeros((max(2 * len(x) - 1, 0), *x.shape[1:]))
    rows[: len(x)] = x
    return rows


def _merge(features: _Features, i: int, j: int, union: int) -> None:
    """Fill the row of the union of regions i and j."""
    sizes, boxes, colours, textures = features
    sizes[union] = sizes[i] + sizes[j]
    boxes[union] = _box_around(boxes[i], boxes[j])
    for histograms in (colours, textures):
        histograms[union] = (sizes[i] * histograms[i] + sizes[j] * histograms[j]) / sizes[union]


def _similarity(
    features: _Features, i: int | Array, j: Array | list[int], weights: Weights, image_area: float
) -> Array:
    """Return s of one region or several with several others."""
    sizes, boxes, colours, textures = features
    a_colour, a_texture, a_size, a_fill = weights
    s = np.zeros(len(j))
    if a_colour:
        s += a_colour * np.minimum(colours[i], colours[j]).sum(axis=1)
    if a_texture:
        s += a_texture * np.minimum(textures[i], textures[j]).sum(axis=1)
    if a_size:
        s += a_size * (1 - (sizes[i] + sizes[j]) / image_area)
    if a_fill:
        x1, y1, x2, y2 = _box_around(boxes[i], boxes[j]).T
        s += a_fill * (1 - ((x2 - x1) * (y2 - y1) - sizes[i] - sizes[j]) / image_area)
    return s


def _box_around(box: Array, other: Array) -> Array:
    """Return the boxes (…, 4) around two boxes each."""
    return np.concatenate([np.minimum(box[..., :2], other[..., :2]), np.maximum(box[..., 2:], other[..., 2:])], axis=-1)


def group_regions(
    sizes: Array,
    boxes: Array,
    colours: Array,
    textures: Array,
    pairs: Array,
    *,
    weights: Weights = (1.0, 1.0, 1.0, 1.0),
    image_area: float,
) -> tuple[Array, Array]:
    """Merge the most similar neighbouring regions, two at a time.

    Args:
        sizes: (n,), integers, pixels of each region, at least 1.
        boxes: (n, 4), xyxy, float32 or float64, finite; as the histograms.
        colours, textures: (n, bins), histograms, each of which should add up to 1; without bins S is 0.
        pairs: (P, 2), integers: the neighbours, in either order; a region paired with itself counts for nothing.
        weights: of colour, texture, size and fill, at least 0.
        image_area: pixels of the whole picture, more than 0.

    Returns:
        The merges (M, 2), int64: the two regions i < j that became region n + m. And the boxes (n + M, 4) of the
        regions given and born.

    Three regions of one pixel in a row. By size alone all are alike, so the first two merge, then region 2 with the new
    region 3:

    >>> boxes = np.array([[0.0, 0, 1, 1], [1, 0, 2, 1], [2, 0, 3, 1]])
    >>> merges, all_boxes = group_regions(
    ...     np.array([1, 1, 1]), boxes, np.zeros((3, 0)), np.zeros((3, 0)), np.array([[0, 1], [1, 2]]),
    ...     weights=(0, 0, 1, 0), image_area=3,
    ... )
    >>> merges.tolist(), all_boxes[3:].tolist()
    ([[0, 1], [2, 3]], [[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 3.0, 1.0]])
    """
    arrays = (sizes, boxes, colours, textures, pairs)
    _check(*arrays, weights=weights, image_area=image_area)
    if (sizes < 1).any():
        raise ValueError(f"group_regions: sizes must be at least 1, got {sizes.min()}")
    if pairs.size and (pairs.min() < 0 or pairs.max() >= len(sizes)):
        raise ValueError(
            f"group_regions: pairs must join regions 0 … {len(sizes) - 1}, got {pairs.min()} … {pairs.max()}"
        )
    for name, x in (("boxes", boxes), ("colours", colours), ("textures", textures)):
        if not np.isfinite(x).all():
            raise ValueError(f"group_regions: {name} must be finite, got {x[~np.isfinite(x)][0]}")
    return group_regions_kernel(*arrays, weights=weights, image_area=image_area)
