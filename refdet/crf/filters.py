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

Every step is the call of a kernel, so that the filters of a `DenseCRF` run on the backend in use. Those inside the
kernels `mean_field` and `mean_field_sequential` are references, as the bodies of these are.

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
from typing import Protocol, cast

import numpy as np

from refdet.core.check import Array
from refdet.crf.gaussian_kernel import GaussianKernelResidual, gaussian_kernel_backward, gaussian_kernel_forward
from refdet.crf.lattice import slice_scale
from refdet.crf.lattice_blur import lattice_blur_forward
from refdet.crf.lattice_embed import LatticeEmbedResidual, lattice_embed_backward, lattice_embed_forward
from refdet.crf.lattice_index import lattice_index_kernel
from refdet.crf.lattice_slice import lattice_slice_forward
from refdet.crf.lattice_splat import LatticeSplatResidual, lattice_splat_backward, lattice_splat_forward
from refdet.crf.truncated_gaussian import truncated_gaussian_forward

FILTERS = ("exact", "truncated", "lattice")
EXPONENTS = {"none": (0.0, 0.0), "before": (0.0, -1.0), "after": (-1.0, 0.0), "symmetric": (-0.5, -0.5)}
NORM_FLOOR = 1e-20  # of the authors' densecrf, as of CRF-as-RNN and of bilateralNN
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
        self.features, self.exclude_self = features, exclude_self
        self.matrix, _ = gaussian_kernel_forward(features, exclude_self=exclude_self, keep_residual=False)

    def apply(self, values: Array) -> Array:
        """Return K v."""
        return self.matrix @ values

    def transpose(self, values: Array) -> Array:
        """Return Kᵀ v."""
        return self.matrix.T @ values

    def features_gradient(self, a: Array, b: Array) -> Array:
        """Σ_l Σ_i Σ_j a_il K_ij b_jl has the gradient a bᵀ with respect to K."""
        residual = GaussianKernelResidual(self.features, self.matrix)
        (df,) = gaussian_kernel_backward(residual, a @ b.T, needs=(True,), exclude_self=self.exclude_self)
        return cast(Array, df)


class TruncatedFilter:
    """K v by two short convolutions, where the points are the pixels of an image and the features their position."""

    def __init__(self, features: Array, shape: Shape) -> None:
        self.shape, self.sigma = shape, grid_sigma(features, shape)

    def apply(self, values: Array) -> Array:
        """Return K v."""
        image = np.reshape(values, (*self.shape, values.shape[1]))
        filtered, _ = truncated_gaussian_forward(image, sigma=self.sigma, truncate=TRUNCATE, keep_residual=False)
        return np.reshape(filtered, values.shape)

    def transpose(self, values: Array) -> Array:
        """Return Kᵀ v = K v."""
        return self.apply(values)

    def features_gradient(self, a: Array, b: Array) -> Array:
        """Refuse: of the features only the spacing of the pixels is used."""
        raise ValueError("truncated filter: its features are the fixed grid of the pixels and have no gradient")


class LatticeFilter:
    """K v by splatting onto the permutohedral lattice of the features, blurring there, and slicing.

    What `refdet.crf.lattice.Lattice` does on tensors, on arrays.
    """

    def __init__(self, features: Array) -> None:
        (self.weights, keys), embedded = lattice_embed_forward(features, keep_residual=True)
        self.embedded = cast(LatticeEmbedResidual, embedded)
        vertices, self.ids, self.neighbours = lattice_index_kernel(keys)
        self.n_vertices, self.scale = len(vertices), slice_scale(features.shape[1])

    def apply(self, values: Array) -> Array:
        """Return slice(blur(splat v))."""
        return self._slice(self._blurred(values, reverse=False))

    def transpose(self, values: Array) -> Array:
        """Return the same with the axes of the blur in the opposite order."""
        return self._slice(self._blurred(values, reverse=True))

    def features_gradient(self, a: Array, b: Array) -> Array:
        """Through the weights by which the blurred b is sliced, and through those by which b is splatted.

        Splatting sees an a that is blurred in reverse. (The code of Krähenbühl & Koltun (2013) swaps the two orders,
        which makes the gradient of Σ b ∘ K a.)
        """
        dslice = self._weights_gradient(a, self._blurred(b, reverse=False))
        dsplat = self._weights_gradient(b, self._blurred(a, reverse=True))
        (df,) = lattice_embed_backward(self.embedded, self.scale * (dslice + dsplat), needs=(True,))
        return cast(Array, df)

    def _blurred(self, values: Array, *, reverse: bool) -> Array:
        """Return the values on the vertices, (M, V), splat and blurred."""
        z, _ = lattice_splat_forward(values, self.weights, self.ids, n_vertices=self.n_vertices, keep_residual=False)
        z, _ = lattice_blur_forward(z, self.neighbours, reverse=reverse, keep_residual=False)
        return z

    def _slice(self, z: Array) -> Array:
        """Return the values at the points, (N, V)."""
        y, _ = lattice_slice_forward(z, self.weights, self.ids, scale=self.scale, keep_residual=False)
        return y

    def _weights_gradient(self, values: Array, z: Array) -> Array:
        """Return ∂(Σ_v z ∘ splat(values))/∂weights = ⟨values_i, z at corner k of i⟩, (N, d + 1)."""
        splat = LatticeSplatResidual(values, self.weights, self.ids)
        _, dweights, _ = lattice_splat_backward(splat, z, needs=(False, True, False), n_vertices=self.n_vertices)
        return cast(Array, dweights)


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
    ones = np.ones_like(features, shape=(len(features), 1), dtype=np.result_type(features))
    return NormalisedFilter(kernel, normalisation, ones)


def split_features(features: Array, dimensions: Sequence[int]) -> list[Array]:
    """Return the columns that belong to each kernel."""
    return np.split(features, np.cumsum(dimensions)[:-1].tolist(), axis=1) if len(dimensions) else []


def grid_sigma(features: Array, shape: Shape) -> tuple[float, float]:
    """Return (θ_y, θ_x) of features (x/θ_x, y/θ_y); 1 where nothing depends on it, for want of a second pixel."""
    H, W = shape
    grid = np.reshape(features, (H, W, 2)).astype(np.float64)
    with np.errstate(divide="ignore"):
        sigma_y = abs((H - 1) / (grid[-1, 0, 1] - grid[0, 0, 1])) if H > 1 and W else 1.0
        sigma_x = abs((W - 1) / (grid[0, -1, 0] - grid[0, 0, 0])) if W > 1 and H else 1.0
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
