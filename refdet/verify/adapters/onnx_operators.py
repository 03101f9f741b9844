"""Algorithms as ONNX operators, for whatever runs ONNX models: which operator, with which attributes.

Only what the operators' documentation says to be the same is here. ONNX has no gradients. MaxRoiPool is left out, as it
returns no switches; so is RoiAlign of a map without pixels, outside which onnxruntime and OpenCV read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.adapters.onnx_node import Run
from refdet.verify.adapters.table import Answers, array, need, only, scale_of
from refdet.verify.question import Question

Operator = Callable[[Run, Question], Answers]


def _one(q: Question, outputs: Any) -> Answers:
    """Name the only output."""
    return {q.outputs[0]: outputs[0]}


def _plain(op: str, *names: str) -> Operator:
    """An operator of arrays alone."""
    return lambda run, q: _one(q, run(op, *(q.arguments[name] for name in names or ("x",))))


def _elementwise(op: str, **attributes: str) -> Operator:
    """An operator of x, whose attributes are parameters."""
    return lambda run, q: _one(q, run(op, array(q, "x"), **{name: q.params[p] for name, p in attributes.items()}))


def _integers(values: Any) -> Array:
    return np.array(values, np.int64)


def _pads(padding: Any) -> list[int]:
    """All befores, then all afters."""
    return [before for before, _ in padding] + [after for _, after in padding]


def _conv2d(run: Run, q: Question) -> Answers:
    p = q.params
    strides = {"strides": p["stride"], "dilations": p["dilation"], "group": p["groups"], "pads": _pads(p["padding"])}
    return _one(q, run("Conv", array(q, "x"), array(q, "weight"), q.arguments["bias"], **strides))


def _conv_transpose2d(run: Run, q: Question) -> Answers:
    p = q.params
    strides = {"strides": p["stride"], "dilations": p["dilation"], "group": p["groups"], "pads": _pads(p["padding"])}
    inputs = array(q, "x"), array(q, "weight"), q.arguments["bias"]
    return _one(q, run("ConvTranspose", *inputs, output_padding=p["output_padding"], **strides))


def _window(q: Question) -> dict[str, Any]:
    p = q.params
    only("ONNX", q, convention="torch")
    window = {"kernel_shape": p["kernel_size"], "strides": p["stride"], "pads": _pads(p["padding"])}
    return window | {"ceil_mode": int(p["ceil_mode"])}


def _first_pixels(x: Array) -> Array:
    """Return where each plane begins: ONNX counts switches through the whole array."""
    N, C, H, W = x.shape
    starts: Array = np.arange(N * C).reshape(N, C, 1, 1) * (H * W)
    return starts


def _max_pool2d(run: Run, q: Question) -> Answers:
    x = array(q, "x")
    y, switches = run("MaxPool", x, n_outputs=2, dilations=q.params["dilation"], **_window(q))
    return {"y": y, "switches": switches - _first_pixels(x)}


def _avg_pool2d(run: Run, q: Question) -> Answers:
    counted = int(q.params["count_include_pad"])
    return _one(q, run("AveragePool", array(q, "x"), count_include_pad=counted, **_window(q)))


def _global_avg_pool2d(run: Run, q: Question) -> Answers:
    (y,) = run("GlobalAveragePool", array(q, "x"))
    return {"y": y if q.params["keepdims"] else y[:, :, 0, 0]}


def _max_unpool2d(run: Run, q: Question) -> Answers:
    x, switches, size = array(q, "x"), array(q, "switches"), q.params["output_size"]
    need((switches >= 0).all(), "ONNX has no switch of -1")
    shape = (*x.shape[:2], *size)
    planes = _first_pixels(np.empty(shape, bool))
    window: dict[str, Any] = {
        "kernel_shape": (1, 1),
        "strides": (1, 1),
    }  # read, but of no effect where the output's shape is given
    return _one(q, run("MaxUnpool", x, switches + planes, _integers(shape), **window))


def _batch_norm(run: Run, q: Question) -> Answers:
    """At inference the two conventions are one; absent weights and estimates are an operator that ONNX has not."""
    p = q.params
    if p["training"]:
        only("ONNX", q, convention="onnx")
    names = ("x", "weight", "bias", "running_mean", "running_var")
    inputs = [q.arguments[name] for name in names]
    need(all(x is not None for x in inputs), "ONNX's BatchNormalization needs weight, bias, mean and variance")
    options = {"epsilon": p["eps"], "momentum": p["momentum"]}
    if not p["training"]:
        (y,) = run("BatchNormalization", *inputs, **options)
        return {"y": y, "new_running_mean": array(q, names[3]), "new_running_var": array(q, names[4])}
    return dict(
        zip(q.outputs, run("BatchNormalization", *inputs, n_outputs=3, training_mode=1, **options), strict=True)
    )


def _local_response_norm(run: Run, q: Question) -> Answers:
    """ONNX divides alpha by the size: the paper's α is α·size there, and its even window one channel wider."""
    p, size, alpha = q.params, q.params["size"], q.params["alpha"]
    if p["convention"] == "paper":
        size += 1 - size % 2
        alpha *= size
    elif size % 2 == 0:
        only("ONNX", q, convention="onnx")
    return _one(q, run("LRN", array(q, "x"), size=size, alpha=alpha, beta=p["beta"], bias=p["k"]))


def _reduction(op: str) -> Operator:
    def operator(run: Run, q: Question) -> Answers:
        x, axis = array(q, "x"), q.params["axis"]
        axes = list(range(x.ndim)) if axis is None else [axis] if isinstance(axis, int) else list(axis)
        kept = {"keepdims": int(q.params["keepdims"])}
        if not axes:
            return _one(q, run(op, x, **kept))
        return _one(q, run(op, x, _integers(axes), **kept))

    return operator


def _power(run: Run, q: Question) -> Answers:
    x = array(q, "x")
    return _one(q, run("Pow", x, np.array(q.params["exponent"], x.dtype)))


def _linear(run: Run, q: Question) -> Answers:
    need(array(q, "x").ndim == 2, "ONNX's Gemm is of matrices")
    return _one(q, run("Gemm", array(q, "x"), array(q, "weight"), q.arguments["bias"], transB=1))


def _concat(run: Run, q: Question) -> Answers:
    return _one(q, run("Concat", *(x for x in q.arguments.values() if x is not None), axis=q.params["axis"]))


def _reshape(run: Run, q: Question) -> Answers:
    return _one(q, run("Reshape", array(q, "x"), _integers(q.params["shape"]), allowzero=1))


def _pad(run: Run, q: Question) -> Answers:
    x, p = array(q, "x"), q.params
    return _one(q, run("Pad", x, _integers(_pads(p["padding"])), np.array(p["value"], x.dtype), mode=p["border"]))


def _cast(run: Run, q: Question) -> Answers:
    from onnx.helper import np_dtype_to_tensor_dtype

    return _one(q, run("Cast", array(q, "x"), to=np_dtype_to_tensor_dtype(np.dtype(q.params["dtype"]))))


def _index(run: Run, q: Question) -> Answers:
    key = q.params["key"] if isinstance(q.params["key"], tuple) else (q.params["key"],)
    need(all(isinstance(part, slice) for part in key), "ONNX's Slice takes slices alone")
    lowest = -(2**62)  # beyond the first element, for a negative step without an end
    bounds = []
    for part in key:
        step = part.step or 1
        start = part.start if part.start is not None else (0 if step > 0 else 2**62)
        stop = part.stop if part.stop is not None else (2**62 if step > 0 else lowest)
        bounds.append((start, stop, step))
    starts, stops, steps = (_integers(column) for column in zip(*bounds, strict=True))
    return _one(q, run("Slice", array(q, "x"), starts, stops, _integers(range(len(key))), steps))


def _gather(run: Run, q: Question) -> Answers:
    """An array on one axis, whole axes before it: Gather."""
    key = q.params["key"] if isinstance(q.params["key"], tuple) else (q.params["key"],)
    plain = all(part == slice(None) for part in key[:-1] if isinstance(part, slice))
    whole = all(isinstance(part, slice) for part in key[:-1]) and plain
    need(whole and getattr(key[-1], "dtype", None) == np.int64, "ONNX's Gather takes integers on one axis")
    return _one(q, run("Gather", array(q, "x"), key[-1], axis=len(key) - 1))


def _resize(run: Run, q: Question, **attributes: Any) -> Answers:
    x, scale = array(q, "x"), scale_of(q)
    attributes |= {"coordinate_transformation_mode": q.params["coordinates"]}
    if scale is None:
        return _one(q, run("Resize", x, None, None, _integers((*x.shape[:2], *q.params["size"])), **attributes))
    return _one(q, run("Resize", x, None, np.array((1, 1, *scale), np.float32), **attributes))


def _resize_nearest(run: Run, q: Question) -> Answers:
    return _resize(run, q, mode="nearest", nearest_mode=q.params["rounding"])


def _roi_align(run: Run, q: Question) -> Answers:
    p, rois = q.params, array(q, "rois")
    only("ONNX", q, border="kernel")
    need(array(q, "x").size, "ONNX runtimes read outside a map without pixels, which can end the process")
    height, width = p["output_size"]
    return _one(
        q,
        run(
            "RoiAlign",
            array(q, "x"),
            rois[:, 1:],
            rois[:, 0].astype(np.int64),
            output_height=height,
            output_width=width,
            spatial_scale=p["scale"],
            sampling_ratio=p["sampling_ratio"],
            mode={"mean": "avg", "max": "max"}[p["reduction"]],
            coordinate_transformation_mode="half_pixel" if p["aligned"] else "output_half_pixel",
        ),
    )


def _nms(run: Run, q: Question) -> Answers:
    """All boxes are one class of one image; a row of the answer is (image, class, box)."""
    only("ONNX", q, offset=0)
    boxes, scores = array(q, "boxes"), array(q, "scores")
    limits = _integers([len(boxes)]), np.array([q.params["threshold"]], np.float32)
    (rows,) = run("NonMaxSuppression", boxes[None], scores[None, None], *limits)
    return {"kept": rows[:, 2]}


def _softmax_cross_entropy(run: Run, q: Question) -> Answers:
    only("ONNX", q, normalize=["weight", "sum", "none"])
    ignored, normalize = q.params["ignore_label"], q.params["normalize"]
    attributes = {} if ignored is None else {"ignore_index": ignored}
    inputs = array(q, "logits"), array(q, "labels"), q.arguments["weight"]
    reduction = "mean" if normalize == "weight" else normalize
    return _one(q, run("SoftmaxCrossEntropyLoss", *inputs, reduction=reduction, **attributes))


def _dropout(run: Run, q: Question) -> Answers:
    only("ONNX", q, convention="inverted")
    need(not q.params["training"], "ONNX draws the units that it drops itself")
    return _one(q, run("Dropout", array(q, "x"), np.array(q.params["p"], np.float32), np.array(False)))


def _top_k(run: Run, q: Question) -> Answers:
    scores = array(q, "scores")
    k = _integers([min(q.params["k"], len(scores))])
    _, indices = run("TopK", scores, k, n_outputs=2, axis=0, largest=1, sorted=1)
    return {"indices": indices}


OPERATORS: dict[str, Operator] = {
    "absolute": _plain("Abs"),
    "add": _plain("Add", "x", "y"),
    "amax": _reduction("ReduceMax"),
    "avg_pool2d": _avg_pool2d,
    "batch_norm": _batch_norm,
    "broadcast_to": lambda run, q: _one(q, run("Expand", array(q, "x"), _integers(q.params["shape"]))),
    "cast": _cast,
    "concat": _concat,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "divide": _plain("Div", "x", "y"),
    "dropout": _dropout,
    "exp": _plain("Exp"),
    "gather": _gather,
    "global_avg_pool2d": _global_avg_pool2d,
    "index": _index,
    "leaky_relu": _elementwise("LeakyRelu", alpha="negative_slope"),
    "linear": _linear,
    "local_response_norm": _local_response_norm,
    "log": _plain("Log"),
    "log_softmax": _elementwise("LogSoftmax", axis="axis"),
    "matmul": _plain("MatMul", "x", "y"),
    "max_pool2d": _max_pool2d,
    "max_unpool2d": _max_unpool2d,
    "maximum": _plain("Max", "x", "y"),
    "mean": _reduction("ReduceMean"),
    "minimum": _plain("Min", "x", "y"),
    "multiply": _plain("Mul", "x", "y"),
    "negative": _plain("Neg"),
    "nms": _nms,
    "pad": _pad,
    "power": _power,
    "relu": _plain("Relu"),
    "reshape": _reshape,
    "resize_bicubic": lambda run, q: _resize(run, q, mode="cubic", cubic_coeff_a=q.params["a"]),
    "resize_bilinear": lambda run, q: _resize(run, q, mode="linear"),
    "resize_nearest": _resize_nearest,
    "roi_align": _roi_align,
    "sigmoid": _plain("Sigmoid"),
    "softmax": _elementwise("Softmax", axis="axis"),
    "softmax_cross_entropy": _softmax_cross_entropy,
    "sqrt": _plain("Sqrt"),
    "subtract": _plain("Sub", "x", "y"),
    "sum": _reduction("ReduceSum"),
    "tanh": _plain("Tanh"),
    "top_k": _top_k,
    "transpose": _elementwise("Transpose", perm="axes"),
}
