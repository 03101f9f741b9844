"""Deviations of RoIAlign."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.region_wrapping import (
    Change,
    Crop,
    Kernels,
    Params,
    backward_of_changed,
    forward_of_changed,
    rows_first,
    where_asked,
)
from refdet.core.check import Array
from refdet.ops.roi_sampling import Sampling, point_taps
from refdet.verify.deviation import Body, Deviation


def _roi_align(change: Change, *, of_crops: bool = False) -> Kernels:
    """Wrap both passes; `of_crops`: also where they crop, and read little more than the region."""
    return {
        "roi_align.forward": forward_of_changed(change, of_crops=of_crops),
        "roi_align.backward": backward_of_changed(change, of_crops=of_crops),
    }


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


def _always(**fixed: Any) -> Change:
    return lambda rois, params: (rois, {**params, **fixed})


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
        _roi_align(rows_first, of_crops=True),
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
        _roi_align(where_asked("sampling_ratio", 0, 2)),
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
        _roi_align(where_asked("border", "kernel", "zero_decay")),
    ),
    Deviation(
        "roi.outside=kernel",
        "repeats the outermost pixels where features should decay to 0",
        "Within a pixel beyond the map's outermost centres points have the whole feature there.",
        ("Detectron, torchvision, onnxruntime: the bilinear interpolation of their RoIAlign",),
        "Leave out pixels that do not exist, with their weights; do not clamp coordinates.",
        _roi_align(where_asked("border", "zero_decay", "kernel")),
    ),
]
