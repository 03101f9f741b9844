"""Golden cases of the matrix product."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import dyadic, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import matmul as oracle

ALGORITHM = Algorithm(
    "matmul", oracle, ("x", "y"), ("z",), reference="z = x y; stacks of matrices broadcast as in NumPy"
)


def cases() -> list[Case]:
    return [
        Case(
            "two-by-two",
            "For Z = X·Y the gradients are dX = dZ·Yᵀ and dY = Xᵀ·dZ.",
            {"x": np.array([[1.0, 2.0], [3.0, 4.0]]), "y": np.array([[5.0, 6.0], [7.0, 8.0]])},
            Exact(),
            dy=np.array([[1.0, 0.0], [0.0, 2.0]]),
            expected={
                "z": np.array([[19.0, 22.0], [43.0, 50.0]]),  # 1·5 + 2·7, 1·6 + 2·8; 3·5 + 4·7, 3·6 + 4·8
                "dx": np.array([[5.0, 7.0], [12.0, 16.0]]),  # 1·(5, 7); 2·(6, 8)
                "dy": np.array([[1.0, 6.0], [2.0, 8.0]]),  # 1·1, 2·3; 1·2, 2·4
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "stacks-broadcast",
            "A stack of 2 × 1 matrices meets a stack of 3; gradients are summed over the repeats.",
            {"x": dyadic("matmul x", (2, 1, 4, 5), unit=0.5), "y": dyadic("matmul y", (3, 5, 2), unit=0.5)},
            Exact(),
            dy=dyadic("matmul dz", (2, 3, 4, 2)),
            tags=("broadcast", "dyadic"),
        ),
        Case(
            "vector-times-matrix",
            "A vector on the left is a row, and its axis is gone from the answer.",
            {"x": dyadic("matmul v", (4,)), "y": dyadic("matmul m", (4, 3))},
            Exact(),
            dy=dyadic("matmul dv", (3,)),
            tags=("dyadic",),
        ),
        Case(
            "inner-product",
            "Two vectors give a number.",
            {"x": np.array([1.0, 2.0, 3.0]), "y": np.array([4.0, 5.0, 6.0])},
            Exact(),
            dy=np.array(2.0),
            expected={
                "z": np.array(32.0),  # 4 + 10 + 18
                "dx": np.array([8.0, 10.0, 12.0]),
                "dy": np.array([2.0, 4.0, 6.0]),
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "no-inner-axis",
            "A sum over an inner axis of length 0 is 0.",
            {"x": np.zeros((2, 0)), "y": np.zeros((0, 3))},
            Exact(),
            dy=np.ones((2, 3)),
            expected={"z": np.zeros((2, 3))},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "long-sums",
            "Sums of 96 products that round, in any order.",
            {"x": reals("matmul long x", (16, 96)), "y": reals("matmul long y", (96, 16))},
            {"z": Bound(97), "dx": Bound(17), "dy": Bound(17)},
            dy=reals("matmul long dz", (16, 16)),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random matrices in float64."""
    n, k, m = (int(i) for i in rng.integers(1, 6, 3))
    inputs = {"x": rng.standard_normal((2, n, k)), "y": rng.standard_normal((k, m))}
    return Case("random", "", inputs, Bound(16), dy=rng.standard_normal((2, n, m)))
