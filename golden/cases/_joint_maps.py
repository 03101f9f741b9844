"""Inputs: maps of joints, and the boxes that they lie in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from golden.cases._numbers import Floats, reals


def map_of(m: int, peaks: Mapping[tuple[int, int], float], rest: float = 0.0) -> Floats:
    """Return a map of m × m logits with a few that are not as the rest."""
    logits = np.full((m, m), rest)
    for place, value in peaks.items():
        logits[place] = value
    return logits


def soft_maps(seed: str) -> Floats:
    """Return maps (3, 2, 7, 7) with a soft peak in each, and noise."""
    centres, y = reals(f"{seed} centres", (3, 2, 2), 0.5, 5.5), np.arange(7.0)
    squares = (y[:, None] - centres[..., :1, None]) ** 2 + (y - centres[..., 1:, None]) ** 2
    logits: Floats = 4 - squares / 2 + reals(f"{seed} noise", (3, 2, 7, 7), -0.5, 0.5)
    return logits.astype(np.float32).astype(np.float64)


def some_boxes() -> Floats:
    """Return boxes of 12.4 × 17.1, 4.6 × 5.5 and 21.8 × 3.3 pixels, or about that."""
    return np.array([[10.3125, 20.1875, 22.6875, 37.3125], [1.25, 2.5, 5.875, 8.0], [3.0625, 30.625, 24.875, 33.9375]])
