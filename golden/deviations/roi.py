"""Deviations of cropping features: RoIAlign, RoI pooling, spatial pyramid pooling, SPP-net's windows.

Most of them move a region before it is sampled, and so wrap the forward and the backward pass alike. Regions are moved
in float64, in image coordinates, where half a pixel of the map is ½/scale.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.ops.roi_pool import RoiPoolResidual, round_half_away
from refdet.ops.roi_sampling import Sampling, point_taps
from refdet.ops.spatial_pyramid_pool import SpatialPyramidPoolResidual
from refdet.verify.deviation import Body, Deviation

Params = dict[str, Any]
Change = Callable[[Array, Params], tuple[Array, Params]]  # regions and parameters: as asked → as answered
Kernels = dict[str, Callable[[Body], Body]]
LOWEST = float(np.finfo(np.float32).min)


def _forward(change: Change, *, of_crops: bool) -> Callable[[Body], Body]:
    def wrap(body: Body) -> Body:
        if isinstance(body, Crop) and not of_crops:
            return body

        def forward(x: Array, rois: Array, **params: Any) -> Any:
            moved, changed = change(rois.astype(np.float64), params)
            y, residual = body(x, moved, **changed)
            return y, residual and residual._replace(rois=rois)

        return forward

    return wrap


def _backward(change: Change, *, of_crops: bool) -> Callable[[Body], Body]:
    def wrap(body: Body) -> Body:
        if isinstance(body, Crop) and not of_crops:
            return body

        def backward(residual: Any, dy: Array, *, needs: tuple[bool, ...], **params: Any) -> Any:
            moved, changed = change(residual.rois.astype(np.float64), params)
            return body(residual._replace(rois=moved), dy, needs=needs, **changed)

        return backward

    return wrap


def _roi_align(change: Change, *, of_crops: bool = False) -> Kernels:
    """Wrap both passes; `of_crops`: also where they crop, and read little more than the region."""
    return {
        "roi_align.forward": _forward(change, of_crops=of_crops),
        "roi_align.backward": _backward(change, of_crops=of_crops),
    }


def _roi_pool(change: Change) -> Kernels:
    """Wrap the forward pass alone: the other follows its switches."""
    return {"roi_pool.forward": _forward(change, of_crops=False)}


def _shifted(rois: Array, pixels: float, params: Params) -> Array:
    """Move regions by pixels of the map."""
    moved: Array = rois + np.array([0, 1, 1, 1, 1]) * (pixels / params["scale"])
    return moved


def _no_half_pixel(rois: Array, params: Params) -> tuple[Array, Params]:
    return (_shifted(rois, 0.5, params) if params["aligned"] else rois), params


def _half_pixel(rois: Array, params: Params) -> tuple[Array, Params]:
    return (rois if params["aligned"] else _shifted(rois, -0.5, params)), params


def _at_least_a_pixel(rois: Array, params: Params) -> tuple[Array, Params]:
    if not params["aligned"]:
        return rois, params
    ends = np.maximum(rois[:, 3:], rois[:, 1:3] + 1 / params["scale"])
    return np.concatenate([rois[:, :3], ends], axis=1), params


def _as_small_as_it_is(rois: Array, params: Params) -> tuple[Array, Params]:
    if params["aligned"]:
        return rois, params
    return _shifted(rois, 0.5, params), {**params, "aligned": True}  # the half pixel that `aligned` takes away


def _last_pixel_inside(rois: Array, params: Params) -> tuple[Array, Params]:
    return rois + np.array([0, 0, 0, 1, 1]), params


def _rows_first(rois: Array, params: Params) -> tuple[Array, Params]:
    return rois[:, [0, 2, 1, 4, 3]], params


def _always(**fixed: Any) -> Change:
    return lambda rois, params: (rois, {**params, **fixed})


def _where_asked(name: str, asked: Any, done: Any) -> Change:
    return lambda rois, params: (rois, {**params, name: done} if params[name] == asked else params)


# TensorFlow's crop_and_resize: the points of an axis of n bins are evenly spaced from the first to the last pixel of
# the box, both included; one bin has the middle. As the middles of n bins these are those of a box half a step wider.
# Boxes are given to it as fractions: the centres of the corner pixels of the image are those of the map.


def _crop_points(low: Array, high: Array, n_bins: int, n_pixels: int, scale: float) -> tuple[Array, Array]:
    """Return start and end of the bins whose middles are the points, in pixels of the map."""
    unit = (n_pixels - 1) / max(n_pixels / scale - 1, 1)
    first, last = low * unit, (high - 1) * unit
    if n_bins == 1:
        first = last = (first + last) / 2
    half = (last - first) / max(n_bins - 1, 1) / 2
    return first - half, last + half


def _crop(rois: Array, size: tuple[int, ...], params: Params) -> tuple[Array, Params, Array]:
    """Return regions and parameters whose only points are those of the crop, and which bins (R, PH, PW) are inside."""
    (PH, PW), scale = params["output_size"], params["scale"]
    inside, ends = [], []
    for axis, n_bins, n_pixels in ((1, PW, size[1]), (0, PH, size[0])):  # x, y
        low, high = rois[:, 2 - axis], rois[:, 4 - axis]
        start, end = _crop_points(low, high, n_bins, n_pixels, scale)
        points = start[:, None] + (np.arange(n_bins) + 0.5) * ((end - start) / n_bins)[:, None]
        inside.append((points >= 0) & (points <= n_pixels - 1))
        ends.append((start + 0.5, end + 0.5))
    (x1, x2), (y1, y2) = ends
    chosen = {**params, "scale": 1.0, "aligned": True, "sampling_ratio": 1, "border": "kernel"}
    return np.stack([rois[:, 0], x1, y1, x2, y2], axis=1), chosen, inside[1][:, :, None] & inside[0][:, None, :]


class Crop(functools.partial[Any]):
    """A body that crops."""


def _crop_forward(body: Body) -> Body:
    def forward(x: Array, rois: Array, **params: Any) -> Any:
        moved, chosen, inside = _crop(rois.astype(np.float64), x.shape[2:], params)
        y, residual = body(x, moved, **chosen)
        return np.where(inside[:, None], y, 0).astype(y.dtype), residual and residual._replace(rois=rois)

    return Crop(forward)


def _crop_backward(body: Body) -> Body:
    def backward(residual: Any, dy: Array, *, needs: tuple[bool, ...], **params: Any) -> Any:
        moved, chosen, inside = _crop(residual.rois.astype(np.float64), residual.x.shape[2:], params)
        within = np.where(inside[:, None], dy, 0).astype(dy.dtype)
        return body(residual._replace(rois=moved), within, needs=needs, **chosen)

    return Crop(backward)


# The largest of the weighted pixels w_i · x_i of a bin, instead of the largest interpolated point.


def _weighted_pixels(box: list[float], size: tuple[int, ...], params: Params, dtype: Any) -> tuple[Array, Array]:
    """Return the pixels h·W + w that each bin reads and their weights, both (PH, PW, K): point by point, tap by tap."""
    sampling = Sampling(params["output_size"], params["scale"], params["sampling_ratio"], params["aligned"])
    points = sampling.points(box)
    rows, columns = (point_taps(p, n, border=params["border"]) for p, n in zip(points, size, strict=True))
    across = (slice(None), None, slice(None), None, slice(None), None)  # (PH, ·, g_h, ·, 2, ·)
    down = (None, slice(None), None, slice(None), None, slice(None))  # (·, PW, ·, g_w, ·, 2)
    if 0 in size:
        return np.zeros((*params["output_size"], 0), np.int64), np.zeros((*params["output_size"], 0), dtype)
    pixels = rows.pixels[across] * size[1] + columns.pixels[down]
    weights = rows.weights[across] * columns.weights[down] * (rows.exist[across] & columns.exist[down])
    return pixels.reshape(*pixels.shape[:2], -1), weights.reshape(*weights.shape[:2], -1).astype(dtype)


def _largest_weighted_forward(body: Body) -> Body:
    if isinstance(body, Crop):  # which has one point in a bin
        return body

    def forward(x: Array, rois: Array, **params: Any) -> Any:
        y, residual = body(x, rois, **params)
        if params["reduction"] == "max":
            for r, (n, *box) in enumerate(rois.tolist()):
                pixels, weights = _weighted_pixels(box, x.shape[2:], params, x.dtype)
                if pixels.shape[2]:
                    y[r] = np.max(x[int(n)].reshape(x.shape[1], -1)[:, pixels] * weights, axis=3)
        return y, residual

    return forward


def _largest_weighted_backward(body: Body) -> Body:
    if isinstance(body, Crop):
        return body

    def backward(residual: Any, dy: Array, *, needs: tuple[bool, ...], **params: Any) -> Any:
        if params["reduction"] != "max":
            return body(residual, dy, needs=needs, **params)
        x, rois, _ = residual
        dx = np.zeros(x.shape, dy.dtype)
        for r, (n, *box) in enumerate(rois.tolist()):
            pixels, weights = _weighted_pixels(box, x.shape[2:], params, x.dtype)
            for c, p, q in np.ndindex(*dy.shape[1:] if pixels.shape[2] else (0, 0, 0)):
                plane = x[int(n), c].reshape(-1)
                winner = np.argmax(plane[pixels[p, q]] * weights[p, q])
                dx[int(n), c].reshape(-1)[pixels[p, q, winner]] += dy[r, c, p, q] * weights[p, q, winner]
        return dx, None

    return backward


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
                rows = _slices(bounds, y1, max(y2 - y1 + 1, 1), params["output_size"][0], x.shape[2])
                columns = _slices(bounds, x1, max(x2 - x1 + 1, 1), params["output_size"][1], x.shape[3])
                _write_largest(plane, rows, columns, y[r], switches[r])
            return (y, switches), residual and RoiPoolResidual(x, rois, switches)

        return forward

    return {"roi_pool.forward": wrap}


def _slices(bounds: Any, start: int, extent: int, n_bins: int, size: int) -> list[slice]:
    first, stop = bounds(np.arange(n_bins), start, extent, n_bins)
    pairs = zip(np.clip(first, 0, size).tolist(), np.clip(stop, 0, size).tolist(), strict=True)
    return [slice(a, b) for a, b in pairs]


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


def _from_zero(body: Body) -> Body:
    def forward(x: Array, **params: Any) -> Any:
        (y, switches), residual = body(x, **params)
        above = ~(y <= 0)
        y, switches = np.where(above, y, 0).astype(y.dtype), np.where(above, switches, -1)
        return (y, switches), residual and residual._replace(switches=switches)

    return forward


def _pyramid_between(bounds: Callable[[Array, int, int], tuple[Array, Array]], empty: float) -> Callable[[Body], Body]:
    """Pool every level in bins from first to last of `bounds(p, n_pixels, n_bins)`."""

    def wrap(body: Body) -> Body:
        def forward(x: Array, *, levels: tuple[int, ...], keep_residual: bool) -> Any:
            ys, where = [], []
            for k in levels:
                rows, columns = (
                    _slices(lambda p, _, size, n: bounds(p, size, n), 0, size, k, size) for size in x.shape[2:]
                )
                y, switches = np.full((*x.shape[:2], k, k), empty, x.dtype), np.full((*x.shape[:2], k, k), -1)
                for p, q in np.ndindex(k, k):
                    pixels = x[:, :, rows[p], columns[q]]
                    h, w = pixels.shape[2:]
                    if h * w:
                        (y[:, :, p, q], place), _ = body(pixels, levels=(1,), keep_residual=False)
                        at = (rows[p].start + place // w) * x.shape[3] + columns[q].start + place % w
                        switches[:, :, p, q] = np.where(place < 0, -1, at)
                ys.append(y.reshape(len(x), x.shape[1] * k * k))
                where.append(switches.reshape(len(x), x.shape[1] * k * k))
            y, switches = np.concatenate(ys, axis=1), np.concatenate(where, axis=1)
            return (y, switches), SpatialPyramidPoolResidual(x, switches) if keep_residual else None

        return forward

    return wrap


def _padded_bounds(p: Array, n_pixels: int, n_bins: int) -> tuple[Array, Array]:
    kernel = -(-n_pixels // n_bins)
    padding = (kernel * n_bins - n_pixels + 1) // 2
    return p * kernel - padding, (p + 1) * kernel - padding


def _rounded_bounds(p: Array, n_pixels: int, n_bins: int) -> tuple[Array, Array]:
    step = n_pixels / n_bins
    return np.rint(p * step).astype(np.int64), np.rint((p + 1) * step).astype(np.int64)


def _in_order(axes: tuple[int, int, int]) -> Kernels:
    """Write each level (channel, row, column) with these axes from the slowest to the fastest."""

    def places(C: int, levels: tuple[int, ...]) -> Array:
        found, start = [], 0
        for k in levels:
            found.append(start + np.arange(C * k * k).reshape(C, k, k).transpose(axes).ravel())
            start += C * k * k
        return np.concatenate(found)

    def wrap_forward(body: Body) -> Body:
        def forward(x: Array, *, levels: tuple[int, ...], keep_residual: bool) -> Any:
            (y, switches), residual = body(x, levels=levels, keep_residual=keep_residual)
            chosen = places(x.shape[1], levels)
            return (y[:, chosen], switches[:, chosen]), residual

        return forward

    def wrap_backward(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, needs: tuple[bool, ...], levels: tuple[int, ...]) -> Any:
            chosen = places(residual.x.shape[1], levels)
            return body(residual, dy[:, np.argsort(chosen)], needs=needs, levels=levels)

        return backward

    return {"spatial_pyramid_pool.forward": wrap_forward, "spatial_pyramid_pool.backward": wrap_backward}


def _windows(convention: str) -> Kernels:
    def wrap(body: Body) -> Body:
        return lambda boxes, **params: body(boxes, **{**params, "convention": convention})

    return {"project_windows": wrap}


DEVIATIONS = [
    Deviation(
        "roi.offset=0",
        "does not move regions by half a pixel, though aligned=True was asked",
        "Pixel centres are taken to be at whole numbers: points lie half a pixel of the map too far right and down.",
        (
            "Detectron, its Caffe2 operator caffe2/operators/roi_align_op.cc (which has no such option)",
            "torchvision.ops.roi_align, whose default is aligned=False",
            "ONNX RoiAlign up to opset 15",
        ),
        "With aligned=True subtract 0.5 from the scaled corners before placing points.",
        _roi_align(_no_half_pixel),
    ),
    Deviation(
        "roi.offset=half",
        "moves regions by half a pixel, though aligned=False was asked",
        "All points lie half a pixel of the map too far left and up.",
        (
            "Detectron2, detectron2/layers/roi_align.py with its default aligned=True",
            "ONNX RoiAlign from opset 16 with its default coordinate_transformation_mode half_pixel",
        ),
        "With aligned=False use the scaled corners as they are.",
        _roi_align(_half_pixel),
    ),
    Deviation(
        "roi.min1=always",
        "makes small regions a pixel wide and high, though aligned=True was asked",
        "A region smaller than a pixel of the map is sampled over a whole one; one that runs backwards likewise.",
        (
            "Detectron, its Caffe2 operator caffe2/operators/roi_align_op.cc: force malformed RoIs to be 1x1",
            "onnxruntime's RoiAlign of opset 10, onnxruntime/core/providers/cpu/object_detection/roialign.cc",
        ),
        "Clamp width and height to at least 1 only where aligned=False.",
        _roi_align(_at_least_a_pixel),
    ),
    Deviation(
        "roi.min1=never",
        "leaves small regions as they are, though aligned=False was asked",
        "A region smaller than a pixel of the map has all its points close together.",
        (
            "mmdetection 1, mmdet/ops/roi_align/src/roi_align_kernel.cu: a width of at least 0",
            "Detectron2, detectron2/layers/roi_align.py with its default aligned=True",
        ),
        "With aligned=False clamp the scaled width and height to at least 1.",
        _roi_align(_as_small_as_it_is),
    ),
    Deviation(
        "roi.plus1=yes",
        "takes x2 and y2 for the last pixel inside: regions end at scale · (x2 + 1)",
        "Regions are a pixel of the image wider and higher than they were given.",
        ("mmdetection 1, mmdet/ops/roi_align/src/roi_align_kernel.cu: (bottom_rois[3] + 1) * spatial_scale",),
        "Use scale · x2 and scale · y2 for the end of a region.",
        _roi_align(_last_pixel_inside, of_crops=True),
    ),
    Deviation(
        "roi.order=yx",
        "reads regions as (image, y1, x1, y2, x2)",
        "Rows and columns are exchanged: crops come from elsewhere, unless a region lies on the diagonal.",
        (
            "TensorFlow, tf.image.crop_and_resize",
            "onnxruntime's first RoiAlign, onnxruntime/core/providers/cpu/object_detection/roialign.cc",
            "chainercv, whose boxes are (y_min, x_min, y_max, x_max)",
        ),
        "Read x before y.",
        _roi_align(_rows_first, of_crops=True),
    ),
    Deviation(
        "roi.sampling=adaptive",
        "ignores sampling_ratio and takes about one point per pixel",
        "Bins have more or fewer points than asked, so that the mean (or the largest) is over others.",
        (
            "Detectron, detectron/core/config.py: ROI_XFORM_SAMPLING_RATIO is 0 unless it is set",
            "Detectron2, detectron2/config/defaults.py: POOLER_SAMPLING_RATIO = 0",
        ),
        "Take sampling_ratio points along each axis of a bin; ceil(length / bins) only where it is 0.",
        _roi_align(_always(sampling_ratio=0)),
    ),
    Deviation(
        "roi.sampling=2",
        "takes 2 × 2 points per bin where an adaptive number was asked",
        "Large regions are sampled too sparsely, small ones more than once per pixel.",
        ("tensorpack, examples/FasterRCNN/modeling/model_box.py: crops of twice the size, averaged 2 × 2",),
        "With sampling_ratio = 0 take ceil(length / bins) points along each axis.",
        _roi_align(_where_asked("sampling_ratio", 0, 2)),
    ),
    Deviation(
        "roi.crop=tf",
        "takes one point per bin, from the first to the last pixel (crop_and_resize)",
        "A region from y1 to y2 in an image of I = n/scale rows, n those of the map, is normalised to y1/(I − 1) and "
        "(y2 − 1)/(I − 1), and multiplied by n − 1; where n = 1 both ends are row 0. The single points of the bins are "
        "evenly spaced from the one to the other, both included; one bin has the middle. Points below 0 or above n − 1 "
        "are 0; others are interpolated. Columns likewise. sampling_ratio, aligned, border and reduction are not read.",
        (
            "TensorFlow, tensorflow/core/kernels/image/crop_and_resize_op.cc, of boxes that norm_boxes has normalised",
            "matterport Mask R-CNN, mrcnn/model.py, PyramidROIAlign, and mrcnn/utils.py, norm_boxes: (y2 - 1) / (h - "
            "1)",
            "onnxruntime's first RoiAlign, onnxruntime/core/providers/cpu/object_detection/roialign.cc",
        ),
        "Divide the region into bins and place sampling_ratio points along each axis of every bin.",
        {"roi_align.forward": _crop_forward, "roi_align.backward": _crop_backward},
    ),
    Deviation(
        "roi.max=weighted",
        "takes the largest weighted pixel w · x, not the largest interpolated point",
        "The maximum is too small, as a weight is at most 1, and its gradient goes to one pixel instead of four.",
        (
            "onnxruntime, core/providers/cpu/object_detection/roialign.cc, mode max (its own warning says so)",
            "ONNX's reference implementation, onnx/reference/ops/op_roi_align.py",
        ),
        "Add up the four weighted pixels of every point first, then take the largest of these sums.",
        {"roi_align.forward": _largest_weighted_forward, "roi_align.backward": _largest_weighted_backward},
    ),
    Deviation(
        "roi.max=mean",
        "takes the mean of the points where the largest was asked",
        "Every bin holds the average of its points.",
        ("torchvision, torchvision/csrc/ops/cpu/roi_align_kernel.cpp, and Detectron, which know nothing but the mean",),
        "With reduction='max' take the largest of the interpolated points.",
        _roi_align(_always(reduction="mean")),
    ),
    Deviation(
        "roi.outside=zero_decay",
        "lets features decay to 0 beyond the outermost pixels instead of repeating them",
        "Within a pixel of the map's outermost centres points are too small.",
        (
            "torch.nn.functional.grid_sample with its default padding_mode zeros",
            "torchvision, test/test_ops.py, bilinear_interpolate with its default snap_border=False",
            "Detectron2's mask pasting, detectron2/layers/mask_ops.py, by grid_sample",
        ),
        "Clamp coordinates to [0, n − 1] where they are within a pixel of it, before interpolating.",
        _roi_align(_where_asked("border", "kernel", "zero_decay")),
    ),
    Deviation(
        "roi.outside=kernel",
        "repeats the outermost pixels where features should decay to 0",
        "Within a pixel beyond the map's outermost centres points have the whole feature there.",
        ("Detectron, torchvision, onnxruntime: the bilinear interpolation of their RoIAlign",),
        "Leave out pixels that do not exist, with their weights; do not clamp coordinates.",
        _roi_align(_where_asked("border", "zero_decay", "kernel")),
    ),
    Deviation(
        "roipool.order=yx",
        "reads regions as (image, y1, x1, y2, x2)",
        "Rows and columns are exchanged: crops come from elsewhere, unless a region lies on the diagonal.",
        (
            "chainercv, whose boxes are (y_min, x_min, y_max, x_max)",
            "TensorFlow, whose boxes are (y1, x1, y2, x2)",
        ),
        "Read x before y.",
        _roi_pool(_rows_first),
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
        _roi_pool(_where_asked("convention", "exact", "float32-bins")),
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
        _roi_pool(_where_asked("convention", "float32-bins", "exact")),
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
    Deviation(
        "spp.from=0",
        "starts the maximum of a bin from 0",
        "Bins of negative features are 0, and have no gradient. Behind a ReLU nothing changes.",
        ("SPP_net, utils/spm_pool/spm_pool_caffe_mex.cpp: memset(pooled_cache, 0); its features come from a ReLU",),
        "Start from the first pixel of the bin, or from −∞.",
        {"spatial_pyramid_pool.forward": _from_zero},
    ),
    Deviation(
        "spp.bins=padded",
        "pools disjoint windows of ⌈n/k⌉ pixels over a map that is padded to k windows",
        "Windows begin at p·K − ⌊(K·k − n + 1)/2⌋ with K = ⌈n/k⌉. Bins share no pixel; where k does not divide the "
        "map, the first and last are cut short, or are empty: −3.4e38 (−FLT_MAX), with the switch −1.",
        ("Caffe, src/caffe/layers/spp_layer.cpp, GetPoolingParam, and pooling_layer.cpp",),
        "Let bin p take the pixels ⌊p·n/k⌋ ≤ · < ⌈(p + 1)·n/k⌉ (adaptive max pooling).",
        {"spatial_pyramid_pool.forward": _pyramid_between(_padded_bounds, LOWEST)},
    ),
    Deviation(
        "spp.bins=rounded",
        "rounds the bounds of bins to the nearest pixel, so that they share none",
        "Where k does not divide the map, bins have a row or column less; with more bins than pixels some are empty.",
        ("keras-spp, spp/SpatialPyramidPooling.py and spp/RoiPooling.py: K.cast(K.round(x1), 'int32')",),
        "Round the lower bound of a bin down and the upper one up.",
        {"spatial_pyramid_pool.forward": _pyramid_between(_rounded_bounds, -np.inf)},
    ),
    Deviation(
        "spp.order=columns",
        "writes each level column by column, with all channels of a bin together",
        "The numbers are right, and stand elsewhere: (level, column, row, channel).",
        ("keras-spp, spp/RoiPooling.py: for ix …: for jy …: outputs.append, x1 from ix",),
        "Flatten each level as (channel, row, column).",
        _in_order((2, 1, 0)),
    ),
    Deviation(
        "spp.order=rows",
        "writes each level row by row, with all channels of a bin together",
        "The numbers are right, and stand elsewhere: (level, row, column, channel).",
        ("keras-spp, spp/SpatialPyramidPooling.py: for jy …: for ix …: outputs.append",),
        "Flatten each level as (channel, row, column).",
        _in_order((1, 2, 0)),
    ),
    Deviation(
        "spp.window=paper",
        "projects windows by the paper's rule, where the released code's was asked",
        "Windows begin and end about a response elsewhere.",
        ("He, Zhang, Ren & Sun (2014), appendix A, and ports made from it",),
        "Use the offsets first_centre and margin: ⌊(x₀ − o₀ + o)/S + ½⌋ + 1 … ⌈(x₁ − o₀ − o)/S − ½⌉ + 1, from 1.",
        _windows("paper"),
    ),
    Deviation(
        "spp.window=released",
        "projects windows by the released code's rule, where the paper's was asked",
        "Windows begin and end about a response elsewhere.",
        ("SPP_net, utils/spm_pool/spm_pool_caffe_mex.cpp and utils/spm_pool/spm_response_boxes.m: offset0 and offset",),
        "Use ⌊x₀/S⌋ + 1 … ⌈x₁/S⌉ − 1.",
        _windows("released"),
    ),
]
