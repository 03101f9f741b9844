"""What the pipelines share: whose kernels they run, the cut to the best, and the check of a limit."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numpy as np

from refdet.boxes.top_k import top_k
from refdet.core.check import Array, integer
from refdet.core.kernel import active_backend, use_backend

P = ParamSpec("P")
R = TypeVar("R")


def inheriting(body: Callable[P, R]) -> Callable[P, R]:
    """Let the body of a pipeline run the active backend's kernels for its parts, such as its suppression.

    Where a backend owns its array type the parts are references: the body has been brought to the host as a whole.
    """

    @functools.wraps(body)
    def composed(*args: P.args, **kwargs: P.kwargs) -> R:
        if "array.to_host" not in active_backend().kernels:
            return body(*args, **kwargs)
        with use_backend("reference"):
            return body(*args, **kwargs)

    return composed


def best_of_each(scores: Array, groups: Array, k: int | None) -> Array:
    """Return the indices of the k best scores of every group (None: of all), merged, in the order of `top_k`.

    >>> best_of_each(np.array([0.5, 0.75, 0.25, 0.5]), np.array([7, 7, 9, 9]), 1)
    array([1, 3])
    """
    picked = [np.zeros(0, np.int64)]
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        picked.append(members[top_k(scores[members], len(members) if k is None else k)])
    chosen = np.sort(np.concatenate(picked))  # equal scores of two groups: the lowest index first, not the first group
    return chosen[top_k(scores[chosen], len(chosen))]


def check_limit(op: str, name: str, limit: int | None) -> None:
    """Refuse what is neither None nor an integer that is 0 or more."""
    if limit is not None:
        integer(op, name, limit, low=0)
