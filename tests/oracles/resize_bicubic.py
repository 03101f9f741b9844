"""Bicubic resizing: the taps of a source coordinate u are its four neighbours, weighted by Keys' kernel.

    u = b + t,  b = floor(u):    pixels b - 1, b, b + 1, b + 2, each with weight W(its distance from u)

    W(s) = (a + 2) |s|^3 - (a + 3) |s|^2 + 1            for |s| <= 1
           a |s|^3 - 5 a |s|^2 + 8 a |s| - 4 a          for 1 < |s| < 2
           0                                            beyond

Source coordinates and the clamp at the border: tests/oracles/_resize.py.

Source: Keys, "Cubic Convolution Interpolation for Digital Image Processing", IEEE TASSP 29 (1981), whose a is -1/2;
torch and, by default, ONNX use a = -3/4.
"""

from tests.oracles._resize import Ratio, Size, Taps, resample, resample_adjoint, split
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, *, size: Size, ratio: Ratio, coordinates: str, a: float) -> Float64Array:
    """Return y, shape (..., *size)."""
    return resample(x, size, ratio, coordinates, lambda u: _taps(u, a))


def backward(x: Array, *, dy: Array, size: Size, ratio: Ratio, coordinates: str, a: float) -> tuple[Float64Array]:
    """Return (dx,)."""
    return (resample_adjoint(x.shape, dy, ratio, coordinates, lambda u: _taps(u, a)),)


def _taps(u: float, a: float) -> Taps:
    before, t = split(u)
    return [(before + k, _keys(abs(k - t), a)) for k in (-1, 0, 1, 2)]


def _keys(s: float, a: float) -> float:
    if s <= 1:
        return (a + 2) * s**3 - (a + 3) * s**2 + 1
    if s < 2:
        return a * s**3 - 5 * a * s**2 + 8 * a * s - 4 * a
    return 0.0
