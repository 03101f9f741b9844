"""Reduce a loss per element to a scalar, and hand the scalar's gradient back to the elements.

"none": l_i        "sum": L = sum_i l_i        "mean": L = (1/n) sum_i l_i,  0/0 = NaN over no elements
"""

import numpy as np

from tests.oracles._ieee import quotient
from tests.oracles._sums import Array, Float64Array, Index, exact_sum


def reduce(losses: Float64Array, reduction: str) -> Float64Array:
    """Return the losses themselves, or L as an array of shape ()."""
    if reduction == "none":
        return losses
    total = exact_sum(float(loss) for loss in losses.flat)
    return np.array(total if reduction == "sum" else quotient(total, losses.size))


def spread(dy: Array, shape: Index, reduction: str) -> Float64Array:
    """Return the gradient that reaches each element's loss: dy, or dy * dL/dl_i."""
    gradient = np.empty(shape)
    for i in np.ndindex(shape):
        if reduction == "none":
            gradient[i] = float(dy[i])
        else:
            gradient[i] = float(dy) if reduction == "sum" else float(dy) / gradient.size
    return gradient
