"""The proposals of a region proposal network for one image.

    decode every anchor; forget what is not finite, box or score
    "filter_first":  clip, drop small boxes, take the `pre_nms` best of each level
    "topk_first":    take the `pre_nms` best of each level, clip, drop small boxes
    greedy suppression within each level; the `post_nms` best of what is left

Levels are all the same where none are given. Scores descend everywhere, equal ones by ascending index of the anchor.

Source: py-faster-rcnn, lib/rpn/proposal_layer.py ("filter_first"); Detectron2, find_top_rpn_proposals, and torchvision,
filter_proposals ("topk_first").
"""

import math
from typing import Any

import numpy as np

from tests.oracles import clip_boxes, decode_boxes, large_enough
from tests.oracles._boxes import descending, iou, rows
from tests.oracles._sums import Array

STAGES = ("decoded", "finite", "preselected", "clipped", "large", "before_nms", "kept")
NO_SCALE: dict[str, Any] = {"weights": (1.0,) * 4, "mean": (0.0,) * 4, "std": (1.0,) * 4}


def forward(
    anchors: Array, deltas: Array, scores: Array, levels: Array | None, *, post_nms: int | None, **params: Any
) -> tuple[Array, Array]:
    """Return boxes, shape (K, 4), and their scores, shape (K,)."""
    steps = stages(anchors, deltas, scores, levels, post_nms=post_nms, **params)
    was_clipped = steps["preselected"] if "preselected" in steps else steps["finite"]
    box = {int(i): row for i, row in zip(was_clipped, steps["clipped"], strict=True)}
    kept = [int(i) for i in steps["kept"]][:post_nms]
    boxes = np.array([box[i] for i in kept]).reshape(-1, 4)
    return boxes, np.array([float(scores[i]) for i in kept])


def stages(
    anchors: Array,
    deltas: Array,
    scores: Array,
    levels: Array | None,
    *,
    height: int,
    width: int,
    order: str,
    transform_convention: str,
    clamp: float | None,
    clip_convention: str,
    min_size: float,
    size_convention: str,
    pre_nms: int | None,
    nms_threshold: float,
    offset: int,
    post_nms: int | None,
) -> dict[str, Array]:
    """Return what comes on the way; "preselected" only where the best are taken first."""
    s = [float(score) for score in scores]
    level = [0] * len(s) if levels is None else [int(x) for x in levels]

    def best(candidates: list[int]) -> list[int]:
        chosen: list[int] = []
        for one in set(level):
            chosen += descending([i for i in candidates if level[i] == one], s)[:pre_nms]
        return descending(chosen, s)

    found = {}
    found["decoded"] = decode_boxes.forward(anchors, deltas, convention=transform_convention, clamp=clamp, **NO_SCALE)
    candidates = [i for i, box in enumerate(rows(found["decoded"])) if all(map(math.isfinite, (*box, s[i])))]
    found["finite"] = np.array(candidates, np.int64)
    if order == "topk_first":
        candidates = best(candidates)
        found["preselected"] = np.array(candidates, np.int64)
    found["clipped"] = clip_boxes.forward(
        found["decoded"][candidates], height=height, width=width, convention=clip_convention
    )
    enough = large_enough.forward(found["clipped"], min_size=min_size, convention=size_convention)
    box = dict(zip(candidates, rows(found["clipped"]), strict=True))
    candidates = [i for i, is_large in zip(candidates, enough, strict=True) if is_large]
    found["large"] = np.array(candidates, np.int64)
    if order == "filter_first":
        candidates = best(candidates)
    found["before_nms"] = np.array(candidates, np.int64)
    kept: list[int] = []
    for i in candidates:
        rivals = [k for k in kept if level[k] == level[i]]
        if not any(iou(box[k], box[i], offset) > nms_threshold for k in rivals):
            kept.append(i)
    found["kept"] = np.array(kept, np.int64)
    return found
