"""Adding gradients to the pixels that switches name, without looking at the switches beforehand.

    for each plane (in parallel):
        for each value in order:  plane[switch] += value, unless the switch is negative

A switch that lies outside its plane is not followed; the largest one is reported, and refused by the caller.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled, compiled_parallel


def add_at_switches(op: str, values: Array, switches: Array, size: Pair) -> Array:
    """Return (N, C, H, W): every value of (N, C, …) added to the pixel that its switch names, zeros elsewhere."""
    (N, C), (H, W) = values.shape[:2], size
    planes = np.empty((N * C, H * W), values.dtype.newbyteorder("="))
    shape = (N * C, math.prod(values.shape[2:]))
    largest = _add_in_planes(native(values).reshape(shape), native(switches, np.int64).reshape(shape), planes)
    refuse_outside(op, largest, size)
    return planes.reshape(N, C, H, W)


def refuse_outside(op: str, largest: Array, size: Pair) -> None:
    """Raise an error if one of the largest switches lies outside a plane of `size`."""
    worst = np.max(largest, initial=-1)
    if worst >= size[0] * size[1]:
        raise IndexError(f"{op}: a switch of {worst} lies outside a plane of {size[0] * size[1]} pixels")


@compiled_parallel
def _add_in_planes(values: Any, switches: Any, planes: Any) -> Any:
    largest = np.full(planes.shape[0], -1, np.int64)
    for i in prange(planes.shape[0]):
        planes[i] = 0
        largest[i] = add_in_plane(values[i], switches[i], planes[i])
    return largest


@compiled
def add_in_plane(values: Any, switches: Any, plane: Any) -> Any:
    """Add the values to the pixels; return the largest switch outside the plane, −1 if there is none."""
    largest, n_pixels = -1, plane.size
    for i in range(values.size):
        switch = switches[i]
        if switch >= 0:
            if switch < n_pixels:
                plane[switch] += values[i]
            else:
                largest = max(largest, switch)
    return largest
