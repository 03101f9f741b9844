"""Joints coded and decoded one by one, as the sources of several libraries have it."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.question import Question, Skipped
from tests.witnesses._witness import Witness

NAN = math.nan


def exact_place(x: float, a: float, b: float, m: int) -> int:
    """Return the place by exact arithmetic, −1 for none."""
    if not all(map(math.isfinite, (x, a, b))):
        return -1
    if x == b:
        return m - 1
    return math.floor((Fraction(x) - Fraction(a)) * m / (Fraction(b) - Fraction(a))) if a != b else -1


def scaled_place(x: float, a: float, b: float, m: int, *, by_reciprocal: bool = False) -> int:
    """scale_x = HEATMAP_SIZE / (x2 - x1); floor((x - x1) * scale_x), all in float32."""
    single = np.float32
    if x == b:
        return m - 1
    with np.errstate(all="ignore"):
        width = single(b) - single(a)
        scale = single(m) * (single(1) / width) if by_reciprocal else single(m) / width
        place = np.floor((single(x) - single(a)) * scale)
    return int(place) if np.isfinite(place) else -1


def nearest_place(x: float, a: float, b: float, m: int) -> int:
    """Mask_RCNN_Humanpose: cast(x_real * scale_x + 0.5, int32); m becomes m - 1, and 0 is not valid."""
    if not all(map(math.isfinite, (x, a, b))) or a == b:
        return -1
    place = math.trunc((x - a) * m / (b - a) + 0.5)
    place = m - 1 if place == m else place
    return place if place > 0 else -1


def encode(question: Question, *, place: Any = exact_place) -> dict[str, Any]:
    """Row · m + column of every visible joint that has both."""
    joints, visible, boxes = (np.asarray(question.arguments[name]) for name in ("joints", "visible", "boxes"))
    m = question.params["side"]
    positions, valid = np.zeros(visible.shape, np.int64), np.zeros(visible.shape, bool)
    for (i, j), seen in np.ndenumerate(visible):
        x, y = joints[i, j].tolist()
        x1, y1, x2, y2 = boxes[i].tolist()
        column, row = place(x, x1, x2, m), place(y, y1, y2, m)
        if seen and 0 <= column < m and 0 <= row < m:
            positions[i, j], valid[i, j] = row * m + column, True
    return {"positions": positions, "valid": valid}


def cubic(m: int, n: int) -> Array:
    """The matrix of OpenCV's INTER_CUBIC from m to n values, with BORDER_REPLICATE."""
    weights = np.zeros((n, m))
    for i in range(n):
        at = (2 * i + 1) * m / (2 * n) - 0.5
        base = math.floor(at)
        x = at - base
        four = [
            ((-0.75 * (x + 1) + 3.75) * (x + 1) - 6) * (x + 1) + 3,
            (1.25 * x - 2.25) * x * x + 1,
            (1.25 * (1 - x) - 2.25) * (1 - x) * (1 - x) + 1,
        ]
        for k, w in enumerate([*four, 1 - sum(four)]):
            weights[i, min(max(base - 1 + k, 0), m - 1)] += w
    return weights


def decode(question: Question, *, clamped: bool = True) -> dict[str, Any]:
    """Detectron, heatmaps_to_keypoints; ChainerCV does not clamp the sides that it multiplies with."""
    logits, boxes = (np.asarray(question.arguments[name], np.float64) for name in ("logits", "boxes"))
    joints, scores = np.full((*logits.shape[:2], 2), NAN), np.full(logits.shape[:2], NAN)
    for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
        if not all(map(math.isfinite, (x1, y1, x2, y2))):
            continue
        w, h = max(x2 - x1, 1.0), max(y2 - y1, 1.0)
        n_x, n_y = math.ceil(w), math.ceil(h)
        for k, before in enumerate(logits[i]):
            if np.isnan(before).any():
                raise Skipped("a NaN times a weight of 0")
            z = cubic(len(before), n_y) @ before @ cubic(len(before), n_x).T
            row, column = np.unravel_index(int(z.argmax()), z.shape)
            across, down = (w, h) if clamped else (x2 - x1, y2 - y1)
            joints[i, k] = (column + 0.5) * (across / n_x) + x1, (row + 0.5) * (down / n_y) + y1
            top = float(z.max())
            convention = question.params["convention"]
            summed = before if convention == "detectron2" else z
            scores[i, k] = top if convention == "torchvision" else 1 / math.fsum(np.exp(summed - top).ravel())
    return {"joints": joints, "joint_scores": scores}


def caffe2(question: Question) -> dict[str, Any]:
    """HeatmapMaxKeypointOp, with and without should_output_softmax."""
    logits, boxes = (np.asarray(question.arguments[name], np.float64) for name in ("logits", "boxes"))
    N, K, size = logits.shape[:3]
    joints, scores = np.zeros((N, K, 2)), np.zeros((N, K))
    if np.isnan(logits).any() or not np.isfinite(boxes).all():
        raise Skipped("std::max of NaN")
    for k in range(N):
        x0, y0 = boxes[k, 0], boxes[k, 1]
        x_len, y_len = max(boxes[k, 2] - x0, 1.0), max(boxes[k, 3] - y0, 1.0)
        for j in range(K):
            heat = logits[k, j]
            largest = heat.max()
            index = next(c for c in range(size * size) if heat.flat[c] == largest)
            max_y, max_x = index // size, index % size
            f = np.zeros((3, 3))
            for y in (-1, 0, 1):
                for x in (-1, 0, 1):
                    xx = x - 2 * (x + max_x >= size) + 2 * (x + max_x < 0)
                    yy = y - 2 * (y + max_y >= size) + 2 * (y + max_y < 0)
                    f[y + 1, x + 1] = heat[max_y + yy, max_x + xx]
            bx, by = -(f[1, 2] - f[1, 0]) / 2, -(f[2, 1] - f[0, 1]) / 2
            axx, ayy = f[1, 0] - 2 * f[1, 1] + f[1, 2], f[0, 1] - 2 * f[1, 1] + f[2, 1]
            axy = (f[2, 2] - f[2, 0] - f[0, 2] + f[0, 0]) / 4
            determinant = axx * ayy - axy * axy
            dx = dy = 0.0
            score = largest
            if abs(determinant) >= 1e-4:
                dx, dy = (bx * ayy - by * axy) / determinant, (axx * by - axy * bx) / determinant
                if max(abs(dx), abs(dy)) > 1.5:
                    dx, dy = (d / max(abs(dx), abs(dy)) * 1.5 for d in (dx, dy))
                score = f[1, 1] - (bx * dx + by * dy) + (axx * dx * dx + 2 * axy * dx * dy + ayy * dy * dy) / 2
            joints[k, j] = x0 + (0.5 + max_x + dx) * x_len / size, y0 + (0.5 + max_y + dy) * y_len / size
            softmax = 1 / math.fsum(math.exp(v - largest) for v in heat.ravel())
            scores[k, j] = score if question.params["convention"] == "torchvision" else softmax
    return {"joints": joints, "joint_scores": scores}


CONFORMING: list[tuple[str, Callable[[Question], dict[str, Any]]]] = [
    ("encode_keypoints", encode),
    ("decode_keypoints", decode),
]

WITNESSES = [
    Witness(
        "keypoint.scale=float32",
        "encode_keypoints",
        "Detectron, keypoints.py, keypoints_to_heatmap_labels: a number by an array",
        partial(encode, place=scaled_place),
    ),
    Witness(
        "keypoint.scale=reciprocal",
        "encode_keypoints",
        "torchvision, roi_heads.py, keypoints_to_heatmap; torch.Tensor.__rdiv__: self.reciprocal() * other",
        partial(encode, place=partial(scaled_place, by_reciprocal=True)),
    ),
    Witness(
        "keypoint.place=nearest",
        "encode_keypoints",
        "Mask_RCNN_Humanpose, model.py, detection_keypoint_targets_graph",
        partial(encode, place=nearest_place),
    ),
    Witness(
        "keypoint.thin=own_side",
        "decode_keypoints",
        "ChainerCV, keypoint_head.py, KeypointHead.decode",
        partial(decode, clamped=False),
    ),
    Witness("keypoint.peak=quadratic", "decode_keypoints", "Caffe2, heatmap_max_keypoint_op.cc", caffe2),
]
