"""Indexing by arrays: read by the device's own indexing; backwards sorted by place, a thread for each place and number.

    forward: y = x[key]
    backward:
        places = [0, 1, …][key], the place in x that each element of y was read from
        order = places sorted, stable, so that those of one place are neighbours in the order of dy
        for each place that was read and each number c that lies there:
            dx[place, c] = ((0 + dy[i, c]) + dy[i′, c]) + …      for the elements i, i′, … that were read from it

The axes behind those that the key names are the numbers of a place, so that rows are sorted and not their elements.
One thread adds all that goes to one number, in the order of the reference.

An index outside of its axis, which the device would wrap into it, is refused; to see that takes one wait for each
array of integers that lies on the device.

Workspace: 3 integers for each place that is read, and one for each that exists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numba import float32, float64, int64

from refdet.core.shaping import ShapingResidual, gather_forward
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, number
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit
from refdet_numba.keys import is_mask, n_axes, n_named_axes, parts_of

THREADS = 32 if IN_SIMULATOR else 256


def forward(x: Any, *, key: Any, keep_residual: bool) -> tuple[Any, ShapingResidual | None]:
    """Return x[key] for a key with integer or boolean arrays."""
    y, residual = gather_forward.reference(x, key=key, keep_residual=keep_residual)
    refuse_outside(x.shape, key)
    return y, residual


def backward(residual: ShapingResidual, dy: Any, *, needs: tuple[bool], key: Any) -> tuple[Any | None, ...]:
    """Add dy where it was read, once for every time it was read, in row-major order of dy."""
    x = residual.x
    refuse_outside(x.shape, key)
    named = n_named_axes(key, x.ndim)
    shape, per_place = x.shape[:named], math.prod(x.shape[named:])
    places = np.reshape(np.arange(math.prod(shape), like=x), shape)[key]
    places = np.reshape(places, (places.size,))
    order = np.argsort(places, kind="stable")
    dx = np.zeros_like(x, dtype=dy.dtype, order="C")
    numbers = np.reshape(contiguous(dy), (places.size, per_place))
    arguments = numbers, order, places[order], np.reshape(dx, (math.prod(shape), per_place))
    launch(_add_runs, blocks_for(numbers.size, THREADS), THREADS, *arguments)
    return (dx,)


def refuse_outside(shape: tuple[int, ...], key: Any) -> None:
    """Raise an IndexError where an array of the key holds what its axis has not."""
    for axis, indices in _arrays_by_axis(key, len(shape)):
        if not is_mask(indices) and number(np.any((indices < -shape[axis]) | (indices >= shape[axis]))):
            raise IndexError(
                f"gather: the key {key!r} does not fit x of shape {shape}: "
                f"an index is out of bounds for axis {axis} with size {shape[axis]}"
            )


def _arrays_by_axis(key: Any, ndim: int) -> Iterator[tuple[int, Any]]:
    """Return the arrays of a key, each with the first axis of x that it names."""
    parts, axis = parts_of(key), 0
    for part in parts:
        if hasattr(part, "dtype"):
            yield axis, part
        axis += ndim - sum(map(n_axes, parts)) if part is Ellipsis else n_axes(part)


@jit()
def _add_runs(dy: Any, order: Any, places: Any, dx: Any) -> None:
    n, per_place = dy.shape
    index = cuda.grid(1)
    if index < n * per_place:
        i, c = index // per_place, index % per_place
        place = places[i]
        if i == 0 or places[i - 1] != place:
            total = dx[place, c]  # 0
            while i < n and places[i] == place:
                total += dy[order[i], c]
                i += 1
            dx[place, c] = total


ASSEMBLED = [
    Assembled(
        _add_runs,
        [array(t, 2), array(int64, 1), array(int64, 1), array(t, 2)],
        registers=32,
        float64=t is float64,
        fused=False,
    )
    for t in (float32, float64)
]
