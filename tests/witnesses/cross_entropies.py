"""Witnesses of the cross-entropies: the definition of each, one label at a time, with a switch for each deviation.

Probabilities are in the dtype of the logits where the deviation is what their rounding does, else in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._pointwise import by_torch, pointwise
from tests.witnesses._witness import Witness

FLT_MIN = float(np.finfo(np.float32).tiny)


def answer_bce(question: Question, **how: Any) -> Mapping[str, Any]:
    """The cross-entropy of a logit, from the logit."""

    def element(x: float, t: float) -> tuple[float, float, float]:
        e = math.exp(-abs(x))
        probability = (1.0 if x >= 0 else e) / (1 + e)
        return max(x, 0.0) - x * t + math.log1p(e), probability - t, -x

    return pointwise(question, element, **how)


def answer_bce_of_rounded(question: Question, *, lowest: float = -math.inf) -> Mapping[str, Any]:
    """−t·log p − (1 − t)·log(1 − p), p = 1/(1 + e^−x) in the dtype of x; dL/dx = p − t, as darknet has it."""
    dtype = question.arguments["logits"].dtype.type  # type: ignore[union-attr]

    def element(x: float, t: float) -> tuple[float, float, float]:
        with np.errstate(all="ignore"):
            p = dtype(1) / (dtype(1) + np.exp(-dtype(x)))
            logs = np.log(p), np.log(dtype(1) - p)
            low, high = (max(log, dtype(lowest)) for log in logs)
            return float(-dtype(t) * low - (dtype(1) - dtype(t)) * high), float(p - dtype(t)), math.nan

    return _without(pointwise(question, element), "dtargets")


def answer_bce_as_torch(question: Question) -> Mapping[str, Any]:
    """ATen's Loss.cpp, transcribed: logarithms not below −100; gradient (p − t)/max((1 − p)p, 10⁻¹²), then p(1 − p)."""
    dtype = question.arguments["logits"].dtype.type  # type: ignore[union-attr]

    def element(x: float, t: float) -> tuple[float, float, float]:
        with np.errstate(all="ignore"):
            p, one, target = dtype(1) / (dtype(1) + np.exp(-dtype(x))), dtype(1), dtype(t)
            low, high = max(np.log(p), dtype(-100)), max(np.log1p(-p), dtype(-100))
            loss = (target - one) * high - target * low
            by_p = (p - target) / max((one - p) * p, dtype(1e-12))
            return float(loss), float(by_p * p * (one - p)), math.nan

    return _without(pointwise(question, element), "dtargets")


def answer_bce_clipped(question: Question) -> Mapping[str, Any]:
    """Keras's binary_crossentropy of probabilities, transcribed: p clipped to [ε, 1 − ε] before the logarithms."""
    dtype = question.arguments["logits"].dtype.type  # type: ignore[union-attr]
    epsilon, one = dtype(1e-7), dtype(1)

    def element(x: float, t: float) -> tuple[float, float, float]:
        with np.errstate(over="ignore"):
            p = one / (one + np.exp(-dtype(x)))
        clipped = min(max(p, epsilon), one - epsilon)
        loss = -(dtype(t) * np.log(clipped) + (one - dtype(t)) * np.log(one - clipped))
        slope = p - dtype(t) if clipped == p else 0.0
        return float(loss), float(slope), math.nan

    return _without(pointwise(question, element), "dtargets")


def _without(answers: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return {key: value for key, value in answers.items() if key != name}


def answer_cross_entropy(
    question: Question,
    *,
    divide_by: str = "",
    smallest: float = 0.0,
    shifted: bool = True,
    nothing: float = math.nan,
) -> Mapping[str, Any]:
    """−w[y]·log p[y] for each label, and the sum divided as `normalize` (or `divide_by`, for every mean) says.

    `nothing` is the mean by weights that sum to 0. Not `shifted` is in the dtype of the logits, and leaves the gradient
    to `_torch_scratch`.
    """
    params = question.params
    logits, labels, weight = (question.arguments[name] for name in ("logits", "labels", "weight"))
    assert logits is not None
    assert labels is not None
    weights = np.ones(logits.shape[1]) if weight is None else np.asarray(weight, np.float64)
    losses, slopes = np.zeros(labels.shape), np.zeros(logits.shape)
    valid, weight_sum = 0, 0.0
    for n, *place in np.ndindex(labels.shape):
        label = int(labels[(n, *place)])
        if label == params["ignore_label"]:
            continue
        x = logits[(n, slice(None), *place)]
        with np.errstate(over="ignore", invalid="ignore"):
            e = np.exp((x - x.max() if shifted else x).astype(np.float64 if shifted else x.dtype))
            p = e / e.sum()
        shift = x.astype(np.float64) - float(x.max())
        log_p = math.log(max(p[label], smallest)) if smallest else shift[label] - np.log(np.exp(shift).sum())
        if not shifted:
            with np.errstate(divide="ignore"):
                log_p = np.log(p[label])
        w = float(weights[label])
        losses[(n, *place)] = -w * log_p
        slopes[(n, slice(None), *place)] = w * (p - np.eye(len(p))[label])
        valid, weight_sum = valid + 1, weight_sum + w
    normalize = params["normalize"]
    if divide_by and normalize not in ("sum", "none"):
        normalize = divide_by
    divisor = {
        "valid": max(valid, 1),
        "weight": weight_sum,
        "full": max(labels.size, 1),
        "batch": max(len(labels), 1),
        "sum": 1,
        "none": 1,
    }[normalize]
    with np.errstate(invalid="ignore", divide="ignore"):
        total = losses if normalize == "none" else losses.sum() / np.float64(divisor)
        answers = {"loss": total if divisor else np.float64(nothing)}
        if question.incoming_gradient is not None and shifted:
            dy = np.asarray(question.incoming_gradient, np.float64)
            dy = dy[:, np.newaxis] if normalize == "none" else dy
            answers["dlogits"] = np.where(slopes == 0, 0.0, dy * slopes / divisor) if divisor else slopes
    return answers


def _torch_bce(logits: Any, targets: Any, weight: Any, *, reduction: str) -> Any:
    import torch

    weight = None if weight is None else weight.detach()
    return torch.nn.functional.binary_cross_entropy(torch.sigmoid(logits), targets, weight, reduction=reduction)


def _torch_cross_entropy(logits: Any, labels: Any, weight: Any, *, ignore_label: int | None, normalize: str) -> Any:
    import torch

    return torch.nn.functional.cross_entropy(
        logits,
        labels,
        None if weight is None else weight.detach(),
        ignore_index=-100 if ignore_label is None else ignore_label,
        reduction=normalize if normalize in ("sum", "none") else "mean",
    )


def _torch_scratch(logits: Any, labels: Any, weight: Any, *, ignore_label: int | None, normalize: str) -> Any:
    """The softmax and the cross-entropy of d2l.ai, softmax-regression-scratch; the rest as defined."""
    import torch

    valid = labels != (-1 if ignore_label is None else ignore_label)
    e = torch.exp(logits.movedim(1, -1))[valid]
    probabilities = e / e.sum(-1, keepdim=True)
    chosen = labels[valid]
    weights = torch.ones(logits.shape[1]) if weight is None else weight.detach()
    losses = -torch.log(probabilities[range(len(chosen)), chosen]) * weights[chosen]
    if normalize == "none":
        return torch.zeros(labels.shape).masked_scatter(valid, losses)
    divisor = {
        "valid": max(len(chosen), 1),
        "weight": weights[chosen].sum(),
        "full": max(labels.numel(), 1),
        "batch": max(len(labels), 1),
        "sum": 1,
    }
    return losses.sum() / divisor[normalize]


_BCE, _CE = "binary_cross_entropy_with_logits", "softmax_cross_entropy"
_CAFFE = "BVLC/caffe, src/caffe/layers/softmax_loss_layer.cpp, transcribed"

CONFORMING: list[tuple[str, Callable[[Question], Mapping[str, Any]]]] = [
    (_BCE, answer_bce),
    (_CE, answer_cross_entropy),
]

WITNESSES = [
    Witness("bce.log=clamp100", _BCE, "pytorch, aten/src/ATen/native/Loss.cpp, transcribed", answer_bce_as_torch),
    Witness("bce.log=clip1e-7", _BCE, "keras, binary_crossentropy of probabilities, transcribed", answer_bce_clipped),
    Witness("bce.log=unclamped", _BCE, "darknet, src/blas.c, logistic_x_ent_cpu", answer_bce_of_rounded),
    Witness("loss.empty=0", _BCE, "the definition", partial(answer_bce, empty=0.0)),
    Witness("loss.mean=batch", _BCE, "the definition", partial(answer_bce, mean="batch")),
    Witness("loss.mean=nonzero", _BCE, "tensorflow, ops/losses/losses_impl.py", partial(answer_bce, mean="nonzero")),
    Witness("loss.mean=sum", _BCE, "the definition", partial(answer_bce, mean="sum")),
    Witness("ce.empty=0", _CE, "the definition, but for nothing", partial(answer_cross_entropy, nothing=0.0)),
    Witness("ce.log=flt_min", _CE, _CAFFE, partial(answer_cross_entropy, smallest=FLT_MIN)),
    Witness("ce.normalize=batch", _CE, _CAFFE, partial(answer_cross_entropy, divide_by="batch")),
    Witness("ce.normalize=full", _CE, "the mean over all positions", partial(answer_cross_entropy, divide_by="full")),
    Witness("ce.normalize=valid", _CE, _CAFFE, partial(answer_cross_entropy, divide_by="valid")),
    Witness("ce.normalize=weight", _CE, "the mean of torch", partial(answer_cross_entropy, divide_by="weight")),
    Witness("softmax.shift=none", _CE, "d2l.ai, softmax from scratch", partial(answer_cross_entropy, shifted=False)),
]

if find_spec("torch"):
    WITNESSES += [
        Witness("bce.log=clamp100", _BCE, "torch", partial(by_torch, loss=_torch_bce)),
        Witness("ce.normalize=weight", _CE, "torch", partial(by_torch, loss=_torch_cross_entropy)),
        Witness("softmax.shift=none", _CE, "d2l.ai's code in torch", partial(by_torch, loss=_torch_scratch)),
    ]
