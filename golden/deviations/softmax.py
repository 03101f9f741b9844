"""How softmax and its cross-entropy differ: exponentials that overflow, logarithms of 0, what a mean divides by."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.op_wrapping import both, changing
from refdet.core.check import Array
from refdet.ops.softmax import SoftmaxResidual
from refdet.verify.deviation import Body, Deviation

SOFTMAX_CE = "softmax_cross_entropy"
CAFFE_CE = "Caffe, src/caffe/layers/softmax_loss_layer.cpp"
FLT_MIN = float(np.finfo(np.float32).tiny)


def naive_softmax(x: Array, axis: int) -> Array:
    """Return eˣ / Σ eˣ, without a shift."""
    with np.errstate(all="ignore"):
        e = np.exp(x)
        y: Array = e / np.sum(e, axis=axis, keepdims=True)
    return y


def softmax_unshifted(body: Body) -> Body:
    """Take exponentials of the logits as they are."""

    def forward(x: Array, *, axis: int, keep_residual: bool) -> Any:
        y = naive_softmax(x, axis)
        return y, SoftmaxResidual(y) if keep_residual else None

    return forward


def log_softmax_unshifted(body: Body) -> Body:
    """Take the logarithm of such a softmax."""

    def forward(x: Array, *, axis: int, keep_residual: bool) -> Any:
        with np.errstate(all="ignore"):
            y = np.log(naive_softmax(x, axis))
        return y, SoftmaxResidual(y) if keep_residual else None

    return forward


def cross_entropy_unshifted(body: Body) -> Body:
    """Give the logarithms of such a softmax for logits; where that of the label is no number the gradient is NaN."""

    def forward(logits: Array, labels: Array, *arrays: Any, **params: Any) -> Any:
        classes = np.arange(logits.shape[1]).reshape(-1, *(1,) * (logits.ndim - 2))
        is_label = labels[:, None] == classes
        with np.errstate(all="ignore"):
            log_p = np.log(naive_softmax(logits, 1))
            read = np.where(np.isnan(log_p) & ~is_label, np.zeros_like(log_p), log_p)  # nobody reads the others
            y, residual = body(read, labels, *arrays, **params)
        lost = np.any(is_label & ~np.isfinite(log_p), axis=1, keepdims=True)
        return y, residual and residual._replace(logits=np.where(lost, np.full_like(log_p, np.nan), log_p))

    return forward


def through_the_logarithm(body: Body) -> Body:
    """Go back through log p and then through p: dp = dy / p, dx = p (dp − Σ dp p), which is NaN where a p is 0."""

    def backward(residual: SoftmaxResidual, dy: Array, *, needs: Any, axis: int) -> Any:
        with np.errstate(all="ignore"):
            p = np.exp(residual.y)
            dp = dy / p
            return (p * (dp - np.sum(dp * p, axis=axis, keepdims=True)),)

    return backward


def log_of_softmax(body: Body) -> Body:
    """Take the logarithm of a softmax that was rounded; the shift is made."""

    def forward(x: Array, *, axis: int, keep_residual: bool) -> Any:
        y, residual = body(x, axis=axis, keep_residual=keep_residual)
        with np.errstate(all="ignore"):
            y = np.log(np.exp(y))
        return y, residual and SoftmaxResidual(y)

    return forward


def at_least_flt_min(body: Body) -> Body:
    """Take the logarithm of max(p, FLT_MIN); the gradient is p − [c = y] all the same."""

    def forward(logits: Array, *arrays: Any, **params: Any) -> Any:
        with np.errstate(all="ignore"):
            p = naive_softmax(logits - np.amax(logits, axis=1, keepdims=True), 1)
            y, residual = body(np.log(np.maximum(p, FLT_MIN)).astype(logits.dtype), *arrays, **params)
        return y, residual and residual._replace(logits=logits)

    return forward


def empty_loss_is_zero(body: Body) -> Body:
    """Answer 0 where the weights of the labels that count sum to 0."""

    def forward(logits: Array, labels: Array, weight: Array | None, **params: Any) -> Any:
        loss, residual = body(logits, labels, weight, **params)
        counted = labels[labels != params["ignore_label"]]
        weights = np.ones(logits.shape[1]) if weight is None else weight
        nothing = params["normalize"] == "weight" and np.sum(weights[counted]) == 0
        return np.zeros_like(loss) if nothing else loss, residual

    return forward


def divisor(name: str, title: str, effect: str, who: tuple[str, ...]) -> Deviation:
    """Describe a cross-entropy that averages in one way, whatever it is asked for."""
    return Deviation(
        f"ce.normalize={name}",
        f"divides by {title}, whatever normalize says",
        f"Every kind of mean is divided by {title}; {effect}.",
        who,
        "Divide by what normalize says: valid labels, their weights, all labels, or images.",
        both(changing(lambda p: {} if p["normalize"] in ("sum", "none") else {"normalize": name}), SOFTMAX_CE),
    )


DEVIATIONS = [
    Deviation(
        "softmax.shift=none",
        "takes exponentials without subtracting the maximum",
        "Logits beyond 88 (float32) overflow: ∞/∞ is NaN, the probability of the others is 0, and the loss of a label "
        "with probability 0 is ∞. Very negative logits give 0/0. The gradient of the logarithm is that of log p, then "
        "of p: where a p is 0 or NaN (for a loss: that of the label) it is NaN for all logits of the row.",
        ("Dive into Deep Learning (d2l.ai), softmax-regression-scratch: X_exp / partition",),
        "Subtract the largest logit from all of them first.",
        {
            "softmax.forward": softmax_unshifted,
            "log_softmax.forward": log_softmax_unshifted,
            "log_softmax.backward": through_the_logarithm,
            f"{SOFTMAX_CE}.forward": cross_entropy_unshifted,
        },
    ),
    Deviation(
        "logsoftmax.log=rounded",
        "takes the logarithm of a rounded softmax",
        "A class whose probability rounds to 0 gives −∞ instead of a large negative number, and all logits of that row "
        "the gradient NaN, as dy / p is infinite there.",
        ("Whoever writes log(softmax(x)), of which the documentation of torch.nn.functional.log_softmax warns",),
        "Compute (x − m) − ln Σ e^(x − m).",
        {"log_softmax.forward": log_of_softmax, "log_softmax.backward": through_the_logarithm},
    ),
    Deviation(
        "ce.empty=0",
        "answers 0 for the weighted mean of no labels",
        "With normalize=weight, where every label is ignored, the loss is 0 instead of 0/0 = NaN; the gradient is 0 "
        "all the same.",
        ("OpenCV 5.0.0, dnn, SoftmaxCrossEntropyLoss: run",),
        "Divide by the sum of the weights, 0; or state that the mean of no labels is 0.",
        {f"{SOFTMAX_CE}.forward": empty_loss_is_zero},
    ),
    Deviation(
        "ce.log=flt_min",
        "takes the logarithm of the probability, not below FLT_MIN",
        "A loss ends at 87.3; the gradient is right.",
        (f"{CAFFE_CE}: log(std::max(prob, Dtype(FLT_MIN)))",),
        "Compute log Σ e^(x − m) − (x − m) from the logits.",
        {f"{SOFTMAX_CE}.forward": at_least_flt_min},
    ),
    divisor(
        "batch",
        "the number of images",
        "a map of many pixels counts as one",
        (f"{CAFFE_CE}: loss_param {{ normalize: false }} divides by outer_num_",),
    ),
    divisor(
        "full",
        "the number of all labels, ignored or not",
        "ignored labels make the loss smaller",
        ("TensorFlow, tf.reduce_mean of losses that were masked with zeros",),
    ),
    divisor(
        "valid",
        "the number of labels that are not ignored",
        "weights of classes do not enter it",
        (f"{CAFFE_CE}: VALID, its default",),
    ),
    divisor(
        "weight",
        "the sum of the weights of the labels",
        "a mean over ignored labels alone is NaN",
        ('PyTorch, torch.nn.functional.cross_entropy with reduction="mean"',),
    ),
]
