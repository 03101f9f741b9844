"""Average pooling, a few rows of windows at a time: first down, then across (`window_rows`).

    for each plane (in parallel), for some rows i of windows at a time:
        tall[i, left + w] = Σ_a x[i·s + a − top, w]            over the rows that exist; 0 at padding
        total[u] = Σ_b tall[u + b]
        y[i, j] = total[i, j·s] / D[i, j]

and the gradient back the same way, row by row:

        wide[j·s + b − left] += dy[i, j] / D[i, j]             for every b
        dx[i·s + a − top, w] += wide[w]                        for every a

(The reference adds tap by tap in row-major order, which rounds differently.) A plane belongs to one thread, so the
number of threads changes nothing.

Workspace: per thread 2·max(2048, pitch) numbers, where pitch is the length of a padded row; pitch in the backward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair
from refdet.ops.avg_pool2d import AvgPool2dResidual
from refdet.ops.pooling import PoolingWindows
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.planes import planes_of
from refdet_numba.cpu.threads import per_thread
from refdet_numba.cpu.window_rows import n_positions, window_rows

NO_BORDER = ((0, 0), (0, 0))


def forward(
    x: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    convention: str,
    keep_residual: bool,
) -> tuple[Array, AvgPool2dResidual | None]:
    """Return y (N, C, Ho, Wo) and the residual, as the reference does."""
    windows, size = PoolingWindows(kernel_size, stride, padding, (1, 1), ceil_mode, convention), x.shape[2:]
    in_padded_extent = n_positions(windows, size, padding)
    divisor = in_padded_extent if count_include_pad else n_positions(windows, size, NO_BORDER)
    divisor = np.where(in_padded_extent == 0, 1, divisor)  # a window beyond the padded extent is 0
    planes = planes_of(x)
    y = np.empty((len(planes), *divisor.shape), planes.dtype)
    plan = window_rows(windows, size)
    work = [per_thread((plan.at_once * plan.pitch,), y.dtype) for _ in range(2)]
    work[0][:] = 0  # the padding, which stays
    _forward(planes, plan, divisor.astype(y.dtype), *work, y)
    return y.reshape(*x.shape[:2], *divisor.shape), AvgPool2dResidual(x) if keep_residual else None


def backward(
    residual: AvgPool2dResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    convention: str,
) -> tuple[Array | None, ...]:
    """Return dx: every real pixel of a window receives dy / D."""
    windows, size = PoolingWindows(kernel_size, stride, padding, (1, 1), ceil_mode, convention), residual.x.shape[2:]
    divisor = np.maximum(n_positions(windows, size, padding if count_include_pad else NO_BORDER), 1)
    planes = planes_of(dy)
    dx = np.empty((len(planes), *size), planes.dtype)
    plan = window_rows(windows, size)
    _backward(planes, plan, divisor.astype(dx.dtype), per_thread((plan.pitch,), dx.dtype), dx)
    return (dx.reshape(residual.x.shape),)


@compiled_parallel
def _forward(x: Any, plan: Any, divisor: Any, talls: Any, totals: Any, y: Any) -> None:
    (Ho, Wo), W = y.shape[1:], x.shape[2]
    for plane in prange(x.shape[0]):
        tall, total = talls[get_thread_id()], totals[get_thread_id()]
        for start in range(0, Ho, plan.at_once):
            stop = min(Ho, start + plan.at_once)
            for i in range(start, stop):
                row = tall[(i - start) * plan.pitch + plan.before :][:W]
                row[:] = 0
                for a in range(plan.taps.shape[0]):
                    if plan.taps[a, 0] <= i < plan.taps[a, 1]:
                        _add(x[plane, i * plan.down + plan.taps[a, 2]], row)
            n = (stop - start) * plan.pitch
            for u in range(n):
                total[u] = tall[u]
            for b in range(1, plan.n_across):
                _add(tall[b:n], total)
            for i in range(start, stop):
                for j in range(Wo):
                    y[plane, i, j] = total[(i - start) * plan.pitch + j * plan.across] / divisor[i, j]


@compiled
def _add(numbers: Any, sums: Any) -> None:
    for i in range(numbers.size):
        sums[i] += numbers[i]


@compiled_parallel
def _backward(dy: Any, plan: Any, divisor: Any, wides: Any, dx: Any) -> None:
    W = dx.shape[2]
    for plane in prange(dx.shape[0]):
        wide = wides[get_thread_id()]
        dx[plane] = 0
        for i in range(dy.shape[1]):
            wide[:] = 0
            for b in range(plan.n_across):
                for j in range(dy.shape[2]):
                    wide[j * plan.across + b] += dy[plane, i, j] / divisor[i, j]
            for a in range(plan.taps.shape[0]):
                if plan.taps[a, 0] <= i < plan.taps[a, 1]:
                    _add(wide[plan.before :][:W], dx[plane, i * plan.down + plan.taps[a, 2]])
