"""What detectors share: the cut to the best of each group, whether a part learns, and the check of arguments.

A part of which every parameter is frozen runs as at test, also in training: its running statistics stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.boxes.top_k import top_k
from refdet.core.check import Array, integer
from refdet.data.sample import Sample
from refdet.features.backbones.maps import FeatureMaps
from refdet.nn import Module


def best_of_each(scores: Array, groups: Array | None, k: int | None) -> Array:
    """Return the indices of the k best scores of every group (None: of all), merged, in the order of `top_k`.

    Without groups all are of one.

    >>> best_of_each(np.array([0.5, 0.75, 0.25, 0.5]), np.array([7, 7, 9, 9]), 1)
    array([1, 3])
    """
    if groups is None or k is None:
        return top_k(scores, len(scores) if k is None else k)
    order = top_k(scores, len(scores))
    by_group = order[np.argsort(groups[order], kind="stable")]  # within a group the best first
    sorted_groups = groups[by_group]
    n_better = np.arange(len(order), like=order) - np.searchsorted(sorted_groups, sorted_groups)  # of the same group
    is_best = np.zeros_like(scores, dtype=np.bool_)
    is_best[by_group] = n_better < k
    return order[is_best[order]]


def is_learning(part: Module | FeatureMaps) -> bool:
    """Say whether any parameter of a part is to change."""
    return isinstance(part, Module) and any(parameter.requires_grad for parameter in part.parameters())


def check_batch(op: str, samples: Sequence[Sample]) -> None:
    """Refuse a batch without pictures."""
    if not len(samples):
        raise ValueError(f"{op}: a batch must have at least one picture, got none")


def check_limit(op: str, name: str, limit: int | None) -> None:
    """Refuse what is neither None nor an integer that is 0 or more."""
    if limit is not None:
        integer(op, name, limit, low=0)
