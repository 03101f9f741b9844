"""Unpooling: put every value back at its switch, zeros elsewhere.

    y[n, c, row, column] = sum of x[n, c, i, j] over all (i, j) with switches[n, c, i, j] = row * W + column   ("add")
    y[n, c, row, column] = the x[n, c, i, j] of the last such (i, j) in row-major order                         ("last")

A switch of -1 has no place: its value is dropped. "add" is the adjoint of max pooling; "last" overwrites.
dx[n, c, i, j] is dy at the place of its switch; under "last" an overwritten value gets none.

Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", section 2.1.
"""

import numpy as np

from tests.oracles._sizes import Pair
from tests.oracles._sums import Array, Float64Array, Index, scatter_sum


def forward(x: Array, switches: Array, *, output_size: Pair, overlap: str) -> Float64Array:
    """Return y, shape (N, C, *output_size)."""
    placed = _places(switches, output_size, overlap)
    return scatter_sum((*x.shape[:2], *output_size), ((place, float(x[source])) for source, place in placed))


def backward(x: Array, switches: Array, *, dy: Array, output_size: Pair, overlap: str) -> tuple[Float64Array, None]:
    """Return (dx, None): the switches have no gradient."""
    placed = _places(switches, output_size, overlap)
    return scatter_sum(x.shape, ((source, float(dy[place])) for source, place in placed)), None


def _places(switches: Array, output_size: Pair, overlap: str) -> list[tuple[Index, Index]]:
    """List the pairs (index into x, index into y) of the values that are seen in y."""
    placed: list[tuple[Index, Index]] = [
        ((n, c, i, j), (n, c, *divmod(int(switches[n, c, i, j]), output_size[1])))
        for n, c, i, j in np.ndindex(switches.shape)
        if switches[n, c, i, j] != -1
    ]
    if overlap == "add":
        return placed
    last_at = {place: source for source, place in placed}  # a later source replaces an earlier one
    return [(source, place) for place, source in last_at.items()]
