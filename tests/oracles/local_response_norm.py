"""Local response normalisation across channels.

    y_c = x_c / S_c^beta,    S_c = k + a sum_{j in W(c)} x_j^2
    dy_c/dx_j = delta_cj S_c^-beta - 2 a beta x_c x_j S_c^(-beta - 1) [j in W(c)]

W(c) is a window of n = `size` channels around c, clipped at the first and last channel; `a` does not depend on the
clipping.

    convention    a          window reaches
    "paper"       alpha      floor(n/2) before and after c
    "caffe"       alpha/n    the same (n is odd)
    "torch"       alpha/n    floor(n/2) before, n - 1 - floor(n/2) after
    "onnx"        alpha/n    floor((n-1)/2) before, ceil((n-1)/2) after

Source: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", section
3.3.
"""

from collections.abc import Iterator

import numpy as np

from tests.oracles._ieee import power
from tests.oracles._sums import Array, Float64Array, Index, exact_sum, scatter_sum


def forward(x: Array, *, size: int, alpha: float, beta: float, k: float, convention: str) -> Float64Array:
    """Return y, the shape of x."""
    a = alpha if convention == "paper" else alpha / size
    y = np.empty(x.shape)
    for c in np.ndindex(x.shape):
        scale = k + a * exact_sum(float(x[j]) * float(x[j]) for j in _window(c, x.shape[1], size, convention))
        y[c] = float(x[c]) * power(scale, -beta)
    return y


def backward(
    x: Array, *, dy: Array, size: int, alpha: float, beta: float, k: float, convention: str
) -> tuple[Float64Array]:
    """Return (dx,)."""
    a = alpha if convention == "paper" else alpha / size

    def terms() -> Iterator[tuple[Index, float]]:
        for c in np.ndindex(x.shape):
            window = _window(c, x.shape[1], size, convention)
            scale = k + a * exact_sum(float(x[j]) * float(x[j]) for j in window)
            own, slope = power(scale, -beta), power(scale, -beta - 1)
            for j in window:
                shared = 2 * a * beta * float(x[c]) * float(x[j]) * slope
                yield j, float(dy[c]) * (own * (j == c) - shared)

    return (scatter_sum(x.shape, terms()),)


def _window(index: Index, n_channels: int, size: int, convention: str) -> list[Index]:
    """Return the indices of the channels in the window of this element."""
    n, c, *place = index
    before, after = {
        "paper": (size // 2, size // 2),
        "caffe": (size // 2, size // 2),
        "torch": (size // 2, size - 1 - size // 2),
        "onnx": ((size - 1) // 2, size // 2),  # ceil((size - 1) / 2) = floor(size / 2)
    }[convention]
    return [(n, j, *place) for j in range(c - before, c + after + 1) if 0 <= j < n_channels]
