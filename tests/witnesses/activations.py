"""Witnesses of nonlinearities, softmax and powers, with a switch for each deviation.

What depends on rounding, exponentials that overflow and probabilities that vanish, is in the dtype of the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Function = Callable[[float], tuple[float, float]]  # the value, and the derivative or what takes its place


def _each(question: Question, function: Function) -> Mapping[str, Any]:
    """Answer y = f(x), and dx = dy · f'(x); where f' is 0 so is dx."""
    x = question.arguments["x"]
    assert x is not None
    y, slope = np.zeros(x.shape), np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        y[at], slope[at] = function(float(x[at]))
    if question.incoming_gradient is None:
        return {"y": y}
    return {"y": y, "dx": np.where(slope == 0, 0.0, question.incoming_gradient * slope)}


def answer_relu(
    question: Question, *, at_zero: float = 0.0, nan: float = math.nan, product: bool = False
) -> Mapping[str, Any]:
    """max(x, 0), whose derivative at 0 is `at_zero`, and which is `nan` at NaN; below 0 the `product` 0·x."""

    def function(x: float) -> tuple[float, float]:
        if math.isnan(x):
            return nan, 0.0
        return 0.0 * x if product and x <= 0 else max(x, 0.0), at_zero if x == 0 else float(x > 0)

    return _each(question, function)


def answer_leaky_relu(
    question: Question, *, slope: float | None = None, whole_at_zero: bool = False
) -> Mapping[str, Any]:
    """x, or a·x below 0."""
    a = question.params["negative_slope"] if slope is None else slope

    def function(x: float) -> tuple[float, float]:
        return x if x > 0 else a * x, 1.0 if x > 0 or (whole_at_zero and x == 0) else a

    return _each(question, function)


def answer_power(question: Question, *, zero_too: bool = False) -> Mapping[str, Any]:
    """xᵖ with the derivative p·xᵖ⁻¹, for p = 0 as well if `zero_too`."""
    x, p = np.asarray(question.arguments["x"], np.float64), question.params["exponent"]
    with np.errstate(all="ignore"):
        answers = {"y": x**p}
        if question.incoming_gradient is not None:
            slope = np.zeros_like(x) if p == 0 and not zero_too else p * x ** (p - 1)
            answers["dx"] = slope * np.asarray(question.incoming_gradient, np.float64)
    return answers


def answer_softmax(question: Question, *, shifted: bool = True) -> Mapping[str, Any]:
    """e^x / Σ e^x, in the dtype of x if not `shifted`; dx = y (dy − Σ dy·y)."""
    x, axis = question.arguments["x"], question.params["axis"]
    assert x is not None
    with np.errstate(over="ignore", invalid="ignore"):
        z = x.astype(np.float64) - x.max(axis, keepdims=True, initial=-np.inf) if shifted else x
        y = np.exp(z) / np.exp(z).sum(axis, keepdims=True)
        if question.incoming_gradient is None:
            return {"y": y}
        dy = question.incoming_gradient
        return {"y": y, "dx": y * (dy - (dy * y).sum(axis, keepdims=True))}


def answer_log_softmax(question: Question, *, shifted: bool = True, rounded: bool = False) -> Mapping[str, Any]:
    """x − log Σ e^x, or the logarithm of the softmax as it is rounded; dx = dy − softmax(x) Σ dy."""
    x, axis = question.arguments["x"], question.params["axis"]
    assert x is not None
    with np.errstate(all="ignore"):
        wide = x if rounded or not shifted else x.astype(np.float64)
        z = wide - wide.max(axis, keepdims=True, initial=-np.inf) if shifted else wide
        total = np.exp(z).sum(axis, keepdims=True)
        probability = np.exp(z) / total
        y = np.log(probability) if rounded or not shifted else z - np.log(total)
        if question.incoming_gradient is None or not shifted:
            return {"y": y}
        dy = question.incoming_gradient
        if rounded:  # back through the logarithm, then through the softmax
            dp = dy / probability
            return {"y": y, "dx": probability * (dp - (dp * probability).sum(axis, keepdims=True))}
        return {"y": y, "dx": dy - probability * dy.sum(axis, keepdims=True)}


def by_torch(question: Question, function: Callable[..., Any]) -> Mapping[str, Any]:
    """Answer with torch and its autograd."""
    import torch

    x = torch.tensor(question.arguments["x"], requires_grad=True)
    y = function(x, **question.params)
    if question.incoming_gradient is None:
        return {"y": y.detach().numpy()}
    y.backward(torch.tensor(question.incoming_gradient))
    return {"y": y.detach().numpy(), "dx": None if x.grad is None else x.grad.numpy()}


def _torch_softmax(x: Any, *, axis: int) -> Any:
    e = x.exp()
    return e / e.sum(axis, keepdim=True)


CONFORMING: list[tuple[str, Callable[[Question], Mapping[str, Any]]]] = [
    ("relu", answer_relu),
    ("leaky_relu", answer_leaky_relu),
    ("power", answer_power),
    ("softmax", answer_softmax),
    ("log_softmax", answer_log_softmax),
]

WITNESSES = [
    Witness("relu.grad_zero=1", "relu", "the definition, slope 1 at 0", partial(answer_relu, at_zero=1.0)),
    Witness(
        "relu.grad_zero=half", "relu", "(x + |x|)/2, the slope of |x| at 0 being 0", partial(answer_relu, at_zero=0.5)
    ),
    Witness("relu.inf=nan", "relu", "OpenCV 5.0.0, dnn: x > 0 ? x : 0·x", partial(answer_relu, product=True)),
    Witness("relu.nan=0", "relu", "C99, fmax", partial(answer_relu, nan=0.0)),
    Witness(
        "leaky.grad_zero=1", "leaky_relu", "chainer, leaky_relu.py", partial(answer_leaky_relu, whole_at_zero=True)
    ),
    Witness("leaky.slope=0.01", "leaky_relu", "Maas, Hannun & Ng (2013)", partial(answer_leaky_relu, slope=0.01)),
    Witness("leaky.slope=0.1", "leaky_relu", "darknet, src/activations.h", partial(answer_leaky_relu, slope=0.1)),
    Witness("power.grad_zero=nan", "power", "chainer, basic_math.py", partial(answer_power, zero_too=True)),
    Witness(
        "softmax.shift=none", "softmax", "d2l.ai, softmax-regression-scratch", partial(answer_softmax, shifted=False)
    ),
    Witness("softmax.shift=none", "log_softmax", "the logarithm of that", partial(answer_log_softmax, shifted=False)),
    Witness("logsoftmax.log=rounded", "log_softmax", "log(softmax(x))", partial(answer_log_softmax, rounded=True)),
]

if find_spec("torch"):
    WITNESSES += [
        Witness("relu.grad_zero=1", "relu", "torch.clamp", partial(by_torch, function=lambda x: x.clamp(min=0))),
        Witness(
            "leaky.slope=0.01",
            "leaky_relu",
            "torch.nn.functional.leaky_relu",
            partial(by_torch, function=lambda x, negative_slope: __import__("torch").nn.functional.leaky_relu(x)),
        ),
        Witness("softmax.shift=none", "softmax", "d2l.ai's code in torch", partial(by_torch, function=_torch_softmax)),
        Witness(
            "softmax.shift=none",
            "log_softmax",
            "d2l.ai's code in torch, and its logarithm",
            partial(by_torch, function=lambda x, axis: _torch_softmax(x, axis=axis).log()),
        ),
        Witness(
            "logsoftmax.log=rounded",
            "log_softmax",
            "torch, x.softmax(axis).log()",
            partial(by_torch, function=lambda x, axis: x.softmax(axis).log()),
        ),
    ]
