"""Binary cross-entropy of logits.

    L = −w·[t·log σ(x) + (1 − t)·log(1 − σ(x))] = w·[max(x, 0) − x·t + log(1 + e^(−|x|))],     σ(x) = 1/(1 + e^(−x))
    ∂L/∂x = w·(σ(x) − t),     ∂L/∂t = −w·x

The second form never takes the exponential of a positive number, so it is accurate for logits of any size.

Conventions: targets lie in [0, 1] and may be soft; they are differentiable, the weights are not. "mean" divides by the
number of elements, not by the sum of the weights (as torch). Logits are finite; NaN stays NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.ops.activations import logistic
from refdet.ops.loss_reduction import (
    check_losses,
    check_losses_gradient,
    first_position,
    gradient_of_losses,
    reduce_losses,
)


class BinaryCrossEntropyResidual(NamedTuple):
    logits: Array
    targets: Array
    weight: Array | None


def _check(logits: Array, targets: Array, weight: Array | None, *, reduction: str, keep_residual: bool) -> None:
    check_losses("binary_cross_entropy_with_logits", reduction, logits=logits, targets=targets, weight=weight)


def _check_backward(
    residual: BinaryCrossEntropyResidual, dy: Array, *, needs: tuple[bool, bool, bool], reduction: str
) -> None:
    check_losses_gradient("binary_cross_entropy_with_logits", dy, residual.logits, reduction)


@kernel("binary_cross_entropy_with_logits.forward", check=_check, portable=True)
def binary_cross_entropy_with_logits_forward(
    logits: Array, targets: Array, weight: Array | None, *, reduction: str, keep_residual: bool
) -> tuple[Array, BinaryCrossEntropyResidual | None]:
    """Return w·[max(x, 0) − x·t + log(1 + e^(−|x|))], reduced."""
    losses = np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.absolute(logits)))
    if weight is not None:
        losses = losses * weight
    residual = BinaryCrossEntropyResidual(logits, targets, weight) if keep_residual else None
    return reduce_losses(losses, reduction), residual


@kernel("binary_cross_entropy_with_logits.backward", check=_check_backward, portable=True)
def binary_cross_entropy_with_logits_backward(
    residual: BinaryCrossEntropyResidual, dy: Array, *, needs: tuple[bool, bool, bool], reduction: str
) -> Gradients:
    """∂L/∂x = w·(σ(x) − t), ∂L/∂t = −w·x."""
    logits, targets, weight = residual
    dlosses = gradient_of_losses(dy, logits, reduction)
    if weight is not None:
        dlosses = dlosses * weight
    dlogits = dlosses * (logistic(logits) - targets) if needs[0] else None
    dtargets = dlosses * -logits if needs[1] else None
    return dlogits, dtargets, None


_binary_cross_entropy_with_logits = differentiable(
    binary_cross_entropy_with_logits_forward, binary_cross_entropy_with_logits_backward
)


def binary_cross_entropy_with_logits(
    logits: Tensor | Array,
    targets: Tensor | Array,
    *,
    weight: Tensor | Array | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Return the cross-entropy of targets in [0, 1] and the sigmoid of the logits.

    Args:
        logits: any shape, float32 or float64. targets: of the same shape and dtype, in [0, 1]; anything else, NaN
            included, is refused: the values are read.
        weight: one factor per element, or None. reduction: "mean", "sum" or "none".

    Returns:
        A scalar, or the shape of logits for "none".

    A logit of 0 says ½ and costs log 2; one of 100 is right at no cost or wrong at a cost of 100:

    >>> logits, targets = np.array([0.0, 100.0, 100.0]), np.array([1.0, 1.0, 0.0])
    >>> binary_cross_entropy_with_logits(logits, targets, reduction="none").data.round(3)
    array([  0.693,   0.   , 100.   ])
    """
    targets = as_tensor("binary_cross_entropy_with_logits", "targets", targets)
    t = targets.data
    position = first_position(~((t >= 0) & (t <= 1)))
    if position is not None:
        raise ValueError(
            f"binary_cross_entropy_with_logits: targets must lie in [0, 1], "
            f"got {t[position].item()!r} at index {position}"
        )
    return _binary_cross_entropy_with_logits(logits, targets, weight, reduction=reduction)
