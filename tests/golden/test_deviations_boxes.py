"""Deviations of boxes and of what crops and counts them: one answer each that is computed by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.cases.detections import params as detection_params
from golden.deviations import (
    anchors,
    boxes,
    code,
    detections,
    matching,
    roi_align,
    roi_pool,
    spatial_pyramid,
    suppression,
)
from refdet.boxes.transform import SCALE_CLAMP
from refdet.core.kernel import KERNELS, use_backend
from refdet.verify.catalogue import load_all
from refdet.verify.deviation import deviating
from refdet.verify.forward import run_forward

load_all()
FAMILIES = (anchors, boxes, code, detections, matching, roi_align, roi_pool, spatial_pyramid, suppression)
DEVIATIONS = [d for f in FAMILIES for d in f.DEVIATIONS]
BY_KEY = {d.key: d for d in DEVIATIONS}
NAN, LOWEST = np.nan, np.finfo(np.float32).min

PLANE = np.arange(16.0).reshape(1, 1, 4, 4)  # 4·row + column
PEAK = np.array([[[[0.0, 8.0, 0.0, 0.0], [0.0] * 4, [0.0] * 4, [0.0] * 4]]])
ROW = np.arange(6.0).reshape(1, 1, 1, 6)
ONE = [0.0, 0, 1, 1]
ALIGN: dict[str, Any] = {
    "output_size": (1, 1),
    "scale": 1.0,
    "sampling_ratio": 1,
    "aligned": True,
    "border": "kernel",
    "reduction": "mean",
}
PLAIN: dict[str, Any] = {"weights": (1.0,) * 4, "mean": (0.0,) * 4, "std": (1.0,) * 4, "convention": "continuous"}
DECODE = {**PLAIN, "clamp": None}
SOFT = {"method": "linear", "threshold": 0.25, "sigma": 0.5, "min_score": 0.125, "offset": 0}
RPN = {"positive": 0.75, "negative": 0.25, "comparison": ">=", "force_best": True, "guard_zero": True}
RCNN = {"positive": 0.5, "negative_low": 0.125, "negative_high": 0.5, "comparison": ">="}
SSD = {"threshold": 0.5, "min_overlap": 1e-6, "convention": "caffe"}
SPP = {"stride": 16, "size": (20, 20), "first_centre": 21.0, "margin": 6.5}
ANCHOR = {"sizes": (1.0,), "ratios": (1.0,), "base_size": None, "convention": "detectron2"}
LEGACY = {**ANCHOR, "base_size": 16, "convention": "py-faster"}
PRIOR = {
    "image_size": 8,
    "map_sizes": (1,),
    "min_sizes": (2.0,),
    "max_sizes": (8.0,),
    "steps": (8.0,),
    "ratios": ((),),
    "order": "caffe",
    "clip": "none",
}
LARGE = {**PRIOR, "min_sizes": (16.0,), "max_sizes": (16.0,), "steps": (4.0,)}  # twice as large as the image


def region(*box: float) -> list[list[float]]:
    """Return the rois of one box in image 0."""
    return [[0.0, *box]]


# key, algorithm, inputs, params, the first output
EXAMPLES: list[tuple[str, str, tuple[Any, ...], dict[str, Any], Any]] = [
    # a region of 1 × 1 around (1½, 1½) has 4 · 1 + 1 of the aligned plane, and 7½ half a pixel further
    ("roi.offset=0", "roi_align", (PLANE, region(1, 1, 2, 2)), ALIGN, [7.5]),
    ("roi.offset=half", "roi_align", (PLANE, region(1, 1, 2, 2)), {**ALIGN, "aligned": False}, [5.0]),
    ("roi.min1=always", "roi_align", (PLANE, region(1.5, 1.5, 1.5, 1.5)), ALIGN, [7.5]),
    ("roi.min1=never", "roi_align", (PLANE, region(1, 1, 1, 1)), {**ALIGN, "aligned": False}, [5.0]),
    ("roi.plus1=yes", "roi_align", (PLANE, region(1, 1, 2, 2)), ALIGN, [7.5]),
    ("roi.order=yx", "roi_align", (PLANE, region(1, 2, 2, 3)), ALIGN, [4 * 1.0 + 2]),
    # two points of the middle row of the aligned peak: 8 · (½, ½); one point between them: 8 · 1
    (
        "roi.sampling=adaptive",
        "roi_align",
        (PEAK[..., :1, :], region(1, 0, 2, 1)),
        {**ALIGN, "sampling_ratio": 2},
        [8.0],
    ),
    ("roi.sampling=2", "roi_align", (PEAK[..., :1, :], region(1, 0, 2, 1)), {**ALIGN, "sampling_ratio": 0}, [6.0]),
    ("roi.crop=tf", "roi_align", (ROW, region(1, 0, 4, 1)), {**ALIGN, "output_size": (1, 2)}, [1.0, 3.0]),
    (
        "roi.max=weighted",
        "roi_align",
        (np.full((1, 1, 4, 4), 8.0), region(0, 0, 2, 2)),
        {**ALIGN, "reduction": "max"},
        [2.0],
    ),
    (
        "roi.max=mean",
        "roi_align",
        (ROW, region(1, 0, 3, 1)),
        {**ALIGN, "reduction": "max", "sampling_ratio": 2},
        [1.5],
    ),
    ("roi.outside=zero_decay", "roi_align", (PLANE + 8, region(-0.5, -0.5, 0.5, 0.5)), ALIGN, [2.0]),
    (
        "roi.outside=kernel",
        "roi_align",
        (PLANE + 8, region(-0.5, -0.5, 0.5, 0.5)),
        {**ALIGN, "border": "zero_decay"},
        [8],
    ),
    *(
        (key, "roi_pool", (ROW, region(*box)), {"output_size": size, "scale": 1.0, "convention": asked}, y)
        for key, box, size, asked, y in [
            ("roipool.round=half_even", (0, 0, 2.5, 0), (1, 1), "exact", [2.0]),
            ("roipool.round=truncate", (0, 0, 2.75, 0), (1, 1), "exact", [2.0]),
            ("roipool.end=exclusive", (0, 0, 3, 0), (1, 1), "exact", [2.0]),
            ("roipool.bins=disjoint", (0, 0, 2, 0), (1, 2), "exact", [0.0, 2.0]),
            ("roipool.order=yx", (0, 0, 0, 3), (1, 1), "exact", [3.0]),
        ]
    ),
    *(
        (
            f"roipool.bins={done}",
            "roi_pool",
            (np.arange(60.0).reshape(1, 1, 60, 1), region(0, 0, 0, n - 1)),
            {"output_size": (7, 1), "scale": 1.0, "convention": asked},
            ends,
        )
        for done, asked, n, ends in [
            ("float32", "exact", 57, [8, 16, 24, 32, 40, 48, 57]),  # the seventh ends at 58
            ("exact", "float32-bins", 57, [8, 16, 24, 32, 40, 48, 56]),
            ("float64", "exact", 29, [4, 8, 12, 16, 20, 24, 29]),  # the seventh ends at 30
        ]
    ),
    (
        "roipool.nan=ignored",
        "roi_pool",
        ([[[[NAN, 1.0, -np.inf]]]], [*region(0, 0, 1, 0), *region(2, 0, 2, 0)]),
        {"output_size": (1, 1), "scale": 1.0, "convention": "exact"},
        [1.0, LOWEST],
    ),
    ("spp.from=0", "spatial_pyramid_pool", ([[[[-2.0, -1.0]]]],), {"levels": (1,)}, [0.0]),
    # three pixels in two bins: the first begins one pixel before the map; or it ends at round(1½) = 2
    (
        "spp.bins=padded",
        "spatial_pyramid_pool",
        ([[np.diag([3.0, 2.0, 1.0])]],),
        {"levels": (2,)},
        [3.0, 0.0, 0.0, 2.0],
    ),
    (
        "spp.bins=rounded",
        "spatial_pyramid_pool",
        ([[np.diag([3.0, 2.0, 1.0])]],),
        {"levels": (2,)},
        [3.0, 0.0, 0.0, 1.0],
    ),
    (
        "spp.order=columns",
        "spatial_pyramid_pool",
        ([[[[1.0, 2.0], [3.0, 4.0]]]],),
        {"levels": (2,)},
        [1.0, 3.0, 2.0, 4.0],
    ),
    # two channels of four bins
    (
        "spp.order=rows",
        "spatial_pyramid_pool",
        ([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]]],),
        {"levels": (2,)},
        [1.0, 5.0, 2.0, 6.0, 3.0, 7.0, 4.0, 8.0],
    ),
    ("spp.window=paper", "project_windows", ([[16.0, 16, 65, 65]],), {**SPP, "convention": "released"}, [2, 2, 4, 4]),
    ("spp.window=released", "project_windows", ([[32.0, 32, 48, 48]],), {**SPP, "convention": "paper"}, [1, 1, 2, 2]),
    # boxes
    ("box.plus1=yes", "box_iou", ([ONE], [[1.0, 0, 2, 1]], None), {"offset": 0, "empty": "zero"}, [2 / 6]),
    ("box.plus1=no", "box_iou", ([ONE], [[1.0, 0, 2, 1]], None), {"offset": 1, "empty": "zero"}, [0.0]),
    ("box.empty=nan", "box_iou", ([[1.0] * 4], [[1.0] * 4], None), {"offset": 0, "empty": "zero"}, [NAN]),
    ("box.empty=zero", "box_iou", ([[1.0] * 4], [[1.0] * 4], None), {"offset": 0, "empty": "nan"}, [0.0]),
    ("box.empty=one", "box_iou", ([[1.0] * 4], [[7.0] * 4], None), {"offset": 0, "empty": "zero"}, [1.0]),
    ("box.empty=one", "nms", ([[1.0] * 4, [7.0] * 4], [0.5, 0.25]), {"threshold": 0.5, "offset": 0}, [0]),
    ("box.malformed=sorted", "box_iou", ([[1.0, 1, 0, 0]], [ONE], None), {"offset": 0, "empty": "zero"}, [1.0]),
    ("box.malformed=sorted", "nms", ([[1.0, 1, 0, 0], ONE], [0.5, 0.25]), {"threshold": 0.5, "offset": 0}, [0]),
    ("box.crowd=ignored", "box_iou", ([ONE], [[0.0, 0, 2, 2]], [True]), {"offset": 0, "empty": "zero"}, [0.25]),
    (
        "box.eps=1e-6",
        "box_iou",
        ([[0.0, 0, 1e-3, 5e-4]] * 1, [[0.0, 0, 1e-3, 5e-4]], None),
        {"offset": 0, "empty": "zero"},
        [0.5],
    ),
    (
        "box.eps=1e-7",
        "box_iou",
        ([[0.0, 0, 1e-3, 1e-4]] * 1, [[0.0, 0, 1e-3, 1e-4]], None),
        {"offset": 0, "empty": "zero"},
        [0.5],
    ),
    ("box.plus1=yes", "convert_boxes", ([[1.0, 1, 3, 3]],), {"source": "xyxy", "target": "xywh"}, [1, 1, 3, 3]),
    ("box.plus1=yes", "large_enough", ([[0.0, 0, 3, 3]],), {"min_size": 4.0, "convention": "torchvision"}, [True]),
    ("box.min_size=gt", "large_enough", ([[0.0, 0, 4, 4]],), {"min_size": 4.0, "convention": "torchvision"}, [False]),
    ("box.min_size=ge", "large_enough", ([[0.0, 0, 4, 4]],), {"min_size": 4.0, "convention": "detectron2"}, [True]),
    *(
        (f"box.clip={done}", "clip_boxes", ([[-9.0, -9, 99, 99]],), {"height": 4, "width": 8, "convention": asked}, y)
        for done, asked, y in [
            ("w", "legacy", [0, 0, 8, 4]),
            ("w-1", "continuous", [0, 0, 7, 3]),
            ("from1", "continuous", [1, 1, 8, 4]),
        ]
    ),
    # two columns of scores: the first class stays, the second moves by its width
    *(
        (
            f"cls.background={taken}",
            "detections",
            ([[0.0, 0, 8, 8]], [[0.0, 0, 0, 0, 1, 0, 0, 0]], [[0.75, 0.25]]),
            detection_params(background=asked),
            expected,
        )
        for taken, asked, expected in [("first", "last", [8, 0, 16, 8]), ("last", "first", [0, 0, 8, 8])]
    ),
    # the transform of boxes
    (
        "code.encode_plus1=no",
        "encode_boxes",
        ([[0.0, 0, 4, 4]], [[1.0, 0, 5, 4]]),
        {**PLAIN, "convention": "py-faster"},
        [0.25, 0, 0, 0],
    ),
    ("code.encode_plus1=yes", "encode_boxes", ([[0.0, 0, 3, 3]], [[1.0, 0, 4, 3]]), PLAIN, [0.25, 0, 0, 0]),
    (
        "code.plus1=no",
        "decode_boxes",
        ([[0.0, 0, 8, 8]], [[0.5, 0, 0, 0]]),
        {**DECODE, "convention": "py-faster"},
        [4, 0, 12, 8],
    ),
    ("code.plus1=py-faster", "decode_boxes", ([[0.0, 0, 9, 9]], [[0.0] * 4]), DECODE, [0, 0, 10, 10]),
    ("code.plus1=centred", "decode_boxes", ([[0.0, 0, 9, 9]], [[0.0] * 4]), DECODE, [-0.5, -0.5, 9.5, 9.5]),
    ("code.plus1=detectron1", "decode_boxes", ([[0.0, 0, 7, 7]], [[0.5, 0, 0, 0]]), DECODE, [4, 0, 11, 7]),
    (
        "code.clamp=none",
        "decode_boxes",
        ([[0.0, 0, 2, 2]], [[0, 0, 1e4, 0]]),
        {**DECODE, "clamp": 1.0},
        [-np.inf, 0, np.inf, 2],
    ),
    ("code.clamp=always", "decode_boxes", ([[0.0, 0, 2, 2]], [[0, 0, 1e4, 0]]), DECODE, [-61.5, 0, 63.5, 2]),
    (
        "code.clamp=both",
        "decode_boxes",
        ([[0.0, 0, 2, 2]], [[0, 0, -1e4, 0]]),
        {**DECODE, "clamp": SCALE_CLAMP},
        [1 - 0.016, 0, 1 + 0.016, 2],
    ),
    ("code.order=yx", "encode_boxes", ([[0.0, 0, 4, 4]], [[1.0, 2, 5, 6]]), PLAIN, [0.5, 0.25, 0, 0]),
    ("code.order=yx", "decode_boxes", ([[0.0, 0, 4, 4]], [[0.5, 0.25, 0, 0]]), DECODE, [1, 2, 5, 6]),
    # the first mean is that of t_y
    (
        "code.order=yx",
        "encode_boxes",
        ([[0.0, 0, 4, 4]], [[1.0, 2, 5, 6]]),
        {**PLAIN, "mean": (0.5, 0.0, 0.0, 0.0)},
        [0, 0.25, 0, 0],
    ),
    (
        "code.order=yx",
        "decode_boxes",
        ([[0.0, 0, 4, 4]], [[0.0, 0.25, 0, 0]]),
        {**DECODE, "mean": (0.5, 0.0, 0.0, 0.0)},
        [1, 2, 5, 6],
    ),
    ("code.form=corners", "encode_boxes", ([[0.0, 0, 4, 4]], [[1.0, 2, 6, 8]]), PLAIN, [0.25, 0.5, 0.5, 1]),
    ("code.form=corners", "decode_boxes", ([[0.0, 0, 4, 4]], [[0.25, 0.5, 0.5, 1]]), DECODE, [1, 2, 6, 8]),
    ("code.target=at_least_one", "encode_boxes", ([[0.0, 0, 1, 1]], [[0.5, 0, 0.5, 1]]), PLAIN, [0.0] * 4),
    # suppression: [0, 0, 1, 1] is half of [0, 0, 2, 1]
    ("nms.cmp=ge", "nms", ([[0.0, 0, 2, 1], ONE], [0.5, 0.25]), {"threshold": 0.5, "offset": 0}, [0]),
    ("nms.cmp=ge", "soft_nms", ([[0.0, 0, 2, 1], ONE], [0.5, 0.25]), {**SOFT, "threshold": 0.5, "method": "hard"}, [0]),
    (
        "nms.thr_dtype=float64",
        "nms",
        ([[0.0, 0, 10, 1], [0.0, 0, 3, 1]], [0.5, 0.25]),
        {"threshold": 0.3, "offset": 0},
        [0],
    ),
    ("nms.tie=last", "nms", ([ONE, ONE], [0.5, 0.5]), {"threshold": 0.5, "offset": 0}, [1]),
    ("nms.tie=last", "top_k", ([0.5, 0.25, 0.5],), {"k": 2}, [2, 0]),
    ("nms.nan_score=first", "top_k", ([0.5, NAN],), {"k": 1}, [1]),
    ("nms.nan_score=first", "nms_from_iou", (np.eye(2), [0.5, NAN]), {"threshold": 0.5}, [1, 0]),
    ("nms.order=index", "nms_from_iou", (np.eye(2), [0.25, 0.5]), {"threshold": 0.5}, [0, 1]),
    ("nms.nan=suppresses", "nms_from_iou", (np.full((2, 2), NAN), [0.5, 0.25]), {"threshold": 0.5}, [0]),
    ("nms.nan=suppresses", "nms", ([ONE, [NAN, 0, 9, 9]], [0.5, 0.25]), {"threshold": 0.5, "offset": 0}, [0]),
    (
        "nms.fast=yes",
        "nms",
        ([[0.0, 0, 4, 1], [1, 0, 5, 1], [2, 0, 6, 1]], [0.5, 0.25, 0.125]),
        {"threshold": 0.5, "offset": 0},
        [0],
    ),
    (
        "nms.batched=offset",
        "class_nms",
        ([ONE, [-2.0, -2, -1, -1]], [0.5, 0.25], [0, 1]),
        {"threshold": 0.5, "offset": 0},
        [0],
    ),
    ("nms.batched=agnostic", "class_nms", ([ONE, ONE], [0.5, 0.25], [0, 1]), {"threshold": 0.5, "offset": 0}, [0]),
    ("softnms.min_score=gt", "soft_nms", ([ONE], [0.125]), SOFT, []),
    ("softnms.min_score=not_first", "soft_nms", ([ONE, [2.0, 2, 3, 3]], [0.03125, 0.0625]), SOFT, [1]),
    ("softnms.min_score=overlapping", "soft_nms", ([ONE, [2.0, 2, 3, 3]], [0.03125, 0.0625]), SOFT, [1, 0]),
    ("softnms.tie=swap", "soft_nms", ([ONE, [2.0, 0, 3, 1], [4.0, 0, 5, 1]], [0.25, 0.25, 0.5]), SOFT, [2, 1, 0]),
    # anchors
    ("anchor.quant=round", "base_anchors", (), {**ANCHOR, "sizes": (5.0,)}, [-2, -2, 2, 2]),
    (
        "anchor.quant=none",
        "base_anchors",
        (),
        {**ANCHOR, "sizes": (5.0,), "convention": "torchvision"},
        [-2.5, -2.5, 2.5, 2.5],
    ),
    (
        "anchor.quant=half_away",
        "base_anchors",
        (),
        {**ANCHOR, "sizes": (5.0,), "convention": "torchvision"},
        [-3, -3, 3, 3],
    ),
    (
        "anchor.sequence=ratios",
        "base_anchors",
        (),
        {**ANCHOR, "sizes": (4.0, 8.0), "ratios": (1.0, 4.0)},
        [[-2, -2, 2, 2], [-4, -4, 4, 4], [-1, -4, 1, 4], [-2, -8, 2, 8]],
    ),
    (
        "anchor.sequence=sizes",
        "base_anchors",
        (),
        {**ANCHOR, "sizes": (4.0, 8.0), "ratios": (1.0, 4.0), "convention": "torchvision"},
        [[-2, -2, 2, 2], [-1, -4, 1, 4], [-4, -4, 4, 4], [-2, -8, 2, 8]],
    ),
    ("anchor.where=origin", "base_anchors", (), LEGACY, [-7.5, -7.5, 7.5, 7.5]),
    ("anchor.where=from1", "base_anchors", (), LEGACY, [1, 1, 16, 16]),
    ("anchor.ratio=w_over_h", "base_anchors", (), {**ANCHOR, "sizes": (4.0,), "ratios": (4.0,)}, [-4, -1, 4, 1]),
    ("anchor.offset=half", "anchor_grid", ([ONE],), {"size": (1, 1), "stride": (8, 16), "offset": 0.0}, [8, 4, 9, 5]),
    ("anchor.offset=0", "anchor_grid", ([ONE],), {"size": (1, 1), "stride": (8, 16), "offset": 0.5}, ONE),
    (
        "anchor.positions=columns",
        "anchor_grid",
        ([[0.0] * 4],),
        {"size": (2, 2), "stride": (1, 1), "offset": 0.0},
        [[0] * 4, [0, 1, 0, 1], [1, 0, 1, 0], [1] * 4],
    ),
    (
        "anchor.positions=anchors_outside",
        "anchor_grid",
        ([[0.0] * 4, [5.0] * 4],),
        {"size": (1, 2), "stride": (1, 1), "offset": 0.0},
        [[0] * 4, [1, 0, 1, 0], [5] * 4, [6, 5, 6, 5]],
    ),
    (
        "ssd.prior_order=paddle",
        "default_boxes",
        (),
        {**PRIOR, "ratios": ((4.0,),)},
        np.array([[3, 3, 5, 5], [2, 3.5, 6, 4.5], [3.5, 2, 4.5, 6], [2, 2, 6, 6]]) / 8,
    ),
    (
        "ssd.prior_order=caffe",
        "default_boxes",
        (),
        {**PRIOR, "ratios": ((4.0,),), "order": "paddle"},
        np.array([[3, 3, 5, 5], [2, 2, 6, 6], [2, 3.5, 6, 4.5], [3.5, 2, 4.5, 6]]) / 8,
    ),
    ("ssd.clip=none", "default_boxes", (), {**LARGE, "clip": "corners"}, [[-0.75, -0.75, 1.25, 1.25]] * 2),
    ("ssd.clip=corners", "default_boxes", (), LARGE, [[0, 0, 1, 1]] * 2),
    ("ssd.clip=size", "default_boxes", (), LARGE, [[-0.25, -0.25, 0.75, 0.75]] * 2),
    (
        "ssd.clip=centre_size",
        "default_boxes",
        (),
        {**LARGE, "steps": (32.0,)},
        [[0.5, 0.5, 1.5, 1.5]] * 2,
    ),  # centre 2 → 1
    (
        "ssd.step=even",
        "default_boxes",
        (),
        {**PRIOR, "max_sizes": (2.0,), "steps": (4.0,)},
        np.array([[3, 3, 5, 5]] * 2) / 8,
    ),
    # matching
    ("match.cmp=gt", "match_rpn", ([[0.75], [0.875]], None), RPN, [-1, 1]),
    ("match.cmp=gt", "match_ssd", ([[0.75], [0.5]],), SSD, [0, -1]),
    ("match.cmp=ge", "match_rcnn", ([[0.5]],), {**RCNN, "comparison": ">"}, [1]),
    ("match.low=0", "match_rcnn", ([[0.0625]],), RCNN, [0]),
    ("match.force=off", "match_rpn", ([[0.5]], None), RPN, [-1]),
    ("match.force=first", "match_rpn", ([[0.5], [0.5]], None), RPN, [1, -1]),
    ("match.force=always", "match_rpn", ([[0.5]], None), {**RPN, "force_best": False}, [1]),
    ("match.inside=ignored", "match_rpn", ([[0.875]], [False]), RPN, [1]),
    ("match.nan=best", "match_rpn", ([[NAN], [0.5]], None), RPN, [1, -1]),
    ("match.nan=best", "match_rcnn", ([[NAN]],), RCNN, [1]),
    ("match.zero=unguarded", "match_rpn", ([[0.875, 0.0], [0.0, 0.0]], None), RPN, [1, 1]),
    ("match.zero=guarded", "match_rpn", ([[0.875, 0.0], [0.0, 0.0]], None), {**RPN, "guard_zero": False}, [1, 0]),
    ("ssd.match=overwrite", "match_ssd", ([[0.75, 0.625], [0.0, 0.25]],), SSD, [1, -1]),
    ("ssd.match=bipartite", "match_ssd", ([[0.75, 0.625], [0.0, 0.25]],), {**SSD, "convention": "torchvision"}, [0, 1]),
]


def answer(key: str, algorithm: str, inputs: tuple[Any, ...], params: dict[str, Any]) -> tuple[Any, ...]:
    """Return all outputs under a deviation, or canonical ones for an empty key."""
    arrays = [None if x is None else np.asarray(x) for x in inputs]
    arrays = [x.astype(np.float32) if x is not None and x.dtype.kind == "f" else x for x in arrays]
    with use_backend(deviating([BY_KEY[key]] if key else [])), np.errstate(all="ignore"):
        return run_forward(algorithm, arrays, params)[0]


@pytest.mark.parametrize(("key", "algorithm", "inputs", "params", "expected"), EXAMPLES)
def test_by_eye(key: str, algorithm: str, inputs: tuple[Any, ...], params: dict[str, Any], expected: Any) -> None:
    got = answer(key, algorithm, inputs, params)[0]
    np.testing.assert_allclose(np.reshape(got, np.shape(expected)), expected, rtol=1e-5, atol=1e-6)
    plain = answer("", algorithm, inputs, params)[0]
    assert got.shape != plain.shape or not np.allclose(got, plain, equal_nan=True), "nothing deviates here"


def test_every_deviation_has_an_example() -> None:
    seen_elsewhere = {"match.forced_truth=forcing", "softnms.sigma=half_exponent"}
    assert set(BY_KEY) - {example[0] for example in EXAMPLES} == seen_elsewhere
    assert len(BY_KEY) == len(DEVIATIONS)


def test_half_the_exponent() -> None:
    """IoU ½: exp(−¼ / (2 · ¼)) instead of exp(−1)."""
    params = {**SOFT, "method": "gaussian", "sigma": 0.25, "min_score": 0.0}
    _, decayed = answer("softnms.sigma=half_exponent", "soft_nms", ([[0.0, 0, 2, 1], ONE], [1.0, 1.0]), params)
    np.testing.assert_allclose(decayed, [1, np.exp(-0.5)], rtol=1e-6)


def test_the_truth_that_forces() -> None:
    """The anchor is the best of both; the second has nothing better."""
    labels, matches = answer("match.forced_truth=forcing", "match_rpn", ([[0.875, 0.5]], None), RPN)
    assert labels.tolist() == [1]
    assert matches.tolist() == [1]


def test_cmp_and_dtype_go_together() -> None:
    """7/10 in float32 is less than 0.7: not ≥ it in float64, but ≥ 0.7 of float32. 3/10 is more than 0.3."""
    both = deviating([BY_KEY["nms.cmp=ge"], BY_KEY["nms.thr_dtype=float64"]])
    boxes = np.array([[0, 0, 10, 1], [0, 0, 7, 1], [0, 2, 10, 3], [0, 2, 3, 3]], np.float32)
    scores = np.array([0.5, 0.25, 0.5, 0.25], np.float32)
    with use_backend(both):
        assert KERNELS["nms"](boxes[:2], scores[:2], threshold=0.7, offset=0).tolist() == [0, 1]
        assert KERNELS["nms"](boxes[2:], scores[2:], threshold=0.3, offset=0).tolist() == [0]
    with use_backend(deviating([BY_KEY["nms.cmp=ge"]])):
        assert KERNELS["nms"](boxes[:2], scores[:2], threshold=0.7, offset=0).tolist() == [0]


@pytest.mark.parametrize("key", [d.key for d in roi_align.DEVIATIONS if "roi_align.backward" in d.kernels])
def test_gradients_are_adjoint(key: str) -> None:
    """RoIAlign is linear in the map as long as the same points win: ⟨dy, f(x)⟩ = ⟨dx, x⟩."""
    x, rois = (
        np.cos(np.arange(32.0)).reshape(2, 1, 4, 4),
        np.array([[1.0, -0.6, 0.3, 2.2, 2.9], [0, 1.1, 1.3, 1.4, 4.7]]),
    )
    for asked in ({"aligned": True}, {"aligned": False, "border": "zero_decay"}, {"reduction": "max"}):
        params = {**ALIGN, "output_size": (2, 3), "sampling_ratio": 3, **asked}
        dy = np.sin(np.arange(12.0)).reshape(2, 1, 2, 3)
        with use_backend(deviating([BY_KEY[key]])):
            y, residual = KERNELS["roi_align.forward"](x, rois, **params, keep_residual=True)
            dx, _ = KERNELS["roi_align.backward"](residual, dy, needs=(True, False), **params)
        np.testing.assert_allclose(np.sum(dy * y), np.sum(dx * x), rtol=1e-9)
