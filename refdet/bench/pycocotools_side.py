"""pycocotools as a contestant: `evaluate` and `accumulate` of its `COCOeval`, on one thread, which is all it has."""

from __future__ import annotations

import contextlib
import io
from importlib.metadata import version
from typing import Any

from refdet.bench.coco_api import KINDS, loaded
from refdet.bench.sides import Runnable, Unsupported
from refdet.bench.workloads import Inputs, Workload


class PycocotoolsSide:
    traces_memory = False

    def __init__(self, threads: int) -> None:
        self.versions = {"pycocotools": version("pycocotools")}

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        from pycocotools import mask
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        if workload.kernel not in KINDS:
            raise Unsupported(f"pycocotools has no {workload.kernel}")
        truth, found = loaded(COCO, inputs, mask.frPyObjects)

        def call() -> Any:
            with contextlib.redirect_stdout(io.StringIO()):
                evaluation = COCOeval(truth, found, KINDS[workload.kernel])
                evaluation.evaluate()
                evaluation.accumulate()
            return evaluation.eval

        return Runnable(call, lambda result: [result["precision"], result["recall"]])
