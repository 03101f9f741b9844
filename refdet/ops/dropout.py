"""Dropout: units removed at random while training.

    keep_i ~ Bernoulli(1 − p), independent

| convention | training | inference | who |
|---|---|---|---|
| `"inverted"` | y = x·keep / (1 − p) | y = x | Caffe, torch, ONNX |
| `"original"` | y = x·keep | y = x·(1 − p) | Hinton et al. (2012); Krizhevsky et al. (2012), section 4.2 |

The expectation in training equals the output of inference in both. p is the probability of removal (0.5 in AlexNet,
OverFeat and FCN; deck 003); Srivastava et al. (2014) call the probability of keeping p.

Conventions: a unit is kept where the draw u ∈ [0, 1) has u ≥ p, so p = 0 keeps all and p = 1 none. A removed unit is
0, and so is its gradient, even where x or dy is infinite or NaN. p = 1 gives zeros while training, and with
`"original"` at inference too: never 0/0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import (
    Array,
    check_booleans,
    check_choice,
    check_flag,
    check_floating,
    check_gradient,
    check_number,
    check_shape,
    shape_of,
)
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel

CONVENTIONS = ("inverted", "original")


class DropoutResidual(NamedTuple):
    x: Array
    keep: Array | None


def _check_options(p: float, training: bool, convention: str) -> None:
    check_number("dropout", "p", p, low=0, high=1)
    check_choice("dropout", "convention", convention, CONVENTIONS)
    check_flag("dropout", "training", training)


def _check(x: Array, keep: Array | None, *, p: float, training: bool, convention: str, keep_residual: bool) -> None:
    check_floating("dropout", x=x)
    _check_options(p, training, convention)
    if keep is None:
        if training:
            raise ValueError("dropout: keep must be given when training, one boolean per element of x; got None")
        return
    check_booleans("dropout", keep=keep)
    check_shape("dropout", "keep", keep, shape_of(x), "the shape of x")


def _check_backward(
    residual: DropoutResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool],
    p: float,
    training: bool,
    convention: str,
) -> None:
    check_gradient("dropout", dy, shape_of(residual.x), residual.x)


def _scaled(x: Array, keep: Array | None, p: float, training: bool, convention: str) -> Array:
    """Return the linear map that dropout is, and, being diagonal, also its transpose."""
    if p == 1 and (training or convention == "original"):
        return np.zeros_like(x)
    if not training or keep is None:  # the check refuses to train without keep
        return x if convention == "inverted" else x * (1 - float(p))
    return np.where(keep, x / (1 - float(p)) if convention == "inverted" else x, np.zeros_like(x))


@kernel("dropout.forward", check=_check, portable=True)
def dropout_forward(
    x: Array, keep: Array | None, *, p: float, training: bool, convention: str, keep_residual: bool
) -> tuple[Array, DropoutResidual | None]:
    """Return x with the units outside `keep` removed, scaled as the convention says."""
    return _scaled(x, keep, p, training, convention), DropoutResidual(x, keep) if keep_residual else None


@kernel("dropout.backward", check=_check_backward, portable=True)
def dropout_backward(
    residual: DropoutResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool],
    p: float,
    training: bool,
    convention: str,
) -> Gradients:
    """The gradient is removed and scaled as the units were; `keep` has none."""
    return _scaled(dy, residual.keep, p, training, convention), None


_dropout = differentiable(dropout_forward, dropout_backward)


def dropout(
    x: Tensor | Array,
    *,
    p: float,
    rng: np.random.Generator | None = None,
    training: bool,
    convention: str = "inverted",
) -> Tensor:
    """Remove each element with probability `p` while training.

    Args:
        x: any shape, float32 or float64.
        p: probability of removal, in [0, 1].
        rng: required when training: one float64 draw per element in row-major order, whatever the dtype of x. At
            inference nothing is drawn.
        training: whether to remove anything.
        convention: "inverted" scales while training, "original" at inference.

    Returns:
        Of the shape of x. At inference under "inverted" it is x itself.

    >>> dropout(np.array([1.0, 2.0, 3.0]), p=0.5, training=False, convention="original").data
    array([0.5, 1. , 1.5])
    >>> y = dropout(np.ones(1000), p=0.5, rng=np.random.default_rng(0), training=True)
    >>> sorted(set(y.data.tolist()))
    [0.0, 2.0]
    """
    x = as_tensor("dropout", "x", x)
    _check_options(p, training, convention)
    keep = None
    if training:
        if not isinstance(rng, np.random.Generator):
            raise TypeError(f"dropout: rng must be a numpy.random.Generator when training, got {type(rng).__name__}")
        keep = np.asarray(rng.random(x.shape) >= p, like=x.data)
    return _dropout(x, keep, p=p, training=training, convention=convention)
