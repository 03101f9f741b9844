"""Selective Search: boxes around every region of several hierarchical groupings of a picture.

    for each colour space, and each k:    segment the picture (graph_segmentation with min_size = k)
        for each set of similarities:     group the regions (group_regions)
    order the boxes of all hierarchies, drop the small ones, drop repetitions

Uijlings, van de Sande, Gevers & Smeulders, "Selective Search for Object Recognition", IJCV 104(2), 2013; the strategies
are those of R-CNN (Girshick et al., 2014). Decks 000 to 002: about 2000 boxes a picture, high recall, no learning.

Conventions, the authors' unless said otherwise:

- The picture is first resized to a width of 500 pixels, the height in proportion; sizes, k and the least side count
  in those pixels, and the boxes are scaled back at the end. Ours is how: the height is rounded half up, the pixels are
  interpolated bilinearly between their centres (theirs bicubically, and rounded), after a Gaussian with σ = (f − 1)/2
  where the picture shrinks by a factor f > 1.
- `colour_spaces` and `region_features` say where theirs differ.
- Each channel of each colour space is rounded to a whole number of 0 … 255, half up.
- A hierarchy of M merges gives M boxes: the last merge, the whole picture, is at position 1, the first at position M.
  The boxes of the initial segmentation are counted once for all its hierarchies, at position M + 1.
- order="random": by position · u, ascending, u uniform in [0, 1) for each box, so that no strategy or level leads.
  order="hierarchy", which is ours: by position. Equal ones keep the order of the loops above, initial boxes last.
- Boxes with a side shorter than `min_side` are dropped; of equal boxes the first is kept.
- A picture of one region, a constant one for instance, gives the one box around it.

On twenty photographs of about 500 × 375 pixels this reference took 3.7 s each (the mean; the longest 9.2 s) of one core
in fast mode, and 11 to 21 s on two of them in quality mode. `merge_graph` takes most of it; with the backend
`numba-cpu`, fast mode is 0.7 s (the mean; the longest 1.6 s).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from refdet.core.check import Array, as_index, check_choice, check_number
from refdet.core.pixel_graph import pixel_edges
from refdet.ops.resize import resize_bilinear
from refdet.proposals.colour_spaces import COLOUR_SPACES
from refdet.proposals.gaussian import smooth
from refdet.proposals.graph_segmentation import colour_distances, merge_graph_kernel
from refdet.proposals.intensities import rgb_intensities
from refdet.proposals.region_features import colour_codes, region_features, texture_codes
from refdet.proposals.region_grouping import Weights, check_weights, group_regions_kernel

ORDERS = ("random", "hierarchy")


@dataclass(frozen=True)
class Strategies:
    """What is varied: every colour space with every k and every set of similarities is one hierarchy."""

    colour_spaces: tuple[str, ...]  # names in COLOUR_SPACES
    similarities: tuple[Weights, ...]  # weights of colour, texture, size, fill
    scales: tuple[int, ...]  # k of the segmentation, and its least size
    sigma: float = 0.8  # smoothing before the segmentation

    def __post_init__(self) -> None:
        """Refuse what would give no hierarchy, and what no hierarchy can be made of."""
        for name in ("colour_spaces", "similarities", "scales"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not values:
                raise ValueError(f"Strategies: {name} must be a tuple, and not empty, got {values!r}")
        for colour_space in self.colour_spaces:
            check_choice("Strategies", "colour_spaces", colour_space, tuple(COLOUR_SPACES))
        for weights in self.similarities:
            check_weights("Strategies", "each of similarities", weights)
        for k in self.scales:
            if as_index(k) is None or k < 0:
                raise ValueError(f"Strategies: scales must be integers of at least 0, got {k!r}")
        check_number("Strategies", "sigma", self.sigma, low=0)


ALL: Weights = (1.0, 1.0, 1.0, 1.0)
TEXTURE_SIZE_FILL: Weights = (0.0, 1.0, 1.0, 1.0)
FILL: Weights = (0.0, 0.0, 0.0, 1.0)
SIZE: Weights = (0.0, 0.0, 1.0, 0.0)
FAST = Strategies(("hsv", "lab"), (ALL, TEXTURE_SIZE_FILL), (50, 100))  # 8 hierarchies
QUALITY = Strategies(  # 80 hierarchies
    ("hsv", "lab", "rgi", "hue", "intensity"), (ALL, TEXTURE_SIZE_FILL, FILL, SIZE), (50, 100, 150, 300)
)


def selective_search(
    image: Array,
    *,
    rng: np.random.Generator | None,
    strategies: Strategies = FAST,
    order: str = "random",
    width: int | None = 500,
    min_side: float = 20.0,
) -> Array:
    """Propose boxes that may hold an object.

    Args:
        image: (H, W, 3), red, green, blue; or (H, W), grey. uint8, or float32 or float64 in [0, 1].
        rng: the generator that `order="random"` draws from; None for `order="hierarchy"`.
        strategies: FAST, QUALITY, or others.
        order: "random" or "hierarchy" (see the module).
        width: to which the picture is resized first; None to leave it.
        min_side: the shortest side a box may have, in pixels of the resized picture.

    Returns:
        Boxes (R, 4), float64, xyxy in pixels of `image`, in that order; the first 2000 are as many as R-CNN takes. None
        at all where the picture has no pixels or no region is large enough.

    A constant picture is one region:

    >>> selective_search(np.zeros((30, 40, 3), np.uint8), rng=None, order="hierarchy", width=None)
    array([[ 0.,  0., 40., 30.]])
    """
    rgb = rgb_intensities("selective_search", image)
    check_choice("selective_search", "order", order, ORDERS)
    if not (isinstance(rng, np.random.Generator) if order == "random" else rng is None):
        raise TypeError(
            "selective_search: rng must be a numpy.random.Generator for order='random' and None for "
            f"order='hierarchy', got {type(rng).__name__} for order={order!r}"
        )
    if not isinstance(strategies, Strategies):
        raise TypeError(f"selective_search: strategies must be Strategies, got {type(strategies).__name__}")
    min_side = check_number("selective_search", "min_side", min_side, low=0)
    if width is not None and (as_index(width) is None or width < 1):
        raise ValueError(f"selective_search: width must be None or an integer of at least 1, got {width!r}")
    if rgb.size == 0:
        return np.zeros((0, 4))
    resized = rgb if width is None else _resized(rgb, width)
    groups = list(_boxes_with_positions(resized, strategies))
    boxes = np.concatenate([boxes for boxes, _ in groups])
    priority = np.concatenate([positions for _, positions in groups]).astype(np.float64)
    if rng is not None:
        priority *= rng.random(len(priority))
    boxes = boxes[np.argsort(priority, kind="stable")]
    boxes = _without_repetitions(boxes[((boxes[:, 2:] - boxes[:, :2]) >= min_side).all(axis=1)])
    (H, W), (resized_H, resized_W) = rgb.shape[:2], resized.shape[:2]
    return boxes * [W, H, W, H] / [resized_W, resized_H, resized_W, resized_H]


def _boxes_with_positions(rgb: Array, strategies: Strategies) -> Iterator[tuple[Array, Array]]:
    """Yield boxes and their positions in the hierarchy, hierarchy by hierarchy."""
    size = rgb.shape[:2]
    edges = pixel_edges(size, neighbours=8)
    for colour_space in strategies.colour_spaces:
        field = np.floor(COLOUR_SPACES[colour_space](rgb) + 0.5)
        distances = colour_distances(smooth(field, strategies.sigma), edges)
        ascending = np.argsort(distances, kind="stable")  # once for every k, which then finds them sorted
        graph = distances[ascending], edges.take(ascending, axis=0)
        codes = colour_codes(field), texture_codes(field)
        for k in strategies.scales:
            labels = merge_graph_kernel(*graph, n_vertices=math.prod(size), k=k, min_size=k, comparison="<=")
            labels = labels.reshape(size)
            regions = region_features(labels, *codes)
            n = len(regions.sizes)
            for weights in strategies.similarities:
                _, boxes = group_regions_kernel(*regions, weights=weights, image_area=math.prod(size))
                yield boxes[n:], np.arange(len(boxes) - n, 0, -1)
            yield regions.boxes, np.full(n, n)  # a picture hangs together: n − 1 merges


def _resized(rgb: Array, width: int) -> Array:
    """Return the picture at that width, the height in proportion, at least 1."""
    H, W = rgb.shape[:2]
    if width == W:
        return rgb
    height = max(1, math.floor(H * width / W + 0.5))
    shrink = W / width
    source = smooth(rgb, (shrink - 1) / 2) if shrink > 1 else rgb
    planes = np.ascontiguousarray(np.moveaxis(source, 2, 0)[None])
    resized: Array = np.moveaxis(resize_bilinear(planes, (height, width)).data[0], 0, 2)
    return resized


def _without_repetitions(boxes: Array) -> Array:
    """Return the rows that have not been there before, in their order."""
    _, first = np.unique(boxes, axis=0, return_index=True)
    return boxes[np.sort(first)]
