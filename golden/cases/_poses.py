"""Inputs: joints that are off by distances which are exact, 3-4-5 triangles scaled."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import Floats, Integers, dyadic, integers
from refdet.core.check import Array

# What may lie between two points whose distance is a whole number.
EXACT_STEPS = np.array([[0, 0], [3, 4], [-4, 3], [5, 0], [0, -10], [6, -8], [-12, -5], [8, 15], [20, 0]], np.float64)


def poses(seed: str, n_images: int, n_joints: int) -> dict[str, Array]:
    """Return predictions, truths and visible: from joint to joint, and to its prediction, the distance is exact."""
    steps = EXACT_STEPS[_choice(f"{seed} steps", n_images, n_joints)]
    truths: Floats = np.cumsum(steps, axis=1) + dyadic(f"{seed} places", (n_images, 1, 2), 0, 50)
    return {
        "predictions": truths + EXACT_STEPS[_choice(f"{seed} errors", n_images, n_joints)] / 2,
        "truths": truths,
        "visible": integers(f"{seed} visible", (n_images, n_joints), 0, 4) > 0,
    }


def _choice(seed: str, n_images: int, n_joints: int) -> Integers:
    return integers(seed, (n_images, n_joints), 0, len(EXACT_STEPS) - 1)
