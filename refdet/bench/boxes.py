"""Boxes to time: greedy non-maximum suppression of 1,000 to 100,000, and the overlaps of 10,000 with 1,000.

Boxes are drawn as a detector finds them, before suppression: in heaps, 50 boxes around each object on average, moved
and scaled at random, the higher the score the closer. The picture grows with the number of boxes, as a larger one, or
several beside each other, would have them; 1,000 boxes lie in 1024 × 1024 pixels. The threshold is 0.5, and leaves one
box of ten.

Coordinates are multiples of 1/16 pixel, which float32 holds exactly. Scores are all different, so that there is one
order. How many overlaps a suppression must compute depends on how it goes about it, so no rate is given for it. An
overlap takes 12 operations: 2 maxima, 2 minima, 2 differences, 2 comparisons with 0, a product, a sum, a difference and
a quotient; the areas of the boxes themselves are not counted.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.bench.workloads import Group, Inputs, Target, Work, Workload, n_bytes

BOXES_PER_OBJECT = 50
BOXES_PER_PICTURE, PICTURE_SIDE = 1000, 1024
GRID = 16  # positions per pixel
THRESHOLD = 0.5
N_BOXES, N_OTHERS = 10_000, 1_000
FLOPS_PER_OVERLAP = 12


def draw_scored_boxes(rng: np.random.Generator, n: int) -> Inputs:
    """Draw boxes (n, 4) and their scores (n,), all different, float32."""
    n_objects = max(1, n // BOXES_PER_OBJECT)
    extent = math.ceil(PICTURE_SIDE * math.sqrt(max(n, BOXES_PER_PICTURE) / BOXES_PER_PICTURE))
    centres = rng.random((n_objects, 2)) * extent
    sides = np.exp(rng.normal(math.log(80), 0.6, (n_objects, 1)) + rng.normal(0, 0.35, (n_objects, 2)))
    which = rng.integers(0, n_objects, n)
    closeness = rng.random((n, 1))  # of each box to its object: 1 is there
    away = 0.02 + 0.2 * (1 - closeness)
    centre = np.clip(centres[which] + away * sides[which] * rng.standard_normal((n, 2)), 0, extent)
    side = sides[which] * np.exp(away * rng.standard_normal((n, 2)))
    corners = np.concatenate([centre - side / 2, centre + side / 2], axis=1)
    boxes = np.rint(GRID * np.clip(corners, 0, extent)) / GRID
    place = np.argsort(np.argsort(closeness[:, 0] + 0.3 * rng.standard_normal(n), kind="stable"), kind="stable")
    scores = (place + 1) / 2**20  # at most 2²⁰ boxes: multiples of 2⁻²⁰, which float32 holds exactly
    return {"boxes": boxes.astype(np.float32), "scores": scores.astype(np.float32)}


def draw_pairs(rng: np.random.Generator, *, n_boxes: int = N_BOXES, n_others: int = N_OTHERS) -> Inputs:
    """Draw boxes, others, and no crowd."""
    drawn = np.asarray(draw_scored_boxes(rng, n_boxes + n_others)["boxes"])
    return {"boxes": drawn[:n_boxes].copy(), "others": drawn[n_boxes:].copy(), "crowd": None}


def _work_of_overlaps(inputs: Inputs) -> Work:
    boxes, others = np.asarray(inputs["boxes"]), np.asarray(inputs["others"])
    pairs = len(boxes) * len(others)
    return Work(FLOPS_PER_OVERLAP * pairs, n_bytes(boxes, others) + 4 * pairs)


def _suppression(n: int, name: str) -> Workload:
    def draw(rng: np.random.Generator) -> Inputs:
        return draw_scored_boxes(rng, n)

    return Workload(f"nms/{name}", f"{n:,} boxes", "nms", draw, {"threshold": THRESHOLD, "offset": 0}, 0.0)


NMS = Group(
    "nms",
    "Greedy non-maximum suppression at an IoU of 0.5, float32",
    (_suppression(1_000, "1k"), _suppression(10_000, "10k"), _suppression(100_000, "100k")),
    (Target("numba-cpu", "torchvision", each=0.5), Target("numba-cuda", "torchvision", each=1.0)),
)
IOU = Group(
    "iou",
    "Overlaps of every box of one set with every box of another, float32",
    (
        Workload(
            "iou/10k-1k",
            f"{N_BOXES:,} × {N_OTHERS:,} boxes",
            "box_iou",
            draw_pairs,
            {"offset": 0, "empty": "zero"},
            1e-6,
            work=_work_of_overlaps,
        ),
    ),
    (Target("numba-cpu", "torchvision", total=0.5), Target("numba-cuda", "torchvision", total=1.0)),
)
