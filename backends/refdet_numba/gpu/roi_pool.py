"""RoI pooling: bounds of the bins of each region, then a thread for each bin, or for CHANNELS channels of each pixel.

    bounds, for each region and bin of either axis: the pixels that it takes, start and stop
    forward, for each region, channel, bin: visit its pixels in row-major order and keep
        the first, a larger one, or the first NaN
    backward, for each image, pixel, group of channels:
        for each region of the image that holds the pixel, in their order:
            for each bin that holds it, in row-major order: add the dy of those whose switch names it

A pixel collects its gradients itself, so nothing is added from two threads, and in the order of the reference; it looks
at all R regions, R·N·C·H·W / CHANNELS tests in all, of numbers that neighbouring threads share. A switch that does not
lie in its bin is not followed, and a region of an image that does not exist has empty bins.

Workspace: 8·(PH + PW) bytes for each region.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import boolean, float32, float64, int32, int64, types

from refdet.core.geometry import Pair
from refdet.ops.roi_pool import RoiPoolResidual
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, device_function, jit, multiply

THREADS = 32 if IN_SIMULATOR else 128
CHANNELS = 4  # of a thread


def forward(
    x: Any, rois: Any, *, output_size: Pair, scale: float, convention: str, keep_residual: bool
) -> tuple[tuple[Any, Any], RoiPoolResidual | None]:
    """Return (y, switches) and the residual, as the reference does."""
    y = np.empty_like(x, shape=(len(rois), x.shape[1], *output_size), order="C")
    switches = np.empty_like(y, dtype=np.int64)
    regions = contiguous(rois)
    bounds = bin_bounds(regions, x.shape[2:], output_size, scale, convention)
    zero = x.dtype.type(0)
    launch(_forward, blocks_for(y.size, THREADS), THREADS, contiguous(x), regions, bounds, zero, y, switches)
    return (y, switches), RoiPoolResidual(x, rois, switches) if keep_residual else None


def backward(
    residual: RoiPoolResidual,
    dy: Any,
    *,
    needs: tuple[bool, bool],
    output_size: Pair,
    scale: float,
    convention: str,
) -> tuple[Any | None, ...]:
    """Return dx: every dy added to the pixel that won its bin."""
    if not needs[0]:
        return None, None
    N, C, H, W = residual.x.shape
    rois = contiguous(residual.rois)
    dx = np.empty_like(dy, shape=(N, C, H, W), order="C")
    bounds = bin_bounds(rois, (H, W), output_size, scale, convention)
    blocks = blocks_for(N * blocks_for(C, CHANNELS) * H * W, THREADS)
    arguments = contiguous(dy), contiguous(residual.switches), rois, bounds, dx
    launch(KERNELS[dy.dtype.name], blocks, THREADS, *arguments)
    return dx, None


def bin_bounds(rois: Any, size: Pair, output_size: Pair, scale: float, convention: str) -> Any:
    """Return start and stop of every row of bins, then of every column of bins, (R, PH + PW, 2), int32."""
    bounds = np.empty_like(rois, shape=(len(rois), sum(output_size), 2), dtype=np.int32)
    blocks, numbers = blocks_for(bounds.size // 2, THREADS), (*output_size, *size)
    launch(_bounds, blocks, THREADS, rois, float(scale), np.float32(scale), convention == "exact", numbers, bounds)
    return bounds


@jit()
def _bounds(rois: Any, scale: Any, rounded_scale: Any, exact: Any, numbers: Any, bounds: Any) -> None:
    PH, PW, H, W = numbers
    index = cuda.grid(1)
    if index < bounds.shape[0] * bounds.shape[1]:
        r, b = index // bounds.shape[1], index % bounds.shape[1]
        p, n_bins, size, low, high = (b, PH, H, rois[r, 2], rois[r, 4])
        if b >= PH:
            p, n_bins, size, low, high = (b - PH, PW, W, rois[r, 1], rois[r, 3])
        if exact:
            start = rounded_half_away(multiply(float64(low), scale))
            extent = max(rounded_half_away(multiply(float64(high), scale)) - start + 1, 1)
            first, stop = p * extent // n_bins, -(-(p + 1) * extent // n_bins)
        else:
            start = rounded_half_away(float64(multiply(float32(low), rounded_scale)))
            extent = max(rounded_half_away(float64(multiply(float32(high), rounded_scale))) - start + 1, 1)
            bin_size = float32(extent) / float32(n_bins)
            first = int64(math.floor(multiply(float32(p), bin_size)))
            stop = int64(math.ceil(multiply(float32(p + 1), bin_size)))
        bounds[r, b, 0], bounds[r, b, 1] = min(max(first + start, 0), size), min(max(stop + start, 0), size)


@device_function
def rounded_half_away(v: Any) -> Any:
    """Return the nearest whole number, of two the one further from 0."""
    whole = int64(v)
    rest = v - float64(whole)  # exact
    return whole + 1 if rest >= 0.5 else whole - 1 if rest <= -0.5 else whole


@device_function
def largest_pixel(x: Any, n: Any, c: Any, rows: Any, columns: Any, empty: Any) -> Any:
    """Return the largest pixel of a rectangle and its index in the plane; `empty` and −1 without a pixel."""
    best, switch, W = empty, int64(-1), x.shape[3]
    for h in range(rows[0], rows[1]):
        for w in range(columns[0], columns[1]):
            value = x[n, c, h, w]
            # `value != value` is True of a NaN alone
            if switch < 0 or value > best or (value != value and best == best):
                best, switch = value, h * W + w
    return best, switch


@jit()
def _forward(x: Any, rois: Any, bounds: Any, zero: Any, y: Any, switches: Any) -> None:
    _, C, PH, PW = y.shape
    index = cuda.grid(1)
    if index < y.size:
        q, p = index % PW, index // PW % PH
        c, r = index // (PH * PW) % C, index // (PH * PW) // C
        image, best, switch = int64(rois[r, 0]), zero, int64(-1)
        if 0 <= image < x.shape[0]:
            best, switch = largest_pixel(x, image, c, bounds[r, p], bounds[r, PH + q], zero)
        y[r, c, p, q], switches[r, c, p, q] = best, switch


def _backward(dtype: Any) -> Any:
    """Return the kernel for arrays of a dtype."""

    @jit()
    def roi_pool_backward(dy: Any, switches: Any, rois: Any, bounds: Any, dx: Any) -> None:
        R, _, PH, PW = dy.shape
        N, C, H, W = dx.shape
        n_groups = (C + CHANNELS - 1) // CHANNELS
        totals = cuda.local.array(CHANNELS, dtype)
        zero = dtype(0)
        index = cuda.grid(1)
        if index < N * n_groups * H * W:
            w, h = index % W, index // W % H
            first = index // (H * W) % n_groups * CHANNELS
            n = index // (H * W) // n_groups
            for k in range(CHANNELS):
                totals[k] = zero
            for r in range(R):
                if (
                    int64(rois[r, 0]) == n
                    and bounds[r, 0, 0] <= h < bounds[r, PH - 1, 1]
                    and bounds[r, PH, 0] <= w < bounds[r, PH + PW - 1, 1]
                ):
                    for p in range(PH):
                        if bounds[r, p, 0] <= h < bounds[r, p, 1]:
                            for q in range(PW):
                                if bounds[r, PH + q, 0] <= w < bounds[r, PH + q, 1]:
                                    for k in range(CHANNELS):
                                        c = min(first + k, C - 1)
                                        if switches[r, c, p, q] == h * W + w:
                                            totals[k] += dy[r, c, p, q]
            for k in range(CHANNELS):
                if first + k < C:
                    dx[n, first + k, h, w] = totals[k]

    return roi_pool_backward


_float32, _float64 = _backward(float32), _backward(float64)
KERNELS = {"float32": _float32, "float64": _float64}


def _assembled(t: Any) -> list[Assembled]:
    """Return the limits; corners are multiplied by the scale in float64, as the reference does."""
    maps, rois, bounds, switches = array(t, 4), array(t, 2), array(int32, 3), array(int64, 4)
    numbers, double = types.UniTuple(int64, 4), t is float64
    return [
        Assembled(_bounds, [rois, float64, float32, boolean, numbers, bounds], 56, float64=True, fused=False),
        Assembled(_forward, [maps, rois, bounds, t, maps, switches], 70, float64=double, fused=False),
        Assembled(KERNELS[t.name], [maps, switches, rois, bounds, maps], 116, float64=double, fused=False),
    ]


ASSEMBLED = [*_assembled(float32), *_assembled(float64)]
