"""RoI pooling: the largest feature in each of a fixed number of bins, whatever the size of the region.

    (X1, Y1, X2, Y2) = round(scale · (x1, y1, x2, y2)),     h = max(Y2 − Y1 + 1, 1),     w = max(X2 − X1 + 1, 1)
    y[r, c, p, q] = max of x[n, c, ·, ·] over rows Y1 + ⌊p·h/PH⌋ ≤ · < Y1 + ⌈(p + 1)·h/PH⌉, and columns likewise
    switch[r, c, p, q] = row · W + column of that pixel

for row r = (n, x1, y1, x2, y2) of the RoIs. Girshick, "Fast R-CNN" (2015), §2.1; deck 001, "Cropping Features: RoI
Pool", which snaps the box to the grid and divides it into a "grid of (roughly) equal subregions".

Conventions, those of the authors' Caffe layer (`roi_pooling_layer.cpp`) and of torchvision unless said otherwise:

- A corner halfway between two pixels is rounded away from 0: ½ → 1, 2½ → 3, −½ → −1. Both corners belong to the
  region: a box without area has one pixel, and one with x2 < x1 or y2 < y1 is one pixel wide or high, at its first
  corner.
- Bins are clipped to the map. One without a pixel is 0 with switch −1 and no gradient: so is all of a region outside.
- Of equal pixels the first in row-major order wins and takes the whole gradient.
- A NaN wins, the first one of its bin, as in `max_pool2d`; a bin of −∞ alone is −∞, with the switch of its first pixel.
  Both kernels start from the lowest finite number instead, which no NaN and no −∞ replaces.
- Coordinates are multiplied by `scale` in float64, and bounds of bins are exact integers. In kernels both are float32,
  and a bound is p · (h/PH): the last of 7 bins of 57 rows ends at 58. `convention="float32-bins"` does the same.
- A pixel that wins several bins adds up their gradients, in row-major order of y and in the dtype of x.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import (
    Array,
    check_choice,
    check_gradient,
    check_integer,
    check_number,
    check_rank,
    check_shape,
    integers,
)
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Pair, pair
from refdet.core.kernel import kernel
from refdet.ops.bins import CONVENTIONS, bin_slices, largest_in_bins
from refdet.ops.pooling import read_only
from refdet.ops.rois import check_roi_shapes, checked_rois, crop_shape


class RoiPoolResidual(NamedTuple):
    x: Array
    rois: Array
    switches: Array  # of the shape of y


def _check(x: Array, rois: Array, *, output_size: Pair, scale: float, convention: str, keep_residual: bool) -> None:
    check_roi_shapes("roi_pool", x, rois)
    integers("roi_pool", "output_size", output_size, count=2, low=1)
    check_number("roi_pool", "scale", scale, low=0, open_low=True)
    check_choice("roi_pool", "convention", convention, CONVENTIONS)


def _check_backward(
    residual: RoiPoolResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool],
    output_size: Pair,
    scale: float,
    convention: str,
) -> None:
    shape = crop_shape(residual.x, residual.rois, output_size)
    check_gradient("roi_pool", dy, shape, residual.x)
    check_integer("roi_pool", switches=residual.switches)
    check_shape("roi_pool", "switches", residual.switches, shape, "one per bin")


@kernel("roi_pool.forward", check=_check)
def roi_pool_forward(
    x: Array, rois: Array, *, output_size: Pair, scale: float, convention: str, keep_residual: bool
) -> tuple[tuple[Array, Array], RoiPoolResidual | None]:
    """Return y and switches, both (R, C, PH, PW); rois are finite and name images of x."""
    H, W = x.shape[2:]
    PH, PW = output_size
    y = np.zeros(crop_shape(x, rois, output_size), np.result_type(x))
    switches = np.full(y.shape, -1, np.int64)
    images = rois[:, 0].astype(np.int64)
    precision = "float64" if convention == "exact" else "float32"
    corners = round_half_away(rois[:, 1:].astype(precision) * np.asarray(scale, precision)).astype(np.int64)
    for r, (n, (x1, y1, x2, y2)) in enumerate(zip(images, corners.tolist(), strict=True)):
        rows = bin_slices(y1, max(y2 - y1 + 1, 1), PH, H, convention=convention)
        columns = bin_slices(x1, max(x2 - x1 + 1, 1), PW, W, convention=convention)
        y[r], switches[r] = largest_in_bins(x[n], rows, columns, empty=0.0)
    return (y, switches), RoiPoolResidual(x, rois, switches) if keep_residual else None


def round_half_away(v: Array) -> Array:
    """Round to the nearest whole number, halves away from 0 (NumPy rounds them to the even neighbour).

    >>> round_half_away(np.array([0.5, 2.5, -0.5, 0.49999999999999994]))
    array([ 1.,  3., -1.,  0.])
    """
    whole = np.trunc(v)
    away: Array = whole + np.where(np.abs(v - whole) >= 0.5, np.copysign(1.0, v), 0.0)  # v − whole is exact
    return away


@kernel("roi_pool.backward", check=_check_backward)
def roi_pool_backward(
    residual: RoiPoolResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool],
    output_size: Pair,
    scale: float,
    convention: str,
) -> Gradients:
    """Every dy goes to the pixel that won its bin; the regions receive nothing."""
    if not needs[0]:
        return None, None
    x, rois, switches = residual
    C, H, W = x.shape[1:]
    dx = np.zeros(x.shape, np.result_type(dy))
    plane_starts = np.arange(C).reshape(C, 1, 1) * (H * W)
    for n, dy_crop, switch in zip(rois[:, 0].astype(np.int64), dy, switches, strict=True):
        kept = switch >= 0
        np.add.at(dx[n].reshape(-1), (plane_starts + switch)[kept], dy_crop[kept])
    return dx, None


_roi_pool = differentiable(roi_pool_forward, roi_pool_backward)


def roi_pool(
    x: Tensor | Array,
    rois: Tensor | Array,
    output_size: int | Pair,
    *,
    scale: float = 1.0,
    convention: str = "exact",
) -> tuple[Tensor, Array]:
    """Crop every region to a fixed number of bins, and take the largest feature of each.

    Args:
        x: (N, C, H, W), float32 or float64.
        rois: (R, 5) of the same dtype, rows (image, x1, y1, x2, y2) in image coordinates; the image is a whole number
            in [0, N). Regions receive no gradient.
        output_size: number of bins, int or (vertical, horizontal): 7 for VGG16, 2 in deck 001.
        scale: size of the map over that of the image, such as 1/16.
        convention: "exact", or "float32-bins" for the bounds that kernels in float32 compute (see the module).

    Returns:
        y, (R, C, PH, PW), and the switches, int64 of the same shape, read-only: h·W + w of each maximum in its plane
        of x, −1 in an empty bin.

    Rows 0 … 2 and columns 1 … 2 of 0 … 11, in 2 × 1 bins that share row 1:

    >>> y, switches = roi_pool(np.arange(12.0).reshape(1, 1, 3, 4), np.array([[0.0, 1, 0, 2, 2]]), (2, 1))
    >>> y.data[0, 0, :, 0], switches[0, 0, :, 0]
    (array([ 6., 10.]), array([ 6, 10]))
    """
    x = as_tensor("roi_pool", "x", x)
    check_rank("roi_pool", "x", x.data, "N, C, H, W")
    size = pair("roi_pool", "output_size", output_size, low=1)
    factor = check_number("roi_pool", "scale", scale, low=0, open_low=True)
    regions = checked_rois("roi_pool", rois, n_images=x.shape[0], scale=factor)
    y, *extras = _roi_pool.with_extras(x, regions, output_size=size, scale=factor, convention=convention)
    return y, read_only(extras[0])
