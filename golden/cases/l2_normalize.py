"""Golden cases of normalisation to unit length."""

from __future__ import annotations

import numpy as np

from golden.cases._float32 import Evaluation, quotient, shuffled_sum
from golden.cases._numbers import Floats, reals
from refdet.verify.case import Algorithm, Case, Spread, Ulp
from tests.oracles import l2_normalize as oracle

ALGORITHM = Algorithm(
    "l2_normalize", oracle, ("x", "scale"), reference="Liu, Rabinovich & Berg (2015), ParseNet, section 3.3"
)


def float32_evaluation(
    x: Floats, scale: Floats | None, dy: Floats, eps: float, convention: str, rng: np.random.Generator
) -> Evaluation:
    """Evaluate it in float32, the channels of every sum in a random order."""
    rows = np.moveaxis(x, 1, 0).astype(np.float32)  # (C, N, ...)
    drows, epsilon = np.moveaxis(dy, 1, 0).astype(np.float32), np.float32(eps)
    s = np.ones(len(rows), np.float32) if scale is None else scale.astype(np.float32)
    s = s.reshape(-1, *[1] * (rows.ndim - 1))
    squares = shuffled_sum(rows * rows, rng)
    length = np.sqrt(squares)
    if convention == "inside":
        norm = root = np.sqrt(squares + epsilon)
    else:
        norm, root = length + epsilon if convention == "outside" else np.maximum(length, epsilon), length
    normalised = quotient(rows, norm, rng)
    drows_scaled = drows * s
    inner = quotient(shuffled_sum(drows_scaled * normalised, rng), norm * root, rng)
    moves = (squares > 0) & ((convention != "clamp") | (length > epsilon))
    dx = drows_scaled / norm - np.where(moves, rows * inner, np.float32(0))
    answer = {"y": np.moveaxis(s * normalised, 0, 1), "dx": np.moveaxis(dx, 0, 1)}
    if scale is not None:
        terms = (drows * normalised).reshape(len(rows), -1)
        answer["dscale"] = np.array([shuffled_sum(row, rng) for row in terms], np.float32)
    return answer


def l2_case(name: str, why: str, x: Floats, scale: Floats | None, dy: Floats, eps: float, convention: str) -> Case:
    """Return a case whose tolerance is measured on `float32_evaluation`."""

    def evaluate(rng: np.random.Generator) -> Evaluation:
        return float32_evaluation(x, scale, dy, eps, convention, rng)

    params = {"eps": eps, "convention": convention}
    return Case(name, why, {"x": x, "scale": scale}, Spread(evaluate), params, dy, tags=("convention",))


def cases() -> list[Case]:
    tolerant = Ulp(16, 2.0**-20)
    maps, dy, scale = reals("l2 x", (2, 6, 3, 2), -2, 2), reals("l2 dy", (2, 6, 3, 2)), reals("l2 s", (6,), 10, 20)

    def three_four_five(name: str, why: str, eps: float, convention: str, n: float, dx: list[float]) -> Case:
        x, s, g = np.array([[3.0, 4.0]]), np.array([2.0, 4.0]), np.array([[8.0, 0.0]])
        expected = {"y": s * x / n, "dx": np.array([dx]), "dscale": np.array([24 / n, 0.0])}
        params = {"eps": eps, "convention": convention}
        inputs = {"x": x, "scale": s}
        return Case(name, why, inputs, tolerant, params, g, expected, "by hand", ("hand", "convention"))

    def at_zero(name: str, eps: float, convention: str, n: float) -> Case:
        return Case(
            f"zero-vector-{name}",
            f"x = 0: the output is 0, the norm {n} comes from eps alone and does not move: dx = s dy / n, not NaN.",
            {"x": np.zeros((1, 2)), "scale": np.array([1.0, 3.0])},
            tolerant,
            {"eps": eps, "convention": convention},
            np.array([[1.0, 2.0]]),
            {"y": np.zeros((1, 2)), "dx": np.array([[1 / n, 6 / n]]), "dscale": np.zeros(2)},
            "by hand",
            ("hand", "convention", "kink"),
        )

    return [
        three_four_five(
            "eps-inside",
            "√(3² + 4² + 39) = 8: eps under the root.",
            39.0,
            "inside",
            8.0,
            # s dy = (16, 0): 16/8 − 3 · (16 · 3)/8³, −4 · (16 · 3)/8³
            [2 - 144 / 512, -192 / 512],
        ),
        three_four_five(
            "eps-outside",
            "√(3² + 4²) + 3 = 8: eps beside the root.",
            3.0,
            "outside",
            8.0,
            # 16/8 − 3 · (16 · 3)/(8² · 5), −4 · (16 · 3)/(8² · 5)
            [2 - 144 / 320, -192 / 320],
        ),
        three_four_five(
            "clamp-below-eps",
            "max(5, 8) = 8: below eps the norm is constant, and the gradient that of a division by 8.",
            8.0,
            "clamp",
            8.0,
            [2.0, 0.0],
        ),
        three_four_five(
            "clamp-at-eps",
            "A length equal to eps counts as clamped: the gradient is that of a division by 5.",
            5.0,
            "clamp",
            5.0,
            [3.2, 0.0],
        ),
        three_four_five(
            "clamp-above-eps",
            "max(5, 1) = 5: above eps, eps plays no part.",
            1.0,
            "clamp",
            5.0,
            # 16/5 − 3 · (16 · 3)/5³, −4 · (16 · 3)/5³
            [3.2 - 144 / 125, -192 / 125],
        ),
        at_zero("inside", 0.25, "inside", 0.5),
        at_zero("outside", 0.5, "outside", 0.5),
        at_zero("clamp", 0.5, "clamp", 0.5),
        *(
            l2_case(
                f"maps-{convention}",
                "Every pixel's channels, scaled to about 15 as ParseNet and SSD do.",
                maps,
                scale,
                dy,
                0.01,
                convention,
            )
            for convention in ("inside", "outside", "clamp")
        ),
        l2_case("without-scale", "The direction alone.", maps, None, dy, 1e-10, "inside"),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random maps in float64."""
    inputs = {"x": rng.standard_normal((2, 5, 3)), "scale": rng.standard_normal(5) if rng.random() < 0.5 else None}
    params = {"eps": 1e-3, "convention": str(rng.choice(["inside", "outside", "clamp"]))}
    return Case("random", "", inputs, Ulp(64, 1e-5), params, dy=rng.standard_normal((2, 5, 3)))
