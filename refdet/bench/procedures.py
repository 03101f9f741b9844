"""What refdet computes in a workload that is no single kernel but calls many."""

from __future__ import annotations

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
from refdet.bench.evaluation import EVALUATE
from refdet.bench.workloads import Inputs
from refdet.core.check import Array


def _evaluate_coco(inputs: Inputs) -> Callable[[], Any]:
    from refdet.metrics import Detections, GroundTruths, evaluate_coco

    columns: dict[str, Array] = {name: array for name, array in inputs.items() if array is not None}
    boxes = columns["truth_boxes"]
    truths = GroundTruths(
        np.arange(1, len(boxes) + 1),
        columns["truth_images"],
        columns["truth_categories"],
        boxes,
        boxes[:, 2] * boxes[:, 3],
        columns["is_crowd"],
    )
    found = Detections.of_boxes(columns["images"], columns["categories"], columns["scores"], columns["boxes"])
    images, categories = (
        np.unique(np.concatenate([columns[f"truth_{name}"], columns[name]])).tolist()
        for name in ("images", "categories")
    )

    def call() -> Any:
        evaluation = evaluate_coco(truths, found, image_ids=images, category_ids=categories)
        return evaluation.precision, evaluation.recall

    return call


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


PROCEDURES: Mapping[str, Callable[[Inputs], Callable[[], Any]]] = {
    EVALUATE: _evaluate_coco,
    INFER: _infer_dense_crf,
}
