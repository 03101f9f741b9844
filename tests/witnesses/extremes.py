"""Witnesses of `maximum`, `minimum`, `amax` and `mean`: scalar loops, with a rule for NaN, for ties and for nothing.

For two numbers a rule says which of them wins and how the gradient is shared: (1, 0), (0, 1), (½, ½) or (1, 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from refdet.verify.question import Question, Skipped
from tests.witnesses._witness import Witness

LOWEST = float(np.finfo(np.float32).min)
Rule = Callable[[float, float], tuple[float, float]]  # shares of the gradient


def _defined(x: float, y: float, *, tie: tuple[float, float] = (1, 0)) -> tuple[float, float]:
    if math.isnan(x) or math.isnan(y):
        return (1, 0) if math.isnan(x) else (0, 1)
    return tie if x == y else (float(x > y), float(x < y))


def _std_max(x: float, y: float) -> tuple[float, float]:
    return (0, 1) if x < y else (1, 0)


def _caffe(x: float, y: float) -> tuple[float, float]:
    return (1, 0) if x > y else (0, 1)


def _fmax(x: float, y: float) -> tuple[float, float]:
    if math.isnan(x) or math.isnan(y):
        return (1, 0) if math.isnan(y) else (0, 1)
    return _defined(x, y)


def _torch(x: float, y: float) -> tuple[float, float]:
    """The gradient is 0 where an operand is smaller, which no operand is beside a NaN; a tie goes to the first."""
    return (float(not x < y), float(not x > y)) if x != y else (1, 0)


def answer_pair(question: Question, *, sign: int, rule: Rule) -> Mapping[str, Any]:
    """The larger of both, or with sign −1 the smaller; gradients are summed over what was repeated."""
    first, second = (np.asarray(question.arguments[name], np.float64) for name in "xy")
    shape = np.broadcast_shapes(first.shape, second.shape)
    z, shares = np.zeros(shape), np.zeros((2, *shape))
    x, y = (np.broadcast_to(a, shape) for a in (first, second))
    for at in np.ndindex(shape):
        share = rule(sign * float(x[at]), sign * float(y[at]))
        z[at] = x[at] if share[0] and not (share[1] and math.isnan(y[at])) else y[at]
        shares[(slice(None), *at)] = share
    if question.incoming_gradient is None:
        return {"z": z}
    gradients = question.incoming_gradient * shares
    return {"z": z, "dx": _summed(gradients[0], first.shape), "dy": _summed(gradients[1], second.shape)}


def _summed(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Add up what was repeated to broadcast an array of this shape."""
    total = np.zeros(shape)
    for at in np.ndindex(gradient.shape):
        own = at[len(at) - len(shape) :]
        total[tuple(0 if n == 1 else i for i, n in zip(own, shape, strict=True))] += gradient[at]
    return total


def answer_amax(
    question: Question, *, tie: str = "first", skip_nan: bool = False, start: float = -math.inf
) -> Mapping[str, Any]:
    """The maximum over axes, from `start` on. The gradient of a tie goes to the "first", to "all", or is "split"."""
    x, axis, keepdims = question.arguments["x"], question.params["axis"], question.params["keepdims"]
    assert x is not None
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)]
    groups: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for at in np.ndindex(x.shape):
        groups.setdefault(tuple(0 if a in axes else i for a, i in enumerate(at)), []).append(at)
    y, dx = np.zeros([1 if a in axes else n for a, n in enumerate(x.shape)]), np.zeros(x.shape)
    dy = None if question.incoming_gradient is None else np.reshape(question.incoming_gradient, y.shape)
    for place, members in groups.items():
        values = [float(x[at]) for at in members]
        numbers = [v for v in values if not math.isnan(v)]
        nan_wins = len(numbers) < len(values) and not (skip_nan and numbers)
        largest = math.nan if nan_wins else max(numbers)
        y[place] = largest if nan_wins else max(largest, start)
        if nan_wins and tie == "split":  # shares of x == y, of which there are 0 in 0
            dx[tuple(np.array(members).T)] = math.nan
            continue
        best = [at for at, v in zip(members, values, strict=True) if (math.isnan(v) if nan_wins else v == largest)]
        best = [] if nan_wins and tie == "all" else best
        for at in best[:1] if tie == "first" else best:
            dx[at] = 0 if dy is None else dy[place] / (len(best) if tie == "split" else 1)
    y = y if keepdims else y.reshape([n for a, n in enumerate(x.shape) if a not in axes])
    return {"y": y} if dy is None else {"y": y, "dx": dx}


def answer_mean(question: Question, *, nothing: float = math.nan) -> Mapping[str, Any]:
    """The mean over axes, that of no elements being `nothing`."""
    x, axis, keepdims = question.arguments["x"], question.params["axis"], question.params["keepdims"]
    assert x is not None
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)]
    shape = [1 if a in axes else n for a, n in enumerate(x.shape)]
    sums: dict[tuple[int, ...], list[float]] = {place: [] for place in np.ndindex(*shape)}
    for at in np.ndindex(x.shape):
        sums[tuple(0 if a in axes else i for a, i in enumerate(at))].append(float(x[at]))
    y, dx = np.zeros(shape), np.zeros(x.shape)
    for place, terms in sums.items():
        y[place] = math.fsum(terms) / len(terms) if terms else nothing
    answers = {"y": y if keepdims else y.reshape([n for a, n in enumerate(x.shape) if a not in axes])}
    if question.incoming_gradient is None:
        return answers
    dy = np.reshape(question.incoming_gradient, shape)
    for at in np.ndindex(x.shape):
        place = tuple(0 if a in axes else i for a, i in enumerate(at))
        dx[at] = dy[place] / len(sums[place])
    return {**answers, "dx": dx}


def by_torch(question: Question, function: Callable[..., Any]) -> Mapping[str, Any]:
    """Answer with torch and its autograd; of two operands NaN is not asked, whose gradient is another deviation."""
    import torch

    if len(question.arguments) == 2 and any(np.isnan(a).any() for a in question.arguments.values() if a is not None):
        raise Skipped("the gradient of a NaN is another deviation")
    leaves = [torch.tensor(a, requires_grad=True) for a in question.arguments.values()]
    y = function(torch, *leaves, **question.params)
    answers = {question.outputs[0]: y.detach().numpy()}
    if question.incoming_gradient is not None:
        y.backward(torch.tensor(question.incoming_gradient))
        for name, leaf in zip(question.gradients, leaves, strict=True):
            answers[name] = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
    return answers


def by_onnx_runtime(question: Question, *, operator: str) -> Mapping[str, Any]:
    """Answer with a reduction of ONNX Runtime on the CPU, which has no gradients."""
    import onnx
    import onnxruntime

    x, axis = question.arguments["x"], question.params["axis"]
    assert x is not None
    axes: Sequence[int] = range(x.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    node = onnx.helper.make_node(operator, ["x", "axes"], ["y"], keepdims=int(question.params["keepdims"]))
    kind = onnx.helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = onnx.helper.make_graph(
        [node],
        "reduction",
        [onnx.helper.make_tensor_value_info("x", kind, x.shape)],
        [onnx.helper.make_tensor_value_info("y", kind, None)],
        [onnx.numpy_helper.from_array(np.array(list(axes), np.int64), "axes")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return {"y": session.run(None, {"x": np.ascontiguousarray(x)})[0]}


_PAIR: dict[str, tuple[str, Rule]] = {
    "maximum.nan=first": ("C++, std::max and std::min", _std_max),
    "maximum.nan=number": ("C, fmax and fmin", _fmax),
    "maximum.nan=second": ("BVLC/caffe, src/caffe/layers/eltwise_layer.cpp, transcribed", _caffe),
    "maximum.nan_grad=both": ("torch.maximum, its gradient but for ties", _torch),
    "maximum.tie=all": ("theano, scalar/basic.py, transcribed", partial(_defined, tie=(1, 1))),
    "maximum.tie=second": ("the definition, but for ties", partial(_defined, tie=(0, 1))),
    "maximum.tie=split": ("the definition, but for ties", partial(_defined, tie=(0.5, 0.5))),
}
_SIGNS = {"maximum": 1, "minimum": -1}

CONFORMING: list[tuple[str, Callable[[Question], Mapping[str, Any]]]] = [
    ("amax", answer_amax),
    ("mean", answer_mean),
    *[(algorithm, partial(answer_pair, sign=sign, rule=_defined)) for algorithm, sign in _SIGNS.items()],
]

WITNESSES = [
    Witness("amax.nan=number", "amax", "IEEE 754-2008, maxNum", partial(answer_amax, skip_nan=True)),
    Witness(
        "amax.start=lowest", "amax", "OpenCV 5.0.0, dnn, ReduceMax: from −FLT_MAX", partial(answer_amax, start=LOWEST)
    ),
    Witness("mean.empty=0", "mean", "the definition, but for nothing", partial(answer_mean, nothing=0.0)),
    Witness("amax.tie=all", "amax", "theano, MaxAndArgmax.grad, transcribed", partial(answer_amax, tie="all")),
    Witness("amax.tie=split", "amax", "the definition, but for ties", partial(answer_amax, tie="split")),
    *[
        Witness(key, algorithm, source, partial(answer_pair, sign=sign, rule=rule))
        for key, (source, rule) in _PAIR.items()
        for algorithm, sign in _SIGNS.items()
    ],
]

if find_spec("torch"):
    WITNESSES += [
        Witness(
            "amax.tie=split",
            "amax",
            "torch.amax",
            partial(by_torch, function=lambda t, x, axis, keepdims: t.amax(x, () if axis is None else axis, keepdims)),
        ),
        *[
            Witness("maximum.tie=split", name, f"torch.{name}", partial(by_torch, function=partial(function)))
            for name, function in (
                ("maximum", lambda t, x, y: t.maximum(x, y)),
                ("minimum", lambda t, x, y: t.minimum(x, y)),
            )
        ],
    ]

if find_spec("onnxruntime") and find_spec("onnx"):
    WITNESSES += [
        Witness(key, name, f"ONNX Runtime, {operator} on the CPU", partial(by_onnx_runtime, operator=operator))
        for key, name, operator in (("amax.nan=number", "amax", "ReduceMax"), ("mean.empty=0", "mean", "ReduceMean"))
    ]
