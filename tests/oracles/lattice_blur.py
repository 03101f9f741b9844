"""The blur (1/2, 1, 1/2) along the axes of the lattice, one axis after the other.

    z'[v] = z[v] + 1/2 (z[neighbours[j, 0, v]] + z[neighbours[j, 1, v]]),    j = 0 ... J - 1, or J - 1 ... 0 if reverse

A missing neighbour, -1, counts as 0. An axis reads only what the axis before it has written.

Source: Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011,
and its code; Adams, Baek and Davis (2010) for the axes.
"""

from collections.abc import Iterator

import numpy as np

from tests.oracles._sums import Array, Float64Array


def forward(z: Array, neighbours: Array, *, reverse: bool) -> Float64Array:
    """Return the blurred z, shape (M, V)."""
    blurred = np.array(z, dtype=np.float64)
    for j in _axes(neighbours, reverse):
        before = blurred.copy()
        for v, source in _half_links(neighbours[j]):
            blurred[v] += 0.5 * before[source]
    return blurred


def backward(z: Array, neighbours: Array, *, dy: Array, reverse: bool) -> tuple[Float64Array, None]:
    """Return (dz, None): every vertex hands its gradient back to those it read, the last axis first."""
    dz = np.array(dy, dtype=np.float64)
    for j in reversed(_axes(neighbours, reverse)):
        after = dz.copy()
        for v, source in _half_links(neighbours[j]):
            dz[source] += 0.5 * after[v]
    return dz, None


def _axes(neighbours: Array, reverse: bool) -> list[int]:
    axes = list(range(len(neighbours)))
    return axes[::-1] if reverse else axes


def _half_links(along_axis: Array) -> Iterator[tuple[int, int]]:
    """Yield (vertex, neighbour) for every neighbour that is there."""
    for side, v in np.ndindex(along_axis.shape):
        if along_axis[side, v] >= 0:
            yield v, int(along_axis[side, v])
