"""Max unpooling: values are sorted by the pixel that their switches name, and each pixel takes its run.

    keys, for each value: the index of its pixel in all planes, −1 for none
    sort the values by key; those of one pixel stay in row-major order
    forward:   "add"   the thread of the first value of a run adds the run, in its order
               "last"  the thread of the last value of a run writes it
    backward:  "add"   dx = dy at the key of each value, unsorted
               "last"  the last value of a run receives dy, the others 0

Only one thread writes to a pixel, so nothing is added from two threads, and in the order of the reference. Time is that
of the sort, and of the longest run. A switch that names no pixel of its plane is not followed: the forward pass, which
waits for the answer, refuses it, and the backward pass gives its value no gradient.

Workspace: 8 bytes of keys for each value, three times that where they are sorted, besides what the sort takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int64

from refdet.core.geometry import Pair
from refdet.ops.max_unpool2d import MaxUnpool2dResidual
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, number
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

THREADS = 32 if IN_SIMULATOR else 256


def forward(
    x: Any, switches: Any, *, output_size: Pair, overlap: str, keep_residual: bool
) -> tuple[Any, MaxUnpool2dResidual | None]:
    """Return y (N, C, H, W) and the residual, as the reference does."""
    H, W = output_size
    outside = (switches < -1) | (switches >= H * W)
    if outside.size and bool(number(np.any(outside))):
        raise ValueError(
            f"max_unpool2d: switches must be −1 or lie in [0, {H * W}) for an output of {H} × {W}, "
            f"got {number(switches[outside][:1])}"
        )
    y = np.zeros_like(x, shape=(*x.shape[:2], H, W), order="C")
    order, keys = _in_order(_keys_of(switches, H * W))
    kernel = _add_runs if overlap == "add" else _write_last
    launch(kernel, blocks_for(x.size, THREADS), THREADS, contiguous(x).reshape(-1), order, keys, y.reshape(-1))
    return y, MaxUnpool2dResidual(x, switches) if keep_residual else None


def backward(
    residual: MaxUnpool2dResidual, dy: Any, *, needs: tuple[bool, bool], output_size: Pair, overlap: str
) -> tuple[Any | None, ...]:
    """Return dx: every value that is seen in y receives dy of its pixel."""
    if not needs[0]:
        return None, None
    dx = np.zeros_like(dy, shape=residual.x.shape, order="C")
    keys = _keys_of(residual.switches, output_size[0] * output_size[1])
    gradients, blocks = contiguous(dy).reshape(-1), blocks_for(dx.size, THREADS)
    if overlap == "add":
        launch(_read_all, blocks, THREADS, gradients, keys, dx.reshape(-1))
    else:
        launch(_read_last, blocks, THREADS, gradients, *_in_order(keys), dx.reshape(-1))
    return dx, None


def _keys_of(switches: Any, n_pixels: int) -> Any:
    flat = contiguous(switches.astype(np.int64, copy=False)).reshape(-1)
    keys = np.empty_like(flat)
    per_plane = switches.shape[2] * switches.shape[3]
    launch(_keys, blocks_for(flat.size, THREADS), THREADS, flat, per_plane, n_pixels, keys)
    return keys


def _in_order(keys: Any) -> tuple[Any, Any]:
    """Return the order of the values by pixel, equal ones as they come, and their keys in that order."""
    if keys.size == 0:
        return keys, keys
    order = np.argsort(keys, kind="stable").astype(np.int64, copy=False)
    return order, keys[order]


@jit()
def _keys(switches: Any, per_plane: Any, n_pixels: Any, keys: Any) -> None:
    i = cuda.grid(1)
    if i < switches.size:
        switch = switches[i]
        keys[i] = i // per_plane * n_pixels + switch if 0 <= switch < n_pixels else -1


@jit()
def _add_runs(x: Any, order: Any, keys: Any, y: Any) -> None:
    first = cuda.grid(1)
    if first < keys.size:
        key = keys[first]
        if key >= 0 and (first == 0 or keys[first - 1] != key):
            total = y[key]  # 0
            stop = first
            while stop < keys.size and keys[stop] == key:
                total += x[order[stop]]
                stop += 1
            y[key] = total


@jit()
def _write_last(x: Any, order: Any, keys: Any, y: Any) -> None:
    i = cuda.grid(1)
    if i < keys.size and keys[i] >= 0 and (i + 1 == keys.size or keys[i + 1] != keys[i]):
        y[keys[i]] = x[order[i]]


@jit()
def _read_all(dy: Any, keys: Any, dx: Any) -> None:
    i = cuda.grid(1)
    if i < keys.size and keys[i] >= 0:
        dx[i] = dy[keys[i]]


@jit()
def _read_last(dy: Any, order: Any, keys: Any, dx: Any) -> None:
    i = cuda.grid(1)
    if i < keys.size and keys[i] >= 0 and (i + 1 == keys.size or keys[i + 1] != keys[i]):
        dx[order[i]] = dy[keys[i]]


_KEYS = array(int64, 1)
ASSEMBLED = [
    Assembled(_keys, [_KEYS, int64, int64, _KEYS], 32),
    *(
        Assembled(kernel, [array(t, 1), *([_KEYS] * n_tables), array(t, 1)], 30, float64=t is float64, fused=False)
        for t in (float32, float64)
        for kernel, n_tables in ((_add_runs, 2), (_write_last, 2), (_read_all, 1), (_read_last, 2))
    ),
]
