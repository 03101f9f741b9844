"""onnxruntime, on one thread of the CPU: every algorithm that is an ONNX operator, as a model of one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refdet.core.check import Array
from refdet.verify.adapters import Adapter
from refdet.verify.adapters.onnx_node import node_runner
from refdet.verify.adapters.onnx_operators import OPERATORS
from refdet.verify.adapters.table import import_library, no_argument, table_adapter, with_library

ADVICE = "install it with: pip install onnxruntime onnx"
REFUSALS = ("Fail", "InvalidArgument", "InvalidGraph", "NotImplemented", "RuntimeException")
SILENT = 4  # neither an expected refusal nor a warning is to print


def load(argument: str) -> Adapter:
    """Return the adapter of the installed onnxruntime; `onnx` writes the models."""
    no_argument("onnxruntime", argument)
    runtime, onnx = import_library("onnxruntime", ADVICE), import_library("onnx", ADVICE)
    runtime.set_default_logger_severity(SILENT)
    options = runtime.SessionOptions()
    options.log_severity_level = SILENT
    options.intra_op_num_threads = 1

    def runner(model: Any, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Array]:
        session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        found: list[Array] = session.run(list(outputs), dict(inputs))
        return found

    run = node_runner(onnx, runner, constants=False)
    functions = {algorithm: with_library(operator, run) for algorithm, operator in OPERATORS.items()}
    state = runtime.capi.onnxruntime_pybind11_state  # where the exceptions of its C++ side are
    refusals = tuple(getattr(state, name) for name in REFUSALS)
    return table_adapter("onnxruntime", {"onnxruntime": str(runtime.__version__)}, functions, refusals)
