"""OpenCV: its `dnn` module with ONNX operators as networks of one node, and its own functions for boxes and images.

Where OpenCV has a function of its own (`resize`, `NMSBoxes`) that is asked, and `dnn` for the rest. `dnn` does not do
MaxUnpool of a size that is an input; and a product of matrices without an inner axis, which ends the process, is not
asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.adapters import Adapter
from refdet.verify.adapters.onnx_node import Run, node_runner
from refdet.verify.adapters.onnx_operators import OPERATORS
from refdet.verify.adapters.table import (
    Answers,
    array,
    import_library,
    need,
    no_argument,
    only,
    scale_of,
    table_adapter,
    with_library,
    xywh,
)
from refdet.verify.question import Question

ADVICE = "install it with: pip install opencv-python-headless onnx"
NOT_IN_DNN = ("max_unpool2d", "nms")


def load(argument: str) -> Adapter:
    """Return the adapter of the installed OpenCV, on one thread; `onnx` writes the networks."""
    no_argument("opencv", argument)
    cv2, onnx = import_library("cv2", ADVICE), import_library("onnx", ADVICE)
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # an expected refusal is not to print
    run = node_runner(onnx, lambda *network: _run_in_dnn(cv2, *network), constants=True)
    functions = {name: with_library(operator, run) for name, operator in OPERATORS.items() if name not in NOT_IN_DNN}
    functions |= {name: with_library(function, cv2) for name, function in FUNCTIONS.items()}
    functions["matmul"] = with_library(_matmul, run)
    for name, flag in FLAGS.items():
        functions[name] = with_library(_resizer(cv2, flag, OPERATORS[name]), run)
    return table_adapter("opencv", {"opencv": str(cv2.__version__)}, functions, (cv2.error,))


def _run_in_dnn(cv2: Any, model: Any, inputs: Mapping[str, Array], outputs: Sequence[str]) -> Sequence[Array]:
    """Run a model; an array without axes comes back with one, and an empty one sometimes not at all."""
    net = cv2.dnn.readNetFromONNX(np.frombuffer(model.SerializeToString(), np.uint8))
    for name, x in inputs.items():
        net.setInput(x, name)
    found = net.forward(list(outputs))
    need(all(y is not None for y in found), "OpenCV has no array for an empty output")
    ranks = [len(output.type.tensor_type.shape.dim) for output in model.graph.output]
    return [np.array(y.reshape(()) if rank == 0 else y) for y, rank in zip(found, ranks, strict=True)]


def _matmul(run: Run, q: Question) -> Answers:
    need(array(q, "x").shape[-1], "OpenCV divides by zero, and ends the process, without an inner axis")
    return OPERATORS["matmul"](run, q)


# What `cv2.resize` calls them; everything else is a network.
FLAGS: dict[str, Callable[[Any, Question], int | None]] = {
    "resize_nearest": lambda cv2, q: {
        ("asymmetric", "floor"): cv2.INTER_NEAREST,
        ("half_pixel", "round_prefer_ceil"): cv2.INTER_NEAREST_EXACT,
    }.get((q.params["coordinates"], q.params["rounding"])),
    "resize_bilinear": lambda cv2, q: cv2.INTER_LINEAR if q.params["coordinates"] == "half_pixel" else None,
    "resize_bicubic": lambda cv2, q: (
        cv2.INTER_CUBIC if (q.params["coordinates"], q.params["a"]) == ("half_pixel", -0.75) else None
    ),
}


def _resizer(
    cv2: Any, flag: Callable[[Any, Question], int | None], operator: Any
) -> Callable[[Run, Question], Answers]:
    def resize(run: Run, q: Question) -> Answers:
        x, scale, interpolation = array(q, "x"), scale_of(q), flag(cv2, q)
        if interpolation is None:
            return operator(run, q)  # type: ignore[no-any-return]
        height, width = q.params["size"]
        how: dict[str, Any] = {"dsize": (width, height)}
        if scale is not None:
            made = tuple(round(n * factor) for n, factor in zip(x.shape[2:], scale, strict=True))
            need(made == (height, width), f"OpenCV rounds the size of a resize by a scale, to {made}")
            how = {"dsize": None, "fy": scale[0], "fx": scale[1]}
        planes = [cv2.resize(plane, **how, interpolation=interpolation) for plane in x.reshape(-1, *x.shape[2:])]
        return {"y": np.array(planes, x.dtype).reshape(*x.shape[:2], height, width)}

    return resize


def _boxes_and_scores(q: Question) -> tuple[Array, Array]:
    only("OpenCV", q, offset=0)
    boxes, scores = xywh(array(q, "boxes")), array(q, "scores")
    need((scores > 0).all(), "OpenCV drops scores that are not > 0")
    return boxes, scores


def _nms(cv2: Any, q: Question) -> Answers:
    boxes, scores = _boxes_and_scores(q)
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, q.params["threshold"])
    return {"kept": np.array(kept, np.int64).reshape(-1)}


def _class_nms(cv2: Any, q: Question) -> Answers:
    boxes, scores = _boxes_and_scores(q)
    classes = array(q, "classes").tolist()
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores.tolist(), classes, 0.0, q.params["threshold"])
    return {"kept": np.array(kept, np.int64).reshape(-1)}


def _soft_nms(cv2: Any, q: Question) -> Answers:
    """Its boxes are of integers."""
    p = q.params
    only("OpenCV", q, method=["linear", "gaussian"])
    methods = {"linear": cv2.dnn.SoftNMSMethod_SOFTNMS_LINEAR, "gaussian": cv2.dnn.SoftNMSMethod_SOFTNMS_GAUSSIAN}
    boxes, scores = _boxes_and_scores(q)
    need((boxes == np.round(boxes)).all(), "OpenCV's softNMSBoxes takes boxes of integers")
    decayed, kept = cv2.dnn.softNMSBoxes(
        boxes.astype(np.int64).tolist(),
        scores.tolist(),
        p["min_score"],
        p["threshold"],
        sigma=p["sigma"],
        method=methods[p["method"]],
    )
    return {
        "indices": np.array(kept, np.int64).reshape(-1),
        "decayed": np.array(decayed, np.float32).reshape(-1),
    }


FUNCTIONS: dict[str, Callable[[Any, Question], Answers]] = {
    "class_nms": _class_nms,
    "nms": _nms,
    "soft_nms": _soft_nms,
}
