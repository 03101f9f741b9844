"""What every elementwise loss does with its losses: keep them, add them up, or average them.

`"none"`: one loss per element. `"sum"`: their sum. `"mean"`: the sum over the number of elements, whatever their
weights; the mean of no element is 0/0 = NaN. Sums accumulate in the dtype of the losses.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.core.check import Array, check_choice, check_floating, check_gradient, check_shape, shape_of

REDUCTIONS = ("mean", "sum", "none")


def check_losses(op: str, reduction: str, **arrays: Array | None) -> None:
    """Refuse arrays of different shapes (losses do not broadcast) or dtypes, and an unknown reduction."""
    check_floating(op, optional=("weight",), **arrays)
    check_choice(op, "reduction", reduction, REDUCTIONS)
    (first, x), *others = ((name, x) for name, x in arrays.items() if x is not None)
    for name, other in others:
        check_shape(op, name, other, shape_of(x), f"the shape of {first}")


def check_losses_gradient(op: str, dy: Array, like: Array, reduction: str) -> None:
    """Refuse a gradient that does not have the shape and dtype of the reduced loss."""
    check_gradient(op, dy, shape_of(like) if reduction == "none" else (), like)


def reduce_losses(losses: Array, reduction: str) -> Array:
    """Return the losses, their sum or their mean.

    >>> float(reduce_losses(np.array([1.0, 2.0, 6.0]), "mean"))
    3.0
    """
    if reduction == "none":
        return losses
    total: Array = np.sum(losses)
    if reduction == "sum":
        return total
    with np.errstate(invalid="ignore"):  # 0/0 where there are no losses
        mean: Array = total / math.prod(losses.shape)
    return mean


def gradient_of_losses(dy: Array, like: Array, reduction: str) -> Array:
    """Return the gradient of each loss from that of the reduced one; it broadcasts to the shape of `like`."""
    return dy / math.prod(like.shape) if reduction == "mean" and math.prod(like.shape) else dy


def first_position(bad: Array) -> tuple[int, ...] | None:
    """Return the index of the first true element in row-major order, if there is one; this reads the values.

    >>> first_position(np.array([[False, False], [True, True]]))
    (1, 0)
    """
    if not np.any(bad):
        return None
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
