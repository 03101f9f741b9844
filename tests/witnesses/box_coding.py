"""Coding and decoding of boxes, as libraries do it that differ from one another.

One plain pair of functions, from Girshick et al. (2014), appendix C, with an option for each difference.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Four = tuple[float, ...]
LIMIT = float(np.log(1000 / 16))


def encode(
    question: Question, *, convention: str = "", form: str = "centre", order: str = "xy", least: float = 0.0
) -> dict[str, Any]:
    """Answer `encode_boxes`; `least` is the least width and height of a target."""
    params = question.params
    extra = 0 if (convention or params["convention"]) == "continuous" else 1
    proposals, targets = question.arguments["proposals"], question.arguments["targets"]
    assert proposals is not None
    assert targets is not None
    deltas = np.zeros((len(proposals), 4))
    with np.errstate(all="ignore"):
        for r in range(len(proposals)):
            p, b = proposals[r].astype(np.float64), targets[r].astype(np.float64)
            p_x, p_y, p_w, p_h = _centre_and_size(p, extra)
            b_x, b_y, b_w, b_h = _centre_and_size(b, extra)
            b_w, b_h = np.maximum(b_w, least) if least else b_w, np.maximum(b_h, least) if least else b_h
            t = [(b_x - p_x) / p_w, (b_y - p_y) / p_h, np.log(b_w / p_w), np.log(b_h / p_h)]
            if form == "corners":
                t = [(b[0] - p[0]) / p_w, (b[1] - p[1]) / p_h, (b[2] - p[2]) / p_w, (b[3] - p[3]) / p_h]
            scales = zip([t[k] for k in _places(order)], params["weights"], params["mean"], params["std"], strict=True)
            deltas[r] = [(number * weight - mean) / std for number, weight, mean, std in scales]
    return {"deltas": deltas}


def decode(
    question: Question, *, convention: str = "", form: str = "centre", order: str = "xy", clamp: str = "asked"
) -> dict[str, Any]:
    """Answer `decode_boxes`; `clamp` is "asked", "none", "always" or "both", which is always and from below too."""
    params = question.params
    convention = convention or params["convention"]
    extra, less = (0 if convention == "continuous" else 1), (1 if convention == "detectron1" else 0)
    before = 0.5 if convention == "centred" else 0.0  # legacy_delta2bbox: px = (x1 + x2) * 0.5
    limit = {"none": None, "asked": params["clamp"]}.get(clamp, LIMIT if params["clamp"] is None else params["clamp"])
    proposals, deltas = question.arguments["proposals"], question.arguments["deltas"]
    assert proposals is not None
    assert deltas is not None
    boxes = np.zeros(deltas.shape)
    with np.errstate(all="ignore"):
        for r in range(len(proposals)):
            p = proposals[r].astype(np.float64)
            p_x, p_y, p_w, p_h = _centre_and_size(p, extra)
            for first in range(0, deltas.shape[1], 4):
                delta = deltas[r, first : first + 4].astype(np.float64)
                scales = zip(delta, params["weights"], params["mean"], params["std"], strict=True)
                scaled = [(number * std + mean) / weight for number, weight, mean, std in scales]
                t = [scaled[k] for k in _places(order)]
                if form == "corners":
                    boxes[r, first : first + 4] = [
                        p[0] + t[0] * p_w,
                        p[1] + t[1] * p_h,
                        p[2] + t[2] * p_w,
                        p[3] + t[3] * p_h,
                    ]
                    continue
                if limit is not None:
                    t[2:] = [np.minimum(number, limit) for number in t[2:]]
                if clamp == "both":
                    t[2:] = [np.maximum(number, -limit) for number in t[2:]]
                b_x, b_y = p_x - before + p_w * t[0], p_y - before + p_h * t[1]
                b_w, b_h = p_w * np.exp(t[2]), p_h * np.exp(t[3])
                boxes[r, first : first + 4] = [
                    b_x - 0.5 * b_w,
                    b_y - 0.5 * b_h,
                    b_x + 0.5 * b_w - less,
                    b_y + 0.5 * b_h - less,
                ]
    return {"boxes": boxes}


def _centre_and_size(box: Any, extra: int) -> Four:
    width, height = box[2] - box[0] + extra, box[3] - box[1] + extra
    return box[0] + 0.5 * width, box[1] + 0.5 * height, width, height


def _places(order: str) -> tuple[int, ...]:
    """Return where t_x, t_y, t_w and t_h come from; the exchange is its own inverse."""
    return (1, 0, 3, 2) if order == "yx" else (0, 1, 2, 3)


RETINANET = "keras-retinanet keras_retinanet/utils/anchors.py, bbox_transform, transcribed"
RETINANET_INVERSE = "keras-retinanet keras_retinanet/backend/common.py, bbox_transform_inv, transcribed"
MATTERPORT = "matterport Mask R-CNN mrcnn/utils.py, box_refinement and apply_box_deltas, transcribed"
PY_FASTER = "py-faster-rcnn lib/fast_rcnn/bbox_transform.py, transcribed"
DETECTRON = "Detectron detectron/utils/boxes.py, bbox_transform and bbox_transform_inv, transcribed"
DETECTRON2 = "Detectron2 detectron2/modeling/box_regression.py, transcribed"
MMDETECTION = "mmdetection mmdet/core/bbox/coder/delta_xywh_bbox_coder.py, delta2bbox, transcribed"

LEGACY = "mmdetection mmdet/core/bbox/coder/legacy_delta_xywh_bbox_coder.py, legacy_delta2bbox, transcribed"

CONFORMING = [("encode_boxes", encode), ("decode_boxes", decode)]

WITNESSES = [
    Witness("code.clamp=always", "decode_boxes", DETECTRON, partial(decode, clamp="always")),
    Witness("code.clamp=both", "decode_boxes", MMDETECTION, partial(decode, clamp="both")),
    Witness("code.clamp=none", "decode_boxes", PY_FASTER, partial(decode, clamp="none")),
    Witness("code.encode_plus1=no", "encode_boxes", DETECTRON2, partial(encode, convention="continuous")),
    Witness("code.encode_plus1=yes", "encode_boxes", PY_FASTER, partial(encode, convention="py-faster")),
    Witness("code.form=corners", "encode_boxes", RETINANET, partial(encode, form="corners")),
    Witness("code.form=corners", "decode_boxes", RETINANET_INVERSE, partial(decode, form="corners")),
    Witness("code.order=yx", "encode_boxes", MATTERPORT, partial(encode, order="yx")),
    Witness("code.order=yx", "decode_boxes", MATTERPORT, partial(decode, order="yx")),
    Witness("code.plus1=centred", "decode_boxes", LEGACY, partial(decode, convention="centred")),
    Witness("code.plus1=detectron1", "decode_boxes", DETECTRON, partial(decode, convention="detectron1")),
    Witness("code.plus1=no", "decode_boxes", DETECTRON2, partial(decode, convention="continuous")),
    Witness("code.plus1=py-faster", "decode_boxes", PY_FASTER, partial(decode, convention="py-faster")),
    Witness(
        "code.target=at_least_one",
        "encode_boxes",
        "keras-retinanet until 2018, keras_retinanet/utils/anchors.py, bbox_transform, transcribed",
        partial(encode, least=1.0),
    ),
]
