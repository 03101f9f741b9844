"""Witnesses of hinge and regression losses: the definition of each, an element at a time, and a switch each.

A loss of one element is a function of (prediction, target) that returns the loss and its derivatives with respect to
both. Python floats, so that nothing is rounded to float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

from refdet.verify.question import Question, Skipped
from tests.witnesses._pointwise import by_torch, pointwise
from tests.witnesses._witness import Witness


def _sign(d: float) -> float:
    return math.nan if math.isnan(d) else float((d > 0) - (d < 0))


def answer_l1(question: Question, *, at_zero: float = 0.0, **how: Any) -> Mapping[str, Any]:
    """|x − t|, whose derivative at 0 is `at_zero`."""

    def element(x: float, t: float) -> tuple[float, float, float]:
        slope = at_zero if x == t else _sign(x - t)
        return abs(x - t), slope, -slope

    return pointwise(question, element, **how)


def answer_squared_error(
    question: Question, *, scale: float = 1.0, gradient_scale: float | None = None, **how: Any
) -> Mapping[str, Any]:
    """(x − t)², times factors."""
    factor = scale if gradient_scale is None else gradient_scale

    def element(x: float, t: float) -> tuple[float, float, float]:
        return scale * (x - t) ** 2, factor * 2 * (x - t), factor * -2 * (x - t)

    return pointwise(question, element, **how)


def answer_smooth_l1(
    question: Question,
    *,
    beta_of: Callable[[float], float] = lambda beta: beta,
    times_beta: bool = False,
    doubled: bool = False,
    at_zero: float = 0.0,
    **how: Any,
) -> Mapping[str, Any]:
    """d²/2β where |d| < β, |d| − β/2 elsewhere; Huber's loss is β times that."""
    beta = beta_of(question.params["beta"])

    def element(x: float, t: float) -> tuple[float, float, float]:
        d = x - t
        if abs(d) < beta:
            loss, slope = 0.5 * d * d / beta, d / beta
        else:
            loss, slope = abs(d) - beta / 2, at_zero if d == 0 else _sign(d)
        factor = beta if times_beta else 1.0
        return (2 if doubled else 1) * factor * loss, factor * slope, -factor * slope

    return pointwise(question, element, **how)


def _beta_of_sigma(sigma: float) -> float:
    return 1 / sigma**2 if sigma else math.inf


def answer_hinge(question: Question, *, at_kink: float = 0.0, **how: Any) -> Mapping[str, Any]:
    """max(0, m − y·s)^p, whose derivative at the kink is −y·at_kink for p = 1."""
    margin, power = question.params["margin"], question.params["power"]

    def element(s: float, y: float) -> tuple[float, float, float]:
        violation = margin - y * s
        if power == 2:
            return max(violation, 0.0) ** 2, -2 * y * max(violation, 0.0), math.nan
        passed = at_kink if violation == 0 else float(violation > 0)
        return max(violation, 0.0), -y * passed, math.nan

    return pointwise(question, element, **how)


def _torch_huber(x: Any, target: Any, *, beta: float, reduction: str) -> Any:
    import torch

    if beta == 0:
        raise Skipped("torch's delta is positive")
    return torch.nn.functional.huber_loss(x, target, delta=beta, reduction=reduction)


def _torch_smooth_l1(x: Any, target: Any, *, beta: float, reduction: str) -> Any:
    import torch

    return torch.nn.functional.smooth_l1_loss(x, target, reduction=reduction)


def _torch_hinge(scores: Any, signs: Any, *, margin: float, power: int, reduction: str) -> Any:
    loss = (margin - signs.detach() * scores).clamp(min=0) ** power
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]


_POINTWISE: dict[str, Callable[..., Mapping[str, Any]]] = {
    "hinge": answer_hinge,
    "l1": answer_l1,
    "smooth_l1": answer_smooth_l1,
    "squared_error": answer_squared_error,
}

CONFORMING = list(_POINTWISE.items())

_SMOOTH_CODE = "rbgirshick/caffe-fast-rcnn, src/caffe/layers/smooth_l1_loss_layer.cpp, transcribed"

WITNESSES = [
    Witness("hinge.kink=active", "hinge", "the definition, slope 1 at 0", partial(answer_hinge, at_kink=1.0)),
    Witness("hinge.kink=half", "hinge", "the definition, slope 1/2 at 0", partial(answer_hinge, at_kink=0.5)),
    Witness("huber.scale=beta", "smooth_l1", "Huber (1964)", partial(answer_smooth_l1, times_beta=True)),
    Witness("l1.grad_zero=1", "l1", "the definition", partial(answer_l1, at_zero=1.0)),
    Witness("l1.grad_zero=1", "smooth_l1", "the definition", partial(answer_smooth_l1, at_zero=1.0)),
    Witness("smoothl1.beta=1", "smooth_l1", "Girshick (2015), eq. 3", partial(answer_smooth_l1, beta_of=lambda _: 1.0)),
    Witness("smoothl1.beta=sigma", "smooth_l1", _SMOOTH_CODE, partial(answer_smooth_l1, beta_of=_beta_of_sigma)),
    Witness("smoothl1.loss=doubled", "smooth_l1", "darknet, src/blas.c", partial(answer_smooth_l1, doubled=True)),
    Witness("squared.scale=half", "squared_error", "the definition", partial(answer_squared_error, scale=0.5)),
    Witness(
        "squared.scale=half_gradient",
        "squared_error",
        "darknet, src/blas.c, l2_cpu",
        partial(answer_squared_error, gradient_scale=0.5),
    ),
    *[
        Witness(key, algorithm, "the definition", partial(answer, **how))
        for algorithm, answer in _POINTWISE.items()
        for key, how in (
            ("loss.empty=0", {"empty": 0.0}),
            ("loss.mean=batch", {"mean": "batch"}),
            ("loss.mean=sum", {"mean": "sum"}),
        )
    ],
]

if find_spec("torch"):
    WITNESSES += [
        Witness("huber.scale=beta", "smooth_l1", "torch", partial(by_torch, loss=_torch_huber)),
        Witness("smoothl1.beta=1", "smooth_l1", "torch", partial(by_torch, loss=_torch_smooth_l1)),
        Witness("hinge.kink=active", "hinge", "torch", partial(by_torch, loss=_torch_hinge)),
    ]
