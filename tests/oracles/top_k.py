"""The indices of the k largest scores, in descending order; all of them if there are fewer than k.

Equal scores keep the order of their indices; NaN scores come last.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._boxes import descending
from tests.oracles._sums import Array


def forward(scores: Array, *, k: int) -> NDArray[np.int64]:
    """Return indices, shape (min(k, N),)."""
    order = descending(range(len(scores)), [float(s) for s in scores])
    return np.array([i for place, i in enumerate(order) if place < k], dtype=np.int64)
