"""What the losses over elements share."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import Floats
from refdet.verify.case import Ulp

REDUCTIONS = ("mean", "sum", "none")

# A loss of n positive terms is off by n ulp at most; below 1 its terms may have been differences of numbers near 1.
ACCURATE = Ulp(64, 2.0**-20)


def random_reduction(rng: np.random.Generator) -> str:
    """Return one of the three."""
    return str(rng.choice(REDUCTIONS))


def random_upstream(rng: np.random.Generator, shape: tuple[int, ...], reduction: str) -> Floats:
    """Return a gradient of the reduced loss."""
    return np.asarray(rng.standard_normal(shape if reduction == "none" else ()))
