"""ReLU and its gradient, in one pass over memory and on all threads.

    y = max(x, 0)                  NaN where x is NaN
    dx = dy where x > 0, else 0

Element by element as in the reference, so that the bits are the same but for the sign of a zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.core.elementwise import Gradients, Operand
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled, compiled_parallel

PIECE = 16_384  # elements that one thread takes at a time


def forward(x: Array, *, keep_residual: bool) -> tuple[Array, Operand | None]:
    """Return max(x, 0)."""
    values = native(x)
    y = np.empty_like(values)
    _forward(values.reshape(-1), y.reshape(-1))
    return y, Operand(x) if keep_residual else None


def backward(residual: Operand, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """Return dx."""
    gradient = native(dy)
    dx = np.empty_like(gradient)
    _backward(native(residual.x).reshape(-1), gradient.reshape(-1), dx.reshape(-1))
    return (dx,)


@compiled_parallel
def _forward(x: Any, y: Any) -> None:
    for piece in prange(-(-x.size // PIECE)):
        begin = piece * PIECE
        end = min(x.size, begin + PIECE)
        _larger_than_0(x[begin:end], y[begin:end])


@compiled
def _larger_than_0(x: Any, y: Any) -> None:
    for i in range(x.size):
        y[i] = x.dtype.type(0) if x[i] <= 0 else x[i]


@compiled_parallel
def _backward(x: Any, dy: Any, dx: Any) -> None:
    for piece in prange(-(-x.size // PIECE)):
        begin = piece * PIECE
        end = min(x.size, begin + PIECE)
        _where_positive(x[begin:end], dy[begin:end], dx[begin:end])


@compiled
def _where_positive(x: Any, dy: Any, dx: Any) -> None:
    for i in range(x.size):
        dx[i] = dy[i] if x[i] > 0 else dy.dtype.type(0)
