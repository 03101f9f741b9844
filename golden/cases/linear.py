"""Golden cases of the fully connected layer."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import dyadic, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import linear as oracle

ALGORITHM = Algorithm("linear", oracle, ("x", "weight", "bias"), reference="y = x Wᵀ + b")


def cases() -> list[Case]:
    return [
        Case(
            "two-units",
            "y = x Wᵀ + b with one row of W per output; libraries that store W transposed are caught here.",
            {
                "x": np.array([[1.0, 2.0, 3.0]]),
                "weight": np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0]]),
                "bias": np.array([10.0, 20.0]),
            },
            Exact(),
            dy=np.array([[1.0, 2.0]]),
            expected={
                "y": np.array([[8.0, 24.0]]),  # 1 − 3 + 10, 2 + 2 + 20
                "dx": np.array([[5.0, 2.0, -1.0]]),  # 1·1 + 2·2, 2·1, −1·1
                "dweight": np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]),
                "dbias": np.array([1.0, 2.0]),
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "leading-axes",
            "All axes before the last are samples; the weights' gradient sums over all of them.",
            {
                "x": dyadic("linear x", (2, 3, 4)),
                "weight": dyadic("linear w", (5, 4)),
                "bias": dyadic("linear b", (5,)),
            },
            Exact(),
            dy=dyadic("linear dy", (2, 3, 5)),
            tags=("dyadic",),
        ),
        Case(
            "single-vector-without-bias",
            "One sample without a batch axis.",
            {"x": dyadic("linear v", (4,)), "weight": dyadic("linear m", (3, 4)), "bias": None},
            Exact(),
            dy=dyadic("linear dv", (3,)),
            tags=("dyadic",),
        ),
        Case(
            "empty-batch",
            "No samples: the gradients of weights and bias are 0.",
            {"x": np.zeros((0, 4)), "weight": dyadic("linear m", (3, 4)), "bias": np.ones(3)},
            Exact(),
            dy=np.zeros((0, 3)),
            expected={"y": np.zeros((0, 3)), "dweight": np.zeros((3, 4)), "dbias": np.zeros(3)},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "long-sums-rounded",
            "Sums of 512 products that round.",
            {
                "x": reals("long x", (4, 512)),
                "weight": reals("long w", (16, 512)),
                "bias": reals("long b", (16,)),
            },
            {"y": Bound(514), "dx": Bound(17), "dweight": Bound(5), "dbias": Bound(5)},
            dy=reals("long dy", (4, 16)),
            tags=("fast-path",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random samples and weights in float64."""
    n, F, O = (int(i) for i in rng.integers(1, 7, 3))
    inputs = {
        "x": rng.standard_normal((n, F)),
        "weight": rng.standard_normal((O, F)),
        "bias": rng.standard_normal(O) if rng.random() < 0.5 else None,
    }
    return Case("random", "", inputs, Bound(16), dy=rng.standard_normal((n, O)))
