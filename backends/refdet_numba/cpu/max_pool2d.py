"""Max pooling, a few rows of windows at a time: first down, then across (`window_rows`).

    for each plane (in parallel), for some rows i of windows at a time:
        tall[i, left + w] = the largest of the pixels of column w under the vertical taps of row i; −∞ at padding
        best[u] = the largest of tall[u + b·dilation] over the horizontal taps b
        y[i, j] = best[i, j·stride]

with the index h·W + w of every number beside it. The larger number is kept, of equal ones the one with the smaller
index, which is the first in row-major order, and a NaN rather than a number, again the first: in whatever order they
are compared, the same wins. All loops run over neighbours and choose without branches. Windows that halve the map have
a way of their own (`halving`). A plane belongs to one thread, so the result, and the order in which the gradients of
one pixel are added, do not depend on the number of threads.

Workspace: per thread 2·max(2048, pitch) numbers and as many indices, where pitch is the length of a padded row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair
from refdet.ops.max_pool2d import MaxPool2dResidual
from refdet.ops.pooling import PoolingWindows
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.halving import halve, halves
from refdet_numba.cpu.planes import planes_of
from refdet_numba.cpu.switches import add_at_switches
from refdet_numba.cpu.threads import per_thread
from refdet_numba.cpu.window_rows import window_rows


def forward(
    x: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    convention: str,
    keep_residual: bool,
) -> tuple[tuple[Array, Array], MaxPool2dResidual | None]:
    """Return (y, switches) and the residual, as the reference does."""
    windows, size = PoolingWindows(kernel_size, stride, padding, dilation, ceil_mode, convention), x.shape[2:]
    planes = planes_of(x)
    y = np.empty((len(planes), *windows.output_size(size)), planes.dtype)
    switches = np.empty(y.shape, np.int64)
    if halves(windows, size):
        halve(planes, y, switches)
    else:
        _pool(planes, windows, y, switches)
    shape = (*x.shape[:2], *y.shape[1:])
    outputs = (y.reshape(shape), switches.reshape(shape))
    return outputs, MaxPool2dResidual(x, outputs[1]) if keep_residual else None


def _pool(planes: Array, windows: PoolingWindows, y: Array, switches: Array) -> None:
    """Fill y and switches from the windows of every plane."""
    size = planes.shape[1:]
    narrow = y.itemsize == 4 and size[0] * size[1] < 2**31  # as many indices as numbers fit in a register
    plan, index = window_rows(windows, size), np.dtype(np.int32 if narrow else np.int64)
    n, none = plan.at_once * plan.pitch, int(np.iinfo(index.name).max)  # no pixel: later than all
    work = [per_thread((n,), dtype) for dtype in (y.dtype, index, y.dtype, index)]
    work[0][:], work[1][:] = -np.inf, none  # the padding, which stays
    _forward(planes, plan, none, *work, y, switches)


def backward(residual: MaxPool2dResidual, dy: Array, *, needs: tuple[bool], **params: Any) -> tuple[Array | None, ...]:
    """Return dx: every dy added to the pixel that won its window."""
    x, switches = residual
    return (add_at_switches("max_pool2d", dy, switches, x.shape[2:]),)


@compiled_parallel
def _forward(
    x: Any, plan: Any, none: int, talls: Any, tall_indices: Any, bests: Any, indices: Any, y: Any, switches: Any
) -> None:
    Ho, Wo = y.shape[1:]
    for plane in prange(x.shape[0]):
        thread = get_thread_id()
        tall, tall_index, best, index = talls[thread], tall_indices[thread], bests[thread], indices[thread]
        for start in range(0, Ho, plan.at_once):
            stop = min(Ho, start + plan.at_once)
            for i in range(start, stop):
                _largest_of_columns(x, plane, i, plan, none, (i - start) * plan.pitch + plan.before, tall, tall_index)
            _largest_of_rows(tall, tall_index, plan, (stop - start) * plan.pitch, best, index)
            for i in range(start, stop):
                for j in range(Wo):
                    u = (i - start) * plan.pitch + j * plan.across
                    y[plane, i, j] = best[u]
                    switches[plane, i, j] = -1 if index[u] == none else index[u]


@compiled
def _largest_of_columns(x: Any, plane: int, i: int, plan: Any, none: int, to: int, tall: Any, tall_index: Any) -> None:
    """Write the largest pixel of every column under row i of windows, and its index, from position `to` on."""
    is_first, W, kind = True, x.shape[2], tall_index.dtype.type
    begin = np.uint64(to)  # unsigned: compiled code need not ask whether it counts from the end
    for a in range(plan.taps.shape[0]):
        if not plan.taps[a, 0] <= i < plan.taps[a, 1]:
            continue
        h = i * plan.down + plan.taps[a, 2]
        start = kind(h * W)
        for w in range(W):
            u = begin + np.uint64(w)
            if is_first:
                tall[u], tall_index[u] = x[plane, h, w], start + kind(w)
            else:
                v, b = x[plane, h, w], tall[u]
                wins = (v > b) | ((v != v) & (b == b))
                tall[u] = v if wins else b
                tall_index[u] = start + kind(w) if wins else tall_index[u]
        is_first = False
    if is_first:
        for w in range(W):
            u = begin + np.uint64(w)
            tall[u], tall_index[u] = -np.inf, none


@compiled
def _largest_of_rows(tall: Any, tall_index: Any, plan: Any, n: int, best: Any, index: Any) -> None:
    """Write the largest under the horizontal taps of the window at each of n positions."""
    for position in range(n):
        best[position], index[position] = tall[position], tall_index[position]
    for b in range(1, plan.n_across):
        shift = np.uint64(b * plan.dilation)
        for position in range(n - b * plan.dilation):
            u = np.uint64(position)
            v, i, most, first = tall[u + shift], tall_index[u + shift], best[u], index[u]
            wins = (v > most) | ((v == most) & (i < first)) | ((v != v) & ((most == most) | (i < first)))
            best[u] = v if wins else most
            index[u] = i if wins else first
