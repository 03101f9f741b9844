"""Golden cases of the maximum over axes."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import distinct
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import amax as oracle

ALGORITHM = Algorithm(
    "amax", oracle, ("x",), reference="y = max x; the first maximum takes the gradient, the first NaN is the maximum"
)


def cases() -> list[Case]:
    return [
        Case(
            "tie-goes-to-the-first",
            "Three equal maxima: the first takes the whole gradient; some libraries split it.",
            {"x": np.array([[1.0, 3.0, 3.0, 3.0], [2.0, 1.0, 0.0, 2.0]])},
            Exact(),
            {"axis": 1, "keepdims": False},
            dy=np.array([6.0, 10.0]),
            expected={
                "y": np.array([3.0, 2.0]),
                "dx": np.array([[0.0, 6.0, 0.0, 0.0], [10.0, 0.0, 0.0, 0.0]]),
            },
            source="by hand",
            tags=("hand", "tie", "kink"),
        ),
        Case(
            "first-in-row-major-order",
            "Over axes 0 and 2 together, the first of the equal maxima comes first in row-major order of those two.",
            # channel 0 is [[5, 7], [7, 5]]: 7 is at (0, 1) first; channel 1 is [[1, 0], [9, 9]]: 9 is at (1, 0) first
            {"x": np.array([[[5.0, 7.0], [1.0, 0.0]], [[7.0, 5.0], [9.0, 9.0]]])},
            Exact(),
            {"axis": (2, 0), "keepdims": True},
            dy=np.array([[[1.0], [2.0]]]),
            expected={
                "y": np.array([[[7.0], [9.0]]]),
                "dx": np.array([[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [2.0, 0.0]]]),
            },
            source="by hand",
            tags=("hand", "tie"),
        ),
        Case(
            "everything",
            "Without an axis, one number; no two elements are equal.",
            {"x": distinct("amax x", (3, 4, 2)) - 30},
            Exact(),
            {"axis": None, "keepdims": False},
            dy=np.array(2.0),
        ),
        Case(
            "nan-is-the-maximum",
            "A NaN beats every number, and the first NaN takes the gradient.",
            {"x": np.array([[1.0, np.nan, np.inf, np.nan], [-np.inf, -np.inf, -np.inf, -np.inf]])},
            Exact(),
            {"axis": 1, "keepdims": False},
            dy=np.array([1.0, 2.0]),
            expected={
                "y": np.array([np.nan, -np.inf]),
                "dx": np.array([[0.0, 1.0, 0.0, 0.0], [2.0, 0.0, 0.0, 0.0]]),
            },
            source="by hand",
            tags=("hand", "nan", "inf", "tie"),
            status="optional",
            status_reason="many implementations assume finite input",
        ),
        Case(
            "no-rows",
            "No rows, no maxima: an empty answer. (A maximum over an empty row would be an error.)",
            {"x": np.zeros((0, 3))},
            Exact(),
            {"axis": 1, "keepdims": False},
            dy=np.zeros(0),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random array in float64, reduced over a random axis."""
    shape = tuple(int(n) for n in rng.integers(1, 5, 3))
    axis, keepdims = int(rng.integers(-3, 3)), bool(rng.integers(2))
    dy = rng.standard_normal(np.sum(np.zeros(shape), axis=axis, keepdims=keepdims).shape)
    return Case("random", "", {"x": rng.standard_normal(shape)}, Exact(), {"axis": axis, "keepdims": keepdims}, dy=dy)
