"""Normalisation of the channel vector at every position to Euclidean length 1, times a learned scale.

    y_c = s_c · x_c / n(x),     ‖x‖ = √(Σ_c x_c²)

| convention | n(x) | who |
|---|---|---|
| `"inside"` | √(Σ_c x_c² + ε) | the authors' Caffe code of ParseNet and SSD, ε = 1e-10 |
| `"outside"` | ‖x‖ + ε | the SSD ports to torch |
| `"clamp"` | max(‖x‖, ε) | torch `functional.normalize`, ε = 1e-12 |

Liu, Rabinovich & Berg, "ParseNet" (2015); Liu et al., "SSD" (2016), section 3.1, with s = 20 at first on conv4_3.

Conventions: the derivative of ‖x‖ at x = 0 is 0; under "clamp" n is constant where ‖x‖ ≤ ε (torch lets the
gradient of ‖x‖ pass at equality). So x = 0 gives y = 0, with
gradient s·dy/n(0); for ε = 0 both are 0/0 = NaN. No channels or no positions give an empty output. The squares are
summed in the input's dtype; they overflow, with NumPy's warning, and y is 0, beyond |x| ≈ 1.8e19 in float32 (1.3e154 in
float64), and vanish below |x| ≈ 1e-23 (1e-162), where a vector counts as 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_choice, check_floating, check_gradient, check_shape, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.core.summation import total
from refdet.ops.channels import all_but_channels, along_channels, check_channels
from refdet.ops.number import check_number_in_dtype

CONVENTIONS = ("inside", "outside", "clamp")


class L2NormalizeResidual(NamedTuple):
    x: Array
    scale: Array | None


def _check(x: Array, scale: Array | None, *, eps: float, convention: str, keep_residual: bool) -> None:
    check_floating("l2_normalize", optional=("scale",), x=x, scale=scale)
    check_channels("l2_normalize", x)
    if scale is not None:
        check_shape("l2_normalize", "scale", scale, (int(x.shape[1]),), "one per channel of x")
    check_number_in_dtype("l2_normalize", "eps", eps, x)
    check_choice("l2_normalize", "convention", convention, CONVENTIONS)


def _check_backward(
    residual: L2NormalizeResidual, dy: Array, *, needs: tuple[bool, bool], eps: float, convention: str
) -> None:
    check_gradient("l2_normalize", dy, shape_of(residual.x), residual.x)


def _divisor(x: Array, eps: float, convention: str) -> tuple[Array, Array]:
    """Return n(x) and its derivative by x, (N, 1, ...) and (N, C, ...)."""
    eps = float(eps)
    sum_of_squares = np.sum(x * x, axis=1, keepdims=True)
    if convention == "inside":
        n = np.sqrt(sum_of_squares + eps)
        return n, x / n
    length = np.sqrt(sum_of_squares)
    dlength = x / np.where(length == 0, np.ones_like(length), length)
    if convention == "outside":
        return length + eps, dlength
    return np.maximum(length, eps), np.where(length <= eps, np.zeros_like(x), dlength)


@kernel("l2_normalize.forward", check=_check, portable=True)
def l2_normalize_forward(
    x: Array, scale: Array | None, *, eps: float, convention: str, keep_residual: bool
) -> tuple[Array, L2NormalizeResidual | None]:
    """Return s·x / n(x)."""
    with np.errstate(invalid="ignore"):  # 0/0 for ε = 0
        n, _ = _divisor(x, eps, convention)
        y = x / n if scale is None else along_channels(scale, x) * (x / n)
    return y, L2NormalizeResidual(x, scale) if keep_residual else None


@kernel("l2_normalize.backward", check=_check_backward, portable=True)
def l2_normalize_backward(
    residual: L2NormalizeResidual, dy: Array, *, needs: tuple[bool, bool], eps: float, convention: str
) -> Gradients:
    """With g = s·dy: dx_c = (g_c − (∂n/∂x_c) · Σ_j g_j x_j / n) / n; ds_c = Σ dy_c x_c / n over all other axes."""
    x, scale = residual
    dx = dscale = None
    with np.errstate(divide="ignore", invalid="ignore"):
        n, dn = _divisor(x, eps, convention)
        unit = x / n
        if needs[0]:
            g = dy if scale is None else along_channels(scale, x) * dy
            dx = (g - dn * np.sum(g * unit, axis=1, keepdims=True)) / n
        if needs[1]:
            dscale = total(dy * unit, all_but_channels(x))
    return dx, dscale


_l2_normalize = differentiable(l2_normalize_forward, l2_normalize_backward)


def l2_normalize(
    x: Tensor | Array, scale: Tensor | Array | None = None, *, eps: float = 1e-10, convention: str = "inside"
) -> Tensor:
    """Divide the channel vector at every position by its length, and multiply by `scale`.

    Args:
        x: (N, C, ...), float32 or float64. scale: (C,) or None for 1.
        eps: ε ≥ 0. convention: where ε enters, "inside" or "outside" the root, or as the least length ("clamp").

    Returns:
        Of the shape of x.

    >>> l2_normalize(np.array([[3.0, 4.0]]), np.array([10.0, 20.0])).data
    array([[ 6., 16.]])
    """
    return _l2_normalize(x, scale, eps=eps, convention=convention)
