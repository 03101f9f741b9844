"""The channel axis of a map (N, C, ...), for the ops that treat it apart from all others."""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, shape_of


def check_channels(op: str, x: Array) -> None:
    """Refuse `x` unless it has a batch axis and a channel axis."""
    if x.ndim < 2:
        raise ValueError(f"{op}: x must have rank 2 or more (N, C, ...), got rank {x.ndim} with shape {shape_of(x)}")


def all_but_channels(x: Array) -> tuple[int, ...]:
    """Return the axes of `x` other than axis 1.

    >>> all_but_channels(np.zeros((2, 3, 4, 5)))
    (0, 2, 3)
    """
    return (0, *range(2, x.ndim))


def along_channels(values: Array, x: Array) -> Array:
    """Return (C,) as (1, C, 1, ...), which broadcasts against `x`.

    >>> along_channels(np.zeros(3), np.zeros((2, 3, 4, 5))).shape
    (1, 3, 1, 1)
    """
    return np.reshape(values, (1, -1, *(1,) * (x.ndim - 2)))
