"""One ONNX operator as a model of a single node: what onnxruntime and OpenCV's `dnn` are given to run.

Inputs are positional; None leaves an optional one out. Attributes are keywords. A runner takes the model and its inputs
by name and returns the outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from refdet.core.check import Array

OPSET = 19  # the first in which AveragePool has dilations, and known to runtimes since 2023

Runner = Callable[[Any, Mapping[str, Array], Sequence[str]], Sequence[Array]]  # model, inputs, names of the outputs


class Run(Protocol):
    """Runs an operator by name; returns a list of outputs, also of one."""

    def __call__(self, op: str, *inputs: Array | None, n_outputs: int = 1, **attributes: Any) -> Sequence[Array]: ...


def node_runner(onnx: Any, runner: Runner, *, constants: bool) -> Run:
    """Return what runs an operator; with `constants` all inputs but the first are part of the model."""

    def run(op: str, *inputs: Array | None, n_outputs: int = 1, **attributes: Any) -> Sequence[Array]:
        while inputs and inputs[-1] is None:  # an empty name at the end is allowed, and ends the process in OpenCV 5.0
            inputs = inputs[:-1]
        named = {f"x{i}": np.asarray(x, order="C") for i, x in enumerate(inputs) if x is not None}
        names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
        fed = {name: x for name, x in named.items() if name == "x0" or not constants}
        stored = {name: x for name, x in named.items() if name not in fed}
        outputs = [f"y{i}" for i in range(n_outputs)]
        node = onnx.helper.make_node(op, names, outputs, **attributes)
        return runner(_model(onnx, node, fed, stored, outputs), fed, outputs)

    return run


def _model(onnx: Any, node: Any, fed: Mapping[str, Array], stored: Mapping[str, Array], outputs: Sequence[str]) -> Any:
    """Return the model; `onnx` finds types and shapes of its outputs, as OpenCV does not read a model without."""
    helper = onnx.helper
    graph = helper.make_graph(
        [node],
        node.op_type,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in fed.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [onnx.numpy_helper.from_array(x, name) for name, x in stored.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))
    return onnx.shape_inference.infer_shapes(model)
