"""The features of regions, of one map or of a pyramid: each region from the map that suits its size.

    one map     the region's crop of it
    a pyramid   the region's crop of map k = ⌊4 + log2(√(w h) / 224)⌋, kept among the maps there are

Lin et al., "Feature Pyramid Networks" (2017), eq. 1, where map 4 has stride 16; the rule is
`refdet.features.backbones.fpn_levels`. Crops are `roi_align` (He et al., 2017) or `roi_pool` (Girshick, 2015).

Conventions: regions are in pixels of the batch, and a map has scale 1 / stride (torchvision estimates the power of two
from the size of the largest picture, which comes to the same where it can). Rows keep the order of the regions. Regions
receive no gradient. With `context` a crop shows more than its region: as R-CNN's windows do (Girshick et al., 2014,
appendix A), it is grown about the centre, and then lies in the map that suits the region.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_choice
from refdet.features.backbones.fpn_levels import fpn_level
from refdet.ops.roi_align import roi_align
from refdet.ops.roi_pool import roi_pool
from refdet.ops.shaping import concat

CROPS = ("align", "pool")


@dataclass(frozen=True)
class CropSettings:
    """How a region becomes a crop.

    Attributes:
        crop: "align" or "pool".
        sampling_ratio: of `roi_align`.
        aligned: of `roi_align`.
        level_convention: of `fpn_level`: where the small number stands that keeps rounding out.
        canonical_side: of a region that is cropped from the map of stride 16, in pixels.
    """

    crop: str = "align"
    sampling_ratio: int = 2
    aligned: bool = False
    level_convention: str = "torchvision"
    canonical_side: float = 224.0

    def __post_init__(self) -> None:
        check_choice("CropSettings", "crop", self.crop, CROPS)


def as_rois(boxes: Sequence[Array]) -> Array:
    """Return rows (picture, x1, y1, x2, y2) from the boxes (R_n, 4) of every picture n.

    >>> as_rois([np.zeros((0, 4)), np.array([[1.0, 2, 3, 4]])])
    array([[1., 1., 2., 3., 4.]])
    """
    rows = [np.concatenate([np.full((len(b), 1), n, b.dtype), b], axis=1) for n, b in enumerate(boxes)]
    return np.concatenate(rows)


def grown(boxes: Array, factor: float) -> Array:
    """Return boxes (R, 4) with the same centres, and sides that are `factor` times as long.

    >>> grown(np.array([[4.0, 2, 8, 10]]), 1.5)
    array([[ 3.,  0.,  9., 12.]])
    """
    if factor == 1:
        return boxes
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, factor * (boxes[:, 2:] - boxes[:, :2])
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype(boxes.dtype, copy=False)


def check_strides(op: str, strides: Sequence[int]) -> None:
    """Refuse strides that do not double from map to map, from a power of 2 on: `fpn_level` counts in powers of 2."""
    if any(after != 2 * before for before, after in pairwise(strides)):
        raise ValueError(f"{op}: strides of the backbone must double from map to map, got {tuple(strides)}")
    if len(strides) > 1 and math.frexp(strides[0])[0] != 0.5:
        raise ValueError(f"{op}: several strides of a backbone must be powers of 2, got {tuple(strides)}")


def region_features(
    maps: Sequence[Tensor],
    strides: Sequence[int],
    rois: Array,
    side: int,
    settings: CropSettings,
    *,
    context: float = 1.0,
) -> Tensor:
    """Crop every region (R, 5), its sides `context` times as long, from the map that suits it: (R, C, side, side)."""
    regions = rois.astype(maps[0].dtype)
    rois = np.concatenate([regions[:, :1], grown(regions[:, 1:], context)], axis=1)
    if len(maps) == 1:
        return _crops(maps[0], rois, strides[0], side, settings)
    level = _levels(regions[:, 1:], strides, settings)
    order, parts = [], []
    for i, (x, stride) in enumerate(zip(maps, strides, strict=True)):
        chosen = np.flatnonzero(level == i)
        if len(chosen):
            order.append(chosen)
            parts.append(_crops(x, rois[chosen], stride, side, settings))
    if not parts:
        return _crops(maps[0], rois, strides[0], side, settings)
    return concat(parts, axis=0)[np.argsort(np.concatenate(order))]


def _levels(boxes: Array, strides: Sequence[int], settings: CropSettings) -> Array:
    """Return the position in `strides` of the map that each box is cropped from."""
    first, last = (round(math.log2(stride)) for stride in (strides[0], strides[-1]))
    k = fpn_level(
        boxes, levels=(first, last), canonical_side=settings.canonical_side, convention=settings.level_convention
    )
    return k - first


def _crops(x: Tensor, rois: Array, stride: int, side: int, settings: CropSettings) -> Tensor:
    """Crop regions of one map."""
    if settings.crop == "pool":
        return roi_pool(x, rois, side, scale=1 / stride)[0]
    return roi_align(x, rois, side, scale=1 / stride, sampling_ratio=settings.sampling_ratio, aligned=settings.aligned)
