"""The three filters of a fully connected CRF behind one interface, and its four normalisations.

A filter is a linear map of values at N points, K: (N, V) → (N, V), that approximates Σ_j k(f_i, f_j) v_j for the
Gaussian kernel k = exp(−½ |f_i − f_j|²):

    "exact"      the matrix itself: O(N²), for checking and for small problems
    "truncated"  positions on the grid of an image only, cut off at 4 standard deviations: O(N r) for the radius r
    "lattice"    splat, blur and slice on the permutohedral lattice: O(N d²) for d features

`apply` is K v, `transpose` is Kᵀ v, and `features_gradient(a, b)` is ∂(Σ a ∘ K b)/∂f. With n = K 1, a normalisation
makes of K the matrix diag(n^α) K diag(n^β):

    "none"       α = 0,  β = 0    K
    "before"     α = 0,  β = −1   every point sends out its share, columns of K over their n
    "after"      α = −1, β = 0    every point receives a mean: Krähenbühl & Koltun (2011), CRF-as-RNN
    "symmetric"  α = β = −½       K stays symmetric: Krähenbühl & Koltun (2013), and their default

Conventions:

- n is the filter's own response to ones (of K and not of Kᵀ), plus 1e-20, so that a point whose every kernel entry is
  0 receives 0. It contains the self term k(f_i, f_i) exactly where the filter does.
- K is symmetric, but for the lattice's: its transpose blurs along the axes in the opposite order.
- Gradients of features go through the weights in the lattice, through n, and not through which cell a point lies in.
- The features of a truncated filter are (x/θ_x, y/θ_y) of the pixels in row-major order. The θ are found from the
  first and last pixel of a row and of a column; features of float32 hold them to seven digits only, and so that this
  cannot add a tap, 4 σ counts as a whole number where it exceeds one by less than a millionth of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from refdet.core.check import Array
from refdet.crf.gaussian_kernel import differences_gradient, gaussian_matrix
from refdet.crf.lattice import LatticeArrays
from refdet.crf.truncated_gaussian import filter_image

FILTERS = ("exact", "truncated", "lattice")
EXPONENTS = {"none": (0.0, 0.0), "before": (0.0, -1.0), "after": (-1.0, 0.0), "symmetric": (-0.5, -0.5)}
NORM_FLOOR = 1e-20  # of the authors' densecrf
TRUNCATE = 4 * (1 - 2.0**-20)

Shape = tuple[int, int]


class Filter(Protocol):
    """A linear map between the values at N points, and the gradient of what it is made from."""

    def apply(self, values: Array) -> Array:
        """Return K v, (N, V)."""

    def transpose(self, values: Array) -> Array:
        """Return Kᵀ v, (N, V)."""

    def features_gradient(self, a: Array, b: Array) -> Array:
        """Return ∂(Σ a ∘ K b)/∂f, (N, d)."""


class ExactFilter:
    """K v with the matrix K."""

    def __init__(self, features: Array, *, exclude_self: bool) -> None:
        self.features, self.matrix = features, gaussian_matrix(features, exclude_self=exclude_self)

    def apply(self, values: Array) -> Array:
        """Return K v."""
        return self.matrix @ values

    def transpose(self, values: Array) -> Array:
        """Return Kᵀ v."""
        return self.matrix.T @ values

    def features_gradient(self, a: Array, b: Array) -> Array:
        """Σ_l Σ_i Σ_j a_il K_ij b_jl has the gradient a bᵀ with respect to K."""
        return differences_gradient(self.features, self.matrix, a @ b.T)


class TruncatedFilter:
    """K v by two short convolutions, where the points are the pixels of an image and the features their position."""

    def __init__(self, features: Array, shape: Shape) -> None:
        self.shape, self.sigma = shape, grid_sigma(features, shape)

    def apply(self, values: Array) -> Array:
        """Return K v."""
        image = np.reshape(values, (*self.shape, values.shape[1]))
        return np.reshape(filter_image(image, self.sigma, TRUNCATE), values.shape)

    def transpose(self, values: Array) -> Array:
        """Return Kᵀ v = K v."""
        return self.apply(values)

    def features_gradient(self, a: Array, b: Array) -> Array:
        """Refuse: of the features only the spacing of the pixels is used."""
        raise ValueError("truncated filter: its features are the fixed grid of the pixels and have no gradient")


class LatticeFilter:
    """K v by splatting onto the permutohedral lattice of the features, blurring there, and slicing."""

    def __init__(self, features: Array) -> None:
        self.lattice = LatticeArrays.of(features)

    def apply(self, values: Array) -> Array:
        """Return slice(blur(splat v))."""
        return self.lattice.filter(values)

    def transpose(self, values: Array) -> Array:
        """Return the same with the axes of the blur in the opposite order."""
        return self.lattice.filter(values, transposed=True)

    def features_gradient(self, a: Array, b: Array) -> Array:
        """Through the weights by which b is splatted, and through those by which the blurred b is sliced."""
        return self.lattice.dfeatures(a, b)


class NormalisedFilter:
    """diag(n^α) K diag(n^β) of a filter K with n = K 1."""

    def __init__(self, kernel: Filter, normalisation: str, ones: Array) -> None:
        """Measure n; `ones` is (N, 1) in the dtype of the values."""
        self.kernel = kernel
        self.exponents = EXPONENTS[normalisation]
        self.norm = kernel.apply(ones) + NORM_FLOOR  # (N, 1)
        self.left, self.right = (self.norm**exponent for exponent in self.exponents)

    def apply(self, values: Array) -> Array:
        """Return n^α K (n^β v)."""
        return self.left * self.kernel.apply(self.right * values)

    def transpose(self, values: Array) -> Array:
        """Return n^β Kᵀ (n^α v)."""
        return self.right * self.kernel.transpose(self.left * values)

    def matrix(self) -> Array:
        """Return the matrix of an exact filter, (N, N); the others have none."""
        if not isinstance(self.kernel, ExactFilter):
            raise TypeError(f"only an exact filter has a matrix, got {type(self.kernel).__name__}")
        return self.left * self.kernel.matrix * self.right.T

    def features_gradient(self, a: Array, b: Array) -> Array:
        """The gradient through K itself, and through n = K 1 on either side: d n^α = α n^α dn / n."""
        alpha, beta = self.exponents
        dnorm = np.zeros_like(self.norm)
        if alpha:
            dnorm += alpha * np.sum(a * self.apply(b), axis=1, keepdims=True) / self.norm
        if beta:
            dnorm += beta * np.sum(self.transpose(a) * b, axis=1, keepdims=True) / self.norm
        ones = np.ones_like(self.norm)  # Σ (n^α a) ∘ K (n^β b), and Σ dn ∘ K 1 as one more column
        return self.kernel.features_gradient(np.hstack([self.left * a, dnorm]), np.hstack([self.right * b, ones]))


def make_filter(
    name: str, features: Array, *, normalisation: str, exclude_self: bool, shape: Shape | None
) -> NormalisedFilter:
    """Return the filter of that name over points with these features; only "truncated" needs the shape (H, W)."""
    kernel: Filter
    if name == "exact":
        kernel = ExactFilter(features, exclude_self=exclude_self)
    elif name == "truncated" and shape is not None:
        kernel = TruncatedFilter(features, shape)
    elif name == "lattice":
        kernel = LatticeFilter(features)
    else:
        raise ValueError(f"filter {name!r} is not one of {FILTERS}, or lacks the shape (H, W) of the image")
    return NormalisedFilter(kernel, normalisation, np.ones((len(features), 1), np.result_type(features)))


def split_features(features: Array, dimensions: Sequence[int]) -> list[Array]:
    """Return the columns that belong to each kernel."""
    return np.split(features, np.cumsum(dimensions)[:-1], axis=1) if len(dimensions) else []


def grid_sigma(features: Array, shape: Shape) -> tuple[float, float]:
    """Return (θ_y, θ_x) of features (x/θ_x, y/θ_y); 1 along an axis of a single pixel, where nothing depends on it."""
    H, W = shape
    grid = np.reshape(features, (H, W, 2)).astype(np.float64)
    with np.errstate(divide="ignore"):
        sigma_y = abs((H - 1) / (grid[-1, 0, 1] - grid[0, 0, 1])) if H > 1 else 1.0
        sigma_x = abs((W - 1) / (grid[0, -1, 0] - grid[0, 0, 0])) if W > 1 else 1.0
    return float(sigma_y), float(sigma_x)


def check_grid(op: str, features: Array, shape: Shape) -> None:
    """Refuse features of a truncated filter that are not the evenly spaced positions of the pixels of an image."""
    sigma_y, sigma_x = grid_sigma(features, shape)
    rows, columns = np.indices(shape)
    offset = features[0].astype(np.float64) if len(features) else 0.0
    expected = np.stack([columns.ravel() / sigma_x, rows.ravel() / sigma_y], axis=1)
    error = np.abs(features - offset - expected)
    tolerance = 16 * np.finfo(features.dtype).eps * (1 + np.abs(features).max(initial=0))
    if not (np.isfinite(sigma_y) and np.isfinite(sigma_x) and np.all(error <= tolerance)):
        wrong = int(np.argmax(~(np.max(error, axis=1, initial=0) <= tolerance)))
        raise ValueError(
            f"{op}: a truncated filter needs the features (x/θ_x, y/θ_y) of an image of {shape[0]} × {shape[1]} "
            f"pixels, in row-major order; point {wrong} has {features[wrong].tolist()}"
        )
