"""Deviations of reference boxes: the anchors of a region proposal network, and SSD's default boxes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.wrapping import setting
from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation


def _ratios_outside(convention: str) -> bool:
    """Say whether the order is ratios, then sizes: that of all conventions but Detectron2's."""
    return convention != "detectron2"


def _exchanged(anchors: Array, n_outer: int, n_inner: int) -> Array:
    """Exchange the two loops over sizes and ratios."""
    return anchors.reshape(n_outer, n_inner, 4).transpose(1, 0, 2).reshape(-1, 4)


def _ordered(by_ratio: bool) -> Callable[[Body], Body]:
    """Write the anchors ratio by ratio, or size by size, whatever was asked."""

    def wrap(body: Body) -> Body:
        def base_anchors(*, convention: str, sizes: Any, ratios: Any, **params: Any) -> Array:
            anchors: Array = body(convention=convention, sizes=sizes, ratios=ratios, **params)
            if _ratios_outside(convention) == by_ratio:
                return anchors
            outer, inner = (sizes, ratios) if by_ratio else (ratios, sizes)
            return _exchanged(anchors, len(outer), len(inner))

        return base_anchors

    return wrap


def _rounded(body: Body) -> Body:
    """Round the corners, which "py-faster" has made of rounded sides already."""

    def base_anchors(*, convention: str, **params: Any) -> Any:
        anchors = body(convention=convention, **params)
        return anchors if convention == "py-faster" else np.round(anchors)

    return base_anchors


def _sides(sizes: Any, ratios: Any, base: float, rounding: Callable[[float], float]) -> Array:
    """Return (w, h) ratio by ratio; the sides of the base are rounded before they are scaled."""
    sides = []
    for ratio in ratios:
        w = rounding(math.sqrt(base * base / ratio))
        sides += [(w * s, rounding(w * ratio) * s) for s in sizes]
    return np.array(sides, np.float64).reshape(-1, 2)


def _around(centre: float, sides: Array) -> Array:
    return np.concatenate([centre - sides / 2, centre + sides / 2], axis=1)


def _half_away(v: float) -> float:
    return math.copysign(math.floor(abs(v) + 0.5), v)


def _with_rounding(rounding: Callable[[float], float]) -> Callable[[Body], Body]:
    """Round by another rule where rounding was asked."""

    def wrap(body: Body) -> Body:
        def base_anchors(*, convention: str, sizes: Any, ratios: Any, base_size: int | None) -> Any:
            if base_size is not None:  # "py-faster"
                return _around((base_size - 1) / 2, _sides(sizes, ratios, base_size, rounding) - 1)
            anchors = body(convention=convention, sizes=sizes, ratios=ratios, base_size=base_size)
            if convention == "torchvision":
                return np.vectorize(rounding, otypes=[float])(_around(0.0, _sides(sizes, ratios, 1.0, float)))
            return anchors

        return base_anchors

    return wrap


def _centred_on_zero(body: Body) -> Body:
    def base_anchors(*, base_size: int | None, **params: Any) -> Any:
        anchors = body(base_size=base_size, **params)
        return anchors if base_size is None else anchors - (base_size - 1) / 2

    return base_anchors


def _counted_from_one(body: Body) -> Body:
    def base_anchors(*, convention: str, **params: Any) -> Any:
        return body(convention=convention, **params) + (1 if convention == "py-faster" else 0)

    return base_anchors


def _inverse_ratios(body: Body) -> Body:
    return lambda *, ratios, **params: body(ratios=tuple(1 / r for r in ratios), **params)


def _positions_by_columns(body: Body) -> Body:
    def anchor_grid(base: Array, *, size: tuple[int, int], **params: Any) -> Any:
        anchors = body(base, size=size, **params).reshape(*size, len(base), 4)
        return anchors.transpose(1, 0, 2, 3).reshape(-1, 4)

    return anchor_grid


def _anchors_outside(body: Body) -> Body:
    def anchor_grid(base: Array, *, size: tuple[int, int], **params: Any) -> Any:
        anchors = body(base, size=size, **params).reshape(size[0] * size[1], len(base), 4)
        return anchors.transpose(1, 0, 2).reshape(-1, 4)

    return anchor_grid


def _clamped_as_stored(body: Body) -> Body:
    """Clamp centre and size, all four of them, to [0, 1]."""

    def default_boxes(**params: Any) -> Any:
        boxes = body(**{**params, "clip": "none"})
        start, end = boxes[:, :2], boxes[:, 2:]
        centre, size = np.clip((start + end) / 2, 0, 1), np.clip(end - start, 0, 1)
        return np.concatenate([centre - size / 2, centre + size / 2], axis=1)

    return default_boxes


def _even_steps(body: Body) -> Body:
    """Space the positions evenly over the image: centres at (j + ½) / map size."""

    def default_boxes(*, image_size: int, map_sizes: tuple[int, ...], steps: Any, **params: Any) -> Any:
        even = tuple(image_size / n if n else step for n, step in zip(map_sizes, steps, strict=True))
        return body(image_size=image_size, map_sizes=map_sizes, steps=even, **params)

    return default_boxes


DEVIATIONS = [
    Deviation(
        "anchor.quant=round",
        "rounds the corners of anchors, though none of it was asked",
        "Corners are whole numbers; sides differ by up to a pixel.",
        ("torchvision, torchvision/models/detection/anchor_utils.py: base_anchors.round()",),
        "Keep the corners as ± w/2 and ± h/2.",
        {"base_anchors": _rounded},
    ),
    Deviation(
        "anchor.quant=none",
        "does not round anchors, where rounding was asked",
        "Corners, or the sides before they are scaled, are no whole numbers.",
        (
            "Detectron2, detectron2/modeling/anchor_generator.py",
            "mmdetection 2, mmdet/core/anchor/anchor_generator.py",
            "keras-retinanet, keras_retinanet/utils/anchors.py, generate_anchors",
        ),
        "Round the corners (torchvision), or the sides of the base anchor before they are scaled (py-faster).",
        {"base_anchors": _with_rounding(float)},
    ),
    Deviation(
        "anchor.quant=half_away",
        "rounds halves away from zero instead of to even",
        "A side, or a corner, that lies halfway between two numbers is larger by 1.",
        ("Faster R-CNN in MATLAB, functions/rpn/proposal_generate_anchors.m: round",),
        "Round halves to the even neighbour, as NumPy's and torch's round do.",
        {"base_anchors": _with_rounding(_half_away)},
    ),
    Deviation(
        "anchor.sequence=ratios",
        "orders anchors by ratio, then by size, where the opposite was asked",
        "The same anchors in another order: a network's outputs belong to others.",
        ("torchvision, torchvision/models/detection/anchor_utils.py", "py-faster-rcnn, lib/rpn/generate_anchors.py"),
        "Let the ratio vary fastest: all ratios of the first size, then of the second.",
        {"base_anchors": _ordered(by_ratio=True)},
    ),
    Deviation(
        "anchor.sequence=sizes",
        "orders anchors by size, then by ratio, where the opposite was asked",
        "The same anchors in another order: a network's outputs belong to others.",
        ("Detectron2, detectron2/modeling/anchor_generator.py",),
        "Let the size vary fastest: all sizes of the first ratio, then of the second.",
        {"base_anchors": _ordered(by_ratio=False)},
    ),
    Deviation(
        "anchor.where=origin",
        "centres anchors on 0, where the middle of the first cell was asked",
        "All anchors lie (base_size − 1)/2 pixels too far left and up.",
        (
            "mmdetection 2, mmdet/core/anchor/anchor_generator.py with its default center_offset=0",
            "torchvision, torchvision/models/detection/anchor_utils.py",
        ),
        "Centre the anchors on (base_size − 1)/2.",
        {"base_anchors": _centred_on_zero},
    ),
    Deviation(
        "anchor.where=from1",
        "counts pixels from 1: all corners are larger by 1",
        "The table in the comment of generate_anchors.py, beginning with [-83, -39, 100, 56].",
        (
            "Faster R-CNN in MATLAB, functions/rpn/proposal_generate_anchors.m: base_anchor = [1, 1, base_size, "
            "base_size]",
        ),
        "Begin the base anchor at 0: [0, 0, base_size − 1, base_size − 1].",
        {"base_anchors": _counted_from_one},
    ),
    Deviation(
        "anchor.ratio=w_over_h",
        "takes a ratio for width over height",
        "Wide anchors come where high ones should.",
        (
            "TensorFlow object detection API, anchor_generators/grid_anchor_generator.py: widths = scales * "
            "ratio_sqrts",
            "matterport Mask R-CNN, mrcnn/utils.py, generate_anchors: widths = scales * np.sqrt(ratios)",
        ),
        "Let a ratio be height over width: w = s/√r, h = s√r.",
        {"base_anchors": _inverse_ratios},
    ),
    Deviation(
        "anchor.offset=half",
        "places anchors on the middles of cells, though offset=0 was asked",
        "All anchors lie half a stride too far right and down.",
        (
            "keras-retinanet, keras_retinanet/utils/anchors.py, shift: (np.arange(0, shape[1]) + 0.5) * stride",
            "Detectron2, detectron2/modeling/anchor_generator.py, DefaultAnchorGenerator: offset=0.5",
        ),
        "Place the anchors of position x on x · stride.",
        {"anchor_grid": setting(offset=0.5)},
    ),
    Deviation(
        "anchor.offset=0",
        "places anchors on the corners of cells, though an offset was asked",
        "All anchors lie half a stride too far left and up.",
        (
            "py-faster-rcnn, lib/rpn/proposal_layer.py",
            "torchvision, torchvision/models/detection/anchor_utils.py, grid_anchors",
        ),
        "Place the anchors of position x on (x + offset) · stride.",
        {"anchor_grid": setting(offset=0.0)},
    ),
    Deviation(
        "anchor.positions=columns",
        "goes through the positions column by column",
        "The same anchors in another order, unless the map is square and symmetric.",
        ("Faster R-CNN in MATLAB, functions/rpn/proposal_locate_anchors.m: meshgrid, then shift_x(:), shift_y(:)",),
        "Let x vary faster than y.",
        {"anchor_grid": _positions_by_columns},
    ),
    Deviation(
        "anchor.positions=anchors_outside",
        "goes through all positions with the first anchor, then with the second",
        "The same anchors in another order.",
        ("code that flattens predictions (A, H, W) as they leave the network, without a transposition",),
        "Let the anchors of one position follow each other.",
        {"anchor_grid": _anchors_outside},
    ),
    Deviation(
        "ssd.prior_order=caffe",
        "writes both squares of a position first, where the larger was asked to be last",
        "The same boxes in another order: a network's outputs belong to others.",
        ("Caffe SSD, src/caffe/layers/prior_box_layer.cpp", "ssd.pytorch, layers/functions/prior_box.py"),
        "Write the square of √(min · max) after the boxes of other ratios.",
        {"default_boxes": setting(order="caffe")},
    ),
    Deviation(
        "ssd.prior_order=paddle",
        "writes the larger square of a position last, where it was asked to be second",
        "The same boxes in another order: a network's outputs belong to others.",
        (
            "Paddle, paddle/phi/kernels/cpu/prior_box_kernel.cc with its default min_max_aspect_ratios_order=False",
            "TensorFlow object detection API, multiple_grid_anchor_generator.py, create_ssd_anchors",
        ),
        "Write the square of √(min · max) second.",
        {"default_boxes": setting(order="paddle")},
    ),
    Deviation(
        "ssd.clip=none",
        "does not clip boxes, though it was asked",
        "Boxes of positions near the border leave the image.",
        ("Caffe SSD, examples/ssd/ssd_pascal.py: clip = False",),
        "Clamp as asked: the corners, or width and height, to [0, 1].",
        {"default_boxes": setting(clip="none")},
    ),
    Deviation(
        "ssd.clip=corners",
        "clamps the corners of boxes to the image",
        "Boxes that leave the image are cut off at its border.",
        ("Caffe SSD, src/caffe/layers/prior_box_layer.cpp with clip: true",),
        "Leave boxes that leave the image, or clamp width and height if that was asked.",
        {"default_boxes": setting(clip="corners")},
    ),
    Deviation(
        "ssd.clip=size",
        "clamps the width and height of boxes to those of the image",
        "Boxes larger than the image are smaller; others still leave it.",
        ("torchvision, torchvision/models/detection/anchor_utils.py, DefaultBoxGenerator: _wh_pairs clamped",),
        "Leave boxes as they are, or clamp their corners if that was asked.",
        {"default_boxes": setting(clip="size")},
    ),
    Deviation(
        "ssd.clip=centre_size",
        "clamps centre, width and height of boxes to [0, 1]",
        "Boxes larger than the image are smaller, and centres beyond its border lie on it; corners still leave it.",
        ("ssd.pytorch, layers/functions/prior_box.py: output.clamp_(max=1, min=0)",),
        "Clamp corners, after converting to them, or what was asked.",
        {"default_boxes": _clamped_as_stored},
    ),
    Deviation(
        "ssd.step=even",
        "spaces positions by image size / map size, whatever the steps",
        "On maps that the image size is no multiple of, centres lie elsewhere: 300/38 is 7.9, not 8.",
        (
            "Liu et al. (2016), section 2.2: ((i + 0.5)/f_k, (j + 0.5)/f_k)",
            "torchvision, DefaultBoxGenerator with steps=None",
            "ssd.pytorch's original version, layers/functions/prior_box.py: self.image_size/k",
        ),
        "Place the centre of position j on (j + ½) · step.",
        {"default_boxes": _even_steps},
    ),
]
