"""Nearest-neighbour resizing: the one tap of a source coordinate u is the nearest pixel, by the stated rounding.

    rounding                 pixel
    "floor"                  floor(u)
    "ceil"                   ceil(u)
    "round_prefer_floor"     the nearest; of two, the one before u
    "round_prefer_ceil"      the nearest; of two, the one after u

Source coordinates and the clamp at the border: tests/oracles/_resize.py.

Source: ONNX operator Resize, "nearest_mode".
"""

import math

from tests.oracles._resize import Ratio, Size, Taps, resample, resample_adjoint, split
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, *, size: Size, ratio: Ratio, coordinates: str, rounding: str) -> Float64Array:
    """Return y, shape (..., *size)."""
    return resample(x, size, ratio, coordinates, lambda u: _taps(u, rounding))


def backward(x: Array, *, dy: Array, size: Size, ratio: Ratio, coordinates: str, rounding: str) -> tuple[Float64Array]:
    """Return (dx,)."""
    return (resample_adjoint(x.shape, dy, ratio, coordinates, lambda u: _taps(u, rounding)),)


def _taps(u: float, rounding: str) -> Taps:
    before, t = split(u)
    if rounding == "floor":
        return [(before, 1.0)]
    if rounding == "ceil":
        return [(math.ceil(u), 1.0)]
    after_wins = t > 0.5 or (t == 0.5 and rounding == "round_prefer_ceil")
    return [(before + after_wins, 1.0)]
