"""Features of the points of an image, whose distances make the Gaussian kernels of a fully connected CRF.

    k(f_i, f_j) = exp(−½ (f_i − f_j)ᵀ Q (f_i − f_j)) = exp(−½ |f'_i − f'_j|²),    f' = Q^½ f

    position     f' = (x/θ, y/θ)                               smoothness
    bilateral    f' = (x/θ_α, y/θ_α, R/θ_β, G/θ_β, B/θ_β)      appearance

Deck 004, "Gaussian Edge Potentials" and "What are these features?"; Krähenbühl & Koltun, "Efficient inference in fully
connected CRFs with Gaussian edge potentials", NIPS 2011, §2. Every kernel of this package takes f', already divided.

Conventions:

- Rows are points: point p = y·W + x of an image of W columns, x and y counted from 0 at the first pixel's centre.
- x comes before y, and both before the colours. pydensecrf's `addPairwiseGaussian` and `addPairwiseBilateral` have
  that order; its `utils.create_pairwise_*` have y first. Distances are the same, but not the cells of a permutohedral
  lattice, so that results differ a little. `order="yx"` is for comparisons with them.
- The pairs (θ_x, θ_y) are in the order x, y whatever `order` is.
- Features are computed in float64 and rounded once. `dtype` is "float32", "float64" or the dtype of another array, as
  in `dtype=unary.dtype`: all parts of a CRF have to agree.
- NaN passes through; inference refuses it.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import (
    Array,
    Numbers,
    check_choice,
    check_floating,
    check_rank,
    check_shape,
    integers,
    positive_numbers,
    shape_of,
)
from refdet.crf.float_dtype import DTypeName, float_dtype

ORDERS = ("xy", "yx")
ASYMMETRY = {"float32": 1e-4, "float64": 1e-9}  # relative to the largest entry: what the rounding of an inverse leaves


def position_features(
    shape: tuple[int, int], theta: float | Numbers, *, order: str = "xy", dtype: DTypeName = "float64"
) -> Array:
    """Return the positions of all pixels, divided by θ.

    Args:
        shape: (H, W) of the image.
        theta: θ > 0 in pixels, or (θ_x, θ_y).
        order: "xy" or "yx": which coordinate is column 0.
        dtype: float32 or float64.

    Returns:
        (H·W, 2), in row-major order of the pixels.

    Two rows of two pixels:

    >>> position_features((2, 2), 2)
    array([[0. , 0. ],
           [0.5, 0. ],
           [0. , 0.5],
           [0.5, 0.5]])
    """
    H, W = integers("position_features", "shape", shape, count=2, low=0)
    check_choice("position_features", "order", order, ORDERS)
    theta_x, theta_y = _scales("position_features", "theta", theta, 2)
    return _positions(H, W, theta_x, theta_y, order).astype(float_dtype("position_features", dtype))


def bilateral_features(
    image: Array,
    theta_position: float | Numbers,
    theta_colour: float | Numbers,
    *,
    order: str = "xy",
    dtype: DTypeName | None = None,
) -> Array:
    """Return the positions and colours of all pixels, each divided by its θ.

    Args:
        image: (H, W, C), float32 or float64, or integers of any kind, such as uint8 in 0 … 255.
        theta_position: θ_α > 0 in pixels, or (θ_x, θ_y).
        theta_colour: θ_β > 0 in the unit of the image, or one for each channel.
        order: "xy" or "yx": which coordinate is column 0.
        dtype: float32 or float64; None for that of a floating-point image, and for float64 if it holds integers.

    Returns:
        (H·W, 2 + C), in row-major order of the pixels.

    A black and a red pixel side by side:

    >>> bilateral_features(np.array([[[0, 0, 0], [255, 0, 0]]], np.uint8), 2, 51)
    array([[0. , 0. , 0. , 0. , 0. ],
           [0.5, 0. , 5. , 0. , 0. ]])
    """
    check_rank("bilateral_features", "image", image, "H, W, C")
    if image.dtype.kind not in "iu":
        check_floating("bilateral_features", image=image)
    check_choice("bilateral_features", "order", order, ORDERS)
    H, W, C = shape_of(image)
    theta_x, theta_y = _scales("bilateral_features", "theta_position", theta_position, 2)
    theta_colours = np.array(_scales("bilateral_features", "theta_colour", theta_colour, C), np.float64)
    colours = np.reshape(image, (H * W, C)) / theta_colours
    features = np.concatenate([_positions(H, W, theta_x, theta_y, order), colours], axis=1)
    return features.astype(float_dtype("bilateral_features", dtype, like=image))


def whiten(features: Array, precision: Array) -> Array:
    """Return f' = Q^½ f, so that exp(−½ |f'_i − f'_j|²) is the kernel whose precision matrix is Q.

    Args:
        features: (N, d), float32 or float64.
        precision: Q, (d, d), symmetric positive definite, or (d,), the positive diagonal of such a matrix; float32 or
            float64. Where an inverse has left Q a little asymmetric, its symmetric part counts.

    Returns:
        (N, d), of the dtype of the features. Q^½ is the symmetric square root.

    Variances of 4 and 1/4, that is standard deviations of 2 and 1/2:

    >>> whiten(np.array([[6.0, 1.0]]), np.array([0.25, 4.0]))
    array([[3., 2.]])
    """
    check_rank("whiten", "features", features, "N, d")
    check_floating("whiten", features=features)
    check_floating("whiten", precision=precision)
    d = shape_of(features)[1]
    if precision.ndim == 1:
        check_shape("whiten", "precision", precision, (d,), "one number per column of features, or a matrix")
    else:
        check_shape("whiten", "precision", precision, (d, d), "one row and one column per column of features")
    q = np.asarray(precision, np.float64)
    if not np.isfinite(q).all():
        raise ValueError(f"whiten: precision must be finite, got {q[~np.isfinite(q)][0]}")
    f = np.asarray(features, np.float64)
    if q.ndim == 1:
        if not (q > 0).all():
            raise ValueError(f"whiten: precision must be positive, got {q[~(q > 0)][0]:g}")
        whitened = f * np.sqrt(q)
    else:
        # Rows are points, and the square root is its own transpose.
        whitened = f @ _square_root(q, ASYMMETRY[precision.dtype.name])
    return whitened.astype(np.result_type(features))


def _square_root(q: Array, asymmetry: float) -> Array:
    """Return the symmetric square root by eigenvalues; refuse what is not symmetric positive definite."""
    if not q.size:
        return q
    if np.abs(q - q.T).max() > asymmetry * np.abs(q).max():
        i, j = (int(k) for k in np.unravel_index(np.argmax(np.abs(q - q.T)), q.shape))
        raise ValueError(f"whiten: precision must be symmetric, got {q[i, j]:g} at {i, j} but {q[j, i]:g} at {j, i}")
    eigenvalues, vectors = np.linalg.eigh((q + q.T) / 2)
    # Rounding alone moves the eigenvalues of a singular matrix this far from 0.
    if eigenvalues[0] <= len(q) * np.finfo(np.float64).eps * eigenvalues[-1]:
        raise ValueError(f"whiten: precision must be positive definite, got the eigenvalue {eigenvalues[0]:g}")
    root: Array = (vectors * np.sqrt(eigenvalues)) @ vectors.T
    return root


def _positions(H: int, W: int, theta_x: float, theta_y: float, order: str) -> Array:
    """Return x/θ_x and y/θ_y of all pixels, (H·W, 2) float64."""
    y, x = np.indices((H, W), np.float64).reshape(2, H * W)
    columns = {"x": x / theta_x, "y": y / theta_y}
    return np.stack([columns[name] for name in order], axis=1)


def _scales(op: str, name: str, theta: float | Numbers, count: int) -> tuple[float, ...]:
    """Return `count` positive numbers from one or as many."""
    several = np.ndim(theta) > 0
    scales = positive_numbers(op, name, theta if several else [theta] * count)  # type: ignore[arg-type, list-item]
    if len(scales) != count:
        raise ValueError(f"{op}: {name} must be a positive number or {count} of them, got {theta!r}")
    return scales
