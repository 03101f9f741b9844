"""Deviations of pasting masks: where a pixel reads the mask, and what is enough."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.wrapping import Wrap
from refdet.core.check import Array
from refdet.masks.paste import paste_soft_masks
from refdet.verify.deviation import Body, Deviation

Size = tuple[int, int]


def _paste(
    masks: Array,
    boxes: Array,
    *,
    size: Size,
    convention: str,
    threshold: float,
    soft: Callable[[Array, Array, Size], Array] | None = None,  # always by this rule
    strict: bool | None = None,  # always >, or always ≥
) -> Array:
    """Paste masks, with one thing or another done otherwise."""
    values = paste_soft_masks(masks, boxes, size, convention=convention) if soft is None else soft(masks, boxes, size)
    exceeding = convention == "detectron1" if strict is None else strict
    pasted: Array = values > threshold if exceeding else values >= threshold
    return pasted


def _pasting(**choice: Any) -> dict[str, Wrap]:
    """Paste like that, with a choice added to those that were made before."""

    def wrap(body: Body) -> Body:
        return functools.partial(body if isinstance(body, functools.partial) else _paste, **choice)

    return {"paste_masks": wrap}


def _resized(mask: Array, size: Size, n_zeros: int) -> Array:
    """Resize a mask with half-pixel centres, among zeros; the outermost of what that makes is repeated."""
    framed = np.pad(mask, n_zeros)
    for axis, n in enumerate(size):
        m = mask.shape[axis]
        at = np.clip((np.arange(n) + 0.5) * m / n - 0.5 + n_zeros, 0, m + 2 * n_zeros - 1)
        below = np.minimum(np.floor(at).astype(np.int64), m + 2 * n_zeros - 2)
        t = (at - below).astype(mask.dtype)[:, None]
        lines = np.moveaxis(framed, axis, 0)
        framed = np.moveaxis(lines[below] * (1 - t) + lines[below + 1] * t, 0, axis)
    return framed


def _in_whole_boxes(masks: Array, boxes: Array, size: Size, *, grow: bool) -> Array:
    """Fill the pixels between corners that are rounded to the nearest, of boxes or of boxes with a frame."""
    pasted = np.zeros((len(masks), *size), masks.dtype)
    for picture, mask, box in zip(pasted, masks, boxes.astype(np.float64), strict=True):
        if not np.all(np.isfinite(box)):
            continue
        m = len(mask)
        centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * ((m + 2) / m if grow else 1)
        (left, top), (right, bottom) = np.rint(centre - half).astype(int), np.rint(centre + half).astype(int)
        if right <= left or bottom <= top:
            continue
        if grow:
            filled = _resized(np.pad(mask, 1), (bottom - top, right - left), 0)
        else:
            filled = _resized(mask, (bottom - top, right - left), 1)
        rows, columns = slice(max(top, 0), max(bottom, 0)), slice(max(left, 0), max(right, 0))
        seen = picture[rows, columns]
        seen[...] = filled[rows.start - top :, columns.start - left :][: seen.shape[0], : seen.shape[1]]
    return pasted


DEVIATIONS = [
    Deviation(
        "mask.paste=centres",
        "reads the mask at the centres of pixels, where whole pixels were asked for",
        "No corner is truncated: the object is up to a pixel smaller, and lies half a pixel elsewhere.",
        (
            "Detectron2, detectron2/layers/mask_ops.py, _do_paste_mask",
            "mmdetection 2, mmdet/models/roi_heads/mask_heads/fcn_mask_head.py, _do_paste_mask",
        ),
        "Grow the box by (m + 2)/m, truncate its corners, and resize the mask with a frame of zeros to the pixels from "
        "the first to the last.",
        _pasting(soft=functools.partial(paste_soft_masks, convention="detectron2")),
    ),
    Deviation(
        "mask.paste=whole_pixels",
        "resizes the mask to whole pixels from the first to the last, where the centres of pixels were asked for",
        "Corners are truncated and the last pixel counted: the object is up to a pixel larger, and lies elsewhere.",
        (
            "Detectron, detectron/core/test.py, segm_results",
            "torchvision, torchvision/models/detection/roi_heads.py, paste_mask_in_image",
            "maskrcnn-benchmark, maskrcnn_benchmark/modeling/roi_heads/mask_head/inference.py, paste_mask_in_image",
        ),
        "Read the mask at (i + ½ − x1) · m/(x2 − x1) − ½ for pixel i, with zeros around it.",
        _pasting(soft=functools.partial(paste_soft_masks, convention="detectron1")),
    ),
    Deviation(
        "mask.paste=rounded",
        "rounds the corners of the box with its frame to the nearest, and does not count the last pixel",
        "The object lies half a pixel elsewhere, or a whole one.",
        ("ChainerCV, chainercv/links/model/fpn/mask_utils.py, segm_to_mask",),
        "Truncate the corners, and resize to x2 − x1 + 1 pixels; or read the mask at the centres of pixels.",
        _pasting(soft=functools.partial(_in_whole_boxes, grow=True)),
    ),
    Deviation(
        "mask.paste=box",
        "rounds the corners of the box itself, and fills the pixels between them",
        "Nothing is pasted outside the box, and the object lies up to half a pixel elsewhere.",
        ("matterport Mask R-CNN, mrcnn/utils.py, denorm_boxes and unmold_mask",),
        "Do not round the box; or round it after it has grown by (m + 2)/m.",
        _pasting(soft=functools.partial(_in_whole_boxes, grow=False)),
    ),
    Deviation(
        "mask.cmp=gt",
        "takes what exceeds the threshold, where what reaches it was asked for",
        "A value equal to the threshold is no object.",
        (
            "Detectron, detectron/core/test.py, segm_results: mask > cfg.MRCNN.THRESH_BINARIZE",
            "torchvision, references/detection/coco_eval.py: masks > 0.5",
        ),
        "Compare with ≥.",
        _pasting(strict=True),
    ),
    Deviation(
        "mask.cmp=ge",
        "takes what reaches the threshold, where what exceeds it was asked for",
        "A value equal to the threshold is an object's.",
        (
            "Detectron2, detectron2/layers/mask_ops.py, paste_masks_in_image: masks_chunk >= threshold",
            "mmdetection 2, mmdet/models/roi_heads/mask_heads/fcn_mask_head.py: masks_chunk >= threshold",
        ),
        "Compare with >.",
        _pasting(strict=False),
    ),
]
