"""Average precision from the points (R_i, P_i), i = 1..n, of a precision-recall curve, the recalls not decreasing.

    convention          average precision                                                   R_0 = 0
    "step"              sum_i (R_i - R_{i-1}) P_i
    "voc2007"           mean of E(t) over t = k/10, k = 0..10
    "voc2007-arange"    mean of E(t) over the floats t of np.arange(0, 1.1, 0.1)
    "area"              sum_i (R_i - R_{i-1}) max_{j >= i} P_j
    "coco101"           mean of E(t) over the floats t of np.linspace(0, 1, 101)
    "trapezoid"         sum_i (R_i - R_{i-1}) (P_i + P_{i-1}) / 2,    P_0 = P_1

with the envelope E(t) = max{P_j: R_j >= t}, 0 where no recall reaches t. No points: 0. A NaN among them: NaN. The
levels t are rounded to the dtype of the recalls, as the recalls were.

Source: "voc2007", "area": Everingham et al., "The Pascal visual object classes challenge" (2010), section 4.2, and the
development kit of 2010; "voc2007-arange": py-faster-rcnn, voc_eval.py; "coco101": the COCO API, cocoeval.py.
"""

import math
from collections.abc import Iterable

import numpy as np

from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(precision: Array, recall: Array, *, convention: str) -> Float64Array:
    """Return the average precision as an array of shape ()."""
    P, R = [float(p) for p in precision], [float(r) for r in recall]
    if any(math.isnan(value) for value in P + R):
        return np.array(math.nan)
    if not P:
        return np.array(0.0)

    if convention == "voc2007":
        return _mean_envelope(P, R, np.array([k / 10 for k in range(11)], recall.dtype))
    if convention == "voc2007-arange":
        return _mean_envelope(P, R, np.arange(0, 1.1, 0.1).astype(recall.dtype))
    if convention == "coco101":
        return _mean_envelope(P, R, np.linspace(0, 1, 101).astype(recall.dtype))

    heights = {
        "step": P,
        "area": [max(P[i:]) for i in range(len(P))],
        "trapezoid": [(P[i] + P[max(i - 1, 0)]) / 2 for i in range(len(P))],
    }[convention]
    steps = [R[i] - (R[i - 1] if i > 0 else 0.0) for i in range(len(R))]
    return np.array(exact_sum(step * height for step, height in zip(steps, heights, strict=True)))


def _mean_envelope(P: list[float], R: list[float], levels: Iterable[float]) -> Float64Array:
    """Return the mean of E(t) over the levels t."""
    envelope = [max((p for p, r in zip(P, R, strict=True) if r >= float(t)), default=0.0) for t in levels]
    return np.array(exact_sum(envelope) / len(envelope))
