"""ONNX Runtime on the CPU as a contestant: every kernel is a model of one node.

Weights are part of the model, so that it may rearrange them beforehand. Inputs are given as NumPy arrays and outputs
come back as such, which copies nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.bench.sides import Runnable, Unsupported
from refdet.bench.workloads import Inputs, Workload
from refdet.core.check import Array

OPSET, IR_VERSION = 16, 8


class OnnxruntimeSide:
    traces_memory = False

    def __init__(self, threads: int) -> None:
        import onnxruntime

        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.inter_op_num_threads = 1
        self.versions = {"onnxruntime": str(onnxruntime.__version__), "onnxruntime threads": str(threads)}

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        import onnxruntime

        if workload.kernel not in NODES:
            raise Unsupported(f"refdet.bench knows no operator of ONNX for {workload.kernel}")
        arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items() if array is not None}
        model, feeds, outputs = NODES[workload.kernel](arrays, dict(workload.params))
        session = onnxruntime.InferenceSession(model, self._options, providers=["CPUExecutionProvider"])
        return Runnable(lambda: session.run(None, feeds), outputs)


Node = tuple[bytes, dict[str, Array], Callable[[Any], list[Array]]]  # model, what it is fed, how to read the answer


def _model(
    operator: str,
    feeds: Mapping[str, Array],
    constants: Mapping[str, Array],
    output: str,
    attributes: Mapping[str, Any],
) -> bytes:
    """Return a model of one node; its inputs are `feeds` and then `constants`; `output` is a dtype."""
    from onnx import helper, numpy_helper

    given = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    answer = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(output)), None)
    node = helper.make_node(operator, [*feeds, *constants], ["y"], **attributes)
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph([node], operator, given, [answer], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    serialised: bytes = model.SerializeToString()
    return serialised


def _conv2d(arrays: dict[str, Array], params: dict[str, Any]) -> Node:
    (top, bottom), (left, right) = params["padding"]
    attributes = {
        "strides": params["stride"],
        "pads": (top, left, bottom, right),
        "dilations": params["dilation"],
        "group": params["groups"],
    }
    feeds = {"x": arrays.pop("x")}
    return _model("Conv", feeds, arrays, "float32", attributes), feeds, list


def _roi_align(arrays: dict[str, Array], params: dict[str, Any]) -> Node:
    if (params["border"], params["reduction"]) != ("kernel", "mean"):
        raise Unsupported("ONNX has border='kernel' alone, and another maximum")
    rois = arrays["rois"]
    feeds = {
        "x": arrays["x"],
        "rois": np.ascontiguousarray(rois[:, 1:]),
        "images": rois[:, 0].astype(np.int64),
    }
    height, width = params["output_size"]
    attributes = {
        "mode": "avg",
        "output_height": height,
        "output_width": width,
        "sampling_ratio": params["sampling_ratio"],
        "spatial_scale": params["scale"],
        "coordinate_transformation_mode": "half_pixel" if params["aligned"] else "output_half_pixel",
    }
    return _model("RoiAlign", feeds, {}, "float32", attributes), feeds, list


def _nms(arrays: dict[str, Array], params: dict[str, Any]) -> Node:
    if params["offset"] != 0:
        raise Unsupported("ONNX has continuous coordinates alone")
    boxes, scores = arrays["boxes"], arrays["scores"]
    feeds = {"boxes": np.ascontiguousarray(boxes[None, :, [1, 0, 3, 2]]), "scores": scores[None, None]}
    constants: dict[str, Array] = {
        "most": np.array([len(boxes)], np.int64),
        "threshold": np.array([params["threshold"]], np.float32),
    }
    model = _model("NonMaxSuppression", feeds, constants, "int64", {})
    return model, feeds, lambda result: [result[0][:, 2]]  # rows (image, class, box)


NODES: Mapping[str, Callable[[dict[str, Array], dict[str, Any]], Node]] = {
    "conv2d.forward": _conv2d,
    "nms": _nms,
    "roi_align.forward": _roi_align,
}
