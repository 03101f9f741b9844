"""Deviations of the box transform, from boxes to four numbers and back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.wrapping import setting
from refdet.boxes.transform import SCALE_CLAMP
from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation

Four = tuple[float, float, float, float]


def _encode(
    proposals: Array,
    targets: Array,
    *,
    convention: str,
    weights: Four,
    mean: Four,
    std: Four,
    always: str = "",  # this convention
    corners: bool = False,  # code their movements
    least: float = 0.0,  # width and height of a target
    order: tuple[int, ...] = (0, 1, 2, 3),
) -> Array:
    """Encode boxes, with one thing or another done otherwise."""
    one = 0 if (always or convention) == "continuous" else 1
    p, b = proposals.astype(np.float64), targets.astype(np.float64)
    p_size, b_size = p[:, 2:] - p[:, :2] + one, b[:, 2:] - b[:, :2] + one
    with np.errstate(all="ignore"):
        if corners:
            t = (b - p) / np.concatenate([p_size, p_size], axis=1)
        else:
            moved = (b[:, :2] + b_size / 2 - p[:, :2] - p_size / 2) / p_size
            t = np.concatenate([moved, np.log((np.maximum(b_size, least) if least else b_size) / p_size)], axis=1)
        deltas: Array = ((t[:, order] * weights - mean) / std).astype(proposals.dtype)
    return deltas


def _encoding(**choice: Any) -> Callable[[Body], Body]:
    """Encode like that, with a choice added to those that were made before."""

    def wrap(body: Body) -> Body:
        return functools.partial(body if isinstance(body, functools.partial) else _encode, **choice)

    return wrap


def _clamped_if_not_asked(body: Body) -> Body:
    def decode_boxes(proposals: Array, deltas: Array, *, clamp: float | None, **params: Any) -> Any:
        return body(proposals, deltas, clamp=SCALE_CLAMP if clamp is None else clamp, **params)

    return decode_boxes


def _around_the_middle(body: Body) -> Body:
    """Decode as py-faster-rcnn does, and move half a pixel back."""

    def decode_boxes(proposals: Array, deltas: Array, **params: Any) -> Array:
        boxes: Array = body(proposals, deltas, **{**params, "convention": "py-faster"})
        np.subtract(boxes, 0.5, out=boxes)
        return boxes

    return decode_boxes


def _clamped_on_both_sides(body: Body) -> Body:
    """Let |t_w| and |t_h| be at most the clamp, also where none was asked."""

    def decode_boxes(proposals: Array, deltas: Array, *, clamp: float | None, **params: Any) -> Any:
        limit, deltas = SCALE_CLAMP if clamp is None else clamp, deltas.copy()
        for i in (2, 3):  # t = (δ · std + mean) / weight ≥ −limit
            least = (-limit * params["weights"][i] - params["mean"][i]) / params["std"][i]
            deltas[:, i::4] = np.maximum(deltas[:, i::4], deltas.dtype.type(least))
        return body(proposals, deltas, clamp=limit, **params)

    return decode_boxes


def _rows_first(deltas: Array) -> Array:
    """Exchange x with y, and w with h."""
    return deltas.reshape(len(deltas), deltas.shape[1] // 4, 4)[:, :, [1, 0, 3, 2]].reshape(deltas.shape)


def _scales_by_place(params: dict[str, Any]) -> dict[str, Any]:
    """Exchange the scales, so that after the numbers were exchanged the first is that of t_y."""
    scales = {name: params[name] for name in ("weights", "mean", "std")}
    return {**params, **{name: (y, x, h, w) for name, (x, y, w, h) in scales.items()}}


def _decoded_rows_first(body: Body) -> Body:
    return lambda proposals, deltas, **params: body(proposals, _rows_first(deltas), **_scales_by_place(params))


def _sizes(boxes: Array, convention: str) -> Array:
    """Return (w, h, w, h) of every box."""
    sizes = boxes[:, 2:] - boxes[:, :2] + (0 if convention == "continuous" else 1)
    return np.concatenate([sizes, sizes], axis=1)


def _corners_decoded(body: Body) -> Body:
    def decode_boxes(
        proposals: Array,
        deltas: Array,
        *,
        convention: str,
        weights: Four,
        mean: Four,
        std: Four,
        clamp: float | None,
    ) -> Array:
        t = (deltas.reshape(len(deltas), deltas.shape[1] // 4, 4) * std + mean) / weights  # (R, K, 4)
        moved = proposals[:, None] + t * _sizes(proposals, convention)[:, None]
        return moved.reshape(deltas.shape).astype(proposals.dtype)

    return decode_boxes


DEVIATIONS = [
    Deviation(
        "code.encode_plus1=no",
        "encodes with the width x2 − x1, where x2 − x1 + 1 was asked",
        "Offsets are divided by a width that is a pixel smaller.",
        (
            "torchvision, torchvision/models/detection/_utils.py, encode_boxes",
            "Detectron2, detectron2/modeling/box_regression.py, get_deltas",
        ),
        "Add 1 to the widths and heights of proposals and targets.",
        {"encode_boxes": _encoding(always="continuous")},
    ),
    Deviation(
        "code.encode_plus1=yes",
        "encodes with the width x2 − x1 + 1",
        "Offsets are divided by a width that is a pixel larger.",
        (
            "py-faster-rcnn, lib/fast_rcnn/bbox_transform.py, bbox_transform",
            "Detectron, detectron/utils/boxes.py, bbox_transform_inv",
        ),
        "Use x2 − x1 for the widths, and y2 − y1 for the heights, of proposals and targets.",
        {"encode_boxes": _encoding(always="py-faster")},
    ),
    Deviation(
        "code.plus1=no",
        "decodes with the width x2 − x1, where x2 − x1 + 1 was asked",
        "Offsets are multiplied with a width that is a pixel smaller.",
        ("torchvision, torchvision/models/detection/_utils.py", "Detectron2, detectron2/modeling/box_regression.py"),
        "Add 1 to the widths and heights of proposals.",
        {"decode_boxes": setting(convention="continuous")},
    ),
    Deviation(
        "code.plus1=detectron1",
        "decodes with the width x2 − x1 + 1, and subtracts the 1 from the corners",
        "A pixel too wide in between; t = 0 gives the proposal back.",
        (
            "Detectron, detectron/utils/boxes.py, bbox_transform",
            "mmdetection 1, mmdet/core/bbox/transforms.py, delta2bbox: gx + gw * 0.5 - 0.5",
        ),
        "Use x2 − x1, and do not subtract 1 from decoded corners; or, where py-faster was asked, only the latter.",
        {"decode_boxes": setting(convention="detectron1")},
    ),
    Deviation(
        "code.plus1=centred",
        "decodes with the width x2 − x1 + 1 around the centre (x1 + x2)/2, and leaves the 1 in the corners",
        "Decoded boxes are half a pixel larger on each side: t = 0 turns [0, 0, 9, 9] into [−½, −½, 9½, 9½].",
        ("mmdetection 2, mmdet/core/bbox/coder/legacy_delta_xywh_bbox_coder.py, legacy_delta2bbox",),
        "Use x2 − x1; or, where a 1 was asked, begin at x1 + w/2 and decide whether the corners lose the 1.",
        {"decode_boxes": _around_the_middle},
    ),
    Deviation(
        "code.plus1=py-faster",
        "decodes with the width x2 − x1 + 1, and leaves the 1 in the corners",
        "Decoded boxes are a pixel larger: t = 0 turns [0, 0, 9, 9] into [0, 0, 10, 10].",
        ("py-faster-rcnn, lib/fast_rcnn/bbox_transform.py",),
        "Use x2 − x1; or, where detectron1 was asked, subtract 1 from the decoded x2 and y2.",
        {"decode_boxes": setting(convention="py-faster")},
    ),
    Deviation(
        "code.clamp=none",
        "does not limit t_w and t_h, though a clamp was asked",
        "Large predictions give huge or infinite boxes.",
        (
            "py-faster-rcnn, lib/fast_rcnn/bbox_transform.py, bbox_transform_inv",
            "matterport Mask R-CNN, mrcnn/utils.py, apply_box_deltas",
        ),
        "Take min(t_w, clamp) and min(t_h, clamp) before the exponential.",
        {"decode_boxes": setting(clamp=None)},
    ),
    Deviation(
        "code.clamp=always",
        "limits t_w and t_h to log(1000/16), though no clamp was asked",
        "No side grows more than 62.5-fold.",
        (
            "Detectron, detectron/utils/boxes.py, bbox_transform: np.minimum(dw, cfg.BBOX_XFORM_CLIP)",
            "torchvision, torchvision/models/detection/_utils.py, BoxCoder: bbox_xform_clip",
            "Detectron2, detectron2/modeling/box_regression.py: _DEFAULT_SCALE_CLAMP",
        ),
        "Take the exponential of t_w and t_h as they are.",
        {"decode_boxes": _clamped_if_not_asked},
    ),
    Deviation(
        "code.clamp=both",
        "limits t_w and t_h from below as well as from above, also where no clamp was asked",
        "−c ≤ t ≤ c for t_w and t_h, with c the clamp that was asked, else log(1000/16): no side shrinks more than "
        "62.5-fold.",
        (
            "mmdetection 2, mmdet/core/bbox/coder/delta_xywh_bbox_coder.py, delta2bbox: dw.clamp(min=-max_ratio, …)",
            "mmdetection 1, mmdet/core/bbox/transforms.py, delta2bbox",
        ),
        "Clamp t_w and t_h from above only, and only where it is asked.",
        {"decode_boxes": _clamped_on_both_sides},
    ),
    Deviation(
        "code.order=yx",
        "orders the four numbers as (t_y, t_x, t_h, t_w)",
        "Horizontal and vertical corrections are exchanged. Weights, means and deviations belong to places: the first "
        "is that of t_y.",
        (
            "matterport Mask R-CNN, mrcnn/utils.py: box_refinement, apply_box_deltas",
            "TensorFlow object detection API, box_coders/faster_rcnn_box_coder.py",
        ),
        "Order them as (t_x, t_y, t_w, t_h).",
        {"encode_boxes": _encoding(order=(1, 0, 3, 2)), "decode_boxes": _decoded_rows_first},
    ),
    Deviation(
        "code.form=corners",
        "codes how far each corner moves, in widths and heights, without a logarithm",
        "The last two numbers, and usually the first two, mean something else.",
        (
            "keras-retinanet, keras_retinanet/utils/anchors.py, bbox_transform, since 2018",
            "keras-retinanet, keras_retinanet/backend/common.py, bbox_transform_inv",
        ),
        "Code the movement of the centre, and the logarithms of the ratios of the sizes.",
        {"encode_boxes": _encoding(corners=True), "decode_boxes": _corners_decoded},
    ),
    Deviation(
        "code.target=at_least_one",
        "takes targets narrower or lower than a pixel for a pixel wide or high",
        "No logarithm of 0; small targets come out larger. Their centres stay where they are.",
        ("keras-retinanet until 2018, keras_retinanet/utils/anchors.py: np.maximum(gt_widths, 1)",),
        "Use the target's own width and height.",
        {"encode_boxes": _encoding(least=1.0)},
    ),
]
