"""faster-coco-eval as a contestant: COCO's evaluation in C++, fed by Python; overlaps of masks on several threads."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np

from refdet.bench.coco_api import KINDS, loaded
from refdet.bench.sides import Runnable, Unsupported
from refdet.bench.workloads import Inputs, Workload


class FasterCocoEvalSide:
    traces_memory = False

    def __init__(self, threads: int) -> None:
        self.versions = {"faster-coco-eval": version("faster-coco-eval")}
        self._threads = threads

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        from faster_coco_eval import COCO, COCOeval_faster, mask

        if workload.kernel not in KINDS:
            raise Unsupported(f"faster-coco-eval has no {workload.kernel}")
        kind, (truth, found) = KINDS[workload.kernel], loaded(COCO, inputs, mask.frPyObjects)

        def call() -> Any:
            evaluation = COCOeval_faster(truth, found, kind, rle_iou_max_workers=self._threads)
            evaluation.evaluate()
            evaluation.accumulate()
            return evaluation.eval

        return Runnable(call, lambda result: [np.asarray(result[name], np.float64) for name in ("precision", "recall")])
