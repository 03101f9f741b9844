"""The fraction of samples whose label is not among the k classes of greatest score.

Of equal scores the lower class comes first; a NaN comes after every number. k >= C: 0. No samples: 0/0 = NaN.

Source: Russakovsky et al., "ImageNet large scale visual recognition challenge" (2015), section 4.1.
"""

import math

import numpy as np

from tests.oracles._ieee import quotient
from tests.oracles._sums import Array, Float64Array


def forward(scores: Array, labels: Array, *, k: int) -> Float64Array:
    """Return the error as an array of shape ()."""
    n_samples, n_classes = scores.shape
    n_errors = 0
    for n in range(n_samples):
        ranking = sorted((math.isnan(scores[n, c]), -float(scores[n, c]), c) for c in range(n_classes))
        n_errors += int(labels[n]) not in [c for _, _, c in ranking[:k]]
    return np.array(quotient(n_errors, n_samples))
