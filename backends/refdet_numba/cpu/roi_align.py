"""RoIAlign: the mean by `roi_align_mean`, the largest by `roi_align_largest`."""

from __future__ import annotations

from refdet.core.check import Array
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Pair
from refdet.ops.roi_align import RoiAlignResidual
from refdet.ops.roi_sampling import Sampling
from refdet_numba.cpu.regions import region_numbers
from refdet_numba.cpu.roi_align_largest import largest_crops, largest_crops_adjoint
from refdet_numba.cpu.roi_align_mean import mean_crops, mean_crops_adjoint
from refdet_numba.cpu.roi_align_weights import bin_weights


def forward(
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
    """Return y and the residual, as the reference does."""
    images, boxes = region_numbers("roi_align", rois, x.shape[0])
    sampling = Sampling(output_size, scale, sampling_ratio, aligned)
    winners = None
    if reduction == "max":
        y, winners = largest_crops(x, images, boxes, sampling, border)
    else:
        y = mean_crops(x, images, *bin_weights(boxes, x.shape[2:], sampling, border, x.dtype.newbyteorder("=")))
    return y, RoiAlignResidual(x, rois, winners) if keep_residual else None


def backward(
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
    """Return dx: every dy times the weight with which a pixel was read, region by region."""
    if not needs[0]:
        return None, None
    x, rois, winners = residual
    images, boxes = region_numbers("roi_align", rois, x.shape[0])
    sampling = Sampling(output_size, scale, sampling_ratio, aligned)
    if winners is not None:
        return largest_crops_adjoint(dy, winners, images, boxes, sampling, border, x.shape), None
    rows, columns = bin_weights(boxes, x.shape[2:], sampling, border, dy.dtype.newbyteorder("="))
    return mean_crops_adjoint(dy, images, rows, columns, x.shape), None
