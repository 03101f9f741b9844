"""The groups of workloads of refdet.bench at a size that tests have time for, to be named as tests.bench.small:X."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from refdet.bench import boxes, detectors, evaluation, regions
from refdet.bench.convolution import Layer
from refdet.bench.workloads import Group, Inputs, Workload
from refdet.detection.vgg_faster_rcnn import PyFasterSettings

ADDRESS = "tests.bench.small:"


def _with(workload: Workload, draw: Callable[[np.random.Generator], Inputs]) -> Workload:
    return dataclasses.replace(workload, make_inputs=draw)


REGIONS = Group(
    "roi",
    "Few regions of few channels",
    tuple(
        _with(workload, functools.partial(draw, channels=3, n_rois=40))
        for workload in regions.ROI.workloads
        for draw in [regions.draw_forward if workload.kernel.endswith("forward") else regions.draw_backward]
    ),
)
BOXES = Group(
    "boxes",
    "Few boxes",
    (
        _with(boxes.NMS.workload("nms/1k"), functools.partial(boxes.draw_scored_boxes, n=400)),
        _with(boxes.IOU.workloads[0], functools.partial(boxes.draw_pairs, n_boxes=30, n_others=20)),
    ),
)
CROPS_AND_BOXES = Group("both", "Few regions and few boxes", (*REGIONS.workloads, *BOXES.workloads))
CONVOLUTIONS = Group(
    "convolutions",
    "Small layers",
    tuple(
        layer.forward()
        for layer in (
            Layer("plain", (3, 4), 3, 7, padding=1),
            Layer("strided", (4, 6), 5, 11, stride=2, dilation=2, groups=2, bias=False),
        )
    ),
)
COCO = Group(
    "coco",
    "Few images",
    tuple(
        _with(evaluation.COCO.workload(name), functools.partial(draw, n_images=30, n_objects=216))
        for name, draw in (("coco/bbox", evaluation.inputs), ("coco/segm", evaluation.inputs_with_masks))
    ),
)
DETECTOR = Group(
    "faster-vgg16",
    "A thin network, a small picture",
    (
        _with(
            detectors.DETECTORS.workloads[0],
            functools.partial(
                detectors.draw_detector,
                size=(150, 214),
                n_proposals=9,
                settings=PyFasterSettings(width=1 / 16, hidden=256),
            ),
        ),
    ),
)
