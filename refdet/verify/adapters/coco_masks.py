"""Masks and boxes by the mask module of pycocotools, or one with the same functions."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.masks.rle import RLE
from refdet.masks.rle_string import rle_from_string, rle_to_string
from refdet.verify.adapters.table import Answers, Function, array
from refdet.verify.question import Question


def mask_functions(mask: Any) -> dict[str, Function]:
    """Return the functions of an API like `pycocotools.mask`; counts travel as its compressed text."""

    def rle_encode(q: Question) -> Answers:
        pixels = np.asfortranarray(array(q, "mask").astype(np.uint8))
        found = mask.encode(pixels)
        return {"counts": rle_from_string(found["counts"], pixels.shape).counts}

    def rle_decode(q: Question) -> Answers:
        """NumPy 2 warns of the array that pycocotools returns."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pixels = np.array(mask.decode(_compressed(array(q, "counts"), q.params["size"])))
        return {"mask": pixels.astype(bool)}

    def rle_iou(q: Question) -> Answers:
        size = q.params["size"]
        ours = _masks(array(q, "counts"), array(q, "starts"), size)
        theirs = _masks(array(q, "other_counts"), array(q, "other_starts"), size)
        return {"iou": _iou(mask, ours, theirs, _flags(q.arguments["crowd"], len(theirs)))}

    def coco_box_iou(q: Question) -> Answers:
        ours, theirs = (array(q, name).astype(np.float64) for name in ("detections", "ground_truths"))
        return {"iou": _iou(mask, ours, theirs, _flags(q.arguments["crowd"], len(theirs)))}

    return {"coco_box_iou": coco_box_iou, "rle_decode": rle_decode, "rle_encode": rle_encode, "rle_iou": rle_iou}


def _compressed(counts: Array, size: tuple[int, int]) -> dict[str, Any]:
    return {"size": list(size), "counts": rle_to_string(RLE(counts=counts, size=size)).encode()}


def _masks(counts: Array, starts: Array, size: tuple[int, int]) -> list[dict[str, Any]]:
    """Mask i has the counts from starts[i] up to starts[i + 1]."""
    return [_compressed(counts[a:b], size) for a, b in itertools.pairwise(starts)]


def _flags(crowd: Array | None, n: int) -> list[int]:
    return [0] * n if crowd is None else [int(flag) for flag in crowd]


def _iou(mask: Any, ours: Any, theirs: Any, crowd: list[int]) -> Array:
    """Return the table; they return a list where one side is empty."""
    found = np.asarray(mask.iou(ours, theirs, crowd), np.float64)
    return found.reshape(len(ours), len(theirs))
