"""Anchors around one point and over a map, as libraries make them that differ from one another."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Rounding = Callable[[float], float]


def exactly(number: float) -> float:
    """Return the number."""
    return number


def half_to_even(number: float) -> float:
    """Round as NumPy and torch do."""
    return float(np.round(number))


def half_away(number: float) -> float:
    """Round as MATLAB does."""
    return math.copysign(math.floor(abs(number) + 0.5), number)


def around_a_point(
    question: Question,
    *,
    rounding: Rounding | None = None,
    halves: Rounding = half_to_even,
    ratio_is: str = "h/w",
    sequence: str = "",
    first_pixel: int = 0,
    centre: float | None = None,
) -> dict[str, Any]:
    """Answer `base_anchors`."""
    convention, sizes, ratios = (question.params[name] for name in ("convention", "sizes", "ratios"))
    if rounding is None:
        rounding = exactly if convention == "detectron2" else halves
    if not sequence:
        sequence = "sizes" if convention == "detectron2" else "ratios"
    pairs = [(size, ratio) for ratio in ratios for size in sizes]
    if sequence == "sizes":
        pairs = [(size, ratio) for size in sizes for ratio in ratios]
    anchors: list[tuple[float, ...]] = []
    for size, ratio in pairs:
        tall = ratio if ratio_is == "h/w" else 1 / ratio
        if convention == "py-faster":
            base = question.params["base_size"]
            width = rounding(math.sqrt(base * base / tall))
            height = rounding(width * tall)
            middle = first_pixel + (base - 1) / 2 if centre is None else centre
            half_x, half_y = (width * size - 1) / 2, (height * size - 1) / 2
            anchors.append((middle - half_x, middle - half_y, middle + half_x, middle + half_y))
        else:
            half_x, half_y = size / math.sqrt(tall) / 2, size * math.sqrt(tall) / 2
            anchors.append(tuple(rounding(corner) for corner in (-half_x, -half_y, half_x, half_y)))
    return {"anchors": np.array(anchors, dtype=np.float64).reshape(-1, 4)}


def over_a_map(question: Question, *, offset: float | None = None, positions: str = "rows") -> dict[str, Any]:
    """Answer `anchor_grid`."""
    (height, width), (stride_y, stride_x) = question.params["size"], question.params["stride"]
    if offset is None:
        offset = question.params["offset"]
    base = question.arguments["base"]
    assert base is not None
    places = [(x, y) for y in range(height) for x in range(width)]
    if positions == "columns":
        places = [(x, y) for x in range(width) for y in range(height)]
    turns = [(x, y, a) for x, y in places for a in range(len(base))]
    if positions == "anchors_outside":
        turns = [(x, y, a) for a in range(len(base)) for x, y in places]
    anchors = np.zeros((len(turns), 4))
    for n, (x, y, a) in enumerate(turns):
        shift_x, shift_y = (x + offset) * stride_x, (y + offset) * stride_y
        for k, shift in enumerate((shift_x, shift_y, shift_x, shift_y)):
            anchors[n, k] = float(base[a, k]) + shift
    return {"anchors": anchors}


GENERATE = "Faster R-CNN in MATLAB functions/rpn/proposal_generate_anchors.m, transcribed"
LOCATE = "Faster R-CNN in MATLAB functions/rpn/proposal_locate_anchors.m, transcribed"
TORCHVISION = "torchvision torchvision/models/detection/anchor_utils.py, transcribed"
DETECTRON2 = "Detectron2 detectron2/modeling/anchor_generator.py, transcribed"
RETINANET = "keras-retinanet keras_retinanet/utils/anchors.py, shift, transcribed"
TF_API = "TensorFlow object detection API anchor_generators/grid_anchor_generator.py, transcribed"
MMDETECTION = "mmdetection 2 mmdet/core/anchor/anchor_generator.py with center_offset=0, transcribed"
PREDICTIONS = "from the definition: the predictions (A, H, W) of a convolution, flattened as they are"

CONFORMING = [("base_anchors", around_a_point), ("anchor_grid", over_a_map)]

WITNESSES = [
    Witness("anchor.offset=0", "anchor_grid", TORCHVISION, partial(over_a_map, offset=0.0)),
    Witness("anchor.offset=half", "anchor_grid", RETINANET, partial(over_a_map, offset=0.5)),
    Witness(
        "anchor.positions=anchors_outside", "anchor_grid", PREDICTIONS, partial(over_a_map, positions="anchors_outside")
    ),
    Witness("anchor.positions=columns", "anchor_grid", LOCATE, partial(over_a_map, positions="columns")),
    Witness("anchor.quant=half_away", "base_anchors", GENERATE, partial(around_a_point, halves=half_away)),
    Witness("anchor.quant=none", "base_anchors", DETECTRON2, partial(around_a_point, rounding=exactly)),
    Witness("anchor.quant=round", "base_anchors", TORCHVISION, partial(around_a_point, rounding=half_to_even)),
    Witness("anchor.ratio=w_over_h", "base_anchors", TF_API, partial(around_a_point, ratio_is="w/h")),
    Witness("anchor.sequence=ratios", "base_anchors", TORCHVISION, partial(around_a_point, sequence="ratios")),
    Witness("anchor.sequence=sizes", "base_anchors", DETECTRON2, partial(around_a_point, sequence="sizes")),
    Witness("anchor.where=from1", "base_anchors", GENERATE, partial(around_a_point, first_pixel=1)),
    Witness("anchor.where=origin", "base_anchors", MMDETECTION, partial(around_a_point, centre=0.0)),
]
