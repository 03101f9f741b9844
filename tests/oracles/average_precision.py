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

LEVELS = {
    "voc2007": np.array([k / 10 for k in range(11)]),
    "voc2007-arange": np.arange(0, 1.1, 0.1),
    "coco101": np.linspace(0, 1, 101),
}


def forward(precision: Array, recall: Array, *, convention: str) -> Float64Array:
    """Return the average precision as an array of shape ()."""
    P, R = [float(p) for p in precision], [float(r) for r in recall]
    if any(math.isnan(value) for value in P + R):
        return np.array(math.nan)
    if not P:
        return np.array(0.0)

    if convention in LEVELS:
        envelope = _envelope_at(P, R, LEVELS[convention].astype(recall.dtype))
        return np.array(exact_sum(envelope) / len(envelope))
    return np.array(exact_sum(w * h for w, h in zip(_widths(R), _heights(P, convention), strict=True)))


def stages(precision: Array, recall: Array, *, convention: str) -> dict[str, Array]:
    """Return the envelope at the points and at the levels, or widths and heights of what is added up."""
    P, R = [float(p) for p in precision], [float(r) for r in recall]
    found = {} if convention in ("step", "trapezoid") else {"envelope": _heights(P, "area")}
    if convention in LEVELS:
        found["interpolated"] = _envelope_at(P, R, LEVELS[convention].astype(recall.dtype))
    else:
        found |= {"widths": _widths(R), "heights": _heights(P, convention)}
    return {name: np.array(values, np.float64) for name, values in found.items()}


def _widths(R: list[float]) -> list[float]:
    return [R[i] - (R[i - 1] if i > 0 else 0.0) for i in range(len(R))]


def _heights(P: list[float], convention: str) -> list[float]:
    return {
        "step": P,
        "area": [max(P[i:]) for i in range(len(P))],
        "trapezoid": [(P[i] + P[max(i - 1, 0)]) / 2 for i in range(len(P))],
    }[convention]


def _envelope_at(P: list[float], R: list[float], levels: Iterable[float]) -> list[float]:
    """Return E(t) of every level t."""
    return [max((p for p, r in zip(P, R, strict=True) if r >= float(t)), default=0.0) for t in levels]
