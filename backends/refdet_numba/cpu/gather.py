"""The gradient of indexing by arrays: rows of numbers added where they were read, in order.

    places = [0, 1, …][key], the place in x that each row of y was read from
    for some numbers of a place at a time (in parallel):
        for each row i of dy in its order:  dx[places[i], c] += dy[i, c]

The axes behind those that the key names are the numbers of a place. A number has one thread to itself, so that their
number changes nothing, and the order is the reference's.

Workspace: an integer for each place that is read, and one for each that exists.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.core.shaping import ShapingResidual
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled_parallel
from refdet_numba.keys import n_named_axes

NUMBERS = 1024  # of a place, that one thread adds


def backward(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], key: Any) -> tuple[Array | None, ...]:
    """Add dy where it was read, once for every time it was read, in row-major order of dy."""
    shape = residual.x.shape
    n_axes = n_named_axes(key, len(shape))
    n_places, per_place = math.prod(shape[:n_axes]), math.prod(shape[n_axes:])
    places = np.reshape(np.arange(n_places), shape[:n_axes])[key].reshape(-1)
    dx = np.zeros((n_places, per_place), dy.dtype.newbyteorder("="))
    _add_rows(native(dy).reshape(places.size, per_place), places, dx)
    return (dx.reshape(shape),)


@compiled_parallel
def _add_rows(dy: Any, places: Any, dx: Any) -> None:
    n, per_place = dy.shape
    for task in prange((per_place + NUMBERS - 1) // NUMBERS):
        begin = task * NUMBERS
        end = min(per_place, begin + NUMBERS)
        for i in range(n):
            place = places[i]
            for c in range(begin, end):
                dx[place, c] += dy[i, c]
