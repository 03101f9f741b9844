"""The unary energies of one label per point, which is right with probability p.

    u[i, l] = -ln p                    l = labels[i]
              -ln((1 - p) / (L - 1))   another label
              ln L                     any label, where labels[i] = unsure

`unsure` is read first: where it lies in [0, L) it is no label. p = 1 makes the other labels cost inf.

Source: pydensecrf's `unary_from_labels`.
"""

import math

import numpy as np

from tests.oracles._ieee import log
from tests.oracles._sums import Array, Float64Array


def forward(labels: Array, *, n_labels: int, gt_probability: float, unsure: int | None, dtype: str) -> Float64Array:
    """Return unary, shape (N, L), not rounded to `dtype`."""
    unary = np.empty((len(labels), n_labels))
    for i, label in enumerate(labels):
        for l in range(n_labels):
            if unsure is not None and label == unsure:
                unary[i, l] = math.log(n_labels)
            elif l == label:
                unary[i, l] = -log(gt_probability)
            else:
                unary[i, l] = -log((1 - gt_probability) / (n_labels - 1))
    return unary
