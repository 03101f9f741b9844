"""How elementwise functions differ: slopes that are fixed, derivatives at a kink, ties, and what becomes of NaN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.op_wrapping import both
from golden.wrapping import Wrap, setting
from refdet.core.check import Array
from refdet.core.elementwise import Operands, sum_to_shape
from refdet.verify.deviation import Body, Deviation


def relu_gradient_at_zero(slope: float) -> Wrap:
    """Return a wrapper with another slope at x = 0."""

    def wrap(body: Body) -> Body:
        def backward(residual: Any, dy: Array, **params: Any) -> Any:
            (dx,) = body(residual, dy, **params)
            return (np.where(residual.x == 0, slope * dy, dx),)

        return backward

    return wrap


def relu_drops_nan(body: Body) -> Body:
    """Answer 0 for NaN."""

    def forward(x: Array, **params: Any) -> Any:
        y, residual = body(x, **params)
        return np.where(np.isnan(x), np.zeros_like(y), y), residual

    return forward


def relu_times_zero(body: Body) -> Body:
    """Answer 0·x where x is not positive, which is NaN for −∞."""

    def forward(x: Array, **params: Any) -> Any:
        y, residual = body(x, **params)
        return np.where(x == -np.inf, np.full_like(y, np.nan), y), residual

    return forward


# maximum and minimum of two


def chosen_forward(choose: Callable[[Array, Array], Array]) -> Wrap:
    """Return a wrapper that answers the operand that `choose` says: true for the first."""

    def wrap(body: Body) -> Body:
        def forward(x: Array, y: Array, **params: Any) -> Any:
            _, residual = body(x, y, **params)
            return np.where(choose(x, y), x, y), residual

        return forward

    return wrap


def chosen_backward(choose: Callable[[Array, Array], Array]) -> Wrap:
    """Return a wrapper that gives the gradient to that operand."""
    return lambda _: lambda residual, dy, *, needs: shared(residual, dy, np.where(choose(*residual), 1.0, 0.0))


def shared(residual: Operands, dy: Array, share: Array) -> tuple[Array, Array]:
    """Give the first operand its share of the gradient, and the second the rest."""
    x, y = residual
    share = share.astype(dy.dtype)
    return sum_to_shape(dy * share, x.shape), sum_to_shape(dy * (1 - share), y.shape)


def choosing(largest: Callable[[Array, Array], Array], least: Callable[[Array, Array], Array]) -> dict[str, Wrap]:
    """Wrap maximum and minimum by what each takes the first operand for."""
    return {
        "maximum.forward": chosen_forward(largest),
        "maximum.backward": chosen_backward(largest),
        "minimum.forward": chosen_forward(least),
        "minimum.backward": chosen_backward(least),
    }


def tied(first: float, second: float) -> dict[str, Wrap]:
    """Wrap the gradients of maximum and minimum by the share of each operand where both are equal."""

    def wrap(body: Body) -> Body:
        def backward(residual: Operands, dy: Array, *, needs: Any) -> Any:
            x, y = residual
            tie = x == y
            dx, dsecond = body(residual, np.where(tie, np.zeros_like(dy), dy), needs=(True, True))
            at_tie = np.where(tie, dy, np.zeros_like(dy))
            return dx + sum_to_shape(first * at_tie, x.shape), dsecond + sum_to_shape(second * at_tie, y.shape)

        return backward

    return {"maximum.backward": wrap, "minimum.backward": wrap}


def nan_passes_to_both(body: Body) -> Body:
    """Give both operands the whole gradient where either is NaN."""

    def backward(residual: Operands, dy: Array, *, needs: Any) -> Any:
        x, y = residual
        is_nan = np.isnan(x) | np.isnan(y)
        dx, dsecond = body(residual, np.where(is_nan, np.zeros_like(dy), dy), needs=(True, True))
        at_nan = np.where(is_nan, dy, np.zeros_like(dy))
        return dx + sum_to_shape(at_nan, x.shape), dsecond + sum_to_shape(at_nan, y.shape)

    return backward


def power_without_exception(body: Body) -> Body:
    """Return p·xᵖ⁻¹ for p = 0 too."""

    def backward(residual: Any, dy: Array, *, needs: Any, exponent: float) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (dy * (float(exponent) * residual.x ** float(exponent - 1)),)

    return backward


DEVIATIONS = [
    Deviation(
        "relu.grad_zero=1",
        "passes the gradient at x = 0",
        "The derivative at 0 is 1.",
        ("PyTorch 2.13, x.clamp(min=0): the gradient passes where x ≥ 0",),
        "Pass the gradient where x > 0 only.",
        {"relu.backward": relu_gradient_at_zero(1.0)},
    ),
    Deviation(
        "relu.grad_zero=half",
        "passes half of the gradient at x = 0",
        "The derivative at 0 is ½.",
        (
            "Lasagne, lasagne/nonlinearities.py, rectify (and Theano's nnet.relu): 0.5 * (x + abs(x))",
            "JAX, jax.numpy.maximum(x, 0), and HIPS autograd, numpy.maximum",
        ),
        "Pass the gradient where x > 0 only.",
        {"relu.backward": relu_gradient_at_zero(0.5)},
    ),
    Deviation(
        "relu.inf=nan",
        "multiplies what is not positive by 0",
        "relu(−∞) is 0·∞ = NaN; every other number is right.",
        ("OpenCV 5.0.0, dnn, Relu: run",),
        "Answer 0 where x < 0.",
        {"relu.forward": relu_times_zero},
    ),
    Deviation(
        "relu.nan=0",
        "answers 0 for NaN",
        "A NaN in the input disappears.",
        (
            "MatConvNet, matlab/vl_nnrelu.m: max(x, 0), where MATLAB's max leaves NaN out",
            "C's fmaxf(x, 0)",
        ),
        "Compare so that NaN stays: x < 0 ? 0 : x.",
        {"relu.forward": relu_drops_nan},
    ),
    Deviation(
        "leaky.grad_zero=1",
        "passes the whole gradient at x = 0",
        "The derivative at 0 is 1 instead of the slope.",
        ("Chainer, chainer/functions/activation/leaky_relu.py: gx[x[0] < 0] *= self.slope",),
        "Multiply the gradient by the slope where x ≤ 0.",
        {"leaky_relu.backward": relu_gradient_at_zero(1.0)},
    ),
    Deviation(
        "leaky.slope=0.01",
        "uses a slope of 0.01, whatever negative_slope is",
        "Negative inputs are multiplied by 0.01.",
        ("Maas, Hannun & Ng (2013), and PyTorch's default, torch.nn.LeakyReLU",),
        "Use the parameter negative_slope.",
        both(setting(negative_slope=0.01), "leaky_relu"),
    ),
    Deviation(
        "leaky.slope=0.1",
        "uses a slope of 0.1, whatever negative_slope is",
        "Negative inputs are multiplied by 0.1.",
        ("darknet, src/activations.h, leaky_activate: (x>0) ? x : .1*x",),
        "Use the parameter negative_slope.",
        both(setting(negative_slope=0.1), "leaky_relu"),
    ),
    Deviation(
        "maximum.nan=first",
        "answers the first operand where either is NaN",
        "A NaN in the second operand disappears.",
        ("C++, std::max(x, y): (x < y) ? y : x",),
        "Answer NaN where either operand is NaN.",
        choosing(lambda x, y: ~(x < y), lambda x, y: ~(y < x)),
    ),
    Deviation(
        "maximum.nan=number",
        "answers the number where one operand is NaN",
        "A NaN disappears unless both are NaN.",
        ("C, fmax and fmin (IEEE 754-2008 maxNum); CUDA, fmaxf",),
        "Answer NaN where either operand is NaN.",
        choosing(lambda x, y: (x >= y) | np.isnan(y), lambda x, y: (x <= y) | np.isnan(y)),
    ),
    Deviation(
        "maximum.nan=second",
        "answers the second operand where either is NaN",
        "A NaN in the first operand disappears. Of equal operands the second receives the gradient.",
        ("Caffe, src/caffe/layers/eltwise_layer.cpp, MAX: a > b ? a : b",),
        "Answer NaN where either operand is NaN, and give ties to the first.",
        choosing(lambda x, y: x > y, lambda x, y: x < y),
    ),
    Deviation(
        "maximum.nan_grad=both",
        "gives both operands the whole gradient where either is NaN",
        "Beside a NaN the number receives a gradient too, and the gradients add up to twice what came in.",
        ("PyTorch 2.13, torch.maximum and torch.minimum: run; the gradient is 0 only where x < y, or x > y",),
        "Give the gradient to the first operand if it is NaN, else to the second.",
        {"maximum.backward": nan_passes_to_both, "minimum.backward": nan_passes_to_both},
    ),
    Deviation(
        "maximum.tie=all",
        "gives both operands the whole gradient where they are equal",
        "At a tie the gradients add up to twice what came in.",
        ("Theano, theano/scalar/basic.py, Maximum.grad: eq(maximum(x, y), x) * gz and eq(maximum(x, y), y) * gz",),
        "Give the gradient to the first operand where x ≥ y, to the second elsewhere.",
        tied(1.0, 1.0),
    ),
    Deviation(
        "maximum.tie=second",
        "gives the gradient to the second operand where they are equal",
        "At a tie the first operand receives nothing.",
        ("Caffe, src/caffe/layers/eltwise_layer.cpp, MAX: mask 0 only where a > b",),
        "Give the gradient to the first operand where x ≥ y, to the second elsewhere.",
        tied(0.0, 1.0),
    ),
    Deviation(
        "maximum.tie=split",
        "splits the gradient between operands that are equal",
        "At a tie each receives half.",
        (
            "PyTorch 2.13, torch.maximum and torch.minimum",
            "JAX, jax/_src/lax/lax.py, max_p: _balanced_eq",
            "HIPS autograd, autograd/numpy/numpy_vjps.py, balanced_eq",
        ),
        "Give the gradient to the first operand where x ≥ y, to the second elsewhere.",
        tied(0.5, 0.5),
    ),
    Deviation(
        "power.grad_zero=nan",
        "computes p·xᵖ⁻¹ for p = 0 too",
        "The gradient of x⁰ at x = 0 is 0·∞ = NaN.",
        ("Chainer, chainer/functions/math/basic_math.py, PowVarConst: value * x ** (value - 1) * gy",),
        "Return 0 for p = 0.",
        {"power.backward": power_without_exception},
    ),
]
