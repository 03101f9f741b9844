"""pydensecrf as a contestant: Krähenbühl's C++, vectorised by hand, on one thread, which is all it has."""

from __future__ import annotations

from importlib.metadata import version
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
from refdet.bench.sides import Runnable, Unsupported
from refdet.bench.workloads import Inputs, Workload
from refdet.core.check import Array


class PydensecrfSide:
    traces_memory = False

    def __init__(self, threads: int) -> None:
        self.versions = {"pydensecrf2": version("pydensecrf2")}

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        from pydensecrf import densecrf

        if workload.kernel != INFER:
            raise Unsupported(f"pydensecrf has no {workload.kernel}")
        arrays: dict[str, Array] = {name: array for name, array in inputs.items() if array is not None}
        image, unary = np.ascontiguousarray(arrays["image"]), np.ascontiguousarray(arrays["unary"].T)
        (H, W, _), (n_labels, _) = image.shape, unary.shape

        def call() -> Any:
            crf = densecrf.DenseCRF2D(W, H, n_labels)
            crf.setUnaryEnergy(unary)
            crf.addPairwiseGaussian(sxy=THETA_SMOOTHNESS, compat=WEIGHT_SMOOTHNESS)
            crf.addPairwiseBilateral(sxy=THETA_POSITION, srgb=THETA_COLOUR, rgbim=image, compat=WEIGHT_APPEARANCE)
            q = np.asarray(crf.inference(ITERATIONS))
            return q, np.argmax(q, axis=0)

        return Runnable(call, lambda result: [result[0].T, result[1]])
