"""What refdet computes in a workload that is no single kernel but calls many."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.bench.dense_crf import (
    INFER,
    ITERATIONS,
    THETA_COLOUR,
    THETA_POSITION,
    THETA_SMOOTHNESS,
    WEIGHT_APPEARANCE,
    WEIGHT_SMOOTHNESS,
)
from refdet.bench.detectors import FORWARD, class_names
from refdet.bench.evaluation import EVALUATE, EVALUATE_MASKS, SIDE
from refdet.bench.proposals import EDGE_BOXES, SELECTIVE_SEARCH
from refdet.bench.workloads import Inputs
from refdet.core.check import Array


def _evaluate_coco(inputs: Inputs) -> Callable[[], Any]:
    from refdet.metrics import Detections, GroundTruths, evaluate_coco

    columns: dict[str, Array] = {name: array for name, array in inputs.items() if array is not None}
    boxes, truth_masks, masks = columns["truth_boxes"], _masks(columns, "truth_"), _masks(columns, "")
    areas = boxes[:, 2] * boxes[:, 3]
    if truth_masks is not None:
        areas = np.array([mask.counts[1::2].sum() for mask in truth_masks], np.float64)
    truths = GroundTruths(
        np.arange(1, len(boxes) + 1),
        columns["truth_images"],
        columns["truth_categories"],
        boxes,
        areas,
        columns["is_crowd"],
        truth_masks,
    )
    which = columns["images"], columns["categories"], columns["scores"]
    found = Detections.of_boxes(*which, columns["boxes"]) if masks is None else Detections.of_masks(*which, masks)
    images, categories = (
        np.unique(np.concatenate([columns[f"truth_{name}"], columns[name]])).tolist()
        for name in ("images", "categories")
    )
    kind = "bbox" if masks is None else "segm"

    def call() -> Any:
        evaluation = evaluate_coco(truths, found, kind=kind, image_ids=images, category_ids=categories)
        return evaluation.precision, evaluation.recall

    return call


def _masks(columns: Mapping[str, Array], prefix: str) -> tuple[Any, ...] | None:
    """Return the masks of all rows, if there are any."""
    from refdet.masks.rle import RLE

    if prefix + "counts" not in columns:
        return None
    counts, starts = columns[prefix + "counts"], columns[prefix + "starts"].tolist()
    return tuple(RLE(counts[i:j], (SIDE, SIDE)) for i, j in itertools.pairwise(starts))


def _infer_dense_crf(inputs: Inputs) -> Callable[[], Any]:
    from refdet.crf.compatibility import potts
    from refdet.crf.dense import DenseCRF, GaussianPotential
    from refdet.crf.features import bilateral_features, position_features

    arrays: dict[str, Array] = {name: array for name, array in inputs.items() if array is not None}
    image, unary = arrays["image"].astype(np.float32), arrays["unary"]
    n_labels = unary.shape[1]
    smoothness, appearance = (potts(n_labels, w, dtype="float32") for w in (WEIGHT_SMOOTHNESS, WEIGHT_APPEARANCE))

    def call() -> Any:
        positions = position_features(image.shape[:2], THETA_SMOOTHNESS, dtype="float32")
        colours = bilateral_features(image, THETA_POSITION, THETA_COLOUR)
        crf = DenseCRF(unary, [GaussianPotential(positions, smoothness), GaussianPotential(colours, appearance)])
        inference = crf.infer(ITERATIONS)
        return inference.q, inference.labels()

    return call


def _selective_search(inputs: Inputs) -> Callable[[], Any]:
    from refdet.proposals import selective_search

    image = np.asarray(inputs["image"])
    return lambda: selective_search(image, rng=None, order="hierarchy")


def _edge_boxes(inputs: Inputs) -> Callable[[], Any]:
    from refdet.proposals import edge_boxes, gradient_edges

    image = np.asarray(inputs["image"])
    return lambda: edge_boxes(*gradient_edges(image))


def _faster_rcnn(inputs: Inputs) -> Callable[[], Any]:
    from refdet.autograd.tensor import Tensor, no_grad
    from refdet.detection.vgg_faster_rcnn import PyFasterSettings, fasterrcnn_vgg16

    arrays: dict[str, Array] = {name: array for name, array in inputs.items() if array is not None}
    image, proposals = Tensor(arrays.pop("image")), arrays.pop("proposals")
    first, hidden = arrays["backbone.features.0.weight"], arrays["roi_heads.box_head.fc6.weight"]
    # the numbers of the network that was drawn, which may be a thinner one
    settings = PyFasterSettings(width=first.shape[0] / 64, hidden=round(hidden.shape[0] * 64 / first.shape[0]))
    model = fasterrcnn_vgg16(class_names(), rng=np.random.default_rng(0), settings=settings)
    model.load_state_dict(arrays)

    def call() -> Any:
        with no_grad():
            maps = model.backbone.maps(image, training=False, rng=None)
            anchors = model.rpn.outputs(maps, (image.shape[2], image.shape[3]), model.backbone.strides)
            crops = model.crops(maps, [proposals], model.roi_heads.settings.side)
            logits, deltas = model.roi_heads.box_output(crops)
        return anchors.logits.data, anchors.deltas.data, logits.data, deltas.data

    return call


PROCEDURES: Mapping[str, Callable[[Inputs], Callable[[], Any]]] = {
    EDGE_BOXES: _edge_boxes,
    EVALUATE: _evaluate_coco,
    EVALUATE_MASKS: _evaluate_coco,
    FORWARD: _faster_rcnn,
    INFER: _infer_dense_crf,
    SELECTIVE_SEARCH: _selective_search,
}
