"""Boxes from the fixed stream of `golden.cases._numbers`: rows (x1, y1, x2, y2) in an image of 100 × 100 pixels."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import Floats, dyadic, reals


def well_formed(seed: str, n: int) -> Floats:
    """Return boxes with sides between 1 and 50 whose coordinates use all digits of float32."""
    start, side = reals(f"{seed} start", (n, 2), 0, 50), reals(f"{seed} side", (n, 2), 1, 50)
    return _in_float32(np.concatenate([start, start + side], axis=1))


def malformed(seed: str, n: int) -> Floats:
    """Return boxes that end before they begin."""
    boxes = well_formed(seed, n)
    return boxes[:, [2, 3, 0, 1]]


def on_quarters(seed: str, n: int) -> Floats:
    """Return boxes with corners at multiples of 1/4, so that sides and centres are exact."""
    start, side = dyadic(f"{seed} start", (n, 2), 0, 200, 0.25), dyadic(f"{seed} side", (n, 2), 4, 200, 0.25)
    return np.concatenate([start, start + side], axis=1)


def _in_float32(x: Floats) -> Floats:
    return x.astype(np.float32).astype(np.float64)
