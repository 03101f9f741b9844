"""Joints of a region as places on an m × m grid, and back.

    encode:   column = ⌊(x − x1) · m/(x2 − x1)⌋,   row = ⌊(y − y1) · m/(y2 − y1)⌋,   position = row · m + column
    decode:   x = x1 + (column + ½) · w/⌈w⌉,   y = y1 + (row + ½) · h/⌈h⌉,   w = max(x2 − x1, 1),   h = max(y2 − y1, 1)
              for the (row, column) of the largest logit of the map, after it was resized to ⌈h⌉ × ⌈w⌉ places

A place is a pixel, its middle half a pixel on: Heckbert, "What are the coordinates of a pixel?" (1990). He, Gkioxari,
Dollár & Girshick, "Mask R-CNN" (2017), §5, and the code of Detectron, Detectron2 and torchvision, which differ in the
score, z being the resized map of one joint, x the map before, z* the largest of z:

| convention | score |
|---|---|
| torchvision | z*, a logit |
| detectron2 | 1 / Σ exp(x − z*), over the m² places before resizing: boxes of all sizes compare, and it may exceed 1 |
| detectron1 | 1 / Σ exp(z − z*), the softmax over the ⌈h⌉ · ⌈w⌉ places |

Conventions of encoding:

- A joint exactly on the right or lower edge of its box, x = x2, is in the last column or row, and so is one before it
  whose quotient is rounded to m. One that is outside, not visible or NaN is not valid, and its position is 0. Without a
  side, x1 = x2, nothing but that edge is inside.
- A box with x2 < x1 codes mirrored. The product comes before the quotient, in float64: whole numbers are met exactly,
  which the libraries' (x − x1) · (m/(x2 − x1)) in float32 may miss.

Conventions of decoding:

- Resizing is bicubic with half-pixel centres and a = −0.75 (`refdet.ops.interpolation`), to less as well as to more.
- Of equal logits the first in row-major order is taken; a NaN counts as the largest, and makes its score NaN.
- Joints are computed in float64, scores in the dtype of the logits, in which both are returned.
- A box that is not finite gives NaN for both. A huge one needs as much memory as it has pixels: clip boxes first.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.core.check import (
    Array,
    check_booleans,
    check_choice,
    check_floating,
    check_rank,
    check_shape,
    integer,
    shape_of,
)
from refdet.core.kernel import kernel
from refdet.ops.interpolation import cubic_taps, interpolate, source_coordinates

CONVENTIONS = ("torchvision", "detectron2", "detectron1")


def _check_encode(joints: Array, visible: Array, boxes: Array, *, side: int) -> None:
    op = "encode_keypoints"
    check_boxes(op, boxes=boxes)
    check_floating(op, joints=joints, boxes=boxes)
    check_rank(op, "joints", joints, "P, K, 2")
    P, K, n_coordinates = shape_of(joints)
    if n_coordinates != 2:
        raise ValueError(f"{op}: joints must have shape (P, K, 2), rows (x, y), got {shape_of(joints)}")
    if len(boxes) != P:
        raise ValueError(f"{op}: boxes must have {P} rows, one per region, got {shape_of(boxes)}")
    check_booleans(op, visible=visible)
    check_shape(op, "visible", visible, (P, K), "one per joint")
    integer(op, "side", side, low=1)


@kernel("encode_keypoints", check=_check_encode, portable=True)
def encode_keypoints_kernel(joints: Array, visible: Array, boxes: Array, *, side: int) -> tuple[Array, Array]:
    """Return positions (P, K) int64, and whether each is valid (P, K) bool."""
    joints, starts, ends = (x.astype(np.float64) for x in (joints, boxes[:, None, :2], boxes[:, None, 2:]))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # boxes without a side, NaN
        places = np.floor((joints - starts) * side / (ends - starts))  # (P, K, 2): column, row
    before_end = np.where(starts < ends, joints < ends, joints > ends) & (starts != ends)
    places = np.where(before_end, np.minimum(places, side - 1), places)
    places = np.where(joints == ends, side - 1, places)
    inside = (places >= 0) & (places < side)
    columns_and_rows = np.where(inside, places, 0).astype(np.int64)
    valid = visible & inside[..., 0] & inside[..., 1]
    return np.where(valid, columns_and_rows[..., 1] * side + columns_and_rows[..., 0], 0), valid


def _check_decode(logits: Array, boxes: Array, *, convention: str) -> None:
    op = "decode_keypoints"
    check_boxes(op, boxes=boxes)
    check_floating(op, logits=logits, boxes=boxes)
    check_rank(op, "logits", logits, "D, K, m, m")
    D, _, height, width = shape_of(logits)
    if height != width or height == 0:
        raise ValueError(f"{op}: the maps of logits must be square and have a place, got shape {shape_of(logits)}")
    if len(boxes) != D:
        raise ValueError(f"{op}: boxes must have {D} rows, one per detection, got {shape_of(boxes)}")
    check_choice(op, "convention", convention, CONVENTIONS)


@kernel("decode_keypoints", check=_check_decode)
def decode_keypoints_kernel(logits: Array, boxes: Array, *, convention: str) -> tuple[Array, Array]:
    """Return joints (D, K, 2) and scores (D, K)."""
    D, K = logits.shape[:2]
    joints, scores = (np.full(shape, np.nan, np.result_type(logits)) for shape in ((D, K, 2), (D, K)))
    for d, box in enumerate(boxes.astype(np.float64)):
        if not np.all(np.isfinite(box)):
            continue
        sides = np.maximum(box[2:] - box[:2], 1)  # x, y
        resized = _resized(logits[d], (math.ceil(sides[1]), math.ceil(sides[0])))  # (K, n_y, n_x)
        rows, columns = np.divmod(resized.reshape(K, math.prod(resized.shape[1:])).argmax(axis=1), resized.shape[2])
        joints[d] = box[:2] + (np.stack([columns, rows], axis=1) + 0.5) * sides / np.ceil(sides)
        scores[d] = _scores(logits[d], resized, resized[np.arange(K), rows, columns], convention)
    return joints, scores


def _resized(maps: Array, size: tuple[int, int]) -> Array:
    """Return the maps (K, m, m) of one detection at `size`."""
    rows, columns = (
        cubic_taps(source_coordinates(n, n_out, ratio=n / n_out, coordinates="half_pixel"), n, maps.dtype, a=-0.75)
        for n, n_out in zip(maps.shape[1:], size, strict=True)
    )
    resized: Array = interpolate(maps[None], rows, columns)[0]
    return resized


def _scores(maps: Array, resized: Array, largest: Array, convention: str) -> Array:
    """Return the score of each joint, (K,)."""
    if convention == "torchvision":
        return largest
    compared = maps if convention == "detectron2" else resized
    with np.errstate(over="ignore", invalid="ignore"):
        scores: Array = 1 / np.exp(compared - largest[:, None, None]).sum(axis=(1, 2))
    return scores


def encode_keypoints(joints: Array, visible: Array, boxes: Array, *, side: int) -> tuple[Array, Array]:
    """Return where the joints of each region lie on a grid that is laid over the region's box.

    Args:
        joints: (P, K, 2), rows (x, y) in pixels, float32 or float64.
        visible: (P, K), booleans.
        boxes: (P, 4) of the same dtype, rows (x1, y1, x2, y2).
        side: m, of the grid of m × m places.

    Returns:
        The positions, (P, K) int64, row · m + column; and whether they are valid, (P, K) bool.

    Four places over ten pixels: (7, 2) is in column 1 of row 0; (10, 10) on the lower right corner; (11, 5) is outside.

    >>> joints = np.array([[[7.0, 2.0], [10.0, 10.0], [11.0, 5.0]]])
    >>> encode_keypoints(joints, np.ones((1, 3), bool), np.array([[0.0, 0, 10, 10]]), side=2)
    (array([[1, 3, 0]]), array([[ True,  True, False]]))
    """
    return encode_keypoints_kernel(joints, visible, boxes, side=integer("encode_keypoints", "side", side, low=1))


def decode_keypoints(logits: Array, boxes: Array, *, convention: str = "torchvision") -> tuple[Array, Array]:
    """Return where the joints of each detection are in the picture, and how sure each is.

    Args:
        logits: (D, K, m, m), float32 or float64.
        boxes: (D, 4) of the same dtype, rows (x1, y1, x2, y2).
        convention: "torchvision", "detectron2" or "detectron1": what the score is, see the module.

    Returns:
        The joints, (D, K, 2), rows (x, y); and their scores, (D, K).

    The largest of four logits is the upper right; its place covers [4, 5) × [6, 7).

    >>> decode_keypoints(np.array([[[[0.0, 2.0], [0.0, 1.0]]]]), np.array([[3.0, 6, 5, 8]]))
    (array([[[4.5, 6.5]]]), array([[2.]]))
    """
    return decode_keypoints_kernel(logits, boxes, convention=convention)
