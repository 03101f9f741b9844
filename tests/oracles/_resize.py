"""Separable interpolation: every output pixel is a weighted sum of input pixels.

    y[..., i, j] = sum_{a, b} wy_a wx_b x[..., clamp(row_a), clamp(column_b)]

where (row_a, wy_a) are the taps of output row i, those of the source coordinate that the convention gives it:

    half_pixel      u = (i + 0.5) ratio - 0.5
    asymmetric      u = i ratio
    align_corners   u = i (in - 1) / (out - 1), or 0 if out = 1; the ratio is not read

and likewise for columns. A tap outside the image reads the border pixel; its weight stays. dx sums dy times the same
weights by source pixel.

Source: ONNX operator Resize, "coordinate_transformation_mode".
"""

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from tests.oracles._sums import Array, Float64Array, Index, scatter_sum

Size = tuple[int, int]
Ratio = tuple[float, float]
Taps = list[tuple[int, float]]  # (source position, weight)
TapRule = Callable[[float], Taps]  # from the source coordinate


def resample(x: Array, size: Size, ratio: Ratio, coordinates: str, taps: TapRule) -> Float64Array:
    """Return y, shape (..., *size)."""
    y_shape = (*x.shape[:-2], *size)
    products = _products(x.shape, y_shape, ratio, coordinates, taps)
    return scatter_sum(y_shape, ((output, weight * float(x[source])) for output, source, weight in products))


def resample_adjoint(x_shape: Index, dy: Array, ratio: Ratio, coordinates: str, taps: TapRule) -> Float64Array:
    """Return dx, shape x_shape."""
    products = _products(x_shape, dy.shape, ratio, coordinates, taps)
    return scatter_sum(x_shape, ((source, weight * float(dy[output])) for output, source, weight in products))


def source_coordinate(i: int, n_in: int, n_out: int, ratio: float, coordinates: str) -> float:
    """Return the coordinate, in units of input pixels, that output position i looks at."""
    if coordinates == "align_corners":
        return float(Fraction(i * (n_in - 1), n_out - 1)) if n_out > 1 else 0.0
    exact_ratio = Fraction(n_in, n_out) if ratio == n_in / n_out else Fraction(ratio)
    if coordinates == "half_pixel":
        return float((i + Fraction(1, 2)) * exact_ratio - Fraction(1, 2))
    return float(i * exact_ratio)


def split(u: float) -> tuple[int, float]:
    """Return the pixel at or before u, and how far u lies beyond it, 0 <= t < 1."""
    return math.floor(u), u - math.floor(u)


def _products(
    x_shape: Index, y_shape: Index, ratio: Ratio, coordinates: str, taps: TapRule
) -> Iterator[tuple[Index, Index, float]]:
    """Yield (output, source, weight) for every term of the definition."""
    row_taps, column_taps = (
        [
            [(min(max(position, 0), n_in - 1), weight) for position, weight in taps(u)]
            for u in (source_coordinate(i, n_in, n_out, r, coordinates) for i in range(n_out))
        ]
        for n_in, n_out, r in zip(x_shape[-2:], y_shape[-2:], ratio, strict=True)
    )
    for *plane, i, j in np.ndindex(y_shape):
        for row, row_weight in row_taps[i]:
            for column, column_weight in column_taps[j]:
                yield (*plane, i, j), (*plane, row, column), row_weight * column_weight
