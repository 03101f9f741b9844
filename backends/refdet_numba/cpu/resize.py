"""Resizing: taps and weights are the reference's, the sums those of `refdet_numba.cpu.interpolation`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.interpolation import Ratio, Taps, cubic_taps, linear_taps, nearest_taps, source_coordinates
from refdet.ops.resize import ResizeResidual
from refdet_numba.cpu.interpolation import interpolate, interpolate_adjoint

Answer = tuple[Array, ResizeResidual | None]
Gradients = tuple[Array | None, ...]
TapsOfAxis = Callable[[Array, int, np.dtype[np.floating]], Taps]


def nearest_forward(
    x: Array, *, size: Pair, ratio: Ratio, coordinates: str, rounding: str, keep_residual: bool
) -> Answer:
    """Return x at `size`, every output a copy of one pixel."""
    return _forward(x, _axes(x, size, ratio, coordinates, _nearest(rounding)), keep_residual)


def nearest_backward(
    residual: ResizeResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    size: Pair,
    ratio: Ratio,
    coordinates: str,
    rounding: str,
) -> Gradients:
    """Return dx: each pixel receives the sum over its copies."""
    return _backward(dy, residual.x, _axes(residual.x, size, ratio, coordinates, _nearest(rounding)))


def bilinear_forward(x: Array, *, size: Pair, ratio: Ratio, coordinates: str, keep_residual: bool) -> Answer:
    """Return x at `size`, every output between the 2 × 2 pixels around it."""
    return _forward(x, _axes(x, size, ratio, coordinates, linear_taps), keep_residual)


def bilinear_backward(
    residual: ResizeResidual, dy: Array, *, needs: tuple[bool], size: Pair, ratio: Ratio, coordinates: str
) -> Gradients:
    """Return dx, by the weights of the forward pass."""
    return _backward(dy, residual.x, _axes(residual.x, size, ratio, coordinates, linear_taps))


def bicubic_forward(x: Array, *, size: Pair, ratio: Ratio, coordinates: str, a: float, keep_residual: bool) -> Answer:
    """Return x at `size`, by Keys' kernel on the 4 × 4 pixels around each output."""
    return _forward(x, _axes(x, size, ratio, coordinates, _cubic(a)), keep_residual)


def bicubic_backward(
    residual: ResizeResidual, dy: Array, *, needs: tuple[bool], size: Pair, ratio: Ratio, coordinates: str, a: float
) -> Gradients:
    """Return dx, by the weights of the forward pass."""
    return _backward(dy, residual.x, _axes(residual.x, size, ratio, coordinates, _cubic(a)))


def _nearest(rounding: str) -> TapsOfAxis:
    return lambda c, n_in, dtype: nearest_taps(c, n_in, dtype, rounding=rounding)


def _cubic(a: float) -> TapsOfAxis:
    return lambda c, n_in, dtype: cubic_taps(c, n_in, dtype, a=a)


def _axes(x: Array, size: Pair, ratio: Ratio, coordinates: str, taps: TapsOfAxis) -> tuple[Taps, Taps]:
    """Return the taps of the vertical and of the horizontal axis."""
    dtype = x.dtype.newbyteorder("=")
    rows, columns = (
        taps(source_coordinates(n_in, n_out, ratio=r, coordinates=coordinates), n_in, dtype)
        for n_in, n_out, r in zip(x.shape[2:], size, ratio, strict=True)
    )
    return rows, columns


def _forward(x: Array, axes: tuple[Taps, Taps], keep_residual: bool) -> Answer:
    return interpolate(x, *axes), ResizeResidual(x) if keep_residual else None


def _backward(dy: Array, x: Array, axes: tuple[Taps, Taps]) -> Gradients:
    return (interpolate_adjoint(dy, *axes, x.shape[2:]),)
