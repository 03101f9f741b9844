"""Golden cases of softmax."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import softmax as oracle

ALGORITHM = Algorithm("softmax", oracle, ("x",), reference="y_i = e^(x_i − max) / Σ_j e^(x_j − max)")


# Exponents up to 30 in size lose log2(30) bits to the rounding of x − max; gradients cancel, to the size of dy.
ACCURATE = {"y": Ulp(64, 2.0**-126), "dx": Ulp(64, 2.0**-20)}


def cases() -> list[Case]:
    return [
        Case(
            "uniform",
            "Equal logits, however large, share equally; the gradient is y (dy − Σ y dy).",
            {"x": np.array([[7.0, 7.0, 7.0, 7.0], [-3.0, -3.0, -3.0, -3.0]])},
            ACCURATE,
            {"axis": 1},
            dy=np.array([[4.0, 0.0, 0.0, 0.0], [0.0, 8.0, 8.0, 0.0]]),
            expected={
                "y": np.full((2, 4), 0.25),
                # row 0: Σ y dy = 1, ¼ (4 − 1) and ¼ (0 − 1); row 1: Σ y dy = 4, ¼ (0 − 4) and ¼ (8 − 4)
                "dx": np.array([[0.75, -0.25, -0.25, -0.25], [-1.0, 1.0, 1.0, -1.0]]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "two-classes-are-a-logistic",
            "softmax(0, 1) is (1 − σ(1), σ(1)).",
            {"x": np.array([0.0, 1.0])},
            {"y": ACCURATE["y"]},
            {"axis": 0},
            expected={"y": np.array([0.2689414213699951, 0.7310585786300049])},
            source="by hand (1 / (1 + 1/e), to 16 digits)",
            tags=("hand",),
        ),
        Case(
            "channels-of-a-map",
            "Over the channels of every pixel, as in segmentation.",
            {"x": reals("softmax x", (2, 5, 3, 3), -8, 8)},
            ACCURATE,
            {"axis": 1},
            dy=reals("softmax dy", (2, 5, 3, 3)),
        ),
        Case(
            "huge-logits",
            "Logits of ±10⁴: e^10000 is beyond any float, so the maximum has to be subtracted first.",
            {"x": np.array([[10000.0, 9999.0, -10000.0], [-10000.0, -10000.0, -10001.0]])},
            ACCURATE,
            {"axis": -1},
            dy=np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]]),
            tags=("overflow",),
        ),
        Case(
            "single-class",
            "One class has probability 1 whatever its logit, and no gradient.",
            {"x": np.array([[5.0], [-700.0]])},
            ACCURATE,
            {"axis": 1},
            dy=np.array([[3.0], [4.0]]),
            expected={"y": np.ones((2, 1)), "dx": np.zeros((2, 1))},
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "no-rows",
            "No samples in, none out.",
            {"x": np.zeros((0, 3))},
            Exact(),
            {"axis": 1},
            dy=np.zeros((0, 3)),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random logits in float64 and a random axis."""
    shape, axis = (2, 4, 3), int(rng.integers(-3, 3))
    inputs = {"x": 3 * rng.standard_normal(shape)}
    return Case("random", "", inputs, Ulp(64, 1e-5), {"axis": axis}, dy=rng.standard_normal(shape))
