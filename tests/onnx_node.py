"""One ONNX operator, as a model of a single node, run by onnxruntime or by ONNX's own evaluator.

Inputs are positional, of any dtype that ONNX has; None leaves an optional one out. Attributes are keywords. The outputs
come back as a list, also where there is one. Without the library that it needs, the calling test is skipped.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.agreement import Array

OPSET = 19  # the first in which AveragePool has dilations


def run_in_onnxruntime(
    op: str, *inputs: Array | None, n_outputs: int = 1, opset: int = OPSET, **attributes: Any
) -> list[Array]:
    """Return the first `n_outputs` outputs of `op` in onnxruntime, on one thread."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime, which is compared with, is not installed")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # an expected refusal is not to print
    options.intra_op_num_threads = 1
    model = _model(op, inputs, n_outputs, opset, attributes).SerializeToString()
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    outputs: list[Array] = session.run(None, _fed(inputs))
    return outputs


def run_in_onnx(
    op: str, *inputs: Array | None, n_outputs: int = 1, opset: int = OPSET, **attributes: Any
) -> list[Array]:
    """Return the first `n_outputs` outputs of `op` in ONNX's own evaluator, written in NumPy."""
    reference = pytest.importorskip("onnx.reference", reason="onnx, which is compared with, is not installed")
    model = _model(op, inputs, n_outputs, opset, attributes)
    outputs: list[Array] = reference.ReferenceEvaluator(model).run(None, _fed(inputs))
    return outputs


def _fed(inputs: tuple[Array | None, ...]) -> dict[str, Array]:
    return {f"x{i}": x for i, x in enumerate(inputs) if x is not None}


def _model(op: str, inputs: tuple[Array | None, ...], n_outputs: int, opset: int, attributes: dict[str, Any]) -> Any:
    """Return the model; the type and shape of its outputs are left to whoever runs it."""
    onnx = pytest.importorskip("onnx", reason="onnx, which writes the models to run, is not installed")
    helper = onnx.helper
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    outputs = [f"y{i}" for i in range(n_outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, outputs, **attributes)],
        op,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in _fed(inputs).items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
    )
    opsets = [helper.make_opsetid("", opset)]
    oldest = helper.find_min_ir_version_for(opsets)  # a runtime refuses a model in a younger format than its own
    return helper.make_model(graph, opset_imports=opsets, ir_version=oldest)
