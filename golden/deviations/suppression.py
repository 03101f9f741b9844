"""Deviations of non-maximum suppression, hard and soft, and of the order of scores.

The wrappers of one kernel nest in the order of their keys. Where a wrapper has to decide between two boxes it asks what
it wraps, so that deviations of the decision and of the procedure go together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation


class Unrounded(float):
    """A threshold that is not rounded to the IoU's dtype: as a number, the largest of that dtype that is not above it.

    IoU > the one and IoU > the other are the same.
    """

    exact: float


def _largest_below(limit: float, dtype: Any, *, or_equal: bool) -> float:
    """Return the largest number of the dtype that is below `limit`."""
    number = dtype.type(limit)
    while float(number) > limit or (float(number) == limit and not or_equal):
        number = np.nextafter(number, dtype.type(-np.inf))
    return float(number)


def _not_rounded(body: Body) -> Body:
    """Compare with the threshold as it is in float64."""

    def suppress(boxes: Array, *arrays: Array, threshold: float, **params: Any) -> Any:
        unrounded = Unrounded(_largest_below(threshold, boxes.dtype, or_equal=True))
        unrounded.exact = float(threshold)
        return body(boxes, *arrays, threshold=unrounded, **params)

    return suppress


def _at_least(body: Body) -> Body:
    """Suppress where IoU ≥ threshold, which is IoU > the number before it."""

    def suppress(boxes: Array, *arrays: Array, threshold: float, **params: Any) -> Any:
        limit = threshold.exact if isinstance(threshold, Unrounded) else float(boxes.dtype.type(threshold))
        return body(boxes, *arrays, threshold=_largest_below(limit, boxes.dtype, or_equal=False), **params)

    return suppress


def _descending(body: Body) -> Body:
    """Order by argsort(scores) reversed: of equal scores the last comes first, and NaN before all numbers."""

    def suppress(boxes: Array, scores: Array, *arrays: Array, **params: Any) -> Any:
        return body(boxes, _places(scores), *arrays, **params)

    return suppress


def _places(scores: Array) -> Array:
    """Return scores without ties that have the order of argsort(scores) reversed."""
    places = np.empty(len(scores), scores.dtype)
    places[np.argsort(scores, kind="stable")[::-1]] = np.arange(len(scores), 0, -1)
    return places


def _nan_above_all(scores: Array) -> Array:
    return np.where(np.isnan(scores), np.inf, scores).astype(scores.dtype)


def _nan_first(body: Body) -> Body:
    return lambda boxes, scores, *arrays, **params: body(boxes, _nan_above_all(scores), *arrays, **params)


def _in_order_of_index(body: Body) -> Body:
    return lambda *arrays, **params: np.sort(body(*arrays, **params))


def _moved_apart(body: Body) -> Body:
    """Move class c by c · (largest coordinate + 1), and run once."""

    def class_nms(boxes: Array, scores: Array, classes: Array, **params: Any) -> Any:
        moves = classes.astype(boxes.dtype)[:, None] * (np.max(boxes, initial=-np.inf) + 1 if len(boxes) else 0)
        return body(boxes + moves, scores, np.zeros_like(classes), **params)

    return class_nms


def _class_agnostic(body: Body) -> Body:
    return lambda boxes, scores, classes, **params: body(boxes, scores, np.zeros_like(classes), **params)


def _pick_boxes(arrays: tuple[Array, ...], chosen: list[int]) -> tuple[Array, ...]:
    boxes, _, *classes = arrays
    return (boxes[chosen], _falling(len(chosen), boxes), *(c[chosen] for c in classes))


def _pick_overlaps(arrays: tuple[Array, ...], chosen: list[int]) -> tuple[Array, ...]:
    return arrays[0][np.ix_(chosen, chosen)], _falling(len(chosen), arrays[0])


def _falling(n: int, like: Array) -> Array:
    return np.arange(n, 0, -1).astype(like.dtype)


def _all_at_once(pick: Callable[[tuple[Array, ...], list[int]], tuple[Array, ...]]) -> Callable[[Body], Body]:
    """Keep a box unless any better one overlaps it, kept or not.

    Of those that greedy suppression keeps, which spare each other, each of its victims strikes out some behind it.
    """

    def wrap(body: Body) -> Body:
        def suppress(*arrays: Array, threshold: float, **params: Any) -> Array:
            order = body(*arrays, threshold=float("inf"), **params).tolist()
            kept = body(*arrays, threshold=threshold, **params).tolist()
            for place, victim in [(n, i) for n, i in enumerate(order) if i not in kept]:
                behind = [j for j in kept if order.index(j) > place]
                spared = body(*pick(arrays, [victim, *behind]), threshold=threshold, **params).tolist()
                kept = [j for j in kept if j not in behind or behind.index(j) + 1 in spared]
            return np.array(kept, np.int64)

        return suppress

    return wrap


def _nan_overlap_suppresses(body: Body) -> Body:
    """Keep where IoU ≤ threshold, which is false for NaN."""

    def nms(boxes: Array, scores: Array, **params: Any) -> Array:
        kept: Array = body(boxes, scores, **params)
        has_nan = np.any(np.isnan(boxes), axis=1)  # IoU is NaN with every other box
        return kept[:1] if kept.size and has_nan[kept[0]] else kept[~has_nan[kept]]

    return nms


def _nan_counts_as_overlap(body: Body) -> Body:
    return lambda iou, scores, **params: body(np.where(np.isnan(iou), np.inf, iou), scores, **params)


def _half_the_exponent(body: Body) -> Body:
    return lambda boxes, scores, *, sigma, **params: body(boxes, scores, sigma=2 * sigma, **params)


def _must_exceed_least_score(body: Body) -> Body:
    """Discard what is ≤ min_score: what is < the next number."""

    def soft_nms(boxes: Array, scores: Array, *, min_score: float, **params: Any) -> Any:
        above = np.nextafter(scores.dtype.type(min_score), scores.dtype.type(np.inf))
        return body(boxes, scores, min_score=float(above), **params)

    return soft_nms


def _first_is_not_discarded(body: Body) -> Body:
    """Look at the least score after each decay only: the best box of all is selected whatever its score."""

    def soft_nms(boxes: Array, scores: Array, *, min_score: float, **params: Any) -> Any:
        indices, decayed = body(boxes, scores, min_score=min_score, **params)
        if indices.size or not scores.size:
            return indices, decayed
        best = np.array([np.argmax(scores)])
        return best, scores[best]

    return soft_nms


def _overlapping_are_discarded(body: Body) -> Body:
    """Look at the least score of those boxes alone that overlap the one selected."""

    def soft_nms(boxes: Array, scores: Array, *, min_score: float, **params: Any) -> tuple[Array, Array]:
        s, left, selected = scores.copy(), list(range(len(scores))), []
        least, everything = scores.dtype.type(min_score), {**params, "min_score": float("-inf")}
        steep = {**everything, "method": "gaussian", "sigma": 1e-30}  # leaves 0 of what overlaps at all
        while left:
            best = min(left, key=lambda i: (np.isnan(s[i]), 0 if np.isnan(s[i]) else -s[i], i))
            left.remove(best)
            selected.append(best)
            for i in left.copy():
                pair = boxes[[best, i]]
                s[i] = _second(body(pair, s[[best, i]], **everything))
                if _second(body(pair, np.ones_like(s[:2]), **steep)) < 1 and s[i] < least:
                    left.remove(i)
        return np.array(selected, np.int64), s[selected]

    return soft_nms


def _second(answer: tuple[Array, Array]) -> Any:
    """Return what has become of the second of two scores."""
    indices, decayed = answer
    return decayed[indices.tolist().index(1)]


def _swapping(body: Body) -> Body:
    """Select by exchanging the best box with the first of the rest, and discard by moving the last one into the gap.

    So equal scores come in the order in which the exchanges have left them.
    """

    def soft_nms(boxes: Array, scores: Array, **params: Any) -> tuple[Array, Array]:
        s, queue = scores.copy(), list(range(len(scores)))
        if queue and not body(boxes, scores, **params)[0].size:
            return np.zeros(0, np.int64), s[:0]
        n = 0
        while n < len(queue):
            best = n
            for place in range(n + 1, len(queue)):
                if s[queue[place]] > s[queue[best]]:
                    best = place
            queue[n], queue[best] = queue[best], queue[n]
            place = n + 1
            while place < len(queue):
                m, i = queue[n], queue[place]
                selected, decayed = body(boxes[[m, i]], s[[m, i]], **params)
                if 1 in selected:
                    s[i] = decayed[selected.tolist().index(1)]
                    place += 1
                else:
                    queue[place] = queue[-1]
                    queue.pop()
            n += 1
        return np.array(queue, np.int64), s[queue]

    return soft_nms


GREEDY = ("nms", "class_nms", "nms_from_iou")

DEVIATIONS = [
    Deviation(
        "nms.cmp=ge",
        "suppresses where IoU ≥ threshold",
        "A box whose IoU with a better one equals the threshold is eliminated.",
        (
            "py-faster-rcnn, lib/nms/cpu_nms.pyx: if ovr >= thresh (its py_cpu_nms.py keeps ovr <= thresh)",
            "Detectron, detectron/utils/cython_nms.pyx: if ovr >= thresh",
            "chainercv, chainercv/utils/bbox/non_maximum_suppression.py: jaccard >= thresh",
            "mmcv, mmcv/ops/csrc/pytorch/cpu/nms.cpp, softnms_cpu and nms_match_cpu (nms_cpu has >)",
        ),
        "Compare with >.",
        dict.fromkeys((*GREEDY, "soft_nms"), _at_least),
    ),
    Deviation(
        "nms.thr_dtype=float64",
        "compares the IoU of float32 with the threshold in float64",
        "An IoU that equals the threshold before rounding is suppressed or kept as the rounding of the quotient falls.",
        (
            "torchvision, torchvision/csrc/ops/cpu/nms_kernel.cpp: double iou_threshold",
            "py-faster-rcnn, lib/nms/cpu_nms.pyx: np.float thresh",
        ),
        "Round the threshold to the dtype of the boxes before comparing.",
        {"nms": _not_rounded, "class_nms": _not_rounded},
    ),
    Deviation(
        "nms.tie=last",
        "orders by argsort(scores) reversed: the highest index first among equal scores",
        "Of equal boxes with equal scores the last is kept. The sort is stable, and puts NaN last, so that reversed it "
        "comes first.",
        (
            "py-faster-rcnn, lib/nms/py_cpu_nms.py: scores.argsort()[::-1], with a stable sort",
            "matterport Mask R-CNN, mrcnn/utils.py: scores.argsort()[::-1], with a stable sort",
        ),
        "Sort the negated scores with a stable sort.",
        {
            **dict.fromkeys(GREEDY, _descending),
            "top_k": lambda body: lambda scores, **params: body(_places(scores), **params),
        },
    ),
    Deviation(
        "nms.nan_score=first",
        "sorts NaN scores before all numbers",
        "Boxes without a score suppress those that have one.",
        ("PyTorch, torch.sort and torch.topk, which take NaN for the largest number",),
        "Drop what is not finite before, or sort NaN last.",
        {
            "nms": _nan_first,
            "class_nms": _nan_first,
            "nms_from_iou": _nan_first,
            "top_k": lambda body: lambda scores, **params: body(_nan_above_all(scores), **params),
        },
    ),
    Deviation(
        "nms.order=index",
        "returns the kept indices in ascending order instead of by score",
        "The same boxes are kept, in another order: whoever takes the first k of them takes others.",
        (
            "Detectron, detectron/utils/cython_nms.pyx: np.where(suppressed == 0)[0]",
            "darknet, src/box.c, the older do_nms_sort, over boxes and probs (do_nms_sort_v2 in forks)",
        ),
        "Return indices in descending order of score.",
        dict.fromkeys(GREEDY, _in_order_of_index),
    ),
    Deviation(
        "nms.nan=suppresses",
        "eliminates a box whose IoU with a kept one is NaN",
        "A box with a NaN coordinate eliminates all that come after it, or goes with the first that is kept.",
        ("py-faster-rcnn, lib/nms/py_cpu_nms.py: it keeps np.where(ovr <= thresh)",),
        "Eliminate where IoU > threshold, rather than keep where IoU ≤ threshold.",
        {"nms": _nan_overlap_suppresses, "nms_from_iou": _nan_counts_as_overlap},
    ),
    Deviation(
        "nms.fast=yes",
        "lets boxes that are suppressed themselves suppress others (Fast NMS)",
        "Chains of overlapping boxes lose more than greedy suppression takes.",
        ("YOLACT, layers/functions/detection.py, fast_nms: keep = (iou_max <= iou_threshold)",),
        "Let only kept boxes suppress: go through them one after the other.",
        {
            "nms": _all_at_once(_pick_boxes),
            "class_nms": _all_at_once(_pick_boxes),
            "nms_from_iou": _all_at_once(_pick_overlaps),
        },
    ),
    Deviation(
        "nms.batched=offset",
        "separates classes by moving class c by c · (largest coordinate + 1)",
        "Where coordinates are negative, boxes of different classes may come to lie on each other.",
        (
            "torchvision, torchvision/ops/boxes.py, _batched_nms_coordinate_trick",
            "mmcv, mmcv/ops/nms.py, batched_nms",
        ),
        "Run once per class, or move by c · (largest − smallest coordinate + 1).",
        {"class_nms": _moved_apart},
    ),
    Deviation(
        "nms.batched=agnostic",
        "lets boxes of different classes suppress each other",
        "Of objects of different classes in one place only the best remains.",
        (
            "ultralytics, ultralytics/utils/ops.py, non_max_suppression with agnostic=True (later utils/nms.py)",
            "Faster R-CNN's proposal layer, and OpenCV's dnn.NMSBoxes, know no classes",
        ),
        "Suppress within each class.",
        {"class_nms": _class_agnostic},
    ),
    Deviation(
        "softnms.sigma=half_exponent",
        "decays by exp(−IoU² / 2σ) instead of exp(−IoU² / σ)",
        "Overlapping boxes keep more of their scores: the square root of the decay.",
        ("TensorFlow, tensorflow/core/kernels/image/non_max_suppression_op.cc: scale = -0.5 / soft_nms_sigma",),
        "Divide IoU² by σ, without the 2.",
        {"soft_nms": _half_the_exponent},
    ),
    Deviation(
        "softnms.min_score=gt",
        "keeps a box only if its score is greater than the least score",
        "A score of exactly min_score is discarded.",
        ("TensorFlow, tensorflow/core/kernels/image/non_max_suppression_op.cc: score > score_threshold",),
        "Discard where the score is < min_score.",
        {"soft_nms": _must_exceed_least_score},
    ),
    Deviation(
        "softnms.min_score=not_first",
        "never discards the box that is selected first",
        "Where no score reaches min_score the best box is returned, instead of none; others are discarded, overlapping "
        "or not.",
        (
            "mmcv, mmcv/ops/csrc/pytorch/cpu/nms.cpp, softnms_cpu",
            "soft-nms of the authors, lib/nms/cpu_nms.pyx, cpu_soft_nms of commit 1267c15",
        ),
        "Discard scores below min_score also before the first box is selected.",
        {"soft_nms": _first_is_not_discarded},
    ),
    Deviation(
        "softnms.min_score=overlapping",
        "discards low scores only of boxes that overlap the one selected",
        "No score is looked at before the first box is selected. Whenever a box is selected, those of the others whose "
        "IoU with it is above 0 are discarded if their score, after the decay, is < min_score. A low score that "
        "overlaps nothing is returned.",
        (
            "Detectron, detectron/utils/cython_nms.pyx, soft_nms: the check stands in `if ih > 0`",
            "soft-nms of the authors, lib/nms/cpu_nms.pyx, cpu_soft_nms of commit a7cc44e",
        ),
        "Discard every box whose score is below min_score, at the start and after each decay.",
        {"soft_nms": _overlapping_are_discarded},
    ),
    Deviation(
        "softnms.tie=swap",
        "takes equal scores in the order that its exchanges of boxes have left",
        "After a box further back was selected, the first one stands in its place, behind its equals.",
        (
            "soft-nms of the authors, lib/nms/cpu_nms.pyx, cpu_soft_nms, and Detectron's copy of it",
            "mmcv, mmcv/ops/csrc/pytorch/cpu/nms.cpp, softnms_cpu",
        ),
        "Among equal scores select the lowest index.",
        {"soft_nms": _swapping},
    ),
]
