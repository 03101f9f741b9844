"""Fully connected layer.

    y[..., o] = bias[o] + sum_f x[..., f] * weight[o, f]

The leading axes of x, of any number, enumerate independent samples. Source: deck 003, "FC as convolution".
"""

import numpy as np

from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(x: Array, weight: Array, bias: Array | None) -> Float64Array:
    """Return y, shape (..., O)."""
    n_out, n_in = weight.shape
    y = np.zeros((*x.shape[:-1], n_out))
    for *sample, o in np.ndindex(y.shape):
        terms = [float(x[*sample, f]) * float(weight[o, f]) for f in range(n_in)]
        y[*sample, o] = exact_sum(terms if bias is None else [*terms, float(bias[o])])
    return y


def backward(
    x: Array, weight: Array, bias: Array | None, *, dy: Array
) -> tuple[Float64Array, Float64Array, Float64Array | None]:
    """Return (dx, dweight, dbias)."""
    n_out = weight.shape[0]
    dx = np.zeros(x.shape)
    for *sample, f in np.ndindex(x.shape):
        dx[*sample, f] = exact_sum(float(dy[*sample, o]) * float(weight[o, f]) for o in range(n_out))
    samples = list(np.ndindex(x.shape[:-1]))
    dweight = np.zeros(weight.shape)
    for o, f in np.ndindex(weight.shape):
        dweight[o, f] = exact_sum(float(dy[*sample, o]) * float(x[*sample, f]) for sample in samples)
    if bias is None:
        return dx, dweight, None
    dbias = np.array([exact_sum(float(dy[*sample, o]) for sample in samples) for o in range(n_out)])
    return dx, dweight, dbias
