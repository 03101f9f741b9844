"""RoIAlign: tables of pixels and weights for each region, then a thread for CHANNELS channels of each bin or pixel.

`roi_align_tables` says what the tables hold. With them the mean needs no coordinates:

    forward, for each region, bin (p, q), group of channels:
        y = Σ_w B[q, w] · Σ_h A[p, h] · x[h, w]            over the pixels that the bin reads
    backward, for each image, pixel (h, w), group of channels:
        for each region of the image that reads near the pixel, in their order:
            dx += Σ_p A[p, h] · Σ_q B[q, w] · dy[p, q]     over the bins that read the pixel

and for the largest point:

    forward, for each region, bin, group of channels: for each point in row-major order:
        value = ((0 + w00 · x00) + w01 · x01) + … over the pixels that exist
        keep it if it is the first, larger than the best, or the first NaN
    backward, for each image, pixel, channel:
        for each such region, each tap, each bin that reads the pixel:
            add dy · weight if the tap of the winning point is the pixel

A pixel collects its gradients itself, so nothing is added from two threads, and in the order of the reference; it looks
at all R regions, R·N·C·H·W / CHANNELS tests in all, of four numbers that neighbouring threads share. A weight of the
largest point is a product in float64, rounded once, so that values, and therefore winners, have the same bits. A winner
that is not a point of its bin has no pixel.

Workspace: of each region (PH + PW)·M entries of 4 + 8 bytes, and 8 again where they are rounded to float32, where
M = min(2·g, max(H, W)) and g is the largest number of points; the backward pass adds PH·H + PW·W weights. The largest
point takes (PH + PW)·2·g entries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64

from refdet.core.geometry import Pair
from refdet.ops.roi_align import RoiAlignResidual
from refdet.ops.roi_sampling import Sampling
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.roi_align_tables import dense_weights, grids_of, mean_weights, point_taps, regions
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit, multiply

THREADS = 32 if IN_SIMULATOR else 128
CHANNELS = 4  # of a thread


def forward(
    x: Any,
    rois: Any,
    *,
    output_size: Pair,
    scale: float,
    sampling_ratio: int,
    aligned: bool,
    border: str,
    reduction: str,
    keep_residual: bool,
) -> tuple[Any, RoiAlignResidual | None]:
    """Return y (R, C, PH, PW) and the residual, as the reference does."""
    given, rois, pixels_of = rois, contiguous(rois), contiguous(x)
    y = np.empty_like(x, shape=(len(rois), x.shape[1], *output_size), order="C")
    grids = grids_of(rois, x.shape[2:], Sampling(output_size, scale, sampling_ratio, aligned), border)
    n_threads = len(rois) * blocks_for(x.shape[1], CHANNELS) * output_size[0] * output_size[1]
    blocks, name, winners = blocks_for(n_threads, THREADS), x.dtype.name, None
    if reduction == "mean":
        launch(MEAN[name], blocks, THREADS, pixels_of, rois, *mean_weights(rois, grids, x.dtype), y)
    else:
        winners = np.empty_like(y, dtype=np.int64)
        pixels, weights = point_taps(rois, grids)
        table = regions(rois, grids, x.shape[0], pixels)
        launch(LARGEST[name], blocks, THREADS, pixels_of, table, pixels, weights, y, winners)
    return y, RoiAlignResidual(x, given, winners) if keep_residual else None


def backward(
    residual: RoiAlignResidual,
    dy: Any,
    *,
    needs: tuple[bool, bool],
    output_size: Pair,
    scale: float,
    sampling_ratio: int,
    aligned: bool,
    border: str,
    reduction: str,
) -> tuple[Any | None, ...]:
    """Return dx: every dy times the weight with which a pixel was read, region by region."""
    if not needs[0]:
        return None, None
    x, winners = residual.x, residual.winners
    rois, dy = contiguous(residual.rois), contiguous(dy)
    dx = np.empty_like(dy, shape=x.shape)
    grids = grids_of(rois, x.shape[2:], Sampling(output_size, scale, sampling_ratio, aligned), border)
    pixels, weights = mean_weights(rois, grids, dy.dtype)
    table, dense = regions(rois, grids, x.shape[0], pixels), dense_weights(pixels, weights, grids)
    if winners is None:
        n_threads = x.shape[0] * blocks_for(x.shape[1], CHANNELS) * x.shape[2] * x.shape[3]
        launch(MEAN_ADJOINT[dy.dtype.name], blocks_for(n_threads, THREADS), THREADS, dy, table, *dense, dx)
    else:
        arguments = dy, contiguous(winners), table, *dense, *point_taps(rois, grids), dx
        launch(LARGEST_ADJOINT[dy.dtype.name], blocks_for(dx.size, THREADS), THREADS, *arguments)
    return dx, None


def _mean(dtype: Any) -> Any:
    """Return the kernel for arrays of a dtype."""

    @jit()
    def roi_align_mean(x: Any, rois: Any, pixels: Any, weights: Any, y: Any) -> None:
        R, C, PH, PW = y.shape
        n_groups, n_entries = (C + CHANNELS - 1) // CHANNELS, pixels.shape[2]
        totals, bands = cuda.local.array(CHANNELS, dtype), cuda.local.array(CHANNELS, dtype)
        zero = dtype(0)
        index = cuda.grid(1)
        if index < R * n_groups * PH * PW:
            q, p = index % PW, index // PW % PH
            first = index // (PH * PW) % n_groups * CHANNELS
            r = index // (PH * PW) // n_groups
            image = int64(rois[r, 0])
            for k in range(CHANNELS):
                totals[k] = zero
            if 0 <= image < x.shape[0]:
                for column in range(n_entries):
                    w = pixels[r, PH + q, column]
                    if w < 0:
                        break
                    for k in range(CHANNELS):
                        bands[k] = zero
                    for row in range(n_entries):
                        h = pixels[r, p, row]
                        if h < 0:
                            break
                        weight = weights[r, p, row]
                        for k in range(CHANNELS):
                            bands[k] += x[image, min(first + k, C - 1), h, w] * weight
                    weight = weights[r, PH + q, column]
                    for k in range(CHANNELS):
                        totals[k] += bands[k] * weight
            for k in range(CHANNELS):
                if first + k < C:
                    y[r, first + k, p, q] = totals[k]

    return roi_align_mean


def _mean_adjoint(dtype: Any) -> Any:
    @jit()
    def roi_align_mean_adjoint(dy: Any, regions: Any, rows: Any, columns: Any, dx: Any) -> None:
        R, _, PH, PW = dy.shape
        N, C, H, W = dx.shape
        n_groups = (C + CHANNELS - 1) // CHANNELS
        totals, bands = cuda.local.array(CHANNELS, dtype), cuda.local.array(CHANNELS, dtype)
        zero = dtype(0)
        index = cuda.grid(1)
        if index < N * n_groups * H * W:
            w, h = index % W, index // W % H
            first = index // (H * W) % n_groups * CHANNELS
            n = index // (H * W) // n_groups
            for k in range(CHANNELS):
                totals[k] = zero
            for r in range(R):
                if regions[r, 0] == n and regions[r, 1] <= h < regions[r, 2] and regions[r, 3] <= w < regions[r, 4]:
                    for p in range(PH):
                        row_weight = rows[r, h, p]
                        if row_weight >= zero:
                            for k in range(CHANNELS):
                                bands[k] = zero
                            for q in range(PW):
                                weight = columns[r, w, q]
                                if weight >= zero:
                                    for k in range(CHANNELS):
                                        bands[k] += dy[r, min(first + k, C - 1), p, q] * weight
                            for k in range(CHANNELS):
                                totals[k] += bands[k] * row_weight
            for k in range(CHANNELS):
                if first + k < C:
                    dx[n, first + k, h, w] = totals[k]

    return roi_align_mean_adjoint


def _largest(dtype: Any) -> Any:
    @jit()
    def roi_align_largest(x: Any, regions: Any, pixels: Any, weights: Any, y: Any, winners: Any) -> None:
        R, C, PH, PW = y.shape
        n_groups = (C + CHANNELS - 1) // CHANNELS
        values, bests = cuda.local.array(CHANNELS, dtype), cuda.local.array(CHANNELS, dtype)
        numbers = cuda.local.array(CHANNELS, int64)
        zero = dtype(0)
        index = cuda.grid(1)
        if index < R * n_groups * PH * PW:
            q, p = index % PW, index // PW % PH
            first = index // (PH * PW) % n_groups * CHANNELS
            r = index // (PH * PW) // n_groups
            image, g_h, g_w = regions[r, 0], regions[r, 5], regions[r, 6]
            for k in range(CHANNELS):
                bests[k], numbers[k] = zero, -1
            for i in range(g_h if image >= 0 else 0):
                for j in range(g_w):
                    for k in range(CHANNELS):
                        values[k] = zero
                    for tap in range(4):
                        row, column = 2 * i + tap // 2, 2 * j + tap % 2
                        h, w = pixels[r, p, row], pixels[r, PH + q, column]
                        if h >= 0 and w >= 0:
                            weight = dtype(multiply(weights[r, p, row], weights[r, PH + q, column]))
                            for k in range(CHANNELS):
                                values[k] += multiply(x[image, min(first + k, C - 1), h, w], weight)
                    for k in range(CHANNELS):
                        value, best = values[k], bests[k]
                        # `value != value` is True of a NaN alone
                        if numbers[k] < 0 or value > best or (value != value and best == best):
                            bests[k], numbers[k] = value, i * g_w + j
            for k in range(CHANNELS):
                if first + k < C:
                    y[r, first + k, p, q], winners[r, first + k, p, q] = bests[k], numbers[k]

    return roi_align_largest


def _largest_adjoint(dtype: Any) -> Any:
    @jit()
    def roi_align_largest_adjoint(
        dy: Any, winners: Any, regions: Any, rows: Any, columns: Any, pixels: Any, weights: Any, dx: Any
    ) -> None:
        R, _, PH, PW = dy.shape
        _, C, H, W = dx.shape
        zero = dtype(0)
        index = cuda.grid(1)
        if index < dx.size:
            w, h = index % W, index // W % H
            c, n = index // (H * W) % C, index // (H * W) // C
            total = zero
            for r in range(R):
                if regions[r, 0] == n and regions[r, 1] <= h < regions[r, 2] and regions[r, 3] <= w < regions[r, 4]:
                    g_h, g_w = regions[r, 5], regions[r, 6]
                    for tap in range(4):
                        for p in range(PH):
                            if rows[r, h, p] >= zero:
                                for q in range(PW):
                                    winner = winners[r, c, p, q]
                                    if columns[r, w, q] >= zero and 0 <= winner < g_h * g_w:
                                        row, column = 2 * (winner // g_w) + tap // 2, 2 * (winner % g_w) + tap % 2
                                        if pixels[r, p, row] == h and pixels[r, PH + q, column] == w:
                                            weight = dtype(multiply(weights[r, p, row], weights[r, PH + q, column]))
                                            total += multiply(dy[r, c, p, q], weight)
            dx[n, c, h, w] = total

    return roi_align_largest_adjoint


_mean_float32, _mean_float64 = _mean(float32), _mean(float64)
_mean_adjoint_float32, _mean_adjoint_float64 = _mean_adjoint(float32), _mean_adjoint(float64)
_largest_float32, _largest_float64 = _largest(float32), _largest(float64)
_largest_adjoint_float32, _largest_adjoint_float64 = _largest_adjoint(float32), _largest_adjoint(float64)
MEAN = {"float32": _mean_float32, "float64": _mean_float64}
MEAN_ADJOINT = {"float32": _mean_adjoint_float32, "float64": _mean_adjoint_float64}
LARGEST = {"float32": _largest_float32, "float64": _largest_float64}
LARGEST_ADJOINT = {"float32": _largest_adjoint_float32, "float64": _largest_adjoint_float64}


def _assembled(t: Any) -> list[Assembled]:
    """Return the limits; weights of the largest point are products in float64, of which each decides a comparison."""
    maps, pixels, exact, of_dtype = array(t, 4), array(int32, 3), array(float64, 3), array(t, 3)
    table, winners, name = array(int32, 2), array(int64, 4), t.name
    return [
        Assembled(MEAN[name], [maps, array(t, 2), pixels, of_dtype, maps], 84, float64=t is float64),
        Assembled(MEAN_ADJOINT[name], [maps, table, of_dtype, of_dtype, maps], 100, float64=t is float64),
        Assembled(LARGEST[name], [maps, table, pixels, exact, maps, winners], 104, float64=True, fused=False),
        Assembled(
            LARGEST_ADJOINT[name],
            [maps, winners, table, of_dtype, of_dtype, pixels, exact, maps],
            100,
            float64=True,
            fused=False,
        ),
    ]


ASSEMBLED = [*_assembled(float32), *_assembled(float64)]
