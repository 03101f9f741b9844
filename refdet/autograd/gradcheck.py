"""The check of a gradient: two ways to compute one number.

For y = f(x) with Jacobian J, a direction u in the space of x and a v in that of y,

    ⟨v, J u⟩ by central differences, (⟨v, f(x + h u)⟩ − ⟨v, f(x − h u)⟩) / 2h,   must equal   ⟨Jᵀ v, u⟩ by the backward
    pass.

In float64 with h = 1e-6 they agree to about 1e-9 of Σ|v · J u|. Near a kink they do not: keep inputs further than h·|u|
from one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor, gradients, no_grad
from refdet.core.check import Array, check_generator, check_number


class GradientMismatchError(ArithmeticError):
    """The backward pass is not the transpose of the derivative."""


class GradientCheck(NamedTuple):
    """Both sides of the equation for one input."""

    i_input: int
    numeric: float
    analytic: float
    error: float  # |numeric − analytic| relative to Σ|v · J u| + Σ|Jᵀ v · u|


def check_gradients(
    function: Callable[..., Tensor], inputs: Sequence[Array], *, rng: np.random.Generator, step: float = 1e-6
) -> list[GradientCheck]:
    """Compare both sides for each of `inputs`, float64 arrays on which `function` must depend differentiably."""
    check_generator("gradcheck", rng)
    check_number("gradcheck", "step", step, low=0, open_low=True)
    for i, x in enumerate(inputs):
        if not isinstance(x, np.ndarray):
            raise TypeError(f"gradcheck: input {i} must be an array, got {type(x).__name__}")
        if x.dtype != np.float64:
            raise TypeError(f"gradcheck: input {i} must be float64, got {x.dtype.name}")
    tensors = [Tensor(x, requires_grad=True) for x in inputs]
    y = function(*tensors)
    if not isinstance(y, Tensor):
        raise TypeError(f"gradcheck: the function must return a Tensor, got {type(y).__name__}")
    v = rng.standard_normal(y.shape)
    pulled_back = gradients(y, tensors, v)
    checks = []
    for i, (x, dx) in enumerate(zip(inputs, pulled_back, strict=True)):
        u = rng.standard_normal(x.shape)
        with no_grad():
            ahead, behind = (function(*tensors[:i], Tensor(x + h * u), *tensors[i + 1 :]).data for h in (step, -step))
        pushed_forward = (ahead - behind) / (2 * step)
        numeric, analytic = float(np.sum(v * pushed_forward)), float(np.sum(dx * u))
        scale = float(np.sum(np.abs(v * pushed_forward)) + np.sum(np.abs(dx * u)))
        checks.append(GradientCheck(i, numeric, analytic, abs(numeric - analytic) / scale if scale else 0.0))
    return checks


def gradcheck(
    function: Callable[..., Tensor],
    inputs: Sequence[Array],
    *,
    rng: np.random.Generator,
    step: float = 1e-6,
    tolerance: float = 1e-6,
) -> None:
    """Raise `GradientMismatchError`, with both sides, unless every gradient agrees with central differences.

    >>> gradcheck(lambda x, y: x * y, [np.array([1.0, 2.0]), np.array([3.0, 4.0])], rng=np.random.default_rng(0))
    """
    for check in check_gradients(function, inputs, rng=rng, step=step):
        if not check.error <= tolerance:
            raise GradientMismatchError(
                f"gradient of input {check.i_input}: ⟨v, J u⟩ = {check.numeric:.12g} by central differences, "
                f"⟨Jᵀ v, u⟩ = {check.analytic:.12g} by backward; relative error {check.error:.2g} > {tolerance:g}"
            )
