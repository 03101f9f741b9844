"""Golden cases of convolution on the permutohedral lattice."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import Integers, dyadic, integers, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import lattice_convolve as oracle

ALGORITHM = Algorithm(
    "lattice_convolve",
    oracle,
    ("z", "weight", "taps"),
    reference="deck 004; Kiefel, Jampani & Gehler (2015); Jampani, Kiefel & Gehler (2016)",
)
LINE = np.array([[0, 1, 2], [-1, 0, 1], [1, 2, -1]])  # three vertices in a row: itself, the one before, the one after


def params(groups: int = 1) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"groups": groups}


def random_taps(seed: str, n_taps: int, n_vertices: int) -> Integers:
    """Return taps anywhere in [−1, M)."""
    return integers(seed, (n_taps, n_vertices), -1, n_vertices - 1)


def shifts(n_taps: int, n_vertices: int) -> Integers:
    """Return taps 0 … T − 1 vertices further on, −1 beyond the last."""
    taps = np.arange(n_taps)[:, None] + np.arange(n_vertices)
    return np.where(taps < n_vertices, taps, -1)


def cases() -> list[Case]:
    """Return the cases."""
    inf, nan = np.inf, np.nan
    return [
        Case(
            "line",
            "A row of three vertices: weight 1 on the vertex itself, 10 on the one before, 100 on the one after.",
            {"z": np.array([[1.0], [2.0], [3.0]]), "weight": np.array([[[1.0, 10.0, 100.0]]]), "taps": LINE},
            Exact(),
            params(),
            dy=np.array([[1.0], [0.0], [2.0]]),
            expected={
                "y": np.array([[201.0], [312.0], [23.0]]),  # 1 + 200, 2 + 10 + 300, 3 + 20
                "dz": np.array([[1.0], [120.0], [2.0]]),  # 1·1, 100·1 + 10·2, 1·2
                "dweight": np.array([[[7.0, 4.0, 2.0]]]),  # 1·1 + 2·3, 2·2, 1·2
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "channels",
            "Weights are output, input, tap: both inputs go to both outputs.",
            {
                "z": np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]),
                "weight": np.array([[[1.0, 0, 0], [0, 1, 0]], [[0, 0, 1], [2, 0, 0]]]),
                "taps": LINE,
            },
            Exact(),
            params(),
            dy=np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]),
            expected={
                "y": np.array([[1.0, 22.0], [12.0, 43.0], [23.0, 60.0]]),  # 1 + 0, 2 + 20; 2 + 10, 3 + 40; 3 + 20, 60
                "dz": np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]]),
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "two-groups",
            "Four channels to six in two groups: outputs 0 to 2 see inputs 0 and 1, outputs 3 to 5 see 2 and 3.",
            {
                "z": dyadic("convolve z", (5, 4)),
                "weight": dyadic("convolve w", (6, 2, 3)),
                "taps": shifts(3, 5),
            },
            Exact(),
            params(2),
            dy=dyadic("convolve dy", (5, 6)),
            tags=("groups", "dyadic"),
        ),
        Case(
            "one-filter-per-channel",
            "As many groups as channels.",
            {
                "z": dyadic("depthwise z", (6, 3)),
                "weight": dyadic("depthwise w", (3, 1, 4)),
                "taps": shifts(4, 6),
            },
            Exact(),
            params(3),
            dy=dyadic("depthwise dy", (6, 3)),
            tags=("groups", "dyadic"),
        ),
        Case(
            "taps-that-repeat",
            "Every tap may name any vertex, one several times: their gradients add up.",
            {
                "z": dyadic("repeat z", (7, 2)),
                "weight": dyadic("repeat w", (3, 2, 5)),
                "taps": random_taps("repeat taps", 5, 7),
            },
            Exact(),
            params(),
            dy=dyadic("repeat dy", (7, 3)),
            tags=("dyadic",),
        ),
        Case(
            "all-missing",
            "No vertex is within reach of another: nothing is read, and nothing learned.",
            {"z": np.ones((2, 1)), "weight": np.ones((1, 1, 3)), "taps": np.full((3, 2), -1)},
            Exact(),
            params(),
            dy=np.ones((2, 1)),
            expected={"y": np.zeros((2, 1)), "dz": np.zeros((2, 1)), "dweight": np.zeros((1, 1, 3))},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "missing-is-not-zero-times-infinity",
            "The tap after the last vertex is missing, and its infinite weight adds nothing; the NaN of vertex 1 "
            "reaches whom it is a tap of, by a weight of 0 too.",
            {
                "z": np.array([[1.0], [nan], [3.0], [4.0]]),
                "weight": np.array([[[1.0, 0.0], [inf, 0.0]]]).reshape(2, 1, 2),
                "taps": np.array([[0, 1, 2, -1], [1, 2, -1, 3]]),
            },
            Exact(),
            params(),
            expected={"y": np.array([[nan, nan], [nan, nan], [3.0, inf], [0.0, 0.0]])},
            source="by hand",
            tags=("hand", "nan", "inf"),
            status="optional",
            status_reason="implementations that pad with a row of zeros make NaN of ∞ · 0",
        ),
        Case(
            "sums-that-round",
            "Sums of 5 taps times 8 channels.",
            {
                "z": reals("round z", (12, 8)),
                "weight": reals("round w", (8, 8, 5)),
                "taps": shifts(5, 12),
            },
            {"y": Bound(41), "dz": Bound(41), "dweight": Bound(13)},
            params(),
            dy=reals("round dy", (12, 8)),
        ),
        Case(
            "no-vertices",
            "Nothing to filter.",
            {"z": np.zeros((0, 2)), "weight": np.ones((3, 2, 7)), "taps": np.zeros((7, 0), np.int64)},
            Exact(),
            params(),
            dy=np.zeros((0, 3)),
            expected={"y": np.zeros((0, 3)), "dweight": np.zeros((3, 2, 7))},
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random values and weights in float64, and random taps."""
    M, T, groups = int(rng.integers(1, 7)), int(rng.integers(1, 5)), int(rng.integers(1, 3))
    inputs = {
        "z": rng.standard_normal((M, 2 * groups)),
        "weight": rng.standard_normal((3 * groups, 2, T)),
        "taps": rng.integers(-1, M, (T, M)),
    }
    return Case("random", "", inputs, Bound(60), params(groups), dy=rng.standard_normal((M, 3 * groups)))
