"""Batch normalisation: each channel to mean 0 and variance 1, then scaled and shifted.

    μ_c = mean x_c,    σ²_c = mean (x_c − μ_c)²,    x̂ = (x − μ_c) / √(σ²_c + ε),    y = γ_c x̂ + β_c

Means are over the batch and all positions, m values per channel. Ioffe & Szegedy (2015), algorithm 1 (training) and 2
(inference, where running estimates take the place of μ and σ²); γ is `weight`, β is `bias`, absent ones are 1 and 0.

Training normalises with the biased variance above, in both conventions. The running estimates r then follow, and here
libraries differ, in the meaning of `momentum` and in the variance:

| convention | update | variance | usual momentum |
|---|---|---|---|
| `"torch"` | r ← (1 − momentum)·r + momentum·statistic | unbiased, m/(m − 1)·σ² | 0.1 |
| `"onnx"` | r ← momentum·r + (1 − momentum)·statistic | biased, σ² | 0.9 |

Conventions: the mean is corrected by the mean of the deviations from it, which rounding leaves over, and the variance
is the mean of squared deviations from the mean; sums accumulate in the input's dtype, pairwise. A channel of m = 1
value has no unbiased variance, so under "torch" it is an error to train on one; under "onnx" y is β. Training on m = 0
values is an error, and so is an ε that is 0 in the dtype of x; inference of an empty batch is empty. A frozen layer is
`training=False`: the estimates are constants for the gradient, while γ and β still have one.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import (
    Array,
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
from refdet.core.summation import total
from refdet.ops.channels import all_but_channels, along_channels, check_channels
from refdet.ops.number import check_number_in_dtype

CONVENTIONS = ("torch", "onnx")

Outputs = tuple[Array, Array | None, Array | None]


class BatchNormResidual(NamedTuple):
    normalised: Array  # x̂
    deviation: Array  # √(σ² + ε), (1, C, 1, ...)
    weight: Array | None


def _mean(x: Array) -> Array:
    """Return the mean of every channel, (C,)."""
    return total(x, all_but_channels(x)) / _values_per_channel(x)


def _values_per_channel(x: Array) -> int:
    return math.prod(x.shape[a] for a in all_but_channels(x))


def _check(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    training: bool,
    momentum: float,
    eps: float,
    convention: str,
    keep_residual: bool,
) -> None:
    per_channel = {"weight": weight, "bias": bias, "running_mean": running_mean, "running_var": running_var}
    check_floating("batch_norm", optional=tuple(per_channel), x=x, **per_channel)
    check_channels("batch_norm", x)
    for name, values in per_channel.items():
        if values is not None:
            check_shape("batch_norm", name, values, (int(x.shape[1]),), "one per channel of x")
    check_number("batch_norm", "momentum", momentum, low=0, high=1)
    check_number_in_dtype("batch_norm", "eps", eps, x, low=0, open_low=True)
    check_choice("batch_norm", "convention", convention, CONVENTIONS)
    check_flag("batch_norm", "training", training)
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm: running_mean and running_var must be given together, got only one of them")
    if not training and running_mean is None:
        raise ValueError("batch_norm: running_mean and running_var must be given when training=False, got None")
    m = _values_per_channel(x)
    if training and m < (2 if convention == "torch" else 1):
        needed = "2 values per channel under convention 'torch'" if convention == "torch" else "1 value per channel"
        raise ValueError(f"batch_norm: training needs at least {needed}, got {m} (x has shape {shape_of(x)})")


def _check_backward(
    residual: BatchNormResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool, bool, bool],
    training: bool,
    momentum: float,
    eps: float,
    convention: str,
) -> None:
    check_gradient("batch_norm", dy, shape_of(residual.normalised), residual.normalised)


@kernel("batch_norm.forward", check=_check, portable=True)
def batch_norm_forward(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    training: bool,
    momentum: float,
    eps: float,
    convention: str,
    keep_residual: bool,
) -> tuple[Outputs, BatchNormResidual | None]:
    """Return y and the running estimates that follow."""
    if training:
        mean: Any = _mean(x)
        mean = mean + _mean(x - along_channels(mean, x))  # what rounding of the first left over
        variance: Any = _mean(np.square(x - along_channels(mean, x)))
        new_mean, new_var = followed(
            running_mean, running_var, mean, variance, _values_per_channel(x), momentum, convention
        )
    else:
        mean, variance = new_mean, new_var = running_mean, running_var
    deviation = np.sqrt(along_channels(variance, x) + float(eps))
    normalised = (x - along_channels(mean, x)) / deviation
    y = normalised if weight is None else along_channels(weight, x) * normalised
    if bias is not None:
        y = y + along_channels(bias, x)
    return (y, new_mean, new_var), BatchNormResidual(normalised, deviation, weight) if keep_residual else None


def followed(
    running_mean: Array | None,
    running_var: Array | None,
    mean: Array,
    variance: Array,
    m: int,
    momentum: float,
    convention: str,
) -> tuple[Array | None, Array | None]:
    """Move the running estimates towards the statistics of a batch of m values per channel."""
    if running_mean is None or running_var is None:
        return None, None
    if convention == "torch":
        old, new, estimate = 1 - float(momentum), float(momentum), variance * (m / (m - 1))
    else:
        old, new, estimate = float(momentum), 1 - float(momentum), variance
    return old * running_mean + new * mean, old * running_var + new * estimate


@kernel("batch_norm.backward", check=_check_backward, portable=True)
def batch_norm_backward(
    residual: BatchNormResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool, bool, bool],
    training: bool,
    momentum: float,
    eps: float,
    convention: str,
) -> Gradients:
    """Training: dx = γ/√(σ² + ε) · (dy − mean(dy) − x̂·mean(dy·x̂)); inference: dx = γ/√(σ² + ε) · dy.

    In both, dγ = Σ dy·x̂ and dβ = Σ dy. The running estimates have no gradient.
    """
    normalised, deviation, weight = residual
    axes = all_but_channels(dy)
    dx = dweight = dbias = None
    if needs[0]:
        gain = 1 / deviation if weight is None else along_channels(weight, dy) / deviation
        centred = dy
        if training:
            mean_dy, mean_dy_normalised = (along_channels(_mean(d), dy) for d in (dy, dy * normalised))
            centred = dy - mean_dy - normalised * mean_dy_normalised
        dx = gain * centred
    if needs[1]:
        dweight = total(dy * normalised, axes)
    if needs[2]:
        dbias = total(dy, axes)
    return dx, dweight, dbias, None, None


_batch_norm = differentiable(batch_norm_forward, batch_norm_backward)


def batch_norm(
    x: Tensor | Array,
    weight: Tensor | Array | None,
    bias: Tensor | Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    convention: str = "torch",
) -> tuple[Tensor, Array | None, Array | None]:
    """Normalise each channel by its mean and variance over the batch, or by given ones.

    Nothing is changed in place: the caller stores the running estimates that are returned.

    Args:
        x: (N, C, ...), float32 or float64.
        weight, bias: γ and β, (C,), or None for 1 and 0.
        running_mean, running_var: (C,) arrays, or None (both) to keep no estimates; needed when not training. They are
            constants: no gradient flows to them.
        training: True uses the statistics of x and moves the estimates; False, also for a frozen layer, uses the
            estimates.
        momentum: in [0, 1]: the share of the new statistics under "torch" (0.1), of the old estimates under "onnx",
            where it must be given as 0.9 to mean the same.
        eps: ε > 0.
        convention: how the running estimates follow, "torch" or "onnx"; y does not depend on it.

    Returns:
        y of the shape of x, and the new running mean and variance: the old ones, not copies, when not training.

    >>> x = np.array([[1.0], [3.0]])  # mean 2, variance 1 (biased), 2 (unbiased)
    >>> y, mean, var = batch_norm(x, None, None, np.zeros(1), np.ones(1), training=True, momentum=0.5)
    >>> y.data.round(4).ravel(), mean, var
    (array([-1.,  1.]), array([1.]), array([1.5]))
    """
    y, *running = _batch_norm.with_extras(
        x,
        weight,
        bias,
        running_mean,
        running_var,
        training=training,
        momentum=momentum,
        eps=eps,
        convention=convention,
    )
    new_mean, new_var = running
    return y, new_mean, new_var
