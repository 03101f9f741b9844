"""A Gaussian filter over the pixels of an image, cut off at a few standard deviations.

    y[i, j] = Σ_s Σ_t k_y(s) k_x(t) x[i + s, j + t],     k_y(s) = exp(−s² / (2 σ_y²)) where |s| ≤ ⌈truncate · σ_y⌉

and likewise k_x: first down the columns, then along the rows, instead of N² pairs. Deck 004, "Edge potentials as
convolutions": a Gaussian has most of its mass close to its mean, so truncate it and convolve. It serves the smoothness
kernel, whose features are the position alone.

Conventions:

- Not normalised: k(0) = 1, as in a CRF, and the weights do not sum to 1. Beyond the edge of the image there are zeros.
- The radius is rounded up. What is cut off is smaller than exp(−truncate²/2) everywhere: 0.011 at 3, 0.00034 at 4.
- The filter is symmetric, so that it is its own gradient.
- A NaN or ±∞ spreads as far as the radius and no further. Sums run from the centre outwards, in the dtype of x.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_floating, check_gradient, check_number, check_rank, sequence, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel

Sigma = tuple[float, float]


class TruncatedGaussianResidual(NamedTuple):
    values: Array  # for its shape and dtype only


def _sigmas(sigma: object) -> Sigma:
    """Return (σ_y, σ_x); refuse what is not two positive numbers."""
    values = sequence("truncated_gaussian", "sigma", sigma)
    if len(values) != 2:
        raise ValueError(f"truncated_gaussian: sigma must be two numbers, vertical and horizontal, got {sigma!r}")
    vertical, horizontal = (check_number("truncated_gaussian", "sigma", v, low=0, open_low=True) for v in values)
    return vertical, horizontal


def _check(values: Array, *, sigma: Sigma, truncate: float, keep_residual: bool) -> None:
    check_floating("truncated_gaussian", values=values)
    check_rank("truncated_gaussian", "values", values, "H, W, V")
    _sigmas(sigma)
    check_number("truncated_gaussian", "truncate", truncate, low=0)


def _check_backward(
    residual: TruncatedGaussianResidual, dy: Array, *, needs: tuple[bool], sigma: Sigma, truncate: float
) -> None:
    check_gradient("truncated_gaussian", dy, shape_of(residual.values), residual.values)


def filter_along(x: Array, axis: int, sigma: float, truncate: float) -> Array:
    """Return Σ_t k(t) x[… + t …] along one axis: the centre, then both neighbours at each distance t."""
    x = np.moveaxis(x, axis, 0)
    y = x.astype(np.result_type(x))
    radius = math.ceil(min(truncate * sigma, len(x) - 1))  # further away there is nothing
    for t in range(1, radius + 1):
        deviations = t / sigma
        weight = math.exp(-0.5 * deviations * deviations)  # unlike **, * of huge numbers is ∞, and no error
        y[t:] += weight * x[:-t]
        y[:-t] += weight * x[t:]
    return np.moveaxis(y, 0, axis)


def filter_image(values: Array, sigma: Sigma, truncate: float) -> Array:
    """Filter every channel of (H, W, V) down the columns, then along the rows."""
    sigma_y, sigma_x = sigma
    return filter_along(filter_along(values, 0, sigma_y, truncate), 1, sigma_x, truncate)


@kernel("truncated_gaussian.forward", check=_check)
def truncated_gaussian_forward(
    values: Array, *, sigma: Sigma, truncate: float, keep_residual: bool
) -> tuple[Array, TruncatedGaussianResidual | None]:
    """Return the filtered values, (H, W, V)."""
    return filter_image(values, sigma, truncate), TruncatedGaussianResidual(values) if keep_residual else None


@kernel("truncated_gaussian.backward", check=_check_backward)
def truncated_gaussian_backward(
    residual: TruncatedGaussianResidual, dy: Array, *, needs: tuple[bool], sigma: Sigma, truncate: float
) -> Gradients:
    """The transpose of a symmetric filter is the filter."""
    return (filter_image(dy, sigma, truncate),)


_truncated_gaussian = differentiable(truncated_gaussian_forward, truncated_gaussian_backward)


def truncated_gaussian(values: Tensor | Array, sigma: float | Sigma, *, truncate: float = 4.0) -> Tensor:
    """Filter an image with a truncated Gaussian that is 1 at its centre.

    Args:
        values: (H, W, V), float32 or float64.
        sigma: standard deviation in pixels, one number or (vertical, horizontal); positive.
        truncate: where to cut, in standard deviations; the radius is rounded up to whole pixels.

    Returns:
        Of the shape of `values`.

    An impulse becomes the kernel: with σ² = 1/(2 ln 2), k(0) = 1, k(1) = 1/2, k(2) = 1/16, and the radius is 2:

    >>> sigma = np.sqrt(1 / (2 * np.log(2)))
    >>> truncated_gaussian(np.array([0.0, 0, 0, 16, 0, 0, 0]).reshape(1, 7, 1), sigma, truncate=2).data.ravel().round(9)
    array([ 0.,  1.,  8., 16.,  8.,  1.,  0.])
    """
    sigmas = _sigmas((sigma, sigma) if np.ndim(sigma) == 0 else sigma)
    return _truncated_gaussian(values, sigma=sigmas, truncate=truncate)
