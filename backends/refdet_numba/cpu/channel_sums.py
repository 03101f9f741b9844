"""The sum of each channel: the gradient of a bias.

    db[o] = Σ_{n, i, j} dy[n, o, i, j]

    for each channel (in parallel):
        for each plane, for each run of RUN pixels: add them up
        add neighbouring sums pairwise until one is left

As in the reference the error grows with the logarithm of the number of terms. Runs depend on the shape alone.

Workspace: N·⌈H·W / RUN⌉ values for each thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import REORDERED, compiled, compiled_parallel
from refdet_numba.cpu.threads import per_thread

RUN = 256


def channel_sums(dy: Array) -> Array:
    """Return (O,) from dy (N, O, H, W)."""
    N, O, H, W = dy.shape
    sums = np.zeros(O, dy.dtype.newbyteorder("="))
    if dy.size:
        _sum(native(dy).reshape(N, O, H * W), sums, per_thread((N * -(-H * W // RUN),), sums.dtype))
    return sums


@compiled_parallel
def _sum(dy: Any, sums: Any, work: Any) -> None:
    N, O, n_pixels = dy.shape
    for o in prange(O):
        partial = work[get_thread_id()]
        n_partial = 0
        for n in range(N):
            for start in range(0, n_pixels, RUN):
                partial[n_partial] = add_up(dy[n, o, start : min(n_pixels, start + RUN)])
                n_partial += 1
        while n_partial > 1:
            for i in range(n_partial // 2):
                partial[i] = partial[2 * i] + partial[2 * i + 1]
            if n_partial % 2:
                partial[n_partial // 2] = partial[n_partial - 1]
            n_partial = (n_partial + 1) // 2
        sums[o] = partial[0]


@compiled(fastmath=REORDERED)
def add_up(values: Any) -> Any:
    """Return the sum of a run, in any order."""
    total = values.dtype.type(0)
    for i in range(values.shape[0]):
        total += values[i]
    return total
