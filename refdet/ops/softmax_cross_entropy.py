"""Softmax cross-entropy of class logits, for whole images or for every pixel of a map.

    ℓ_i = −w[y_i] · log p_i[y_i],     p_i = softmax(x_i) over the classes;     ℓ_i = 0 where y_i is ignored
    L = Σ_i ℓ_i / D,     ∂L/∂x_i[c] = w[y_i] · (p_i[c] − [c = y_i]) / D,     0 where y_i is ignored

| normalize | D | who |
|---|---|---|
| `"valid"` | the number of labels that are not ignored, at least 1 | Caffe VALID, its default |
| `"weight"` | Σ w[y_i] over those; nothing, or weights of 0 alone, gives 0/0 = NaN | torch "mean" |
| `"full"` | the number of all labels, ignored or not, at least 1 | Caffe FULL |
| `"batch"` | N, at least 1 | Caffe BATCH_SIZE |
| `"sum"` | 1 | Caffe NONE, torch "sum"; FCN's training, of one image a batch (`normalize: false`, Caffe's BATCH_SIZE) |
| `"none"` | no sum: ℓ itself | torch "none" |

Logits are shifted by their largest, so they may be of any size. The logits of an ignored label have no part: a NaN
there costs nothing, and their gradient is 0, for any D. Logits of −∞ rule a class out; NaN, or a largest logit of ±∞,
gives NaN, and so does a weight of 0 times an infinite loss. A loss beyond the dtype is ∞. Weights
and labels get no gradient. Sums accumulate in the dtype of the logits.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import (
    Array,
    as_index,
    check_choice,
    check_floating,
    check_gradient,
    check_integer,
    check_shape,
    shape_of,
)
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.ops.loss_reduction import first_position

NORMALIZERS = ("valid", "weight", "full", "batch", "sum", "none")


class SoftmaxCrossEntropyResidual(NamedTuple):
    logits: Array
    labels: Array
    weight: Array | None


def _check(
    logits: Array,
    labels: Array,
    weight: Array | None,
    *,
    ignore_label: int | None,
    normalize: str,
    keep_residual: bool,
) -> None:
    op = "softmax_cross_entropy"
    check_floating(op, optional=("weight",), logits=logits, weight=weight)
    check_integer(op, labels=labels)
    if logits.ndim < 2 or logits.shape[1] == 0:
        raise ValueError(f"{op}: logits must be (N, C, ...) with at least one class, got shape {shape_of(logits)}")
    N, C, *positions = shape_of(logits)
    check_shape(op, "labels", labels, (N, *positions), "one per position of logits")
    if weight is not None:
        check_shape(op, "weight", weight, (C,), "one per class")
    check_choice(op, "normalize", normalize, NORMALIZERS)
    if ignore_label is not None and as_index(ignore_label) is None:
        raise TypeError(f"{op}: ignore_label must be an integer or None, got {ignore_label!r}")


def _check_backward(
    residual: SoftmaxCrossEntropyResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool],
    ignore_label: int | None,
    normalize: str,
) -> None:
    shape = shape_of(residual.labels) if normalize == "none" else ()
    check_gradient("softmax_cross_entropy", dy, shape, residual.logits)


class _Selection(NamedTuple):
    """What the labels say, per position and class."""

    is_valid: Array  # (N, ...), the label is not ignored
    is_label: Array  # (N, C, ...), this class is the label, and it is not ignored
    weight: Array  # (N, ...), w[label], 0 where ignored


def _select(logits: Array, labels: Array, weight: Array | None, ignore_label: int | None) -> _Selection:
    is_valid = labels == labels if ignore_label is None else labels != ignore_label
    i_class = np.reshape(np.arange(logits.shape[1], like=labels), (-1,) + (1,) * (logits.ndim - 2))  # (C, 1, ...)
    is_label = (labels[:, None] == i_class) & is_valid[:, None]
    per_class = np.ones_like(logits)
    if weight is not None:
        per_class = per_class * np.reshape(weight, (-1,) + (1,) * (logits.ndim - 2))
    weight_of_label = np.sum(np.where(is_label, per_class, np.zeros_like(logits)), axis=1)
    return _Selection(is_valid, is_label, weight_of_label)


def _negative_log_softmax(logits: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):  # ∞ − ∞ where no class is left; the gap of two huge logits is ∞
        shifted = logits - np.amax(logits, axis=1, keepdims=True)
    negative_log_p: Array = np.log(np.sum(np.exp(shifted), axis=1, keepdims=True)) - shifted
    return negative_log_p


def _divisor(selection: _Selection, normalize: str) -> Any:
    """Return D, a number or a scalar of the dtype of the logits."""
    is_valid, weight = selection.is_valid, selection.weight
    if normalize == "valid":
        return np.maximum(np.sum(is_valid), 1).astype(weight.dtype)
    if normalize == "weight":
        return np.sum(weight)
    return {"full": max(math.prod(is_valid.shape), 1), "batch": max(is_valid.shape[0], 1), "sum": 1, "none": 1}[
        normalize
    ]


@kernel("softmax_cross_entropy.forward", check=_check, portable=True)
def softmax_cross_entropy_forward(
    logits: Array,
    labels: Array,
    weight: Array | None,
    *,
    ignore_label: int | None,
    normalize: str,
    keep_residual: bool,
) -> tuple[Array, SoftmaxCrossEntropyResidual | None]:
    """Return Σ_i ℓ_i / D, or ℓ (N, ...) for "none"."""
    selection = _select(logits, labels, weight, ignore_label)
    negative_log_p = np.where(selection.is_label, _negative_log_softmax(logits), np.zeros_like(logits))
    with np.errstate(invalid="ignore", over="ignore"):  # a weight of 0 times an infinite loss; a loss too large
        losses = selection.weight * np.sum(negative_log_p, axis=1)  # (N, ...)
    residual = SoftmaxCrossEntropyResidual(logits, labels, weight) if keep_residual else None
    if normalize == "none":
        return losses, residual
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # 0/0 for "weight"; a sum too large
        return np.sum(losses) / _divisor(selection, normalize), residual


@kernel("softmax_cross_entropy.backward", check=_check_backward, portable=True)
def softmax_cross_entropy_backward(
    residual: SoftmaxCrossEntropyResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool],
    ignore_label: int | None,
    normalize: str,
) -> Gradients:
    """∂L/∂x_i[c] = w[y_i] · (p_i[c] − [c = y_i]) · dy / D, and 0 where y_i is ignored."""
    logits, labels, weight = residual
    if not needs[0]:
        return None, None, None
    selection = _select(logits, labels, weight, ignore_label)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 for "weight"
        dlosses = selection.weight * dy / _divisor(selection, normalize)  # (N, ...)
    p = np.exp(-_negative_log_softmax(logits))
    dlogits = np.where(selection.is_label, p - 1, p) * dlosses[:, None]
    return np.where(selection.is_valid[:, None], dlogits, np.zeros_like(logits)), None, None


_softmax_cross_entropy = differentiable(softmax_cross_entropy_forward, softmax_cross_entropy_backward)


def softmax_cross_entropy(
    logits: Tensor | Array,
    labels: Tensor | Array,
    *,
    weight: Tensor | Array | None = None,
    ignore_label: int | None = None,
    normalize: str = "valid",
) -> Tensor:
    """Return the cross-entropy of integer labels and the softmax of the logits.

    Args:
        logits: (N, C, ...), float32 or float64; classes are axis 1.
        labels: (N, ...), integers in [0, C) or `ignore_label`. Any other is refused: the values are read.
        weight: (C,), a factor per class, or None.
        ignore_label: the label that costs nothing (often 255); it may be one of [0, C).
        normalize: what the sum is divided by, see above.

    Returns:
        A scalar, or (N, ...) for normalize="none".

    Equal logits for 4 classes cost log 4, whatever the label; of these two positions one is ignored:

    >>> softmax_cross_entropy(np.zeros((2, 4)), np.array([3, 255]), ignore_label=255).data.round(3)
    np.float64(1.386)
    """
    logits = as_tensor("softmax_cross_entropy", "logits", logits)
    labels = as_tensor("softmax_cross_entropy", "labels", labels)
    _check_labels(logits.data, labels.data, ignore_label)
    return _softmax_cross_entropy(logits, labels, weight, ignore_label=ignore_label, normalize=normalize)


def _check_labels(logits: Array, labels: Array, ignore_label: int | None) -> None:
    """Refuse the first label that is neither a class nor ignored; shapes and dtypes are the kernel's to check."""
    if logits.ndim < 2 or labels.dtype.kind not in "iu":
        return
    bad = (labels < 0) | (labels >= logits.shape[1])
    if ignore_label is not None:
        bad = bad & (labels != ignore_label)
    position = first_position(bad)
    if position is not None:
        ignored = "no label is ignored" if ignore_label is None else f"the ignored label is {ignore_label}"
        raise ValueError(
            f"softmax_cross_entropy: label {labels[position].item()} at index {position} is not a class in "
            f"[0, {logits.shape[1]}), and {ignored}"
        )
