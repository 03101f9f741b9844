"""Inputs: boxes with scores, as a detector gives them before it is decided which to keep."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import Floats, dyadic, integers


def heap_of_boxes(seed: str, n: int, extent: int = 16, side: int = 8) -> Floats:
    """Return n boxes with integer corners, none of them empty, many of them overlapping."""
    corner, size = integers(f"{seed} corners", (n, 2), 0, extent), integers(f"{seed} sizes", (n, 2), 1, side)
    return np.concatenate([corner, corner + size], axis=1).astype(np.float64)


def tied_scores(seed: str, n: int) -> Floats:
    """Return n multiples of 1/16 between 1/16 and 15/16, with ties."""
    return dyadic(f"{seed} scores", (n,), 1, 15, 1 / 16)


def in_float32(*values: float) -> Floats:
    """Return decimal numbers as float32 has them."""
    return np.array(values, np.float32).astype(np.float64)
