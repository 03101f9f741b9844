"""How batch normalisation differs: the place of ε, which variance, what momentum means, what freezing does.

The deviations are choices of one literal transcription, so that any of them combine.
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from golden.wrapping import Wrap
from refdet.core.check import Array
from refdet.core.summation import total
from refdet.ops.channels import all_but_channels, along_channels
from refdet.verify.deviation import Body, Deviation


class Residual(NamedTuple):
    """What the gradient of a deviating batch normalisation needs."""

    normalised: Array  # (x − μ) / D
    divisor: Array  # D, (1, C, 1, ...)
    weight: Array | None
    coupling: Array | None  # (dD/dx_i) / x̂_i; None where the statistics are constants


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
    eps_place: str = "inside",  # "outside": √σ² + ε
    least_eps: float = 0.0,
    variance: str = "biased",  # the one that normalises
    running: str = "",  # the one that is remembered; "": what the convention says
    complement: bool = False,  # momentum is the other share
    frozen: str = "running",  # "batch": the statistics of the batch normalise at inference too
) -> Any:
    """Normalise, by the choices at the end."""
    axes, eps = all_but_channels(x), max(eps, least_eps)
    m = math.prod(x.shape[a] for a in axes)
    to_unbiased = m / (m - 1) if m > 1 else math.inf
    new_mean, new_var = running_mean, running_var
    mean: Any = running_mean
    var: Any = running_var
    from_batch = training or frozen == "batch"
    if from_batch:
        mean = total(x, axes) / m
        biased = total(np.square(x - along_channels(mean, x)), axes) / m
        var = biased * to_unbiased if variance == "unbiased" else biased
        if training and running_mean is not None and running_var is not None:
            new_share = momentum if convention == "torch" else 1 - momentum
            new_share = 1 - new_share if complement else new_share
            kept = running or ("unbiased" if convention == "torch" else "biased")
            estimate = biased * to_unbiased if kept == "unbiased" else biased
            new_mean = (1 - new_share) * running_mean + new_share * mean
            new_var = (1 - new_share) * running_var + new_share * estimate
    deviation = along_channels(np.sqrt(var), x)
    divisor = deviation + eps if eps_place == "outside" else np.sqrt(along_channels(var, x) + eps)
    normalised = (x - along_channels(mean, x)) / divisor
    y = normalised if weight is None else along_channels(weight, x) * normalised
    y = y if bias is None else y + along_channels(bias, x)
    coupling = None
    if from_batch:  # dD/dx_i = x̂_i · D/σ / m with ε outside, x̂_i / m inside; m − 1 for the unbiased variance
        per_sample = np.ones_like(divisor) * (to_unbiased if variance == "unbiased" else 1) / m
        slope = np.divide(divisor, deviation, out=np.zeros_like(divisor), where=deviation != 0)
        coupling = per_sample * (slope if eps_place == "outside" else 1)
    return (y, new_mean, new_var), Residual(normalised, divisor, weight, coupling) if keep_residual else None


def batch_norm_backward(residual: Residual, dy: Array, *, needs: Any, **_: Any) -> Any:
    """dx_i = γ/D (dy_i − mean dy − (dD/dx_i) Σ dy x̂): the gradient of the forward pass above."""
    normalised, divisor, weight, coupling = residual
    axes = all_but_channels(dy)
    centred = dy
    if coupling is not None:
        m = math.prod(dy.shape[a] for a in axes)
        sums = along_channels(total(dy * normalised, axes), dy)
        centred = dy - along_channels(total(dy, axes), dy) / m - normalised * coupling * sums
    gain = 1 / divisor if weight is None else along_channels(weight, dy) / divisor
    dweight = total(dy * normalised, axes) if needs[1] else None
    return gain * centred, dweight, total(dy, axes) if needs[2] else None, None, None


def replacing(body: Body) -> Body:
    """Take the gradient above."""
    return batch_norm_backward


def batch_norm_choosing(**choice: Any) -> dict[str, Wrap]:
    """Wrap batch normalisation: the transcription above with a choice, added to those that were made before."""

    def wrap(body: Body) -> Body:
        literal = body if isinstance(body, functools.partial) else batch_norm_forward
        return functools.partial(literal, **choice)

    return {"batch_norm.forward": wrap, "batch_norm.backward": replacing}


DEVIATIONS = [
    Deviation(
        "bn.eps=outside",
        "adds ε to the standard deviation: √σ² + ε",
        "Outputs are smaller, noticeably so where the variance of a channel is not large against ε.",
        ("darknet (pjreddie), src/blas.c, normalize_cpu: / (sqrt(variance[f]) + .000001f)",),
        "Add ε to the variance, below the root: √(σ² + ε).",
        batch_norm_choosing(eps_place="outside"),
    ),
    Deviation(
        "bn.eps=at_least_1.001e-5",
        "takes ε = 1.001e-5 where less is asked for",
        "Channels with a variance of 1e-4 or less come out too small.",
        ("TensorFlow, tensorflow/python/ops/nn_impl.py, fused_batch_norm: min_epsilon = 1.001e-5, for cuDNN",),
        "Use ε as it is given; TensorFlow's unfused batch normalisation does.",
        batch_norm_choosing(least_eps=1.001e-5),
    ),
    Deviation(
        "bn.frozen=batch",
        "normalises by the statistics of the batch at inference too",
        "With training=False the running estimates have no effect, and the gradient runs through the statistics.",
        ("Keras 2 before TensorFlow 2, BatchNormalization with trainable=False while training: keras#9965",),
        "With training=False normalise by running_mean and running_var.",
        batch_norm_choosing(frozen="batch"),
    ),
    Deviation(
        "bn.momentum=complement",
        "takes momentum for the other share",
        "Where momentum is the share of the new statistics, it is used as that of the old ones, and the reverse: 0.1 "
        "acts like 0.9.",
        (
            "Keras, keras/layers/normalization/batch_normalization.py: the share of the old",
            "PyTorch, torch.nn.BatchNorm2d: the share of the new",
        ),
        "Replace momentum by 1 − momentum.",
        batch_norm_choosing(complement=True),
    ),
    Deviation(
        "bn.running_var=biased",
        "remembers the biased variance under convention torch too",
        "The running variance is smaller by (m − 1)/m of what is added; outputs in training are right.",
        (
            "Keras 3, keras/src/layers/normalization/batch_normalization.py",
            "ONNX, BatchNormalization with training_mode=1: ReduceVar, the population variance",
            "MLX before ml-explore/mlx#3817",
        ),
        "Multiply the variance by m/(m − 1) before it enters the running estimate.",
        batch_norm_choosing(running="biased"),
    ),
    Deviation(
        "bn.running_var=unbiased",
        "remembers the unbiased variance under convention onnx too",
        "The running variance is larger by m/(m − 1) of what is added; outputs in training are right.",
        (
            "PyTorch, torch.nn.BatchNorm2d",
            "Caffe, src/caffe/layers/batch_norm_layer.cpp: bias_correction_factor",
            "TensorFlow, fused_batch_norm (Bessel's correction)",
            "Keras 2, keras/layers/normalization.py: sample_size / (sample_size - (1.0 + self.epsilon))",
        ),
        "Let the variance enter the running estimate as it normalises, divided by m.",
        batch_norm_choosing(running="unbiased"),
    ),
    Deviation(
        "bn.var=unbiased",
        "normalises by the unbiased variance in training",
        "Outputs are smaller by √((m − 1)/m); with one value per channel they are NaN.",
        ("darknet, src/blas.c, variance_cpu: scale = 1./(batch * spatial - 1)",),
        "Divide the sum of squares by m.",
        batch_norm_choosing(variance="unbiased"),
    ),
]
