"""Losses that are sums over elements, for the witnesses: weighed, added up and divided; and answers by torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.verify.question import Question

Element = Callable[[float, float], tuple[float, float, float]]  # the loss, and its derivatives by both arguments


def pointwise(
    question: Question, element: Element, *, mean: str = "elements", empty: float = math.nan
) -> Mapping[str, Any]:
    """Answer a loss that is a sum over elements; `mean` says by what "mean" divides."""
    first, second = (np.asarray(a, np.float64) for a in list(question.arguments.values())[:2])
    given = question.arguments.get("weight")
    weight = np.ones(first.shape) if given is None else np.asarray(given, np.float64)
    loss, d_first, d_second = np.zeros(first.shape), np.zeros(first.shape), np.zeros(first.shape)
    for at in np.ndindex(first.shape):
        parts = element(float(first[at]), float(second[at]))
        loss[at], d_first[at], d_second[at] = (float(weight[at]) * part for part in parts)
    total: Any = loss
    if question.params["reduction"] != "none":
        total = loss.sum()
    if question.params["reduction"] == "mean":
        count = {
            "elements": first.size,
            "batch": first.shape[0],
            "nonzero": np.count_nonzero(weight),
            "sum": 1,
        }[mean]
        empty = 0.0 if mean == "nonzero" else empty  # tf.losses divides by _safe_mean
        with np.errstate(invalid="ignore", divide="ignore"):
            total, d_first, d_second = (part / np.float64(count) for part in (total, d_first, d_second))
        total = empty if first.size == 0 and mean != "sum" else total
    answers = {question.outputs[0]: np.asarray(total)}
    if question.incoming_gradient is not None:
        dy = np.asarray(question.incoming_gradient, np.float64)
        answers |= dict(zip(question.gradients, (dy * d_first, dy * d_second), strict=False))
    return answers


def by_torch(question: Question, loss: Callable[..., Any]) -> Mapping[str, Any]:
    """Answer with torch and its autograd; integers are no leaves."""
    import torch

    leaves = {
        name: None if a is None else torch.tensor(a, requires_grad=a.dtype.kind == "f")
        for name, a in question.arguments.items()
    }
    y = loss(*leaves.values(), **question.params)
    answers = {question.outputs[0]: y.detach().numpy()}
    if question.incoming_gradient is not None:
        y.backward(torch.tensor(question.incoming_gradient))
        for name, leaf in leaves.items():
            if "d" + name in question.gradients and leaf is not None and leaf.grad is not None:
                answers["d" + name] = leaf.grad.numpy()
    return answers
