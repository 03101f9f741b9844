"""Checking options where they are given: the op itself runs once, on the smallest tensor that has an output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.core.geometry import Pair, pair, window_extent
from refdet.core.kernel import use_backend


def dry_run(op: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Let the op check its options; the reference runs, so that no other backend compiles anything for it."""
    with use_backend("reference"):
        op(*arguments, **options)


def one_window(layer: str, kernel: Pair, dilation: Any = 1) -> Array:
    """Return zeros (1, 1, H, W) of the extent of one window."""
    distances = pair(layer, "dilation", dilation, low=1)
    return np.zeros((1, 1, *(window_extent(k, d) for k, d in zip(kernel, distances, strict=True))))
