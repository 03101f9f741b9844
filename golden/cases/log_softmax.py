"""Golden cases of log-softmax."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Ulp
from tests.oracles import log_softmax as oracle

ALGORITHM = Algorithm("log_softmax", oracle, ("x",), reference="y_i = (x_i − max) − ln Σ_j e^(x_j − max)")


# x − max is exact or nearly so, and ln Σ has the error of a number near 1.
ACCURATE = {"y": Ulp(64, 2.0**-21), "dx": Ulp(64, 2.0**-20)}


def cases() -> list[Case]:
    return [
        Case(
            "uniform",
            "Four equal logits: −ln 4 each; the gradient is dy − softmax · Σ dy.",
            {"x": np.array([[7.0, 7.0, 7.0, 7.0]])},
            ACCURATE,
            {"axis": 1},
            dy=np.array([[4.0, 0.0, 0.0, 0.0]]),
            expected={
                "y": np.full((1, 4), -1.3862943611198906),
                "dx": np.array([[3.0, -1.0, -1.0, -1.0]]),  # 4 − ¼·4, 0 − ¼·4
            },
            source="by hand (ln 4 = 2 ln 2)",
            tags=("hand",),
        ),
        Case(
            "channels-of-a-map",
            "Over the channels of every pixel, as in segmentation.",
            {"x": reals("log_softmax x", (2, 5, 3, 3), -8, 8)},
            ACCURATE,
            {"axis": 1},
            dy=reals("log_softmax dy", (2, 5, 3, 3)),
        ),
        Case(
            "huge-logits",
            "Logits of ±10⁴: ln(softmax) written down as such is −∞ where the answer is −20000.",
            {"x": np.array([[10000.0, 0.0, -10000.0]])},
            ACCURATE,
            {"axis": -1},
            dy=np.array([[1.0, 2.0, 4.0]]),
            expected={
                "y": np.array([[0.0, -10000.0, -20000.0]]),
                "dx": np.array([[-6.0, 2.0, 4.0]]),  # 1 − 7, 2 − 0, 4 − 0
            },
            source="by hand",
            tags=("hand", "overflow"),
        ),
        Case(
            "single-class",
            "One class has log-probability 0, and no gradient.",
            {"x": np.array([[5.0], [-700.0]])},
            ACCURATE,
            {"axis": 1},
            dy=np.array([[3.0], [4.0]]),
            expected={"y": np.zeros((2, 1)), "dx": np.zeros((2, 1))},
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "no-classes",
            "Without classes there is no largest logit, and nothing to answer.",
            {"x": np.zeros((2, 0))},
            ACCURATE,
            {"axis": 1},
            dy=np.zeros((2, 0)),
            expected={"y": np.zeros((2, 0)), "dx": np.zeros((2, 0))},
            source="by hand",
            tags=("hand", "empty"),
            status="optional",
            status_reason="some implementations refuse an axis of length 0",
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random logits in float64 and a random axis."""
    shape, axis = (2, 4, 3), int(rng.integers(-3, 3))
    inputs = {"x": 3 * rng.standard_normal(shape)}
    return Case("random", "", inputs, Ulp(64, 1e-5), {"axis": axis}, dy=rng.standard_normal(shape))
