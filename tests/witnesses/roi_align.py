"""Witnesses of the keys `roi.*`: RoIAlign point by point, with a switch for each deviation.

Every bin is a list of points, and every point a list of (row, column, weight): those of the pixels that are read. So
the gradient is the same lists, read the other way. The definition is that of He et al. (2017), section 3, with the
border of the kernels (Detectron, torchvision) or of deck 001; `crop_and_resize` transcribes TensorFlow's operator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question, Skipped
from tests.witnesses._witness import Witness

Tap = tuple[int, int, float]
Points = list[list[Tap]]  # of one bin
Bins = Callable[[int, int], Points]  # by row and column of the bin


def taps_of_axis(v: float, n: int, border: str) -> list[tuple[int, float]] | None:
    """Return the pixels of an axis next to v, and their weights; None where v is too far out, or there are none."""
    if v < -1 or v > n or n == 0:
        return None
    if border == "zero_decay":
        low = math.floor(v)
        pair = [(low, 1 - (v - low)), (low + 1, v - low)]
        return [(i, w) for i, w in pair if 0 <= i < n]
    v = max(v, 0.0)
    low = int(v)
    if low >= n - 1:
        return [(n - 1, 1.0), (n - 1, 0.0)]
    return [(low, 1 - (v - low)), (low + 1, v - low)]


def taps_of_point(y: float, x: float, height: int, width: int, border: str) -> list[Tap]:
    """Return the pixels that a point is interpolated from, in row-major order."""
    rows, columns = taps_of_axis(y, height, border), taps_of_axis(x, width, border)
    return [(i, j, a * b) for i, a in rows or [] for j, b in columns or []] if rows and columns else []


def points_of_axis(start: float, length: float, bins: int, p: int, count: int) -> list[float]:
    """Return where the points of bin p lie."""
    return [start + p * (length / bins) + (i + 0.5) * (length / bins) / count for i in range(count)]


def sampled(question: Question, roi: list[float], switches: Mapping[str, Any]) -> Bins:
    """Return the points of the bins of one region."""
    params = question.params
    n_rows, n_columns = params["output_size"]
    x: Any = question.arguments["x"]
    height, width = x.shape[2:]
    sampling = switches.get("sampling", params["sampling_ratio"])
    if switches.get("replace_adaptive") and sampling == 0:
        sampling = switches["replace_adaptive"]
    half = 0.5 if switches.get("move", params["aligned"]) else 0.0
    least = switches.get("at_least_one", not params["aligned"])
    border = switches.get("border", params["border"])
    x1, y1, x2, y2 = roi if not switches.get("rows_first") else (roi[1], roi[0], roi[3], roi[2])
    end = 1.0 if switches.get("last_pixel_inside") else 0.0

    def axis(low: float, high: float, bins: int, p: int) -> list[float]:
        start, stop = low * params["scale"] - half, (high + end) * params["scale"] - half
        length = max(stop - start, 1.0) if least else stop - start
        count = sampling if sampling > 0 else math.ceil(length / bins)
        return points_of_axis(start, length, bins, p, max(count, 0))

    def bins(p: int, q: int) -> Points:
        rows, columns = axis(y1, y2, n_rows, p), axis(x1, x2, n_columns, q)
        return [taps_of_point(y, x, height, width, border) for y in rows for x in columns]

    return bins


def cropped(question: Question, roi: list[float], _: Mapping[str, Any]) -> Bins:
    """Return the single points of tf.image.crop_and_resize for boxes that matterport's norm_boxes has normalised.

    y1 becomes y1 / (image height − 1), and y2, which lies outside, (y2 − 1) / (image height − 1); times map height − 1.
    """
    n_rows, n_columns = question.params["output_size"]
    x: Any = question.arguments["x"]
    height, width = x.shape[2:]
    x1, y1, x2, y2 = roi

    def axis(low: float, high: float, bins: int, p: int, n: int) -> list[tuple[int, float]]:
        per_pixel = (n - 1) / (n / question.params["scale"] - 1) if n > 1 else 0.0
        low, high = low * per_pixel, (high - 1) * per_pixel
        v = low + p * (high - low) / (bins - 1) if bins > 1 else 0.5 * (low + high)
        if v < 0 or v > n - 1:
            return []
        return [(math.floor(v), 1 - (v - math.floor(v))), (math.ceil(v), v - math.floor(v))]

    def bins(p: int, q: int) -> Points:
        rows, columns = axis(y1, y2, n_rows, p, height), axis(x1, x2, n_columns, q, width)
        return [[(i, j, a * b) for i, a in rows for j, b in columns]]

    return bins


def align(question: Question, *, points: Callable[..., Bins] = sampled, **switches: Any) -> Mapping[str, Any]:
    """Return y, and dx if dy is given."""
    given: Any = question.arguments
    x, rois, dy = given["x"], given["rois"], question.incoming_gradient
    n_rows, n_columns = question.params["output_size"]
    reduction = switches.get("reduction", question.params["reduction"])
    y, dx = np.zeros((len(rois), x.shape[1], n_rows, n_columns)), np.zeros(x.shape)
    for r, (image, *roi) in enumerate(rois.tolist()):
        bins = points(question, roi, switches)
        for c, p, q in np.ndindex(*y.shape[1:]):
            plane = x[int(image), c].astype(np.float64)
            places = bins(p, q)
            if reduction == "max":
                if switches.get("weighted") and plane.size:  # each weighted pixel, and a 0 where there is none
                    places = [[tap] for taps in places for tap in taps or [(0, 0, 0.0)]]
                values = [sum(w * plane[i, j] for i, j, w in taps) for taps in places]
                best = [int(np.argmax(values))] if values else []
                y[r, c, p, q] = values[best[0]] if best else 0.0
                places = [places[b] for b in best]
            else:
                y[r, c, p, q] = sum(w * plane[i, j] for taps in places for i, j, w in taps) / max(len(places), 1)
            share = 0.0 if dy is None else dy[r, c, p, q] / max(len(places), 1)
            for i, j, w in (tap for taps in places for tap in taps):
                dx[int(image), c, i, j] += w * share
    return {"y": y} | ({"dx": dx} if "dx" in question.gradients else {})


def align_by_grid_sample(question: Question) -> Mapping[str, Any]:
    """Leave the interpolation, whose padding is 0, to torch.

    It takes coordinates as shares of the map, which round; zeros up to a power of two let them be exact.
    """
    import torch

    given: Any = question.arguments
    x, rois, params = given["x"], given["rois"], question.params
    n_rows, n_columns = params["output_size"]
    height, width = (1 << n.bit_length() for n in x.shape[2:])
    padded = np.pad(x, ((0, 0), (0, 0), (0, height - x.shape[2]), (0, width - x.shape[3])))
    half = 0.5 if params["aligned"] else 0.0
    y = np.zeros((len(rois), x.shape[1], n_rows, n_columns))
    for r, (image, *roi) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (v * params["scale"] - half for v in roi)
        sizes = [v if params["aligned"] else max(v, 1.0) for v in (y2 - y1, x2 - x1)]
        counts = [params["sampling_ratio"] or max(math.ceil(s / b), 0) for s, b in zip(sizes, y.shape[2:], strict=True)]
        for p, q in np.ndindex(n_rows, n_columns):
            rows = torch.tensor(points_of_axis(y1, sizes[0], n_rows, p, counts[0]), dtype=torch.float64)
            columns = torch.tensor(points_of_axis(x1, sizes[1], n_columns, q, counts[1]), dtype=torch.float64)
            if len(rows) * len(columns) == 0:
                continue
            grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)
            grid = ((2 * grid + 1) / torch.tensor([width, height], dtype=torch.float64) - 1)[None]
            plane = torch.tensor(padded[int(image)], dtype=torch.float64)[None]
            values = torch.nn.functional.grid_sample(plane, grid, align_corners=False)[0].flatten(1)
            y[r, :, p, q] = (values.mean(1) if params["reduction"] == "mean" else values.amax(1)).numpy()
    return {"y": y}


def align_by_onnxruntime(question: Question) -> Mapping[str, Any]:
    """Run onnxruntime's RoiAlign, which has the border of kernels alone, and no gradient."""
    from tests.onnx_node import run_in_onnxruntime

    given: Any = question.arguments
    params = question.params
    if params["border"] != "kernel":
        raise Skipped("onnxruntime has the border of kernels alone")
    if params["sampling_ratio"] == 0 and np.any(given["rois"][:, 3:] < given["rois"][:, 1:3]):
        raise Skipped("onnxruntime fails where a number of points is negative")
    (y,) = run_in_onnxruntime(
        "RoiAlign",
        given["x"],
        given["rois"][:, 1:],
        given["rois"][:, 0].astype(np.int64),
        coordinate_transformation_mode="half_pixel" if params["aligned"] else "output_half_pixel",
        mode="avg" if params["reduction"] == "mean" else "max",
        output_height=params["output_size"][0],
        output_width=params["output_size"][1],
        sampling_ratio=params["sampling_ratio"],
        spatial_scale=params["scale"],
    )
    return {"y": y}


CONFORMING = [("roi_align", align)]

_DETECTRON = "Detectron's Caffe2 operator roi_align_op.cc"
_DETECTRON_2 = "Detectron2's detectron2/layers/roi_align.py with its default aligned=True"
_TORCHVISION = "torchvision's csrc/ops/cpu/roi_align_kernel.cpp"
_MMDETECTION = "mmdetection 1's mmdet/ops/roi_align/src/roi_align_kernel.cu"
_MATTERPORT = "matterport's mrcnn/utils.py, norm_boxes, and TensorFlow's crop_and_resize_op.cc"
_ONNX = "onnx/reference/ops/op_roi_align.py, mode max"

WITNESSES = [
    Witness("roi.crop=tf", "roi_align", _MATTERPORT, partial(align, points=cropped)),
    Witness("roi.max=mean", "roi_align", _TORCHVISION, partial(align, reduction="mean")),
    Witness("roi.max=weighted", "roi_align", _ONNX, partial(align, weighted=True)),
    Witness("roi.max=weighted", "roi_align", "onnxruntime's RoiAlign, mode max", align_by_onnxruntime),
    Witness("roi.min1=always", "roi_align", _DETECTRON, partial(align, at_least_one=True)),
    Witness("roi.min1=never", "roi_align", _DETECTRON_2, partial(align, at_least_one=False)),
    Witness("roi.offset=0", "roi_align", _DETECTRON, partial(align, move=False)),
    Witness("roi.offset=half", "roi_align", _DETECTRON_2, partial(align, move=True)),
    Witness("roi.order=yx", "roi_align", "tf.image.crop_and_resize: y1, x1, y2, x2", partial(align, rows_first=True)),
    Witness("roi.outside=kernel", "roi_align", _TORCHVISION, partial(align, border="kernel")),
    Witness("roi.outside=zero_decay", "roi_align", "deck 001's sum", partial(align, border="zero_decay")),
    Witness("roi.outside=zero_decay", "roi_align", "torch.nn.functional.grid_sample", align_by_grid_sample),
    Witness("roi.plus1=yes", "roi_align", _MMDETECTION, partial(align, last_pixel_inside=True)),
    Witness("roi.sampling=2", "roi_align", "tensorpack's roi_align: always 2 × 2", partial(align, replace_adaptive=2)),
    Witness(
        "roi.sampling=adaptive", "roi_align", "Detectron's ROI_XFORM_SAMPLING_RATIO = 0", partial(align, sampling=0)
    ),
]
