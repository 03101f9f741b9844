"""Deviations of joints as places on a grid, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation


def _scaled(scale: Callable[[Any, Array], Array]) -> Callable[[Body], Body]:
    """Multiply, in float32, by what is made of m and the sides."""

    def wrap(_: Body) -> Body:
        def encode_keypoints(joints: Array, visible: Array, boxes: Array, *, side: int) -> tuple[Array, Array]:
            j, b = joints.astype(np.float32), boxes.astype(np.float32)[:, None]
            with np.errstate(all="ignore"):
                places = np.floor((j - b[..., :2]) * scale(np.float32(side), b[..., 2:] - b[..., :2]))
            return _positions(np.where(j == b[..., 2:], side - 1, places), visible, side, first=0)

        return encode_keypoints

    return wrap


def _to_the_nearest(_: Body) -> Body:
    """Round to the nearest place; the first row and column count as outside, and whatever comes to m is m − 1."""

    def encode_keypoints(joints: Array, visible: Array, boxes: Array, *, side: int) -> tuple[Array, Array]:
        b = boxes.astype(np.float64)[:, None]
        with np.errstate(all="ignore"):
            places = np.trunc((joints.astype(np.float64) - b[..., :2]) * side / (b[..., 2:] - b[..., :2]) + 0.5)
        return _positions(np.where(places == side, side - 1, places), visible, side, first=1)

    return encode_keypoints


def _positions(places: Array, visible: Array, side: int, *, first: int) -> tuple[Array, Array]:
    """Return row · m + column and its validity, for places (column, row) from the first valid one on."""
    valid = visible & np.all((places >= first) & (places < side), axis=2)
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        row_major = places[..., 1] * side + places[..., 0]
    return np.where(valid, row_major, 0).astype(np.int64), valid


def _own_sides(body: Body) -> Body:
    """Place joints in a box of the size that it has, though the map was resized to a pixel at least."""

    def decode_keypoints(logits: Array, boxes: Array, *, convention: str) -> tuple[Array, Array]:
        joints, scores = body(logits, boxes, convention=convention)
        sides = (boxes[:, None, 2:] - boxes[:, None, :2]).astype(np.float64)
        start = boxes[:, None, :2].astype(np.float64)
        moved = start + (joints.astype(np.float64) - start) * sides / np.maximum(sides, 1)
        return moved.astype(joints.dtype), scores

    return decode_keypoints


def _by_a_parabola(body: Body) -> Body:
    """Find the peak of the quadratic through the 3 × 3 places around the largest logit, mirrored at the border."""

    def decode_keypoints(logits: Array, boxes: Array, *, convention: str) -> tuple[Array, Array]:
        D, K, m = logits.shape[:3]
        joints, scores = np.full((D, K, 2), np.nan), np.full((D, K), np.nan)
        for d, box in enumerate(boxes.astype(np.float64)):
            sides = np.maximum(box[2:] - box[:2], 1)
            for k in range(K):
                x = logits[d, k].astype(np.float64)
                row, column = divmod(int(np.argmax(x)), m)
                delta, height = _peak(np.pad(x, 1, mode="reflect")[row : row + 3, column : column + 3])
                joints[d, k] = box[:2] + (np.array([column, row]) + 0.5 + delta) * sides / m
                share = 1 / np.sum(np.exp(x - x.max()))
                scores[d, k] = height if convention == "torchvision" else share
        return joints.astype(logits.dtype), scores.astype(logits.dtype)

    return decode_keypoints


def _peak(f: Array) -> tuple[Array, float]:
    """Return how far the peak (x, y) of the quadratic through 3 × 3 values is from their middle, and its height."""
    gradient = np.array([f[1, 2] - f[1, 0], f[2, 1] - f[0, 1]]) / 2
    mixed = (f[2, 2] - f[2, 0] - f[0, 2] + f[0, 0]) / 4
    hessian = np.array([[f[1, 0] - 2 * f[1, 1] + f[1, 2], mixed], [mixed, f[0, 1] - 2 * f[1, 1] + f[2, 1]]])
    if not abs(np.linalg.det(hessian)) >= 1e-4:
        return np.zeros(2), float(f[1, 1])
    delta = -np.linalg.solve(hessian, gradient)
    delta = delta * min(1.0, 1.5 / max(float(np.abs(delta).max()), 1e-30))
    return delta, float(f[1, 1] + gradient @ delta + delta @ hessian @ delta / 2)


DEVIATIONS = [
    Deviation(
        "keypoint.scale=float32",
        "multiplies by m/(x2 − x1), rounded to float32",
        "A joint exactly between two places may come to the one before: 23 of 46 pixels, for 28 places.",
        ("Detectron, detectron/utils/keypoints.py, keypoints_to_heatmap_labels",),
        "Multiply by m first and divide then, or compute in float64.",
        {"encode_keypoints": _scaled(lambda m, sides: m / sides)},
    ),
    Deviation(
        "keypoint.scale=reciprocal",
        "multiplies by m · 1/(x2 − x1), the reciprocal rounded to float32 and the product again",
        "A joint exactly between two places may come to the one before: 7 of 49 pixels, for 28 places.",
        (
            "torchvision, torchvision/models/detection/roi_heads.py, keypoints_to_heatmap: torch divides a number by "
            "a tensor so",
            "Detectron2, detectron2/structures/keypoints.py, _keypoints_to_heatmap",
        ),
        "Multiply by m first and divide then, or compute in float64.",
        {"encode_keypoints": _scaled(lambda m, sides: m * (1 / sides))},
    ),
    Deviation(
        "keypoint.place=nearest",
        "rounds to the nearest place, and takes the first row and column for outside",
        "Joints come up to half a place further; within half a place of the right and lower edge they are in the last.",
        ("Mask_RCNN_Humanpose, model.py, detection_keypoint_targets_graph: x_real * scale_x + 0.5, x_real_map > 0",),
        "Round down, and accept place 0.",
        {"encode_keypoints": _to_the_nearest},
    ),
    Deviation(
        "keypoint.thin=own_side",
        "multiplies with the box's own side where that is less than a pixel",
        "Joints of thin boxes stay inside them; those of a box without width are on its edge.",
        ("ChainerCV, chainercv/links/model/fpn/keypoint_head.py, KeypointHead.decode: hs / h_ceils",),
        "Take 1 for a side below 1, where the map is resized and where the joint is placed.",
        {"decode_keypoints": _own_sides},
    ),
    Deviation(
        "keypoint.peak=quadratic",
        "finds the peak of a quadratic through the 3 × 3 places around the largest logit, instead of resizing",
        "Joints are not tied to pixels, and scores are those of the quadratic; softmaxes are of the map as it is.",
        ("Caffe2, caffe2/operators/heatmap_max_keypoint_op.cc, in exports of Detectron and Detectron2",),
        "Resize the map to the size of the box, bicubic, and take its largest logit.",
        {"decode_keypoints": _by_a_parabola},
    ),
]
