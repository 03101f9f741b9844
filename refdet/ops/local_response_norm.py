"""Local response normalisation across channels.

    y_c = x_c / (k + α' · Σ_{j ∈ W(c)} x_j²)^β

Krizhevsky, Sutskever & Hinton (2012), section 3.3, with n = `size` channels in the window and k = 2, n = 5, α = 1e-4,
β = 0.75; deck 000 normalises the histograms of HOG with it. The window W(c) is clipped at the first and last channel.
What `alpha` and an even `size` mean differs:

| convention | α' | channels of W(c) before c | after c | even n | defaults of its source |
|---|---|---|---|---|---|
| `"paper"` | α | ⌊n/2⌋ | ⌊n/2⌋ | n + 1 channels | k = 2, n = 5, α = 1e-4, β = 0.75 |
| `"caffe"` | α/n | (n − 1)/2 | (n − 1)/2 | refused | k = 1, n = 5, α = 1, β = 0.75 |
| `"torch"` | α/n | ⌊n/2⌋ | n − 1 − ⌊n/2⌋ | one more before | k = 1, α = 1e-4, β = 0.75 |
| `"onnx"` | α/n | ⌊(n − 1)/2⌋ | ⌈(n − 1)/2⌉ | one more after | k = 1, α = 1e-4, β = 0.75 |

So AlexNet's α = 1e-4 is α = 5e-4 in Caffe, torch and ONNX. TensorFlow's `depth_radius` r is "paper" with n = 2r + 1.
The n in α/n stays n where the window is clipped. onnxruntime refuses an even n, ONNX does not.

Conventions: an empty batch or no channels give an empty output. k = 0 where the window is all zero is 0/0 = NaN, its
gradient too. A NaN makes its window NaN. β = 0 is the identity, whatever the window holds, and so is its gradient. The
sum runs from the lowest channel to the highest, in the input's dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import (
    Array,
    as_index,
    check_choice,
    check_floating,
    check_gradient,
    check_number,
    integer,
    shape_of,
)
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Pair
from refdet.core.kernel import kernel
from refdet.ops.channels import check_channels

CONVENTIONS = ("paper", "caffe", "torch", "onnx")


class LocalResponseNormResidual(NamedTuple):
    x: Array
    base: Array  # S = k + α' Σ x²


def check_normalisation(op: str, size: int, alpha: float, beta: float, k: float) -> None:
    """Refuse a window that is empty, and numbers that could make the base of the power negative."""
    if as_index(size) is None:
        raise TypeError(f"{op}: size must be an integer, got {size!r}")
    integer(op, "size", size, low=1)
    check_number(op, "alpha", alpha, low=0)
    check_number(op, "beta", beta)
    check_number(op, "k", k, low=0)


def _check(x: Array, *, size: int, alpha: float, beta: float, k: float, convention: str, keep_residual: bool) -> None:
    check_floating("local_response_norm", x=x)
    check_channels("local_response_norm", x)
    check_normalisation("local_response_norm", size, alpha, beta, k)
    check_choice("local_response_norm", "convention", convention, CONVENTIONS)
    if convention == "caffe" and size % 2 == 0:
        raise ValueError(f"local_response_norm: size must be odd under convention 'caffe', got {size}")


def _check_backward(
    residual: LocalResponseNormResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    size: int,
    alpha: float,
    beta: float,
    k: float,
    convention: str,
) -> None:
    check_gradient("local_response_norm", dy, shape_of(residual.x), residual.x)


def channel_window(size: int, convention: str) -> Pair:
    """Return how many channels before and after its own a window holds.

    >>> [channel_window(4, convention) for convention in ("paper", "torch", "onnx")]
    [(2, 2), (2, 1), (1, 2)]
    """
    if convention == "torch":
        return size // 2, size - 1 - size // 2
    if convention == "onnx":
        return (size - 1) // 2, size - 1 - (size - 1) // 2
    return size // 2, size // 2


def window_sum(x: Array, axis: int, window: Pair) -> Array:
    """Sum `x` over the window (before, after) around each index of `axis`, clipped at both ends.

    >>> window_sum(np.array([1.0, 2.0, 3.0, 4.0]), 0, (1, 0))
    array([1., 3., 5., 7.])
    """
    n = x.shape[axis]
    before, after = (min(reach, max(n - 1, 0)) for reach in window)
    padded = np.pad(x, [(before, after) if a == axis else (0, 0) for a in range(x.ndim)])
    return sum(
        (padded[(slice(None),) * axis + (slice(t, t + n),)] for t in range(before + after + 1)), np.zeros_like(x)
    )


def _scale(size: int, alpha: float, convention: str) -> float:
    return float(alpha) if convention == "paper" else float(alpha) / size


@kernel("local_response_norm.forward", check=_check, portable=True)
def local_response_norm_forward(
    x: Array, *, size: int, alpha: float, beta: float, k: float, convention: str, keep_residual: bool
) -> tuple[Array, LocalResponseNormResidual | None]:
    """Return x / S^β with S = k + α' Σ x²."""
    base = float(k) + _scale(size, alpha, convention) * window_sum(x * x, 1, channel_window(size, convention))
    return normalise(x, base, beta), LocalResponseNormResidual(x, base) if keep_residual else None


def normalise(x: Array, base: Array, beta: float) -> Array:
    """Return x / S^β."""
    with np.errstate(divide="ignore", invalid="ignore"):  # S = 0
        return x / base ** float(beta)


@kernel("local_response_norm.backward", check=_check_backward, portable=True)
def local_response_norm_backward(
    residual: LocalResponseNormResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    size: int,
    alpha: float,
    beta: float,
    k: float,
    convention: str,
) -> Gradients:
    """dx_c = dy_c S_c^(−β) − 2 α' β x_c Σ_{j: c ∈ W(j)} R_j with R = dy·y/S.

    The j whose window holds c are the window around c, reversed.
    """
    before, after = channel_window(size, convention)
    scale = _scale(size, alpha, convention)
    return (normalise_adjoint(residual, dy, beta, scale, lambda R: window_sum(R, 1, (after, before))),)


def normalise_adjoint(
    residual: LocalResponseNormResidual, dy: Array, beta: float, scale: float, sum_over: Callable[[Array], Array]
) -> Array:
    """Return dy S^(−β) − 2 α' β x ΣR, where α' is `scale` and `sum_over` gives each element the Σ over its readers."""
    x, base = residual
    if beta == 0:  # where S is 0, the second term would be 0 · NaN
        return normalise(dy, base, beta)
    with np.errstate(divide="ignore", invalid="ignore"):  # S = 0
        R = dy * normalise(x, base, beta) / base
        return normalise(dy, base, beta) - 2 * scale * float(beta) * x * sum_over(R)


_local_response_norm = differentiable(local_response_norm_forward, local_response_norm_backward)


def local_response_norm(
    x: Tensor | Array,
    *,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    convention: str = "paper",
) -> Tensor:
    """Divide each element by a power of the energy of its neighbours in the channel axis.

    Args:
        x: (N, C, ...), float32 or float64.
        size: n, the number of channels of a window, ≥ 1. alpha ≥ 0, beta, k ≥ 0: as in the equation.
        convention: what alpha and an even size mean, "paper", "caffe", "torch" or "onnx": the table of this module.

    Returns:
        Of the shape of x.

    With k = 0 and α = β = 1, each of three ones is divided by the number of channels in its window:

    >>> local_response_norm(np.ones((1, 3)), size=3, alpha=1, beta=1, k=0).data
    array([[0.5       , 0.33333333, 0.5       ]])
    """
    return _local_response_norm(x, size=size, alpha=alpha, beta=beta, k=k, convention=convention)
