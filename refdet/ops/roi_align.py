"""RoIAlign: features at regularly spaced points of a region, which is never rounded to the grid.

The feature at a point (x, y) between pixels (x_i, y_j) is, in deck 001, "Cropping Features: RoI Align",

    f_xy = Σ_ij f_ij · max(0, 1 − |x − x_i|) · max(0, 1 − |y − y_j|),     f_{6.5, 5.8} = 0.1 f_{6,5} + 0.1 f_{7,5} + …

and y[r, c, p, q] is the mean, or the largest, of the features at the points of bin (p, q) of region r; where they are,
and what lies around the map, is in `refdet.ops.roi_sampling`. He, Gkioxari, Dollár & Girshick, "Mask R-CNN" (2017), §3.

The points of a bin form a grid, and weights are products. So the mean is a weighting of pixels

    y[r, c, p, q] = Σ_h Σ_w A[p, h] · B[q, w] · x[n, c, h, w]
    dx[n, c, h, w] = Σ_r Σ_p Σ_q A[p, h] · B[q, w] · dy[r, c, p, q]

where A[p, h] is the mean weight of row h at the points of bin p, and B[q, w] that of column w. It is computed so.

Conventions:

- A bin without points is 0. A point too far out is 0 too, and counts: in the mean, and as a candidate for the largest.
- Of equal points the first in row-major order of the bin wins, of several NaN the first, and all of its gradient goes
  to the four pixels around that point. (ONNX's mode "max" takes the largest of weighted pixels instead.)
- Weights are computed in float64 and rounded once to the dtype of x, in which the sums accumulate. A pixel adds up its
  gradients region by region in the order of `rois`; within one, by row of bins for the mean (the bins of a row first),
  and by tap for the largest: upper left, upper right, lower left, lower right.
- A pixel next to a point is read whatever its weight, and 0 · NaN is NaN, as in other kernels. An infinite pixel that
  a bin meets with weight 0 and again with more is ±∞ in the mean, where adding point by point gives NaN. A point too
  far out reads nothing; on torchvision's CPU it reads pixel (0, 0) with weight 0, so that a NaN there reaches it.
- Regions receive no gradient. The equation has one with respect to them, which no detector uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_choice, check_gradient, check_integer, check_rank, check_shape
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Pair
from refdet.core.kernel import kernel
from refdet.ops.roi_sampling import (
    BORDERS,
    BinWeights,
    PointTaps,
    Sampling,
    bin_weights,
    check_number_of_points,
    check_sampling,
    point_taps,
    sampling_from,
)
from refdet.ops.rois import check_roi_shapes, checked_rois, crop_shape

REDUCTIONS = ("mean", "max")


class RoiAlignResidual(NamedTuple):
    x: Array
    rois: Array
    winners: Array | None  # of the shape of y: i · g_w + j of the largest point, −1 without points; None for the mean


def _check(
    x: Array,
    rois: Array,
    *,
    output_size: Pair,
    scale: float,
    sampling_ratio: int,
    aligned: bool,
    border: str,
    reduction: str,
    keep_residual: bool,
) -> None:
    check_roi_shapes("roi_align", x, rois)
    check_sampling("roi_align", Sampling(output_size, scale, sampling_ratio, aligned))
    check_choice("roi_align", "border", border, BORDERS)
    check_choice("roi_align", "reduction", reduction, REDUCTIONS)


def _check_backward(
    residual: RoiAlignResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool],
    output_size: Pair,
    scale: float,
    sampling_ratio: int,
    aligned: bool,
    border: str,
    reduction: str,
) -> None:
    shape = crop_shape(residual.x, residual.rois, output_size)
    check_gradient("roi_align", dy, shape, residual.x)
    if residual.winners is not None:
        check_integer("roi_align", winners=residual.winners)
        check_shape("roi_align", "winners", residual.winners, shape, "one per bin")


@kernel("roi_align.forward", check=_check)
def roi_align_forward(
    x: Array,
    rois: Array,
    *,
    output_size: Pair,
    scale: float,
    sampling_ratio: int,
    aligned: bool,
    border: str,
    reduction: str,
    keep_residual: bool,
) -> tuple[Array, RoiAlignResidual | None]:
    """Return y (R, C, PH, PW); rois are finite, name images of x, and are not too large to sample."""
    sampling = Sampling(output_size, scale, sampling_ratio, aligned)
    y = np.zeros(crop_shape(x, rois, output_size), np.result_type(x))
    winners = np.full(y.shape, -1, np.int64) if reduction == "max" else None
    with np.errstate(invalid="ignore"):  # 0 · ∞, ∞ − ∞
        for r, (n, *box) in enumerate(rois.tolist()):
            image, rows, columns = x[int(n)], *_taps(box, x.shape[2:], sampling, border)
            if winners is None:
                y[r] = _mean(image, bin_weights(rows, y.dtype), bin_weights(columns, y.dtype))
            else:
                _write_largest(image, rows, columns, y[r], winners[r])
    return y, RoiAlignResidual(x, rois, winners) if keep_residual else None


def _taps(box: Sequence[float], size: Pair, sampling: Sampling, border: str) -> tuple[PointTaps, PointTaps]:
    """Return what the rows and the columns of points of a box read of a map of `size`."""
    y, x = sampling.points(box)
    return point_taps(y, size[0], border=border), point_taps(x, size[1], border=border)


def _mean(image: Array, rows: list[BinWeights], columns: list[BinWeights]) -> Array:
    """Return A · image · Bᵀ (C, PH, PW), without reading what a bin does not."""
    bands = np.stack([np.einsum("chw,h->cw", image[:, a.pixels], a.weights) for a in rows], axis=1)  # (C, PH, W)
    return np.stack([np.einsum("cpw,w->cp", bands[:, :, b.pixels], b.weights) for b in columns], axis=2)


def _write_largest(image: Array, rows: PointTaps, columns: PointTaps, y: Array, winners: Array) -> None:
    """Write the largest feature of each bin into y (C, PH, PW), and the number of its point into winners."""
    C, H, W = image.shape
    if H * W == 0:
        image = np.zeros((C, max(H, 1), max(W, 1)), image.dtype)  # something to index that is not read
    g_h, g_w = rows.pixels.shape[1], columns.pixels.shape[1]
    for i, j in np.ndindex(g_h, g_w):
        value = np.zeros_like(y)  # (C, PH, PW): point (i, j) of every bin
        for k, l in np.ndindex(2, 2):
            pixels = image[:, rows.pixels[:, i, k, None], columns.pixels[:, j, l]]
            weights = (rows.weights[:, i, k, None] * columns.weights[:, j, l]).astype(y.dtype)
            exist = rows.exist[:, i, k, None] & columns.exist[:, j, l]
            value += np.where(exist, pixels * weights, 0)
        wins = (value > y) | (winners < 0) | (np.isnan(value) & ~np.isnan(y))
        np.copyto(y, value, where=wins)
        np.copyto(winners, i * g_w + j, where=wins)


@kernel("roi_align.backward", check=_check_backward)
def roi_align_backward(
    residual: RoiAlignResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool],
    output_size: Pair,
    scale: float,
    sampling_ratio: int,
    aligned: bool,
    border: str,
    reduction: str,
) -> Gradients:
    """Every pixel receives dy times the weight with which it was read; the regions receive nothing."""
    if not needs[0]:
        return None, None
    x, rois, winners = residual
    sampling = Sampling(output_size, scale, sampling_ratio, aligned)
    dx = np.zeros(x.shape, np.result_type(dy))
    with np.errstate(invalid="ignore"):  # as above
        for r, (n, *box) in enumerate(rois.tolist()):
            dimage, rows, columns = dx[int(n)], *_taps(box, x.shape[2:], sampling, border)
            if winners is None:
                _add_mean_adjoint(dy[r], bin_weights(rows, dx.dtype), bin_weights(columns, dx.dtype), dimage)
            else:
                _add_to_winners(dy[r], rows, columns, winners[r], dimage)
    return dx, None


def _add_mean_adjoint(dy: Array, rows: list[BinWeights], columns: list[BinWeights], dimage: Array) -> None:
    """Add Aᵀ · dy · B to the gradient (C, H, W) of an image."""
    dbands = np.zeros((*dy.shape[:2], dimage.shape[2]), dimage.dtype)  # (C, PH, W)
    for q, b in enumerate(columns):
        dbands[:, :, b.pixels] += dy[:, :, q, None] * b.weights  # a bin names no pixel twice
    for p, a in enumerate(rows):
        dimage[:, a.pixels] += dbands[:, p, None] * a.weights[:, None]


def _add_to_winners(dy: Array, rows: PointTaps, columns: PointTaps, winners: Array, dimage: Array) -> None:
    """Add dy to the four pixels around the point that won each bin."""
    H, W = dimage.shape[1:]
    c, p, q = np.nonzero(winners >= 0)
    i, j = np.divmod(winners[c, p, q], columns.pixels.shape[1])
    for k, l in np.ndindex(2, 2):
        exist = rows.exist[p, i, k] & columns.exist[q, j, l]
        pixels = (c * H + rows.pixels[p, i, k]) * W + columns.pixels[q, j, l]
        weights = (rows.weights[p, i, k] * columns.weights[q, j, l]).astype(dimage.dtype)
        np.add.at(dimage.reshape(-1), pixels[exist], (dy[c, p, q] * weights)[exist])


_roi_align = differentiable(roi_align_forward, roi_align_backward)


def roi_align(
    x: Tensor | Array,
    rois: Tensor | Array,
    output_size: int | Pair,
    *,
    scale: float = 1.0,
    sampling_ratio: int = 2,
    aligned: bool = True,
    border: str = "kernel",
    reduction: str = "mean",
) -> Tensor:
    """Crop every region to a fixed number of bins, and interpolate features in each.

    Args:
        x: (N, C, H, W), float32 or float64.
        rois: (R, 5) of the same dtype, rows (image, x1, y1, x2, y2) in image coordinates; the image is a whole number
            in [0, N). Regions receive no gradient.
        output_size: number of bins, int or (vertical, horizontal).
        scale: size of the map over that of the image, such as 1/16.
        sampling_ratio: points of a bin along each axis, at most 4096; the default 2 gives Mask R-CNN's four. 0 is
            adaptive, about a point per pixel, and refuses a region that takes more.
        aligned: pixel centres are at halves (True), or at whole numbers (False).
        border: "kernel" or "zero_decay": what lies around the map.
        reduction: "mean" or "max" of the interpolated features of a bin.

    Returns:
        (R, C, PH, PW).

    Deck 001's point x = 6.5, y = 5.8 as the middle of a region, among 1 … 100 in rows of ten:

    >>> x, roi = np.arange(1.0, 101.0).reshape(1, 1, 10, 10), np.array([[0, 6, 5.3, 7, 6.3]])
    >>> roi_align(x, roi, 1, sampling_ratio=1, aligned=False).data.round(12)
    array([[[[65.5]]]])
    """
    x = as_tensor("roi_align", "x", x)
    check_rank("roi_align", "x", x.data, "N, C, H, W")
    sampling = sampling_from("roi_align", output_size, scale, sampling_ratio, aligned)
    regions = checked_rois("roi_align", rois, n_images=x.shape[0], scale=sampling.scale)
    check_number_of_points("roi_align", regions.data, sampling)
    return _roi_align(
        x,
        regions,
        output_size=sampling.output_size,
        scale=sampling.scale,
        sampling_ratio=sampling.ratio,
        aligned=sampling.aligned,
        border=border,
        reduction=reduction,
    )
