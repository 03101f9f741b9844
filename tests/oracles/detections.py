"""The detections of one image that the head of Fast R-CNN predicts for its proposals.

    decode a box for every proposal and class; forget proposals with anything that is not finite
    clip; for every proposal and class other than the background, in this order: a candidate if
        score > score_threshold, and both sides are at least `min_size` (if that is not None)
    of each class the `pre_nms` best, greedy suppression within each class, the `post_nms` best of all

A class is a column of the scores. The deltas are one block of four for all classes, or one for each column, or one for
each column but the background's. Scores descend everywhere, equal ones by ascending proposal, then by ascending class.

Source: Girshick, "Fast R-CNN", section 2.3 of the paper, and its test.py; Detectron2, fast_rcnn_inference_single_image;
torchvision, postprocess_detections.
"""

import math
from typing import Any

import numpy as np

from tests.oracles import clip_boxes, decode_boxes, large_enough
from tests.oracles._boxes import Box, descending, iou, rows
from tests.oracles._sums import Array

STAGES = ("decoded", "finite", "clipped", "above_score", "candidates", "before_nms", "kept")
Four = tuple[float, float, float, float]


def forward(
    proposals: Array, deltas: Array, scores: Array, *, background: str, post_nms: int | None, **params: Any
) -> tuple[Array, Array, Array]:
    """Return boxes, shape (D, 4), scores, shape (D,), and classes, shape (D,)."""
    steps = stages(proposals, deltas, scores, background=background, post_nms=post_nms, **params)
    place = {int(r): i for i, r in enumerate(steps["finite"])}
    columns = _objects(scores.shape[1], background)
    kept = [(int(r), int(c)) for r, c in steps["kept"]][:post_nms]
    boxes = np.array([steps["clipped"][place[r], columns.index(c)] for r, c in kept]).reshape(-1, 4)
    return boxes, np.array([float(scores[r, c]) for r, c in kept]), np.array([c for _, c in kept], np.int64)


def stages(
    proposals: Array,
    deltas: Array,
    scores: Array,
    *,
    height: int,
    width: int,
    background: str,
    transform_convention: str,
    weights: Four,
    mean: Four,
    std: Four,
    clamp: float | None,
    clip_convention: str,
    score_threshold: float,
    min_size: float | None,
    pre_nms: int | None,
    nms_threshold: float,
    offset: int,
    post_nms: int | None,
) -> dict[str, Array]:
    """Return what comes on the way; candidates are pairs (proposal, class)."""
    n_proposals, n_columns = scores.shape
    columns = _objects(n_columns, background)
    blocks = decode_boxes.forward(
        proposals, deltas, convention=transform_convention, weights=weights, mean=mean, std=std, clamp=clamp
    )
    n_blocks = deltas.shape[1] // 4
    decoded = np.zeros((n_proposals, len(columns), 4))
    for r in range(n_proposals):
        for j, c in enumerate(columns):
            block = j if n_blocks == len(columns) else c if n_blocks == n_columns else 0
            for k in range(4):
                decoded[r, j, k] = blocks[r, 4 * block + k]
    finite = [r for r in range(n_proposals) if all(math.isfinite(float(x)) for x in (*decoded[r].ravel(), *scores[r]))]
    clipped = np.zeros((len(finite), len(columns), 4))
    for i, r in enumerate(finite):
        clipped[i] = clip_boxes.forward(decoded[r], height=height, width=width, convention=clip_convention)

    above = np.zeros((len(finite), len(columns)), bool)
    box: dict[int, Box] = {}
    score: list[float] = []
    candidates: list[tuple[int, int]] = []
    for i, r in enumerate(finite):
        for j, c in enumerate(columns):
            above[i, j] = float(scores[r, c]) > score_threshold
            if not above[i, j]:
                continue
            if min_size is None or large_enough.forward(
                clipped[i, j : j + 1], min_size=min_size, convention="torchvision"
            ):
                box[len(candidates)] = rows(clipped[i, j : j + 1])[0]
                score.append(float(scores[r, c]))
                candidates.append((r, c))

    best: list[int] = []
    for c in columns:
        best += descending([n for n, (_, of) in enumerate(candidates) if of == c], score)[:pre_nms]
    best = descending(best, score)
    kept: list[int] = []
    for n in best:
        rivals = [k for k in kept if candidates[k][1] == candidates[n][1]]
        if not any(iou(box[k], box[n], offset) > nms_threshold for k in rivals):
            kept.append(n)
    return {
        "decoded": decoded,
        "finite": np.array(finite, np.int64),
        "clipped": clipped,
        "above_score": above,
        "candidates": _pairs(candidates),
        "before_nms": _pairs([candidates[n] for n in best]),
        "kept": _pairs([candidates[n] for n in kept]),
    }


def _objects(n_columns: int, background: str) -> list[int]:
    """Return the columns that are not the background."""
    return list(range(n_columns))[{"first": slice(1, None), "last": slice(None, -1), "none": slice(None)}[background]]


def _pairs(pairs: list[tuple[int, int]]) -> Array:
    return np.array(pairs, np.int64).reshape(-1, 2)
