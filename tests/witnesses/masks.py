"""Run-length encoded masks that are read along the rows, and their overlap with 0/0 or crowds treated otherwise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Answer = Callable[[Question], Mapping[str, Any]]


def encode(question: Question, *, order: str = "columns") -> dict[str, Any]:
    """Lengths of the runs, the first of False pixels; "rows" is mask.flatten() as NumPy has it."""
    mask = np.asarray(question.arguments["mask"])
    pixels = (mask if order == "rows" else mask.T).flatten().tolist()
    counts, colour = [0], False
    for pixel in pixels:
        if pixel != colour:
            counts.append(0)
            colour = pixel
        counts[-1] += 1
    return {"counts": np.array(counts)}


def decode(question: Question, *, order: str = "columns") -> dict[str, Any]:
    """The inverse: as many pixels of each colour by turns, laid out along the rows or down the columns."""
    height, width = question.params["size"]
    pixels: list[bool] = []
    for i, count in enumerate(np.asarray(question.arguments["counts"]).tolist()):
        pixels += [i % 2 == 1] * count
    flat = np.array(pixels, bool)
    return {"mask": flat.reshape(height, width) if order == "rows" else flat.reshape(width, height).T}


def pixel_sets(counts: Any, starts: Any) -> list[set[int]]:
    """Return the places of the True pixels of each mask."""
    masks = []
    for begin, end in itertools.pairwise(starts):
        place, pixels = 0, set()
        for i, count in enumerate(counts[begin:end].tolist()):
            if i % 2 == 1:
                pixels |= set(range(place, place + count))
            place += count
        masks.append(pixels)
    return masks


def iou(question: Question, *, read_crowd: bool = True, of_nothing: float = 0.0) -> dict[str, Any]:
    """Intersection over union of sets of pixels, or over the detection's set where the other is a crowd."""
    arguments = question.arguments
    detections, truths = (
        pixel_sets(np.asarray(arguments[f"{prefix}counts"]), np.asarray(arguments[f"{prefix}starts"]))
        for prefix in ("", "other_")
    )
    crowd = arguments["crowd"]
    table = np.zeros((len(detections), len(truths)))
    for i, d in enumerate(detections):
        for j, g in enumerate(truths):
            divided = len(d) if read_crowd and crowd is not None and crowd[j] else len(d | g)
            table[i, j] = len(d & g) / divided if divided else of_nothing
    return {"iou": table}


CONFORMING: list[tuple[str, Answer]] = [
    ("rle_encode", encode),
    ("rle_decode", decode),
    ("rle_iou", iou),
]

WITNESSES = [
    Witness("rle.order=rows", "rle_encode", "NumPy, mask.flatten() before the runs", partial(encode, order="rows")),
    Witness("rle.order=rows", "rle_decode", "NumPy, reshape(height, width) after them", partial(decode, order="rows")),
    Witness(
        "mask.iou_of_nothing=nan",
        "rle_iou",
        "Mask_RCNN, mrcnn/utils.py, compute_overlaps_masks: intersections / union",
        partial(iou, of_nothing=math.nan),
    ),
    Witness(
        "coco.crowd_iou=plain",
        "rle_iou",
        "Mask_RCNN, mrcnn/utils.py, compute_overlaps_masks, which knows no crowds",
        partial(iou, read_crowd=False),
    ),
]
