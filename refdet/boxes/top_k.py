"""The k best scores, and the one order of scores that everything in refdet uses.

    descending(s) = argsort(−s), stable
    top_k(s; k)   = its first min(k, N) entries

Detectors cut their boxes to the best k before and after non-maximum suppression: 300 proposals in deck 001, 12000 and
2000 while training Faster R-CNN (Ren et al., 2015), 100 detections per class in R-CNN, 200 per image in SSD.

Conventions:

- Equal scores keep the order of their indices, the lowest first. `argsort(s)[::-1]` would give the highest first, and
  torch.topk promises nothing.
- A NaN comes after every number, −∞ included; several NaN in the order of their indices. torch sorts NaN first.
- k may exceed N: there are not more than N scores to take (deck 001 takes "the top 300" of a map of 180 anchors).
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, as_index, check_floating, check_rank
from refdet.core.kernel import kernel


def descending(scores: Array) -> Array:
    """Return the indices of the scores, largest first: stable, NaN last.

    >>> descending(np.array([0.5, 0.9, 0.5]))
    array([1, 0, 2])
    """
    return np.argsort(-scores, kind="stable").astype(np.int64, copy=False)


def _check(scores: Array, *, k: int) -> None:
    check_floating("top_k", scores=scores)
    check_rank("top_k", "scores", scores, "N")
    n = as_index(k)
    if n is None:
        raise TypeError(f"top_k: k must be an integer, got {k!r}")
    if n < 0:
        raise ValueError(f"top_k: k must be at least 0, got {k!r}")


@kernel("top_k", check=_check, portable=True)
def top_k_kernel(scores: Array, *, k: int) -> Array:
    """Return the indices of the min(k, N) largest scores, largest first."""
    return descending(scores)[:k]


def top_k(scores: Array, k: int) -> Array:
    """Pick the k largest scores.

    Args:
        scores: (N,), float32 or float64.
        k: how many, at least 0; at most N are there to be picked.

    Returns:
        Their indices, (min(k, N),) int64, in descending order of score; ties lowest index first, NaN last.

    The two 0.5 are a tie:

    >>> top_k(np.array([0.5, 0.1, 0.9, 0.5]), 2)
    array([2, 0])
    """
    return top_k_kernel(scores, k=k)
