"""A convolution on lattice vertices whose filter has a weight for every tap.

    y[v, o] = sum over c < Cin / groups and taps t of weight[o, c, t] z[taps[t, v], g Cin / groups + c]

where g is the group of the output channel o: the output channels fall into `groups` equal runs. A tap of -1 adds
nothing.

Source: Jampani, Kiefel and Gehler, "Learning Sparse High Dimensional Filters", CVPR 2016, section 3.
"""

from collections.abc import Iterator

import numpy as np

from tests.oracles._sums import Array, Float64Array, Index, scatter_sum


def forward(z: Array, weight: Array, taps: Array, *, groups: int) -> Float64Array:
    """Return y, shape (M, Cout)."""
    products = _products(weight, taps, groups)
    return scatter_sum((taps.shape[1], len(weight)), ((y, float(z[x]) * float(weight[w])) for y, x, w in products))


def backward(
    z: Array, weight: Array, taps: Array, *, dy: Array, groups: int
) -> tuple[Float64Array, Float64Array, None]:
    """Return (dz, dweight, None)."""
    products = list(_products(weight, taps, groups))
    dz = scatter_sum(z.shape, ((x, float(dy[y]) * float(weight[w])) for y, x, w in products))
    dweight = scatter_sum(weight.shape, ((w, float(dy[y]) * float(z[x])) for y, x, w in products))
    return dz, dweight, None


def _products(weight: Array, taps: Array, groups: int) -> Iterator[tuple[Index, Index, Index]]:
    """Yield the indices into y, z and weight of every product in the definition."""
    n_outputs, n_inputs, n_taps = weight.shape
    for v, o, c, t in np.ndindex(taps.shape[1], n_outputs, n_inputs, n_taps):
        if taps[t, v] >= 0:
            group = o * groups // n_outputs
            yield (v, o), (int(taps[t, v]), group * n_inputs + c), (o, c, t)
