"""Pad every axis, before and after; position i of the padded axis is position p = i - before of x, of length n.

    "constant"    outside 0 <= p < n the value stands
    "edge"        p is clamped to 0 ... n - 1
    "reflect"     p is mirrored at 0 and n - 1 without repeating them, as often as need be:
                  ... 2 1 | 0 1 2 ... n-1 | n-2 n-3 ...  has period 2 (n - 1)

dx sums dy over the positions that read an element.

Source: the modes of numpy.pad.
"""

import numpy as np

from tests.oracles._sums import Array, Float64Array, Index, scatter_sum

Padding = tuple[tuple[int, int], ...]  # (before, after) per axis


def forward(x: Array, *, padding: Padding, border: str, value: float) -> Float64Array:
    """Return y."""
    y = np.empty(tuple(before + n + after for n, (before, after) in zip(x.shape, padding, strict=True)))
    for i in np.ndindex(y.shape):
        source = _source(i, x.shape, padding, border)
        y[i] = value if source is None else float(x[source])
    return y


def backward(x: Array, *, dy: Array, padding: Padding, border: str, value: float) -> tuple[Float64Array]:
    """Return (dx,)."""
    reads = ((_source(i, x.shape, padding, border), float(dy[i])) for i in np.ndindex(dy.shape))
    return (scatter_sum(x.shape, ((source, term) for source, term in reads if source is not None)),)


def _source(i: Index, shape: Index, padding: Padding, border: str) -> Index | None:
    """Return the index into x that position i of y reads, or None where it is the constant value."""
    source = []
    for position, n, (before, _) in zip(i, shape, padding, strict=True):
        p = position - before
        if border == "constant" and not 0 <= p < n:
            return None
        if border == "edge":
            p = min(max(p, 0), n - 1)
        if border == "reflect":
            p = _mirror(p, n)
        source.append(p)
    return tuple(source)


def _mirror(p: int, n: int) -> int:
    if n == 1:
        return 0
    phase = p % (2 * (n - 1))
    return min(phase, 2 * (n - 1) - phase)
