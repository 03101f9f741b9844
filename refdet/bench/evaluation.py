"""The evaluation of COCO to time: from columns in memory to precision and recall; reading files is not part of it.

Objects are drawn with COCO's proportions: 36,000 in 5,000 images, of 80 categories, category k with a frequency of
1/k, two in five smaller than 32², and one in a hundred a crowd. Every image has 100 detections, or 20 with masks
(`refdet.bench.drawn_masks`): objects are found twice, moved and resized at random; the rest lie anywhere, with lower
scores.

How many overlaps must be computed depends on the program, so no rate is given.
"""

from __future__ import annotations

import numpy as np

from refdet.bench.drawn_masks import N_NUMBERS, draw_masks
from refdet.bench.workloads import Group, Inputs, Target, Workload
from refdet.core.check import Array

EVALUATE, EVALUATE_MASKS = "evaluate_coco.bbox", "evaluate_coco.segm"  # no kernels, but they call many

N_IMAGES, N_OBJECTS, N_CATEGORIES, N_DETECTIONS, N_MASKS = 5_000, 36_000, 80, 100, 20
SIDE = 640


def inputs(rng: np.random.Generator, *, n_images: int = N_IMAGES, n_objects: int = N_OBJECTS) -> Inputs:
    """Draw objects and detections, as columns; boxes are (x, y, w, h)."""
    columns, _ = _draw(rng, n_images, n_objects, N_DETECTIONS)
    return columns


def inputs_with_masks(rng: np.random.Generator, *, n_images: int = N_IMAGES, n_objects: int = N_OBJECTS) -> Inputs:
    """Draw the same with masks: of mask i the counts from starts[i] up to starts[i + 1], of SIDE × SIDE pixels.

    What found an object has its outline, in the box that it found.
    """
    columns, found = _draw(rng, n_images, n_objects, N_MASKS)
    outlines = rng.random((n_objects, N_NUMBERS))
    own = rng.random((len(found), N_NUMBERS))
    own[found >= 0] = outlines[found[found >= 0]]
    truth_counts, truth_starts = draw_masks(columns["truth_boxes"], outlines, SIDE)
    counts, starts = draw_masks(columns["boxes"], own, SIDE)
    return {
        **columns,
        "truth_counts": truth_counts,
        "truth_starts": truth_starts,
        "counts": counts,
        "starts": starts,
    }


def _draw(rng: np.random.Generator, n_images: int, n_objects: int, n_detections: int) -> tuple[dict[str, Array], Array]:
    """Return the columns, and of each detection the object that it found, −1 for none."""
    truth_images = np.sort(rng.integers(1, n_images + 1, n_objects))
    truth_categories = _categories(rng, n_objects)
    truth_boxes = _boxes(rng, n_objects)
    row = np.repeat(np.arange(n_objects), 2)  # two detections of every object, as far as there is room
    row = row[_first_of_each(truth_images[row], n_detections)]
    images = np.repeat(np.arange(1, n_images + 1), n_detections)
    n_found = np.bincount(truth_images[row], minlength=n_images + 1)[1:]
    is_found = (np.arange(n_detections) < n_found[:, None]).ravel()
    boxes, categories = _boxes(rng, len(images)), _categories(rng, len(images))
    moved = truth_boxes[row] + rng.normal(0, 0.1, (len(row), 4)) * np.tile(truth_boxes[row, 2:], 2)
    boxes[is_found] = np.maximum(moved, [-SIDE, -SIDE, 1, 1])
    categories[is_found] = np.where(rng.random(len(row)) < 0.9, truth_categories[row], categories[is_found])
    scores = rng.random(len(images)) * np.where(is_found, 1.0, 0.4)
    found = np.full(len(images), -1)
    found[is_found] = row
    columns = {
        "truth_images": truth_images,
        "truth_categories": truth_categories,
        "truth_boxes": truth_boxes,
        "is_crowd": rng.random(n_objects) < 0.01,
        "images": images,
        "categories": categories,
        "scores": np.round(scores, 3),  # as in files of results: with ties
        "boxes": np.round(boxes, 2),
    }
    return columns, found


def _categories(rng: np.random.Generator, n: int) -> Array:
    weights = 1 / np.arange(1, N_CATEGORIES + 1)
    found: Array = rng.choice(np.arange(1, N_CATEGORIES + 1), n, p=weights / weights.sum())
    return found


def _boxes(rng: np.random.Generator, n: int) -> Array:
    side = np.exp(rng.normal(np.log(42), 1.1, (n, 1))).clip(2, SIDE)
    size = (side * np.exp(rng.normal(0, 0.3, (n, 2)))).clip(2, SIDE)
    return np.concatenate([rng.random((n, 2)) * (SIDE - size), size], axis=1)


def _first_of_each(groups: Array, n: int) -> Array:
    """Return which rows are among the first n of their group; equal groups stand together."""
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    lengths = np.diff(np.append(starts, len(groups)))
    chosen: Array = np.arange(len(groups)) - np.repeat(starts, lengths) < n
    return chosen


COCO = Group(
    "coco",
    "COCO's evaluation from loaded data: 5,000 images, 36,000 objects of 80 categories",
    (
        Workload("coco/bbox", "100 boxes an image", EVALUATE, inputs, {}, 1e-12),
        Workload("coco/segm", "20 masks an image", EVALUATE_MASKS, inputs_with_masks, {}, 1e-12),
    ),
    (
        Target("reference", "pycocotools", total=1.0, peak_bytes=2 * 10**9),
        Target("numba-cpu", "pycocotools", each=1 / 20),
        Target("numba-cpu", "faster-coco-eval", each=1.0),
    ),
)
