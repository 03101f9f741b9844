"""Golden cases of joining along an old axis."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import concat as oracle

ALGORITHM = Algorithm("concat", oracle, (), reference="the inputs one after another")


def cases() -> list[Case]:
    return [
        Case(
            "columns",
            "A matrix and a column; the gradient is cut where they met.",
            {"x0": np.array([[1.0, 2.0], [3.0, 4.0]]), "x1": np.array([[5.0], [6.0]])},
            Exact(),
            {"axis": 1},
            dy=np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
            expected={
                "y": np.array([[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]]),
                "dx0": np.array([[1.0, 2.0], [4.0, 5.0]]),
                "dx1": np.array([[3.0], [6.0]]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "channels-of-three-maps",
            "Three feature maps joined along their channels, counted from the end.",
            {f"x{i}": dyadic(f"concat {i}", (2, n, 2, 3)) for i, n in enumerate((1, 3, 2))},
            Exact(),
            {"axis": -3},
            dy=dyadic("concat dy", (2, 6, 2, 3)),
        ),
        Case(
            "one-of-them-empty",
            "No boxes in the first image: it adds nothing and receives an empty gradient.",
            {"x0": np.zeros((0, 2)), "x1": count((2, 2))},
            Exact(),
            {"axis": 0},
            dy=count((2, 2)),
            expected={"y": count((2, 2)), "dx0": np.zeros((0, 2)), "dx1": count((2, 2))},
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random arrays in float64 and a random axis."""
    lengths, axis = [int(n) for n in rng.integers(0, 4, 3)], int(rng.integers(-2, 2))
    shapes = [(n, 3) if axis % 2 == 0 else (3, n) for n in lengths]
    inputs = {f"x{i}": rng.standard_normal(shape) for i, shape in enumerate(shapes)}
    dy = rng.standard_normal((sum(lengths), 3) if axis % 2 == 0 else (3, sum(lengths)))
    return Case("random", "", inputs, Exact(), {"axis": axis}, dy=dy)
