"""Deviations of RoI pooling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.region_wrapping import Change, Kernels, Params, forward_of_changed, rows_first, slices_between, where_asked
from refdet.core.check import Array
from refdet.ops.roi_pool import RoiPoolResidual, round_half_away
from refdet.verify.deviation import Body, Deviation

LOWEST = float(np.finfo(np.float32).min)


def _roi_pool(change: Change) -> Kernels:
    """Wrap the forward pass alone: the other follows its switches."""
    return {"roi_pool.forward": forward_of_changed(change)}


def _rounded_by(rounding: Callable[[Array], Array]) -> Change:
    """Round the corners of the map before RoI pooling does."""

    def change(rois: Array, params: Params) -> tuple[Array, Params]:
        corners = rounding(rois[:, 1:] * params["scale"]) / params["scale"]
        return np.concatenate([rois[:, :1], corners], axis=1), params

    return change


def _without_last_pixel(rois: Array, params: Params) -> tuple[Array, Params]:
    ends = (round_half_away(rois[:, 3:] * params["scale"]) - 1) / params["scale"]
    return np.concatenate([rois[:, :3], ends], axis=1), params


def _pool_between(bounds: Callable[[Array, int, int, int], tuple[Array, Array]]) -> Kernels:
    """Pool bins from first to last of `bounds(p, start, extent, n_bins)`."""

    def wrap(body: Body) -> Body:
        def forward(x: Array, rois: Array, **params: Any) -> Any:
            (y, switches), residual = body(x, rois, **params)
            y, switches = np.zeros_like(y), np.full_like(switches, -1)
            corners = round_half_away(rois[:, 1:] * params["scale"]).astype(np.int64)
            for r, (x1, y1, x2, y2) in enumerate(corners.tolist()):
                plane = x[int(rois[r, 0])]
                rows = slices_between(bounds, y1, max(y2 - y1 + 1, 1), params["output_size"][0], x.shape[2])
                columns = slices_between(bounds, x1, max(x2 - x1 + 1, 1), params["output_size"][1], x.shape[3])
                _write_largest(plane, rows, columns, y[r], switches[r])
            return (y, switches), residual and RoiPoolResidual(x, rois, switches)

        return forward

    return {"roi_pool.forward": wrap}


def _write_largest(planes: Array, rows: list[slice], columns: list[slice], y: Array, switches: Array) -> None:
    """Write the largest pixel of every bin of planes (…, H, W), and where it is; leave bins without pixels alone."""
    W = planes.shape[-1]
    for p, q in np.ndindex(len(rows), len(columns)):
        pixels = planes[..., rows[p], columns[q]]
        h, w = pixels.shape[-2:]
        if h * w:
            flat = pixels.reshape(*planes.shape[:-2], h * w)
            winner = np.argmax(flat, axis=-1)
            y[..., p, q] = np.max(flat, axis=-1)
            switches[..., p, q] = (rows[p].start + winner // w) * W + columns[q].start + winner % w


def _float64_bounds(p: Array, start: int, extent: int, n_bins: int) -> tuple[Array, Array]:
    step = extent / n_bins
    return start + np.floor(p * step).astype(np.int64), start + np.ceil((p + 1) * step).astype(np.int64)


def _disjoint_bounds(p: Array, start: int, extent: int, n_bins: int) -> tuple[Array, Array]:
    first, stop = start + p * extent // n_bins, start + (p + 1) * extent // n_bins
    return first, np.maximum(stop, first + 1)


def _from_lowest(body: Body) -> Body:
    """Start each maximum from the lowest number, which no NaN and no −∞ replaces."""

    def forward(x: Array, rois: Array, **params: Any) -> Any:
        numbers = np.where(np.isnan(x) | np.isneginf(x), LOWEST, x).astype(x.dtype)
        (y, switches), residual = body(numbers, rois, **params)
        switches = np.where((switches >= 0) & (y <= LOWEST), -1, switches)
        return (y, switches), residual and residual._replace(x=x, switches=switches)

    return forward


DEVIATIONS = [
    Deviation(
        "roipool.order=yx",
        "reads regions as (image, y1, x1, y2, x2)",
        "Rows and columns are exchanged: crops come from elsewhere, unless a region lies on the diagonal.",
        (
            "chainercv, whose boxes are (y_min, x_min, y_max, x_max)",
            "TensorFlow, whose boxes are (y1, x1, y2, x2)",
        ),
        "Read x before y.",
        _roi_pool(rows_first),
    ),
    Deviation(
        "roipool.round=half_even",
        "rounds corners that lie halfway between pixels to the even one",
        "A corner at 0.5, 2.5, 4.5 … of the map ends up one pixel too low.",
        (
            "chainer, chainer/functions/pooling/roi_pooling_2d.py, forward_cpu under Python 3: round",
            "torchvision, test/test_ops.py, the expected_fn of RoIPool: Python's round",
        ),
        "Round halves away from zero: floor(v + 0.5) for v ≥ 0, as C's round does.",
        _roi_pool(_rounded_by(np.rint)),
    ),
    Deviation(
        "roipool.round=truncate",
        "cuts off the fractions of corners instead of rounding",
        "Corners lie up to a pixel of the map too far left and up.",
        ("keras-frcnn, keras_frcnn/RoiPoolingConv.py, its TensorFlow branch: x, y, w and h are each cast to int32",),
        "Round scaled corners to the nearest pixel, halves away from zero.",
        _roi_pool(_rounded_by(np.trunc)),
    ),
    Deviation(
        "roipool.end=exclusive",
        "leaves out the last row and column of a region",
        "A region has max(X2 − X1, 1) columns instead of max(X2 − X1 + 1, 1).",
        ("keras-frcnn, keras_frcnn/RoiPoolingConv.py: img[:, :, y1:y2, x1:x2]",),
        "Count both rounded corners as belonging to the region: X2 − X1 + 1 columns.",
        _roi_pool(_without_last_pixel),
    ),
    Deviation(
        "roipool.bins=float32",
        "computes the bounds of bins in float32, where exact ones were asked",
        "Where p · (h/PH) rounds up, a bin has a row too many: the last of 7 bins of 57 rows ends at 58.",
        (
            "Fast R-CNN, caffe-fast-rcnn/src/caffe/layers/roi_pooling_layer.cpp",
            "torchvision, torchvision/csrc/ops/cpu/roi_pool_kernel.cpp",
        ),
        "Compute bounds with integers: p·h // PH, and −(−(p + 1)·h // PH).",
        _roi_pool(where_asked("convention", "exact", "float32-bins")),
    ),
    Deviation(
        "roipool.bins=float64",
        "computes the bounds of bins in float64, whatever was asked",
        "Where p · (h/PH) rounds up, a bin has a row too many: the last of 7 bins of 29 rows ends at 30, and that of "
        "57 rows at 57, where float32 has 58. The parameter `convention` is not read.",
        ("chainer, chainer/functions/pooling/roi_pooling_2d.py, forward_cpu",),
        "Compute bounds with integers: p·h // PH, and −(−(p + 1)·h // PH).",
        _pool_between(_float64_bounds),
    ),
    Deviation(
        "roipool.bins=exact",
        "computes the bounds of bins exactly, where those of float32 kernels were asked",
        "The last of 7 bins of 57 rows ends at 57, not at 58.",
        ("refdet's own default, and ports on torch.nn.AdaptiveMaxPool2d or other integer division",),
        "Multiply p by the float32 quotient h / PH, and round the product to float32 before floor and ceil.",
        _roi_pool(where_asked("convention", "float32-bins", "exact")),
    ),
    Deviation(
        "roipool.bins=disjoint",
        "lets bins end where the next begins, but have at least one pixel",
        "Bin p takes rows ⌊p·h/PH⌋ ≤ · < ⌊(p + 1)·h/PH⌋, computed exactly whatever was asked, and its first row where "
        "that is none. Where the bins do not divide the region, a bin lacks its last row or column.",
        (
            "keras-frcnn, keras_frcnn/RoiPoolingConv.py, its Theano branch: both bounds are cast to int32, "
            "K.maximum(1, …)",
        ),
        "End a bin at ⌈(p + 1)·h/PH⌉, not at ⌊(p + 1)·h/PH⌋.",
        _pool_between(_disjoint_bounds),
    ),
    Deviation(
        "roipool.nan=ignored",
        "starts the maximum from the lowest float, so that NaN and −∞ never win",
        "A NaN disappears; a bin of NaN and −∞ alone is −3.4e38, without a switch and without a gradient.",
        (
            "Fast R-CNN, caffe-fast-rcnn/src/caffe/layers/roi_pooling_layer.cpp: -FLT_MAX",
            "torchvision, torchvision/csrc/ops/cpu/roi_pool_kernel.cpp: -FLT_MAX",
        ),
        "Start from the first pixel of the bin, and let a NaN win.",
        {"roi_pool.forward": _from_lowest},
    ),
]
