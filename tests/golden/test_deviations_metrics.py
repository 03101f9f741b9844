"""Deviations of metrics, masks and region proposals: one answer each that is computed by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.deviations import average_precision, coco, masks, matching_detections, pose, proposals, segmentation_scores
from tests.golden._examples import Example, check

FAMILIES = (average_precision, coco, masks, matching_detections, pose, proposals, segmentation_scores)
BY_KEY = {d.key: d for family in FAMILIES for d in family.DEVIATIONS}

FALLING, RISING = ([1.0, 0.5], [0.5, 1.0]), ([0.5, 0.75], [0.5, 1.0])  # precision and recall
VOC: dict[str, Any] = {"threshold": 0.5, "comparison": ">", "candidates": "unmatched", "offset": 0}
LEGACY = {**VOC, "comparison": ">=", "candidates": "all"}
HALF = {"thresholds": (0.5,)}
LIMB: dict[str, Any] = {"limbs": ((0, 1),), "alpha": 0.5}
TORSO: dict[str, Any] = {"torso": (0, 1), "fraction": 0.5}
BODY = [[[0.0, 0], [2, 0], [10, 0]]]  # a torso of 2, of which half is allowed, and a joint 8 away
OKS = {"sigmas": (0.5,)}
GRAPH: dict[str, Any] = {"n_vertices": 2, "k": 4.0, "min_size": 0, "comparison": "<="}
ONE_EDGE = ([4.0], [[0, 1]])
SIZE: dict[str, Any] = {"weights": (0.0, 0.0, 1.0, 0.0), "image_area": 16.0}
ROW = [[0.0, 0, 1, 1], [1, 0, 2, 1], [2, 0, 3, 1]]  # three pixels, each of them a region
BARS = [[0.0, 0, 1, 3], [0, 5, 1, 8], [1, 5, 3, 8]]
CONTOUR, GROUP = np.zeros((20, 20)), np.full((20, 20), -1)
CONTOUR[3, 3:6], GROUP[3, 3:6] = 0.5, 0
BOXES: dict[str, Any] = {"convention": "paper", "kappa": 1.0, "min_score": 0.0, "min_magnitude": 0.125}


def as_(convention: str) -> dict[str, str]:
    """Return the parameters of average precision."""
    return {"convention": convention}


def found(boxes: list[Any], truths: list[Any], difficult: Any = None) -> tuple[Any, ...]:
    """Return detections and ground truths in one image."""
    hard = np.zeros(len(truths), bool) if difficult is None else np.array(difficult, bool)
    places = np.array(boxes, np.float64), np.array(truths, np.float64)
    return places[0], np.zeros(len(boxes), np.int64), places[1], np.zeros(len(truths), np.int64), hard


def overlaps(iou: list[list[float]], ignored: Any = None, crowd: Any = None) -> tuple[Any, ...]:
    """Return the inputs of COCO's matching; a crowd is ignored."""
    no = [False] * len(iou[0])
    return np.array(iou), np.array(ignored or crowd or no), np.array(crowd or no)


def keypoint(visible: int) -> tuple[Any, ...]:
    """Return a keypoint found 2 away from where it is, in a box of 4 × 4 and an area of 2."""
    return [[[2.0, 0, 0]]], [[[0.0, 0, visible]]], [[0.0, 0, 4, 4]], [2.0]


def ends(first: float, second: float) -> tuple[Any, ...]:
    """Return a limb of length 10, whose ends are predicted with these errors."""
    return [[[0.0, first], [10, second]]], [[[0.0, 0], [10, 0]]]


def regions(boxes: list[Any], sizes: list[int], colours: list[list[float]] | None = None) -> tuple[Any, ...]:
    """Return regions in a chain, without textures."""
    nothing = np.zeros((len(boxes), 0))
    pairs = [[i, i + 1] for i in range(len(boxes) - 1)]
    return sizes, boxes, nothing if colours is None else colours, nothing, pairs


CROWDED = found([[0, 0, 100, 100], [10, 0, 110, 100]], [[0, 0, 100, 100], [30, 0, 130, 100]])
TWICE = found([[0, 0, 4, 4]] * 2, [[0, 0, 4, 4]], [True])
SHIFTED = found([[2, 0, 10, 1], [0, 0, 8, 1]], [[0, 0, 8, 1], [4, 0, 12, 1]])  # IoU (2/3, 2/3) and (1, 1/3)
TABLE = np.array([[1, 0], [0, 0]])
HIDDEN = np.array([[True, True, False]])

EXAMPLES = [
    Example("ap.interp=area", "average_precision", FALLING, as_("coco101"), [0.75]),
    Example("ap.interp=voc2007", "average_precision", FALLING, as_("area"), [8.5 / 11]),
    Example("ap.interp=voc2007-arange", "average_precision", ([1.0], [0.3]), as_("voc2007"), [3 / 11]),
    Example("ap.interp=coco101", "average_precision", FALLING, as_("area"), [76 / 101]),
    Example("ap.interp=step", "average_precision", RISING, as_("area"), [5 / 8]),
    Example("ap.interp=trapezoid", "average_precision", FALLING, as_("area"), [7 / 8]),
    Example("ap.interp=linear101", "average_precision", ([1.0], [0.5]), as_("area"), [0.75]),
    Example("ap.interp=nuscenes", "average_precision", ([0.1], [1.0]), as_("area"), [0]),
    Example("ap.start=one", "average_precision", RISING, as_("trapezoid"), [11 / 16]),
    Example("ap.first_step=lost", "average_precision", FALLING, as_("area"), [0.25]),
    Example("ap.grid=hundredths", "average_precision", ([1.0], [0.35]), as_("coco101"), [36 / 101]),
    Example("ap.ignored=point", "precision_recall", ([1, -1, 0],), {"n_positive": 1}, [[1, 1, 0.5], [1, 1, 1]]),
    Example("ap.nothing=zero", "precision_recall", ([0],), {"n_positive": 0}, [[0], [0]]),
    Example("ap.match_cmp=ge", "match_detections", found([[0, 0, 2, 1]], [[0, 0, 4, 1]]), VOC, [[1]]),
    Example("ap.match_cmp=gt", "match_detections", found([[0, 0, 2, 1]], [[0, 0, 4, 1]]), LEGACY, [[0]]),
    Example("ap.rematch=all", "match_detections", CROWDED, VOC, [[1, 0]]),
    Example("ap.rematch=unmatched", "match_detections", CROWDED, {**VOC, "candidates": "all"}, [[1, 1]]),
    # 5 × 10 of 10 × 10 pixels if the last one counts, else 4 × 9 of 9 × 9
    Example(
        "ap.match_offset=0", "match_detections", found([[0, 0, 9, 4]], [[0, 0, 9, 9]]), {**LEGACY, "offset": 1}, [[0]]
    ),
    Example("ap.match_offset=1", "match_detections", found([[0, 0, 9, 4]], [[0, 0, 9, 9]]), LEGACY, [[1]]),
    Example("ap.difficult=counted", "match_detections", TWICE, VOC, [[1, 0]]),
    Example("ap.difficult=left_out", "match_detections", TWICE, VOC, [[0, 0]]),
    Example("ap.difficult=once", "match_detections", TWICE, VOC, [[-1, 0]]),
    Example(
        "ap.difficult=last",
        "match_detections",
        found([[0, 0, 10, 1]], [[0, 0, 8, 1], [4, 0, 10, 1]], [True, False]),
        VOC,
        [[1]],
    ),
    Example("ap.match_tie=last", "match_detections", SHIFTED, VOC, [[1, 1]]),
    Example("ap.match_order=iou", "match_detections", SHIFTED, VOC, [[0, 1]]),
    Example(
        "ap.match_apart=never",
        "match_detections",
        found([[4, 0, 8, 4]], [[0, 0, 4, 4]]),
        {**LEGACY, "threshold": 0.0},
        [[0]],
    ),
    Example("coco.cmp=gt", "coco_match", overlaps([[0.5]]), HALF, [[[-1]]]),
    Example("coco.threshold=as_given", "coco_match", overlaps([[1 - 2.0**-34]]), {"thresholds": (1.0,)}, [[[-1]]]),
    Example("coco.tie=first", "coco_match", overlaps([[0.75, 0.75]]), HALF, [[[0]]]),
    Example("coco.ignored=like_others", "coco_match", overlaps([[0.5, 1.0]], [False, True]), HALF, [[[1]]]),
    Example("coco.ignored=never", "coco_match", overlaps([[0.75]], [True]), HALF, [[[-1]]]),
    Example("coco.crowd=once", "coco_match", overlaps([[0.75], [0.75]], crowd=[True]), HALF, [[[0, -1]]]),
    Example("coco.id0=none", "coco_match", overlaps([[0.75]]), HALF, [[[-1]]]),
    Example("coco.nan=match", "coco_match", overlaps([[np.nan]]), HALF, [[[0]]]),
    Example("coco.crowd_iou=plain", "coco_box_iou", ([[0.0, 0, 2, 1]], [[0.0, 0, 4, 1]], [True]), {}, [[[0.5]]]),
    Example("coco.crowd_iou=plain", "rle_iou", ([0, 3, 3], [0, 3], [0, 6], [0, 2], [True]), {"size": (3, 2)},
            [[[0.5]]]),
    Example("coco.box=corners", "coco_box_iou", ([[2.0, 0, 4, 2]], [[3.0, 0, 5, 2]], [False]), {}, [[[1 / 3]]]),
    Example("rle.order=rows", "rle_encode", (np.array([[True, False]] * 2),), {}, [[0, 1, 1, 1, 1]]),
    Example("rle.order=rows", "rle_decode", ([0, 2, 2],), {"size": (2, 2)}, [[[1, 1], [0, 0]]]),
    Example("mask.iou_of_nothing=nan", "rle_iou", ([6], [0, 1], [6], [0, 1], None), {"size": (3, 2)}, [[[np.nan]]]),
    Example("seg.confusion=transposed", "confusion_matrix", ([0], [1]), {"n_classes": 2, "ignore_label": None},
            [[[0, 0], [1, 0]]]),
    Example("seg.confusion=transposed", "segmentation_scores", ([[3, 1], [0, 0]],), {}, [3 / 4, 1 / 2, 3 / 8, 9 / 16]),
    Example("seg.ignore=out_of_range", "confusion_matrix", ([0, 1], [0, 1]), {"n_classes": 2, "ignore_label": 1},
            [[[1, 0], [0, 1]]]),
    Example("seg.absent=zero", "segmentation_scores", (TABLE,), {}, [1, 1 / 2, 1 / 2, 1]),
    Example("seg.absent=nan", "segmentation_scores", (TABLE,), {}, [1, np.nan, np.nan, 1]),
    Example("seg.absent=one", "segmentation_scores", ([[1, 1, 0], [1, 1, 0], [0, 0, 0]],), {},
            [1 / 2, 1 / 2, (1 / 3 + 1 / 3 + 1) / 3, 1 / 3]),
    Example("seg.absent=not_true", "segmentation_scores", ([[3, 1], [0, 0]],), {}, [3 / 4] * 4),
    Example("topk.tie=last", "top_k_error", ([[1.0, 1]], [0]), {"k": 1}, [1]),
    Example("topk.tie=against", "top_k_error", ([[1.0, 1]], [0]), {"k": 1}, [1]),
    Example("topk.tie=in_favour", "top_k_error", ([[1.0, 1]], [1]), {"k": 1}, [0]),
    Example("oks.variance=sigma", "object_keypoint_similarity", keypoint(2), OKS, [[[np.exp(-4)]]]),
    Example("oks.area=box053", "object_keypoint_similarity", keypoint(2), OKS, [[[np.exp(-4 / (2 * 0.53 * 16))]]]),
    Example("oks.unlabelled=zero", "object_keypoint_similarity", keypoint(0), OKS, [[[0]]]),
    Example("pcp.ends=mean", "pcp", (*ends(0, 8), [[True, True]]), LIMB, [[1]]),
    Example("pose.cmp=lt", "pcp", (*ends(0, 5), [[True, True]]), LIMB, [[0]]),
    Example("pose.visible=all", "pcp", (*ends(0, 6), [[True, False]]), LIMB, [[0]]),
    Example("pdj.scale=body", "pdj", ([[[0.0, 0], [2, 0], [14, 0]]], BODY, [[True] * 3]), TORSO, [[1, 1, 1]]),
    Example("pose.cmp=lt", "pdj", ([[[0.0, 0], [2, 0], [11, 0]]], BODY, [[True] * 3]), TORSO, [[1, 1, 0]]),
    Example("pose.visible=all", "pdj", ([[[0.0, 0], [2, 0], [14, 0]]], BODY, HIDDEN), TORSO, [[1, 1, 0]]),
    Example("graph.cmp=lt", "merge_graph", ONE_EDGE, GRAPH, [[0, 1]]),
    Example("graph.cmp=le", "merge_graph", ONE_EDGE, {**GRAPH, "comparison": "<"}, [[0, 0]]),
    Example("graph.scale=over_255", "merge_graph", ONE_EDGE, {**GRAPH, "k": 255.0}, [[0, 1]]),
    # two pairs of singles join; each pair still counts as 1, so that they join each other
    Example("graph.small=stale_sizes", "merge_graph", ([1.0, 2, 3], [[0, 1], [2, 3], [1, 2]]),
            {**GRAPH, "n_vertices": 4, "k": 0.0, "min_size": 2}, [[0, 0, 0, 0]]),
    Example("ss.weights=equal", "group_regions", regions(ROW, [1, 1, 1], [[1.0, 0], [0, 1], [0, 1]]), SIZE,
            [[[1, 2], [0, 3]]]),
    Example("ss.tie=last", "group_regions", regions(ROW, [1, 1, 1]), SIZE, [[[1, 2], [0, 3]]]),
    Example("ss.box=last_pixel", "group_regions", regions(BARS, [3, 3, 5]),
            {"weights": (0.0, 0.0, 0.0, 1.0), "image_area": 64.0}, [[[0, 1], [2, 3]]]),
    # 1.5 / (16/2 + 16/2) instead of 1.5 / (2 (16 + 16))
    Example("edges.score=opencv", "score_edge_boxes",
            ([[1, 1, 17, 17]], CONTOUR, GROUP, np.zeros((0, 2), np.int64), np.zeros(0)), BOXES, [[1.5 / 16]]),
]  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.key} {example.algorithm}")
def test_by_eye(example: Example) -> None:
    check(example, BY_KEY[example.key])


def test_every_deviation_has_an_example_for_every_kernel() -> None:
    assert {(e.key, e.algorithm) for e in EXAMPLES} == {(d.key, a) for d in BY_KEY.values() for a in d.algorithms}
    assert len(BY_KEY) == sum(len(family.DEVIATIONS) for family in FAMILIES)
