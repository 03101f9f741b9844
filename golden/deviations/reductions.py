"""How reductions differ: who wins a maximum and receives its gradient, and what the mean of nothing is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.wrapping import Wrap
from refdet.core.check import Array
from refdet.core.reduction import reduced_axes
from refdet.verify.deviation import Body, Deviation

FLT_MAX = float(np.finfo(np.float32).max)


def amax_ties_share(share: bool) -> Wrap:
    """Return a wrapper that gives every maximum the gradient, whole or in equal shares; a NaN equals nothing."""

    def wrap(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, needs: Any, axis: Any, keepdims: bool) -> Any:
            x = residual.x
            axes = reduced_axes("amax", axis, x.ndim)
            is_largest = x == np.amax(x, axis=axes, keepdims=True, initial=-np.inf)
            spread = np.reshape(dy, [1 if a in axes else n for a, n in enumerate(x.shape)])
            if not share:
                return (np.where(is_largest, spread, np.zeros_like(x)),)
            with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 where a NaN is the maximum
                return (is_largest * spread / np.sum(is_largest, axis=axes, keepdims=True).astype(x.dtype),)

        return backward

    return wrap


def amax_drops_nan(body: Body) -> Body:
    """Compare as if a NaN were −∞."""

    def forward(x: Array, **params: Any) -> Any:
        return body(np.where(np.isnan(x), np.full_like(x, -np.inf), x), **params)

    return forward


def from_lowest(body: Body) -> Body:
    """Answer at least −FLT_MAX."""

    def forward(x: Array, **params: Any) -> Any:
        y, residual = body(x, **params)
        return np.maximum(y, np.full_like(y, -FLT_MAX)), residual

    return forward


def empty_mean_is_zero(body: Body) -> Body:
    """Answer 0 for the mean of nothing."""

    def forward(x: Array, *, axis: Any, **params: Any) -> Any:
        y, residual = body(x, axis=axis, **params)
        nothing = math.prod(x.shape[a] for a in reduced_axes("mean", axis, x.ndim)) == 0
        return np.zeros_like(y) if nothing else y, residual

    return forward


DEVIATIONS = [
    Deviation(
        "amax.nan=number",
        "leaves NaN out of the maximum over an axis",
        "A NaN disappears as long as there is a number.",
        ("ONNX Runtime 1.31.1, ReduceMax on the CPU", "MATLAB, max"),
        "Let a NaN win.",
        {"amax.forward": amax_drops_nan},
    ),
    Deviation(
        "amax.start=lowest",
        "starts the maximum from −FLT_MAX instead of −∞",
        "The maximum of −∞ alone is −3.4e38; the gradient is right.",
        ("OpenCV 5.0.0, dnn, ReduceMax: run",),
        "Start from −∞, or from the first element.",
        {"amax.forward": from_lowest},
    ),
    Deviation(
        "amax.tie=all",
        "gives every maximum the whole gradient",
        "Where k elements tie, each receives all of it.",
        ("Theano, theano/tensor/basic.py, MaxAndArgmax.grad: eq(xmax_pad, x) * g_max_pad",),
        "Give the gradient to the first maximum in row-major order alone.",
        {"amax.backward": amax_ties_share(False)},
    ),
    Deviation(
        "amax.tie=split",
        "splits the gradient equally between the maxima",
        "Where k elements tie, each receives a k-th. A NaN equals nothing: where it wins, all elements receive "
        "0/0 = NaN.",
        (
            "PyTorch 2.13, torch.amax",
            "TensorFlow, tensorflow/python/ops/math_grad.py, _MinOrMaxGrad: indicators / num_selected * grad",
        ),
        "Give the gradient to the first maximum in row-major order alone.",
        {"amax.backward": amax_ties_share(True)},
    ),
    Deviation(
        "mean.empty=0",
        "answers 0 for the mean of nothing",
        "The mean over an axis of length 0 is 0 instead of 0/0 = NaN.",
        ("ONNX Runtime 1.31.1, ReduceMean on the CPU: run", "OpenCV 5.0.0, dnn, ReduceMean: run"),
        "Divide by the number of elements, 0; or state that the mean of nothing is 0.",
        {"mean.forward": empty_mean_is_zero},
    ),
]
