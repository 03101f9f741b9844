"""Apply a function of scalars, and its partial derivatives, at every position of arrays broadcast together.

    y[i] = f(x_1[i_1], x_2[i_2], ...)                  i_k = the element of x_k that broadcasting puts at position i
    dx_k[j] = sum over all i with i_k = j of dy[i] * (df/dx_k)(x_1[i_1], x_2[i_2], ...)

Axes are aligned at the end, as in NumPy; an axis of length 1 is read at 0 along the whole axis of y.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.oracles._sums import Array, Float64Array, Index, scatter_sum

ScalarFunction = Callable[..., float]


def source_index(i: Index, shape: Index) -> Index:
    """Return the index of the element that an operand of this shape has at position i of the broadcast result."""
    aligned = i[len(i) - len(shape) :]
    return tuple(0 if length == 1 else position for position, length in zip(aligned, shape, strict=True))


def map_scalars(function: ScalarFunction, *arrays: Array, **params: Any) -> Float64Array:
    """Return y."""
    y = np.empty(np.broadcast_shapes(*(x.shape for x in arrays)))
    for i in np.ndindex(y.shape):
        y[i] = function(*_scalars(arrays, i), **params)
    return y


def pull_back(
    partials: Sequence[ScalarFunction | None], *arrays: Array, dy: Array, **params: Any
) -> tuple[Float64Array | None, ...]:
    """Return one gradient per array; a None among the partial derivatives gives None."""

    def gradient(partial: ScalarFunction, x: Array) -> Float64Array:
        return scatter_sum(
            x.shape,
            (
                (source_index(i, x.shape), float(dy[i]) * partial(*_scalars(arrays, i), **params))
                for i in np.ndindex(dy.shape)
            ),
        )

    return tuple(None if partial is None else gradient(partial, x) for partial, x in zip(partials, arrays, strict=True))


def _scalars(arrays: Sequence[Array], i: Index) -> list[float]:
    return [float(x[source_index(i, x.shape)]) for x in arrays]
