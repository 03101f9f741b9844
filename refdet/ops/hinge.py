"""The hinge loss of support vector machines, plain or squared.

    L = max(0, m − y·s)^p,     y = ±1,     p = 1 or 2
    ∂L/∂s = −y where y·s < m (p = 1),     −2y·max(0, m − y·s) (p = 2)

Cortes & Vapnik, "Support-vector networks" (1995), with m = 1; R-CNN trains its classifiers so. Caffe's `HingeLoss` has
norms L1 and L2 for p.

Conventions: the gradient at the kink y·s = m is 0; the signs get none. A NaN score gives a NaN loss and gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, as_index, check_number
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.ops.loss_reduction import (
    check_losses,
    check_losses_gradient,
    first_position,
    gradient_of_losses,
    reduce_losses,
)


class HingeResidual(NamedTuple):
    scores: Array
    signs: Array


def _check(scores: Array, signs: Array, *, margin: float, power: int, reduction: str, keep_residual: bool) -> None:
    check_losses("hinge", reduction, scores=scores, signs=signs)
    check_number("hinge", "margin", margin, low=0)
    if as_index(power) not in (1, 2):
        raise ValueError(f"hinge: power must be 1 or 2, got {power!r}")


def _check_backward(
    residual: HingeResidual, dy: Array, *, needs: tuple[bool, bool], margin: float, power: int, reduction: str
) -> None:
    check_losses_gradient("hinge", dy, residual.scores, reduction)


@kernel("hinge.forward", check=_check, portable=True)
def hinge_forward(
    scores: Array, signs: Array, *, margin: float, power: int, reduction: str, keep_residual: bool
) -> tuple[Array, HingeResidual | None]:
    """Return max(0, m − y·s)^p, reduced."""
    shortfall = np.maximum(float(margin) - signs * scores, 0)
    losses = shortfall if power == 1 else shortfall * shortfall
    return reduce_losses(losses, reduction), HingeResidual(scores, signs) if keep_residual else None


@kernel("hinge.backward", check=_check_backward, portable=True)
def hinge_backward(
    residual: HingeResidual, dy: Array, *, needs: tuple[bool, bool], margin: float, power: int, reduction: str
) -> Gradients:
    """∂L/∂s = −y·p·max(0, m − y·s)^(p − 1), and 0 at the kink."""
    scores, signs = residual
    shortfall = np.maximum(float(margin) - signs * scores, 0)
    slope = np.sign(shortfall) if power == 1 else 2 * shortfall
    return gradient_of_losses(dy, scores, reduction) * (-signs * slope) if needs[0] else None, None


_hinge = differentiable(hinge_forward, hinge_backward)


def hinge(
    scores: Tensor | Array,
    signs: Tensor | Array,
    *,
    margin: float = 1.0,
    power: int = 1,
    reduction: str = "mean",
) -> Tensor:
    """Return how far the scores fall short of the margin on their side.

    Args:
        scores: any shape, float32 or float64. signs: of the same shape and dtype; +1 for an example of the class, −1
            for another. Anything else is refused: the values are read.
        margin: ≥ 0. power: 1, or 2 for the squared hinge.
        reduction: "mean", "sum" or "none".

    Returns:
        A scalar, or the shape of scores for "none".

    >>> hinge(np.array([2.0, 0.5, 0.5]), np.array([1.0, 1.0, -1.0]), reduction="none").data
    array([0. , 0.5, 1.5])
    """
    signs = as_tensor("hinge", "signs", signs)
    y = signs.data
    position = first_position((y != 1) & (y != -1))
    if position is not None:
        raise ValueError(f"hinge: signs must be +1 or −1, got {y[position].item()!r} at index {position}")
    margin = check_number("hinge", "margin", margin, low=0)
    return _hinge(scores, signs, margin=margin, power=power, reduction=reduction)
