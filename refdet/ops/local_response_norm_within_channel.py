"""Local response normalisation within each channel.

    y[n, c, i, j] = x[n, c, i, j] / (k + (α/n²) · Σ_{|a|, |b| ≤ (n − 1)/2} x[n, c, i + a, j + b]²)^β

Caffe's WITHIN_CHANNEL (`lrn_layer.cpp`), where k is always 1 and α defaults to 1; deck 000 lists local response
normalisation among the layers that HOG is made of.

Conventions: n = `size` is odd, so that the window has a centre. Pixels outside the map count as 0, and n² stays n² at
the border. k = 0 where the window is all zero is 0/0 = NaN, its gradient too; β = 0 is the identity, whatever the
window holds, and so is its gradient. The sum runs over the rows of the window, then over its columns, in the input's
dtype.
"""

from __future__ import annotations

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_floating, check_gradient, check_rank, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.ops.local_response_norm import (
    LocalResponseNormResidual,
    check_normalisation,
    normalise,
    normalise_adjoint,
    window_sum,
)


def _check(x: Array, *, size: int, alpha: float, beta: float, k: float, keep_residual: bool) -> None:
    check_floating("local_response_norm_within_channel", x=x)
    check_rank("local_response_norm_within_channel", "x", x, "N, C, H, W")
    check_normalisation("local_response_norm_within_channel", size, alpha, beta, k)
    if size % 2 == 0:
        raise ValueError(f"local_response_norm_within_channel: size must be odd, got {size}")


def _check_backward(
    residual: LocalResponseNormResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    size: int,
    alpha: float,
    beta: float,
    k: float,
) -> None:
    check_gradient("local_response_norm_within_channel", dy, shape_of(residual.x), residual.x)


def _square_sum(x: Array, size: int) -> Array:
    """Sum `x` over the size × size window around each pixel."""
    reach = (size // 2, size // 2)
    return window_sum(window_sum(x, 2, reach), 3, reach)


@kernel("local_response_norm_within_channel.forward", check=_check, portable=True)
def local_response_norm_within_channel_forward(
    x: Array, *, size: int, alpha: float, beta: float, k: float, keep_residual: bool
) -> tuple[Array, LocalResponseNormResidual | None]:
    """Return x / S^β with S = k + (α/n²) Σ x²."""
    base = float(k) + float(alpha) / size**2 * _square_sum(x * x, size)
    return normalise(x, base, beta), LocalResponseNormResidual(x, base) if keep_residual else None


@kernel("local_response_norm_within_channel.backward", check=_check_backward, portable=True)
def local_response_norm_within_channel_backward(
    residual: LocalResponseNormResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    size: int,
    alpha: float,
    beta: float,
    k: float,
) -> Gradients:
    """dx = dy S^(−β) − 2 (α/n²) β x Σ R over the same window, with R = dy·y/S."""
    return (normalise_adjoint(residual, dy, beta, float(alpha) / size**2, lambda R: _square_sum(R, size)),)


_local_response_norm_within_channel = differentiable(
    local_response_norm_within_channel_forward, local_response_norm_within_channel_backward
)


def local_response_norm_within_channel(
    x: Tensor | Array, *, size: int = 5, alpha: float = 1.0, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide each pixel by a power of the energy of its neighbourhood in its own channel.

    Args:
        x: (N, C, H, W), float32 or float64.
        size: n, the height and width of the window, odd. alpha ≥ 0, beta, k ≥ 0: as in the equation.

    Returns:
        (N, C, H, W).

    With k = 0, α = 9 and β = 1, each one is divided by the number of pixels of its 3 × 3 window inside the map:

    >>> local_response_norm_within_channel(np.ones((1, 1, 2, 2)), size=3, alpha=9, beta=1, k=0).data[0, 0]
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    return _local_response_norm_within_channel(x, size=size, alpha=alpha, beta=beta, k=k)
