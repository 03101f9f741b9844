"""Blurring on the lattice: one pass for each axis, a thread for each vertex and column of values.

    for each axis, in order:
        for each vertex and column:   z'[v] ← z[v] + ½ (z[n⁺] + z[n⁻])
        z', z change places

A missing neighbour counts as 0. The first pass reads the argument itself. A thread computes its number as the reference
does: the same bits.

Workspace: one more array like z, if there are two axes or more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int64

from refdet.crf.lattice_blur import LatticeBlurResidual
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

THREADS = 8 if IN_SIMULATOR else 256


def forward(z: Any, neighbours: Any, *, reverse: bool, keep_residual: bool) -> tuple[Any, LatticeBlurResidual | None]:
    """Return the blurred z, (M, V)."""
    return blurred(z, neighbours, reverse), LatticeBlurResidual(z, neighbours) if keep_residual else None


def backward(
    residual: LatticeBlurResidual, dy: Any, *, needs: tuple[bool, bool], reverse: bool
) -> tuple[Any | None, ...]:
    """Blur in the opposite order."""
    return (blurred(dy, residual.neighbours, not reverse) if needs[0] else None), None


def blurred(z: Any, neighbours: Any, reverse: bool) -> Any:
    """Return z blurred along all axes, the last one first if `reverse`."""
    n_axes = len(neighbours)
    if n_axes == 0:
        return z.copy()
    sides = contiguous(neighbours.astype(np.int64, copy=False))
    before, half = contiguous(z), z.dtype.type(0.5)
    targets = [np.empty_like(z, shape=z.shape, order="C") for _ in range(min(n_axes, 2))]
    for number, j in enumerate(reversed(range(n_axes)) if reverse else range(n_axes)):
        after = targets[number % 2]
        launch(_blur, blocks_for(z.size, THREADS), THREADS, before, sides, j, half, after)
        before = after
    return before


@jit()
def _blur(before: Any, neighbours: Any, j: Any, half: Any, after: Any) -> None:
    place = cuda.grid(1)
    if place < after.size:
        v, c = place // after.shape[1], place % after.shape[1]
        one, other = neighbours[j, 0, v], neighbours[j, 1, v]
        around = half - half
        if one >= 0:
            around += before[one, c]
        if other >= 0:
            around += before[other, c]
        after[v, c] = before[v, c] + half * around


ASSEMBLED = [
    Assembled(_blur, [array(t, 2), array(int64, 3), int64, t, array(t, 2)], registers=36, float64=t is float64)
    for t in (float32, float64)
]
