"""Max unpooling: values go to the pixels that their switches name, plane by plane (in parallel).

    "add":   y[switch] += x              dx = dy[switch]
    "last":  y[switch]  = x              dx = dy[switch] for the last value with that switch, 0 for the others

in row-major order of the values. A switch outside its plane is not followed; the first is reported.

Workspace: H·W indices per thread for the gradient of "last", otherwise none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Pair
from refdet.ops.max_unpool2d import MaxUnpool2dResidual
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled_parallel
from refdet_numba.cpu.threads import per_thread


def forward(
    x: Array, switches: Array, *, output_size: Pair, overlap: str, keep_residual: bool
) -> tuple[Array, MaxUnpool2dResidual | None]:
    """Return y (N, C, H, W) and the residual, as the reference does."""
    N, C, (H, W) = *x.shape[:2], output_size
    y = np.empty((N * C, H * W), x.dtype.newbyteorder("="))
    wrong = _forward(_rows(native(x)), _rows(native(switches, np.int64)), overlap == "add", y)
    if np.any(wrong >= 0):
        plane = int(np.argmax(wrong >= 0))
        found = switches.reshape(N * C, -1)[plane, wrong[plane]]
        raise ValueError(
            f"max_unpool2d: switches must be −1 or lie in [0, {H * W}) for an output of {H} × {W}, got {found}"
        )
    return y.reshape(N, C, H, W), MaxUnpool2dResidual(x, switches) if keep_residual else None


def backward(
    residual: MaxUnpool2dResidual, dy: Array, *, needs: tuple[bool, bool], output_size: Pair, overlap: str
) -> Gradients:
    """Return dx: every value that is seen in y receives dy of its pixel."""
    x, switches = residual
    if not needs[0]:
        return None, None
    N, C, (H, W) = *x.shape[:2], output_size
    gradients, pixels = native(dy).reshape(N * C, H * W), _rows(native(switches, np.int64))
    dx = np.empty(pixels.shape, gradients.dtype)
    lasts = per_thread((0 if overlap == "add" else H * W,), np.int64)
    wrong = _backward(gradients, pixels, overlap == "add", lasts, dx)
    if np.any(wrong >= 0):
        plane = int(np.argmax(wrong >= 0))
        raise IndexError(
            f"max_unpool2d: a switch of {pixels[plane, wrong[plane]]} lies outside a plane of {H * W} pixels"
        )
    return dx.reshape(x.shape), None


def _rows(x: Array) -> Array:
    """Return (N·C, h·w)."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2] * x.shape[3])


@compiled_parallel
def _forward(x: Any, switches: Any, adds: bool, y: Any) -> Any:
    wrong = np.full(y.shape[0], -1, np.int64)
    for plane in prange(y.shape[0]):
        y[plane] = 0
        for i in range(x.shape[1]):
            switch = switches[plane, i]
            if switch < -1 or switch >= y.shape[1]:
                if wrong[plane] < 0:
                    wrong[plane] = i
            elif switch >= 0:
                y[plane, switch] = y[plane, switch] + x[plane, i] if adds else x[plane, i]
    return wrong


@compiled_parallel
def _backward(dy: Any, switches: Any, adds: bool, lasts: Any, dx: Any) -> Any:
    wrong = np.full(dx.shape[0], -1, np.int64)
    n_pixels = dy.shape[1]
    for plane in prange(dx.shape[0]):
        last = lasts[get_thread_id()]
        for i in range(dx.shape[1]):
            switch = switches[plane, i]
            if switch >= n_pixels:
                if wrong[plane] < 0:
                    wrong[plane] = i
            elif switch >= 0 and not adds:
                last[switch] = i
        if wrong[plane] < 0:
            for i in range(dx.shape[1]):
                switch = switches[plane, i]
                seen = switch >= 0 and (adds or last[switch] == i)
                dx[plane, i] = dy[plane, switch] if seen else 0
    return wrong
