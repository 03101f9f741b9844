"""Average precision (AP): one number for a curve of precision against recall, in the six ways that are in use.

The curve is P_1 … P_n over R_1 ≤ … ≤ R_n, a point for every detection in descending order of score, as
`precision_recall` gives it. With R_0 = 0, P_0 = P_1, and the envelope E_k = max{P_j : j ≥ k}, which is 0 for k > n:

| convention | AP | of |
|---|---|---|
| step | Σ_k (R_k − R_{k−1}) · P_k | scikit-learn |
| trapezoid | Σ_k (R_k − R_{k−1}) · (P_{k−1} + P_k)/2 | the area between the points as they are drawn |
| area | Σ_k (R_k − R_{k−1}) · E_k | PASCAL VOC from 2010 on |
| voc2007 | mean over t = 0, 1/10 … 1 of max{P_k : R_k ≥ t}, 0 where there is none | PASCAL VOC up to 2009, on paper |
| voc2007-arange | the same, with t = numpy.arange(0, 1.1, 0.1) | py-faster-rcnn |
| coco101 | the same, with t = numpy.linspace(0, 1, 101) | COCO |

Everingham et al., "The PASCAL VOC challenge" (2010), §4.2.1; Lin et al., "Microsoft COCO" (2014). Deck 001 says no more
than "area under the precision vs recall curve".

Conventions:

- VOC's devkit puts the points (0, 0) before the curve and (1, 0) after it, takes the envelope, and adds up where the
  recall changes: the same sum, as the first has no width and the second no height.
- Beyond the last recall the precision is 0, so that what is never found costs. "trapezoid" starts at the first point's
  precision: a curve from (0, 0) would punish a perfect first detection.
- A point counts at t where R_k ≥ t, ties included. t is k/10 under "voc2007". In `numpy.arange(0, 1.1, 0.1)` three of
  the eleven lie above k/10, at 3, 6 and 7: a recall of exactly 3/10 no longer reaches t = 3/10, and the AP falls from
  4/11 to 3/11. The devkit's `0:0.1:1` in MATLAB lies above 3/10 as well, so that there "voc2007" is the paper's AP, not
  the devkit's. COCO's `linspace` lies above k/100 in ten places, the first of them 35.
- t is rounded to the dtype of the recall before it is compared, as 3/10 was. In float32 the two grids of VOC 2007 are
  therefore the same, and "voc2007-arange" differs from "voc2007" in float64 only.
- No detection, n = 0: AP = 0. (Without anything to detect there is no AP either; `evaluate_voc` gives NaN there.)
- A NaN in the curve makes the AP NaN. Everything is computed in the dtype of the curve.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_choice, check_floating, check_rank, check_shape, shape_of
from refdet.core.kernel import kernel

THRESHOLDS = {
    "voc2007": np.arange(11) / 10,
    "voc2007-arange": np.arange(0, 1.1, 0.1),
    "coco101": np.linspace(0, 1, 101),
}
CONVENTIONS = ("step", "trapezoid", "area", *THRESHOLDS)


def _check(precision: Array, recall: Array, *, convention: str) -> None:
    check_floating("average_precision", precision=precision, recall=recall)
    check_rank("average_precision", "precision", precision, "n")
    check_shape("average_precision", "recall", recall, shape_of(precision), "one per precision")
    check_choice("average_precision", "convention", convention, CONVENTIONS)


@kernel("average_precision", check=_check)
def average_precision_kernel(precision: Array, recall: Array, *, convention: str) -> Array:
    """Return the AP, an array of no axes; the recall must not descend."""
    dtype = np.result_type(precision)  # in the byte order of the machine
    if np.any(np.isnan(precision)) or np.any(np.isnan(recall)):
        return np.full((), np.nan, dtype)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    if convention in THRESHOLDS:
        reached = np.searchsorted(recall, THRESHOLDS[convention].astype(dtype))  # the first R ≥ t, n if there is none
        return np.asarray(np.mean(np.pad(envelope, (0, 1))[reached]), dtype)
    heights = {
        "step": precision,
        "area": envelope,
        "trapezoid": (np.concatenate([precision[:1], precision[:-1]]) + precision) / 2,
    }
    widths = np.diff(recall, prepend=np.zeros(1, dtype))
    return np.asarray(np.sum(widths * heights[convention]), dtype)


def average_precision(precision: Array, recall: Array, *, convention: str = "area") -> float:
    """Summarise a precision-recall curve by one number.

    Args:
        precision: (n,), float32 or float64, in [0, 1].
        recall: (n,), of the same dtype, in [0, 1]; it must not descend, from R_0 = 0 on.
        convention: "step", "trapezoid", "area", "voc2007", "voc2007-arange" or "coco101" (see the module).

    Returns:
        The AP, between 0 and 1; NaN if there is one in the curve.

    Two objects. The first detection finds one, the second nothing, the third the other: 1/2 · 1 + 1/2 · 3/4.

    >>> average_precision(np.array([1, 0.5, 0.75]), np.array([0.5, 0.5, 1.0]))
    0.875
    """
    _check(precision, recall, convention=convention)
    before = np.concatenate([np.zeros(1), recall[:-1]])
    descents = np.flatnonzero(recall < before[: len(recall)])
    if descents.size:
        k = int(descents[0])
        raise ValueError(
            f"average_precision: recall must not descend, from 0 on, got {before[k]:g} and then {recall[k]:g} "
            f"at position {k}"
        )
    return float(average_precision_kernel(precision, recall, convention=convention))
