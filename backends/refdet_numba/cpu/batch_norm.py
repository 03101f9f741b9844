"""Batch normalisation, a channel at a time, which is read while it is in the cache, not once for every step of the sum.

    for each channel (in parallel):
        μ = mean x,  d = mean (x − μ),  σ² = mean (x − μ)² − d²,  μ ← μ + d
        x̂ = (x − μ) / √(σ² + ε),  y = γ x̂ + β

and the gradient back:

        s = Σ dy,  t = Σ dy·x̂,  dβ = s,  dγ = t
        dx = γ / √(σ² + ε) · (dy − s/m − x̂·t/m)               training
        dx = γ / √(σ² + ε) · dy                                inference

The reference takes the mean of (x − μ − d)², which is the same but for rounding: d is what rounding left of the mean
over, so that nothing cancels. Runs of RUN values are added in any order, in the dtype of x; their sums in float64.

A channel belongs to one thread, so the number of threads changes nothing. Workspace: none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.core.elementwise import Gradients
from refdet.ops.batch_norm import BatchNormResidual, Outputs, followed
from refdet.ops.channels import along_channels
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.channel_sums import RUN, add_up
from refdet_numba.cpu.compiling import REORDERED, compiled, compiled_parallel


def forward(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    training: bool,
    momentum: float,
    eps: float,
    convention: str,
    keep_residual: bool,
) -> tuple[Outputs, BatchNormResidual | None]:
    """Return y, the running estimates that follow, and the residual, as the reference does."""
    maps = _by_channel(x)
    C, dtype = maps.shape[1], maps.dtype
    if training or running_mean is None or running_var is None:  # without training they are there
        mean, variance = np.empty(C, dtype), np.empty(C, dtype)
        _statistics(maps, mean, variance)
        m = maps.shape[0] * maps.shape[2]
        new_mean, new_var = followed(running_mean, running_var, mean, variance, m, momentum, convention)
    else:
        mean, variance = native(running_mean), native(running_var)
        new_mean, new_var = running_mean, running_var
    deviation = np.sqrt(variance + dtype.type(eps))
    gain = np.ones(C, dtype) if weight is None else native(weight)
    shift = np.zeros(C, dtype) if bias is None else native(bias)
    y = np.empty_like(maps)
    normalised = np.empty_like(maps) if keep_residual else maps[:0]
    _normalise(maps, mean, deviation, gain, shift, normalised, y)
    outputs = (y.reshape(x.shape), new_mean, new_var)
    if not keep_residual:
        return outputs, None
    return outputs, BatchNormResidual(normalised.reshape(x.shape), along_channels(deviation, x), weight)


def backward(
    residual: BatchNormResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool, bool, bool],
    training: bool,
    momentum: float,
    eps: float,
    convention: str,
) -> Gradients:
    """Return dx, dγ and dβ, those that are needed."""
    gradient, normalised = _by_channel(dy), _by_channel(residual.normalised)
    deviation = native(residual.deviation).reshape(-1)
    gain = 1 / deviation if residual.weight is None else native(residual.weight) / deviation
    s, t = np.empty_like(deviation), np.empty_like(deviation)
    _gradient_sums(gradient, normalised, s, t)
    dx = None
    if needs[0]:
        dx = np.empty_like(gradient)
        m = max(1, gradient.shape[0] * gradient.shape[2])
        gain, mean, mean_product = (v.astype(dx.dtype) for v in (gain, s / m, t / m))
        if training:
            _gradient(gradient, normalised, gain, mean, mean_product, dx)
        else:
            _scale(gradient, gain, dx)
        dx = dx.reshape(dy.shape)
    return dx, t if needs[1] else None, s if needs[2] else None, None, None


def _by_channel(x: Array) -> Array:
    """Return (N, C, L), contiguous and in native byte order."""
    return native(x).reshape(x.shape[0], x.shape[1], math.prod(x.shape[2:]))


@compiled_parallel
def _statistics(x: Any, mean: Any, variance: Any) -> None:
    """Write μ and σ² of every channel; there is at least one value."""
    N, C, L = x.shape
    m = N * L
    for c in prange(C):
        total = 0.0
        for n in range(N):
            for start in range(0, L, RUN):
                total += add_up(x[n, c, start : min(L, start + RUN)])
        first = x.dtype.type(total / m)
        deviations, squares = 0.0, 0.0
        for n in range(N):
            for start in range(0, L, RUN):
                d, d2 = _sums_about(x[n, c, start : min(L, start + RUN)], first)
                deviations += d
                squares += d2
        d = deviations / m
        mean[c] = first + x.dtype.type(d)
        variance[c] = squares / m - d * d


@compiled(fastmath=REORDERED)
def _sums_about(values: Any, centre: Any) -> Any:
    """Return Σ (x − μ) and Σ (x − μ)²."""
    total, squares = values.dtype.type(0), values.dtype.type(0)
    for i in range(values.shape[0]):
        d = values[i] - centre
        total += d
        squares += d * d
    return total, squares


@compiled_parallel
def _normalise(x: Any, mean: Any, deviation: Any, gain: Any, shift: Any, normalised: Any, y: Any) -> None:
    """Write y, and x̂ where there is room for it."""
    N, C, L = x.shape
    for c in prange(C):
        for n in range(N):
            if normalised.shape[0]:
                for i in range(L):
                    value = (x[n, c, i] - mean[c]) / deviation[c]
                    normalised[n, c, i] = value
                    y[n, c, i] = gain[c] * value + shift[c]
            else:
                for i in range(L):
                    y[n, c, i] = gain[c] * ((x[n, c, i] - mean[c]) / deviation[c]) + shift[c]


@compiled_parallel
def _gradient_sums(dy: Any, normalised: Any, s: Any, t: Any) -> None:
    N, C, L = dy.shape
    for c in prange(C):
        of_dy, of_products = 0.0, 0.0
        for n in range(N):
            for start in range(0, L, RUN):
                stop = min(L, start + RUN)
                a, b = _sum_and_inner_product(dy[n, c, start:stop], normalised[n, c, start:stop])
                of_dy += a
                of_products += b
        s[c], t[c] = of_dy, of_products


@compiled(fastmath=REORDERED)
def _sum_and_inner_product(dy: Any, normalised: Any) -> Any:
    """Return Σ dy and Σ dy·x̂."""
    s, t = dy.dtype.type(0), dy.dtype.type(0)
    for i in range(dy.shape[0]):
        s += dy[i]
        t += dy[i] * normalised[i]
    return s, t


@compiled_parallel
def _gradient(dy: Any, normalised: Any, gain: Any, mean: Any, mean_product: Any, dx: Any) -> None:
    N, C, L = dy.shape
    for c in prange(C):
        for n in range(N):
            for i in range(L):
                dx[n, c, i] = gain[c] * (dy[n, c, i] - mean[c] - normalised[n, c, i] * mean_product[c])


@compiled_parallel
def _scale(dy: Any, gain: Any, dx: Any) -> None:
    N, C, L = dy.shape
    for c in prange(C):
        for n in range(N):
            for i in range(L):
                dx[n, c, i] = gain[c] * dy[n, c, i]
