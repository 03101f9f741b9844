"""Deviations of boxes: what their width is, IoU, clipping, layouts, and the least size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.wrapping import setting
from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation

SUPPRESSION = ("nms", "class_nms", "soft_nms")  # all of them measure boxes with the IoU of `box_iou`


def _where_asked(name: str, asked: str, done: str) -> Callable[[Body], Body]:
    def wrap(body: Body) -> Body:
        return lambda *arrays, **params: body(*arrays, **{**params, name: done} if params[name] == asked else params)

    return wrap


def _of_other_boxes(change: Callable[[Array, dict[str, Any]], Array]) -> Callable[[Body], Body]:
    """Suppress as if the boxes were others."""

    def wrap(body: Body) -> Body:
        return lambda boxes, *arrays, **params: body(change(boxes, params), *arrays, **params)

    return wrap


def _sides(boxes: Array, offset: int) -> Array:
    """Return width and height (N, 2), at least 0."""
    sides: Array = np.maximum(boxes[:, 2:] - boxes[:, :2] + offset, 0)
    return sides


def _empty(boxes: Array, offset: int) -> Array:
    empty: Array = np.prod(_sides(boxes, offset), axis=1) == 0
    return empty


def _intersection_and_union(boxes: Array, others: Array, crowd: Array | None, offset: int) -> tuple[Array, Array]:
    top_left = np.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    inter = np.prod(np.maximum(bottom_right - top_left + offset, 0), axis=2)
    areas = np.prod(_sides(boxes, offset), axis=1)[:, None]
    union: Array = areas + np.prod(_sides(others, offset), axis=1) - inter
    return inter, union if crowd is None else np.where(crowd, areas, union)


def _denominator(change: Callable[[Array], Array]) -> Callable[[Body], Body]:
    """Divide the intersection by something else than the union."""

    def wrap(body: Body) -> Body:
        def box_iou(boxes: Array, others: Array, crowd: Array | None, **params: Any) -> Array:
            iou: Array = body(boxes, others, crowd, **params)
            inter, union = _intersection_and_union(boxes, others, crowd, params["offset"])
            with np.errstate(all="ignore"):
                divided = inter / change(inter / iou)  # by what the body divides by
            guarded = np.where((union == 0) & np.isnan(iou), 0, iou)
            return np.where(inter == 0, guarded, divided).astype(iou.dtype)

        return box_iou

    return wrap


def _two_empty_are_one(body: Body) -> Body:
    def box_iou(boxes: Array, others: Array, crowd: Array | None, **params: Any) -> Array:
        both = _empty(boxes, params["offset"])[:, None] & _empty(others, params["offset"])
        iou: Array = body(boxes, others, crowd, **params)
        return np.where(both, 1, iou).astype(iou.dtype)

    return box_iou


def _empty_boxes_together(boxes: Array, params: dict[str, Any]) -> Array:
    """Give all empty boxes one place, beside everything else, where they are duplicates of each other."""
    finite = boxes[np.isfinite(boxes)]
    beyond = np.max(finite, initial=0) + 2
    place = np.array([beyond, beyond, beyond + 1, beyond + 1], boxes.dtype)
    return np.where(_empty(boxes, params["offset"])[:, None], place, boxes)


def _corners_in_order(boxes: Array, _: dict[str, Any]) -> Array:
    starts, ends = np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])
    return np.concatenate([starts, ends], axis=1)


def _iou_with_corners_in_order(body: Body) -> Body:
    return lambda boxes, others, crowd, **params: body(
        _corners_in_order(boxes, params), _corners_in_order(others, params), crowd, **params
    )


def _without_crowd(body: Body) -> Body:
    return lambda boxes, others, crowd, **params: body(boxes, others, None, **params)


def _converted_with_last_pixel(body: Body) -> Body:
    """Take x2 and y2 for the last pixel inside: ends lie one further on the way in, and come back on the way out."""

    def convert_boxes(boxes: Array, *, source: str, target: str) -> Array:
        if source == target:
            return np.asarray(body(boxes, source=source, target=target))
        end = np.array([0, 0, 1, 1], boxes.dtype)
        converted: Array = body(boxes + end if source == "xyxy" else boxes, source=source, target=target)
        return converted - end if target == "xyxy" else converted

    return convert_boxes


def _longer_sides(body: Body) -> Body:
    """Count x2 − x1 + 1 pixels: a least size that is smaller by 1 does the same."""

    def large_enough(boxes: Array, *, min_size: float, convention: str) -> Any:
        one = 0 if convention == "py-faster" else 1
        return body(boxes, min_size=min_size - one, convention=convention)

    return large_enough


def _size_exceeds(body: Body) -> Body:
    """Keep what is > min_size: what is ≥ the next number of the boxes' type."""

    def large_enough(boxes: Array, *, min_size: float, convention: str) -> Any:
        if convention != "detectron2":
            min_size = float(np.nextafter(boxes.dtype.type(min_size), boxes.dtype.type(np.inf)))
        return body(boxes, min_size=min_size, convention=convention)

    return large_enough


DEVIATIONS = [
    Deviation(
        "box.plus1=yes",
        "counts pixels: the width of a box is x2 − x1 + 1, though offset=0 was asked",
        "Boxes are a pixel wider and higher; those that share an edge overlap, and IoU is larger for small boxes.",
        (
            "R-CNN, Fast R-CNN and py-faster-rcnn: lib/utils/bbox.pyx",
            "Detectron, detectron/utils/boxes.py, boxes_area and xyxy_to_xywh, and detectron/utils/cython_bbox.pyx",
            "soft-nms of the authors (bharatsingh430/soft-nms), lib/nms/cpu_nms.pyx",
            "mmdetection 1: see docs/compatibility.md of version 2",
        ),
        "Use x2 − x1 and y2 − y1 for width and height.",
        {
            **{name: setting(offset=1) for name in ("box_iou", *SUPPRESSION)},
            "convert_boxes": _converted_with_last_pixel,
            "large_enough": _longer_sides,
        },
    ),
    Deviation(
        "box.plus1=no",
        "measures continuously: the width of a box is x2 − x1, though offset=1 was asked",
        "Boxes are a pixel narrower and lower; a box of one pixel is empty.",
        ("torchvision, torchvision/ops/boxes.py, box_area", "Detectron2, detectron2/structures/boxes.py, Boxes.area"),
        "Add 1 to x2 − x1 and y2 − y1, in areas and in intersections.",
        {
            **{name: setting(offset=0) for name in ("box_iou", *SUPPRESSION)},
            "large_enough": _where_asked("convention", "py-faster", "torchvision"),
        },
    ),
    Deviation(
        "box.empty=nan",
        "gives NaN for two boxes without area, where 0 was asked",
        "0/0 is left as it is.",
        ("torchvision, torchvision/ops/boxes.py, box_iou: inter / union",),
        "Return 0 where the union is 0.",
        {"box_iou": setting(empty="nan")},
    ),
    Deviation(
        "box.empty=zero",
        "gives 0 for two boxes without area, where NaN was asked",
        "0/0 is guarded.",
        (
            "cocoapi, common/maskApi.c, bbIou",
            "Fast R-CNN, lib/utils/bbox.pyx, bbox_overlaps",
            "Detectron2, detectron2/structures/boxes.py, pairwise_iou: torch.where(inter > 0, …, 0)",
        ),
        "Leave 0/0 as NaN.",
        {"box_iou": setting(empty="zero")},
    ),
    Deviation(
        "box.empty=one",
        "takes two boxes without area for the same box, with IoU 1",
        "Of several empty boxes suppression keeps one, wherever they lie.",
        ("OpenCV, modules/core/include/opencv2/core/types.hpp, jaccardDistance, which dnn.NMSBoxes uses",),
        "Return 0 where the union is 0.",
        {
            "box_iou": _two_empty_are_one,
            **{name: _of_other_boxes(_empty_boxes_together) for name in SUPPRESSION},
        },
    ),
    Deviation(
        "box.malformed=sorted",
        "puts the corners of a box in order when x2 < x1 or y2 < y1",
        "A box that ends before it begins has an area, and overlaps others.",
        (
            "TensorFlow, tensorflow/core/kernels/image/non_max_suppression_op.cc, IOU: min and max of the corners",
            "ONNX NonMaxSuppression, center_point_box=0: 'coordinates of any diagonal pair of box corners'",
        ),
        "Let a side be max(0, x2 − x1).",
        {
            "box_iou": _iou_with_corners_in_order,
            **{name: _of_other_boxes(_corners_in_order) for name in SUPPRESSION},
        },
    ),
    Deviation(
        "box.crowd=ignored",
        "divides by the union also for crowd regions",
        "The IoU of a box inside a large crowd region is small.",
        (
            "torchvision, torchvision/ops/boxes.py, box_iou, and all that know no crowds",
            "Fast R-CNN and py-faster-rcnn, lib/utils/bbox.pyx, bbox_overlaps",
        ),
        "For a crowd divide the intersection by the area of the box that is held against it.",
        {"box_iou": _without_crowd},
    ),
    Deviation(
        "box.eps=1e-6",
        "divides by at least 0.000001",
        "IoU is too small where the union is less than that, as it is for small boxes in units of the image.",
        ("mmdetection, mmdet/core/bbox/iou_calculators/iou2d_calculator.py, bbox_overlaps: eps=1e-6",),
        "Divide by the union; guard only the union 0.",
        {"box_iou": _denominator(lambda union: np.maximum(union, union.dtype.type(1e-6)))},
    ),
    Deviation(
        "box.eps=1e-7",
        "adds 0.0000001 to the union",
        "IoU is a little too small; it shows for small boxes in units of the image.",
        ("ultralytics, ultralytics/utils/metrics.py, box_iou: inter / (area1 + area2 - inter + eps), eps=1e-7",),
        "Divide by the union; guard only the union 0.",
        {"box_iou": _denominator(lambda union: union + union.dtype.type(1e-7))},
    ),
    Deviation(
        "box.clip=w",
        "clips to [0, W] and [0, H], where pixel indices were asked",
        "Boxes at the right and lower border are a pixel larger, or begin one further left for pixels counted from 1.",
        (
            "torchvision, torchvision/ops/boxes.py, clip_boxes_to_image",
            "Detectron2, detectron2/structures/boxes.py, Boxes.clip",
        ),
        "Clip to the indices of the first and last pixel: [0, W − 1], or [1, W] where they are counted from 1.",
        {"clip_boxes": setting(convention="continuous")},
    ),
    Deviation(
        "box.clip=w-1",
        "clips to [0, W − 1] and [0, H − 1], the indices of pixels counted from 0",
        "Boxes at the right and lower border lose a pixel.",
        (
            "py-faster-rcnn, lib/fast_rcnn/bbox_transform.py, clip_boxes",
            "Detectron, detectron/utils/boxes.py, clip_tiled_boxes",
        ),
        "Clip continuous coordinates to [0, W] and [0, H].",
        {"clip_boxes": setting(convention="legacy")},
    ),
    Deviation(
        "box.clip=from1",
        "clips to [1, W] and [1, H], the indices of pixels counted from 1",
        "Boxes at the left and upper border lose a pixel.",
        ("Faster R-CNN in MATLAB, functions/fast_rcnn/fast_rcnn_im_detect.m, clip_boxes",),
        "Clip to [0, W] and [0, H], or to [0, W − 1] and [0, H − 1] for indices from 0.",
        {"clip_boxes": setting(convention="matlab")},
    ),
    Deviation(
        "box.min_size=gt",
        "keeps a box only if its sides are greater than the least size",
        "A side of exactly the least size is not enough.",
        (
            "Detectron2, detectron2/structures/boxes.py, Boxes.nonempty: widths > threshold",
            "Detectron, detectron/utils/boxes.py, filter_small_boxes: w > min_size, with w = x2 - x1 + 1",
        ),
        "Compare with ≥.",
        {"large_enough": _size_exceeds},
    ),
    Deviation(
        "box.min_size=ge",
        "keeps a box whose sides equal the least size, where more was asked",
        "With a least size of 0 empty boxes are kept.",
        ("torchvision, torchvision/ops/boxes.py, remove_small_boxes: ws >= min_size",),
        "Compare with >.",
        {"large_enough": _where_asked("convention", "detectron2", "torchvision")},
    ),
]
