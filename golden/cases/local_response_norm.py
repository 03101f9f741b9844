"""Golden cases of local response normalisation across channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._float32 import Evaluation, local_response_norm
from golden.cases._numbers import Floats, reals
from refdet.verify.case import Algorithm, Case, Exact, Spread, Ulp
from tests.oracles import local_response_norm as oracle

ALGORITHM = Algorithm(
    "local_response_norm", oracle, ("x",), reference="Krizhevsky, Sutskever & Hinton (2012), section 3.3"
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
    windows = channel_windows(x.shape, params["size"], params["convention"])
    alpha = params["alpha"] if params["convention"] == "paper" else params["alpha"] / params["size"]

    def evaluate(rng: np.random.Generator) -> Evaluation:
        return local_response_norm(x, dy, windows, alpha, params["beta"], params["k"], rng)

    return Case(name, why, {"x": x}, Spread(evaluate), params, dy, expected or {}, source, tags)


def channel_windows(shape: tuple[int, ...], size: int, convention: str) -> list[list[int]]:
    """Return, for every element, the flat positions of the channels in its window."""
    if convention in ("paper", "caffe"):
        before = after = size // 2
    elif convention == "torch":
        before, after = size // 2, size - 1 - size // 2
    else:
        before, after = (size - 1) // 2, size // 2
    positions = np.arange(int(np.prod(shape))).reshape(shape)
    return [
        [int(positions[n, j, *place]) for j in range(max(0, c - before), min(shape[1], c + after + 1))]
        for n, c, *place in np.ndindex(shape)
    ]


def cases() -> list[Case]:
    two = np.array([[2.0, 3.0]])
    by_hand = {
        "y": np.array([[0.25, 0.375]]),  # S = 3 + 4 + 9 = 16 for both; 2/8, 3/8, as 16^¾ = 8
        # dx_j = dy_j / 8 − 2 · ¾ · x_j Σ_c dy_c x_c / 16^(7/4) = 1 − 1.5 · x_j · (8·2 + 8·3) / 128
        "dx": np.array([[0.0625, -0.40625]]),
    }
    even, even_dy = reals("lrn even", (1, 6, 2, 2), -3, 3), reals("lrn even dy", (1, 6, 2, 2))
    odd, odd_dy = reals("lrn odd", (1, 6, 1, 1), -3, 3), reals("lrn odd dy", (1, 6, 1, 1))
    return [
        lrn_case(
            "paper-does-not-divide-alpha",
            "Two channels that see each other, S = 16: in the paper α multiplies the sum as it is.",
            two,
            {"size": 3, "alpha": 1.0, "beta": 0.75, "k": 3.0, "convention": "paper"},
            np.array([[8.0, 8.0]]),
            ("hand", "convention"),
            by_hand,
            "by hand",
        ),
        lrn_case(
            "caffe-divides-alpha-by-size",
            "The same numbers with α = 3, which Caffe, torch and ONNX divide by the size, 3.",
            two,
            {"size": 3, "alpha": 3.0, "beta": 0.75, "k": 3.0, "convention": "caffe"},
            np.array([[8.0, 8.0]]),
            ("hand", "convention"),
            by_hand,
            "by hand",
        ),
        *(
            lrn_case(
                f"even-size-{convention}",
                f"Of an even window, {where}.",
                even,
                {"size": 4, "alpha": 0.5, "beta": 0.75, "k": 1.0, "convention": convention},
                even_dy,
                ("convention", "border"),
            )
            for convention, where in (
                ("torch", "torch has two channels before and one after"),
                ("onnx", "ONNX has one channel before and two after"),
                ("paper", "the paper's formula has two on either side, five in all"),
            )
        ),
        *(
            lrn_case(
                f"odd-size-{convention}",
                f"Of an odd window, {convention} has as many channels before as after: two.",
                odd,
                {"size": 5, "alpha": 0.5, "beta": 0.75, "k": 1.0, "convention": convention},
                odd_dy,
                ("convention", "border"),
            )
            for convention in ("torch", "onnx")
        ),
        lrn_case(
            "alexnet",
            "The paper's constants k = 2, n = 5, α = 10⁻⁴, β = ¾ on activations so large that α/5 would be seen.",
            reals("lrn alexnet", (1, 12, 3, 3), 0, 120),
            {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0, "convention": "paper"},
            reals("lrn alexnet dy", (1, 12, 3, 3)),
            ("convention",),
        ),
        lrn_case(
            "window-wider-than-channels",
            "Seven channels asked for, three there: the window is clipped at both ends, the divisor of α is not.",
            reals("lrn clipped", (2, 3, 2, 2), -2, 2),
            {"size": 7, "alpha": 2.0, "beta": 0.5, "k": 1.0, "convention": "torch"},
            reals("lrn clipped dy", (2, 3, 2, 2)),
            ("border", "convention"),
        ),
        Case(
            "empty-batch",
            "An empty batch in, an empty batch out.",
            {"x": np.zeros((0, 4, 2, 2))},
            Exact(),
            {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0, "convention": "paper"},
            dy=np.zeros((0, 4, 2, 2)),
            tags=("empty",),
        ),
        Case(
            "no-channels",
            "A window of five channels where there are none.",
            {"x": np.zeros((1, 0, 2, 2))},
            Exact(),
            {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0, "convention": "paper"},
            dy=np.zeros((1, 0, 2, 2)),
            tags=("empty",),
            status="optional",
            status_reason="many implementations refuse a map without channels",
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random map in float64 and random parameters."""
    shape = (2, int(rng.integers(1, 8)), 2, 3)
    params = {
        "size": 2 * int(rng.integers(0, 4)) + 1,
        "alpha": 0.5,
        "beta": 0.75,
        "k": 1.0,
        "convention": str(rng.choice(["paper", "caffe", "torch", "onnx"])),
    }
    return Case("random", "", {"x": rng.standard_normal(shape)}, Ulp(64, 1e-5), params, dy=rng.standard_normal(shape))
