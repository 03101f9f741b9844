"""Precision and recall after each detection, from verdicts (1 true, 0 false, -1 not counted) by descending score.

    precision_i = tp_i / (tp_i + fp_i),    recall_i = tp_i / n_positive

tp_i and fp_i being the numbers of 1 and of 0 among the first i verdicts that are not -1. A verdict of -1 has no point.
n_positive = 0: every recall is NaN.

Source: Everingham et al., "The Pascal visual object classes challenge" (2010), section 4.2.
"""

import math

import numpy as np

from tests.oracles._sums import Array, Float64Array


def forward(verdicts: Array, *, n_positive: int) -> tuple[Float64Array, Float64Array]:
    """Return (precision, recall), both of shape (the number of verdicts that are not -1,)."""
    counted = [int(verdict) for verdict in verdicts if int(verdict) != -1]
    precision, recall = np.zeros(len(counted)), np.zeros(len(counted))
    for i in range(len(counted)):
        n_true = counted[: i + 1].count(1)
        precision[i] = n_true / (i + 1)
        recall[i] = n_true / n_positive if n_positive > 0 else math.nan
    return precision, recall
