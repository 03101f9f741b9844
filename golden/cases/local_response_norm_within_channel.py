"""Golden cases of local response normalisation within a channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._float32 import Evaluation, local_response_norm
from golden.cases._numbers import Floats, reals
from refdet.verify.case import Algorithm, Case, Exact, Spread, Ulp
from tests.oracles import local_response_norm_within_channel as oracle

ALGORITHM = Algorithm(
    "local_response_norm_within_channel", oracle, ("x",), reference="Caffe lrn_layer.cpp, WITHIN_CHANNEL"
)


def lrn_case(
    name: str,
    why: str,
    x: Floats,
    params: dict[str, Any],
    dy: Floats,
    tags: tuple[str, ...] = (),
    expected: dict[str, Floats] | None = None,
    source: str = "",
) -> Case:
    """Return a case whose tolerance is measured on `_float32.local_response_norm`."""
    windows, alpha = spatial_windows(x.shape, params["size"]), params["alpha"] / params["size"] ** 2

    def evaluate(rng: np.random.Generator) -> Evaluation:
        return local_response_norm(x, dy, windows, alpha, params["beta"], params["k"], rng)

    return Case(name, why, {"x": x}, Spread(evaluate), params, dy, expected or {}, source, tags)


def spatial_windows(shape: tuple[int, ...], size: int) -> list[list[int]]:
    """Return, for every pixel, the flat positions of the pixels in the square around it."""
    reach = size // 2
    planes = np.arange(int(np.prod(shape))).reshape(shape)
    return [
        [int(p) for p in planes[n, c, max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1].flat]
        for n, c, i, j in np.ndindex(shape)
    ]


def cases() -> list[Case]:
    return [
        lrn_case(
            "single-pixel-in-a-three-by-three-window",
            "Eight of nine places are outside, but α is divided by 9 all the same: S = 1 + 27/9 · 5² = 76, not 676.",
            np.array([[[[5.0]]]]),
            {"size": 3, "alpha": 27.0, "beta": 1.0, "k": 1.0},
            np.array([[[[76.0]]]]),
            ("hand", "border"),
            {
                "y": np.array([[[[0.06578947368421052]]]]),  # 5/76
                "dx": np.array([[[[-0.9736842105263158]]]]),  # 76 · (1/76 − 2 · 3 · 5²/76²) = 1 − 150/76 = −74/76
            },
            "by hand",
        ),
        lrn_case(
            "caffe-defaults",
            "α = 1, β = ¾, size 5, k = 1, on a map smaller than two windows.",
            reals("within x", (2, 2, 6, 7), -3, 3),
            {"size": 5, "alpha": 1.0, "beta": 0.75, "k": 1.0},
            reals("within dy", (2, 2, 6, 7)),
            ("border",),
        ),
        lrn_case(
            "channels-do-not-mix",
            "A large channel beside a small one leaves it alone.",
            np.stack([reals("within small", (3, 3)), reals("within large", (3, 3), 100, 200)])[None],
            {"size": 3, "alpha": 9.0, "beta": 0.5, "k": 2.0},
            reals("within mixed dy", (1, 2, 3, 3)),
        ),
        Case(
            "empty-batch",
            "An empty batch in, an empty batch out.",
            {"x": np.zeros((0, 4, 2, 2))},
            Exact(),
            {"size": 3, "alpha": 1.0, "beta": 0.75, "k": 1.0},
            dy=np.zeros((0, 4, 2, 2)),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random map in float64 and a random window."""
    params = {"size": 2 * int(rng.integers(0, 3)) + 1, "alpha": 0.5, "beta": 0.75, "k": 1.0}
    dy = rng.standard_normal((2, 2, 4, 5))
    return Case("random", "", {"x": rng.standard_normal(dy.shape)}, Ulp(64, 1e-5), params, dy=dy)
