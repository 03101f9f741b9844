"""A detector's operators as they were written in 2015: what `refdet demo` diagnoses.

Plain NumPy, by the conventions of Fast R-CNN's Python and Detectron's first RoIAlign, without refdet's kernels:

- `box_iou` and `nms` measure x2 − x1 + 1, whatever `offset` is asked for;
- `nms` suppresses where the IoU is >= the threshold, as `cpu_nms.pyx` of py-faster-rcnn;
- `roi_align` shifts nothing by half a pixel, whatever `aligned` says;
- `max_pool2d` has nothing wrong with it.

No gradients.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.core.check import Array
from refdet.verify.adapters import Adapter
from refdet.verify.adapters.table import Answers, Function, array, need, no_argument, only, table_adapter
from refdet.verify.question import Question


def load(argument: str) -> Adapter:
    """Return the adapter; it needs nothing installed."""
    no_argument("legacy", argument)
    return table_adapter("legacy", {"legacy": "2015"}, FUNCTIONS)


def _areas(boxes: Array) -> Array:
    return _side(boxes[:, 0], boxes[:, 2]) * _side(boxes[:, 1], boxes[:, 3])


def _side(low: Array, high: Array) -> Array:
    """The pixels from the first to the last, both counted."""
    side: Array = np.maximum(high - low + 1, 0)
    return side


def _overlaps(boxes: Array, others: Array) -> Array:
    table = np.zeros((len(boxes), len(others)), boxes.dtype)
    for i, box in enumerate(boxes):
        width = _side(np.maximum(box[0], others[:, 0]), np.minimum(box[2], others[:, 2]))
        height = _side(np.maximum(box[1], others[:, 1]), np.minimum(box[3], others[:, 3]))
        shared = width * height
        union = _areas(box[None]) + _areas(others) - shared
        table[i] = np.where(union == 0, 0, shared / np.where(union == 0, 1, union))
    return table


def _box_iou(q: Question) -> Answers:
    only("legacy", q, empty="zero")
    need(q.arguments["crowd"] is None, "legacy has no crowd regions")
    return {"iou": _overlaps(array(q, "boxes"), array(q, "others"))}


def _nms(q: Question) -> Answers:
    boxes, scores = array(q, "boxes"), array(q, "scores")
    threshold = boxes.dtype.type(q.params["threshold"])
    order = list(np.argsort(-scores, kind="stable"))
    kept = []
    while order:
        best = order.pop(0)
        kept.append(best)
        overlaps = _overlaps(boxes[best : best + 1], boxes[order])[0]
        order = [i for i, overlap in zip(order, overlaps, strict=True) if not overlap >= threshold]
    return {"kept": np.array(kept, np.int64)}


def _roi_align(q: Question) -> Answers:
    only("legacy", q, reduction="mean", border="kernel")
    x, rois, (PH, PW) = array(q, "x"), array(q, "rois"), q.params["output_size"]
    least = -math.inf if q.params["aligned"] else 1.0  # width and height of a region
    y = np.zeros((len(rois), x.shape[1], PH, PW), np.float64)
    for r, (image, *corners) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (corner * q.params["scale"] for corner in corners)
        bin_height, bin_width = max(y2 - y1, least) / PH, max(x2 - x1, least) / PW
        rows, columns = (q.params["sampling_ratio"] or math.ceil(size) for size in (bin_height, bin_width))
        for p in range(PH):
            for s in range(PW):
                points = [
                    _bilinear(
                        x[int(image)],
                        y1 + p * bin_height + (i + 0.5) * bin_height / rows,
                        x1 + s * bin_width + (j + 0.5) * bin_width / columns,
                    )
                    for i in range(rows)
                    for j in range(columns)
                ]
                y[r, :, p, s] = np.mean(points, axis=0) if points else 0.0
    return {"y": y.astype(x.dtype)}


def _bilinear(image: Array, y: float, x: float) -> Array:
    """Interpolate every channel at a point; 0 further out than one pixel."""
    C, H, W = image.shape
    if not (-1 <= y <= H and -1 <= x <= W):
        return np.zeros(C)
    y, x = min(max(y, 0.0), H - 1.0), min(max(x, 0.0), W - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, H - 1), min(left + 1, W - 1)
    below, beside = y - top, x - left
    corners = image[:, [top, top, bottom, bottom], [left, right, left, right]].astype(np.float64)  # (C, 4)
    weights = [(1 - below) * (1 - beside), (1 - below) * beside, below * (1 - beside), below * beside]
    mixed: Array = corners @ np.array(weights)
    return mixed


def _max_pool2d(q: Question) -> Answers:
    p, x = q.params, array(q, "x")
    only("legacy", q, convention="torch", dilation=(1, 1), ceil_mode=False)
    (top, bottom), (left, right) = p["padding"]
    (KH, KW), (SH, SW) = p["kernel_size"], p["stride"]
    N, C, H, W = x.shape
    y = np.zeros((N, C, (H + top + bottom - KH) // SH + 1, (W + left + right - KW) // SW + 1), x.dtype)
    switches = np.zeros(y.shape, np.int64)
    for n, c, i, j in np.ndindex(y.shape):
        first_row, first_column = max(i * SH - top, 0), max(j * SW - left, 0)
        window = x[n, c, first_row : i * SH - top + KH, first_column : j * SW - left + KW]
        row, column = np.unravel_index(np.argmax(window), window.shape)  # the first of equals, NaN above all
        y[n, c, i, j] = window[row, column]
        switches[n, c, i, j] = (first_row + row) * W + first_column + column
    return {"y": y, "switches": switches}


FUNCTIONS: dict[str, Function] = {
    "box_iou": _box_iou,
    "max_pool2d": _max_pool2d,
    "nms": _nms,
    "roi_align": _roi_align,
}
