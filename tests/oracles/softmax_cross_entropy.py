"""Softmax cross-entropy over the channel axis, one integer label per position.

    l_p = -w_t ln softmax(x_p)_t,    t the label at position p;    l_p = 0 where t is the ignored label
    L = (1/Z) sum_p l_p,    dL/dx_pc = -(w_t / Z) (delta_ct - softmax(x_p)_c),    0 where ignored

    normalize    Z
    "valid"      the number of positions not ignored, at least 1        (Caffe VALID)
    "weight"     the sum of w_t over the positions not ignored          (the mean of torch; 0/0 = NaN)
    "full"       the number of all positions, at least 1                (Caffe FULL)
    "batch"      the batch size N, at least 1                           (Caffe BATCH_SIZE)
    "sum"        1                                                      (Caffe NONE)
    "none"       no reduction: the result is l itself

Without a weight, w = 1. An ignored position has no gradient, even where Z = 0.

Source: Long, Shelhamer and Darrell, "Fully Convolutional Networks", section 4; Caffe, softmax_loss_layer.cpp.
"""

import numpy as np

from tests.oracles import log_softmax, softmax
from tests.oracles._ieee import quotient
from tests.oracles._sums import Array, Float64Array, Index, exact_sum


def forward(
    logits: Array, labels: Array, weight: Array | None, *, ignore_label: int | None, normalize: str
) -> Float64Array:
    """Return L as an array of shape (), or l, the shape of the labels."""
    log_probability = log_softmax.forward(logits, axis=1)
    loss = np.zeros(labels.shape)
    for n, *place in _counted(labels, ignore_label):
        label = int(labels[n, *place])
        loss[n, *place] = -_weight(weight, label) * float(log_probability[n, label, *place])
    if normalize == "none":
        return loss
    total = exact_sum(float(term) for term in loss.flat)
    return np.array(quotient(total, _normaliser(labels, weight, ignore_label, normalize)))


def backward(
    logits: Array, labels: Array, weight: Array | None, *, dy: Array, ignore_label: int | None, normalize: str
) -> tuple[Float64Array, None, None]:
    """Return (dlogits, None, None)."""
    probability = softmax.forward(logits, axis=1)
    normaliser = _normaliser(labels, weight, ignore_label, normalize)
    dlogits = np.zeros(logits.shape)
    for n, *place in _counted(labels, ignore_label):
        label = int(labels[n, *place])
        upstream = float(dy[n, *place]) if normalize == "none" else quotient(float(dy), normaliser)
        for c in range(logits.shape[1]):
            p_minus_target = float(probability[n, c, *place]) - (c == label)
            dlogits[n, c, *place] = upstream * _weight(weight, label) * p_minus_target
    return dlogits, None, None


def _counted(labels: Array, ignore_label: int | None) -> list[Index]:
    """Return the positions whose label is not ignored."""
    return [p for p in np.ndindex(labels.shape) if ignore_label is None or int(labels[p]) != ignore_label]


def _weight(weight: Array | None, label: int) -> float:
    return 1.0 if weight is None else float(weight[label])


def _normaliser(labels: Array, weight: Array | None, ignore_label: int | None, normalize: str) -> float:
    """Return Z."""
    counted = _counted(labels, ignore_label)
    if normalize == "valid":
        return float(max(1, len(counted)))
    if normalize == "weight":
        return exact_sum(_weight(weight, int(labels[p])) for p in counted)
    if normalize == "full":
        return float(max(1, labels.size))
    if normalize == "batch":
        return float(max(1, labels.shape[0]))
    return 1.0
