"""Bilinear resizing: the taps of a source coordinate u are its two neighbours, weighted by nearness.

    u = b + t,  b = floor(u):    pixel b with weight 1 - t,  pixel b + 1 with weight t

Source coordinates and the clamp at the border: tests/oracles/_resize.py.

Source: ONNX operator Resize, mode "linear".
"""

from tests.oracles._resize import Ratio, Size, Taps, resample, resample_adjoint, split
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, *, size: Size, ratio: Ratio, coordinates: str) -> Float64Array:
    """Return y, shape (..., *size)."""
    return resample(x, size, ratio, coordinates, _taps)


def backward(x: Array, *, dy: Array, size: Size, ratio: Ratio, coordinates: str) -> tuple[Float64Array]:
    """Return (dx,)."""
    return (resample_adjoint(x.shape, dy, ratio, coordinates, _taps),)


def _taps(u: float) -> Taps:
    before, t = split(u)
    return [(before, 1 - t), (before + 1, t)]
