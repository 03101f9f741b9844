"""Batch normalisation, per channel over the batch and all positions.

    y_i = gamma xhat_i + beta,    xhat_i = (x_i - mu) / sigma,    sigma = sqrt(v + eps)

Training: mu and v are the mean and the biased variance of the n values x_i of the channel, so that

    dy_i/dx_j = gamma / sigma (delta_ij - 1/n - xhat_i xhat_j / n)

Inference: mu and v are the running statistics, which are constants: dy_i/dx_j = gamma / sigma delta_ij.
In both, dy_i/dgamma = xhat_i and dy_i/dbeta = 1; gamma is 1 without a weight, beta 0 without a bias. Training moves the
running statistics r, by momentum m, towards those of the batch, s:

    "torch"    r <- (1 - m) r + m s,    with the unbiased variance, divided by n - 1
    "onnx"     r <- m r + (1 - m) s,    with the biased variance, divided by n

Source: Ioffe and Szegedy, "Batch Normalization", algorithm 1 and section 3.
"""

import numpy as np

from tests.oracles._axes import groups
from tests.oracles._ieee import quotient, sqrt
from tests.oracles._sums import Array, Float64Array, Index, exact_sum


def forward(
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
) -> tuple[Float64Array, Float64Array | None, Float64Array | None]:
    """Return (y, new_running_mean, new_running_var); a running statistic that is None stays None."""
    y = np.empty(x.shape)
    new_mean = None if running_mean is None else running_mean.astype(np.float64)
    new_var = None if running_var is None else running_var.astype(np.float64)
    old_share, batch_share = (1 - momentum, momentum) if convention == "torch" else (momentum, 1 - momentum)
    for c, channel in enumerate(_channels(x)):
        gamma = 1.0 if weight is None else float(weight[c])
        beta = 0.0 if bias is None else float(bias[c])
        xhat, _ = _normalise(x, c, channel, running_mean, running_var, training, eps)
        for i in channel:
            y[i] = gamma * xhat[i] + beta
        if training:
            mean, squares = _moments(x, channel)
            divisor = len(channel) - 1 if convention == "torch" else len(channel)
            if new_mean is not None:
                new_mean[c] = old_share * float(new_mean[c]) + batch_share * mean
            if new_var is not None:
                new_var[c] = old_share * float(new_var[c]) + batch_share * quotient(squares, divisor)
    return y, new_mean, new_var


def backward(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    dy: Array,
    training: bool,
    momentum: float,
    eps: float,
    convention: str,
) -> tuple[Float64Array, Float64Array | None, Float64Array | None, None, None]:
    """Return (dx, dweight, dbias, None, None); dy belongs to y."""
    dx = np.empty(x.shape)
    dweight, dbias = np.empty(x.shape[1]), np.empty(x.shape[1])
    for c, channel in enumerate(_channels(x)):
        xhat, sigma = _normalise(x, c, channel, running_mean, running_var, training, eps)
        slope = quotient(1.0 if weight is None else float(weight[c]), sigma)
        coupling = 1 / len(channel) if training and channel else 0.0  # the batch statistics tie every x_j to every y_i
        for j in channel:
            dx[j] = exact_sum(
                float(dy[i]) * slope * ((i == j) - coupling - xhat[i] * xhat[j] * coupling) for i in channel
            )
        dweight[c] = exact_sum(float(dy[i]) * xhat[i] for i in channel)
        dbias[c] = exact_sum(float(dy[i]) for i in channel)
    return dx, None if weight is None else dweight, None if bias is None else dbias, None, None


def _channels(x: Array) -> list[list[Index]]:
    """Return, per channel, the indices of its elements."""
    return list(groups(x.shape, (0, *range(2, x.ndim))).values())


def _moments(x: Array, channel: list[Index]) -> tuple[float, float]:
    """Return the mean, and the sum of the squared deviations from it."""
    mean = quotient(exact_sum(float(x[i]) for i in channel), len(channel))
    deviations = [float(x[i]) - mean for i in channel]
    return mean, exact_sum(d * d for d in deviations)


def _normalise(
    x: Array,
    c: int,
    channel: list[Index],
    running_mean: Array | None,
    running_var: Array | None,
    training: bool,
    eps: float,
) -> tuple[dict[Index, float], float]:
    """Return xhat of each element of channel c, and sigma."""
    if training:
        mean, squares = _moments(x, channel)
        variance = quotient(squares, len(channel))
    else:
        assert running_mean is not None
        assert running_var is not None
        mean, variance = float(running_mean[c]), float(running_var[c])
    sigma = sqrt(variance + eps)
    return {i: quotient(float(x[i]) - mean, sigma) for i in channel}, sigma
