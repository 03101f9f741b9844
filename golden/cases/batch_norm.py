"""Golden cases of batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.cases._float32 import Evaluation, quotient, shuffled_sum
from golden.cases._numbers import reals
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case, Exact, Spread, Ulp
from tests.oracles import batch_norm as oracle

ALGORITHM = Algorithm(
    "batch_norm",
    oracle,
    ("x", "weight", "bias", "running_mean", "running_var"),
    ("y", "new_running_mean", "new_running_var"),
    reference="Ioffe & Szegedy (2015), algorithm 1",
)


def float32_evaluation(
    inputs: Mapping[str, Array | None], dy: Array, params: Mapping[str, Any], rng: np.random.Generator
) -> Evaluation:
    """Evaluate batch normalisation in float32, the samples of every channel in a random order."""
    arrays = {name: None if value is None else np.asarray(value, np.float32) for name, value in inputs.items()}
    x, eps, m = arrays["x"], np.float32(params["eps"]), np.float32(params["momentum"])
    assert x is not None
    one = np.float32(1)
    n_channels = x.shape[1]
    # (N, C, ...) -> (C, samples)
    rows, drows = (np.moveaxis(a, 1, 0).reshape(n_channels, -1) for a in (x, np.asarray(dy, np.float32)))
    n = np.float32(rows.shape[1])
    weight, bias = arrays["weight"], arrays["bias"]
    gamma = np.ones(n_channels, np.float32) if weight is None else weight
    beta = np.zeros(n_channels, np.float32) if bias is None else bias
    running_mean, running_var = arrays["running_mean"], arrays["running_var"]
    two_passes = rng.integers(2)
    y, dx, answer = np.empty_like(rows), np.empty_like(rows), {}
    statistics: dict[str, list[np.float32]] = {"mean": [], "var": [], "dweight": [], "dbias": []}
    for c in range(n_channels):
        if params["training"]:
            mean = shuffled_sum(rows[c], rng) / n
            centred = rows[c] - mean
            biased = (
                shuffled_sum(centred * centred, rng) / n
                if two_passes
                else shuffled_sum(rows[c] * rows[c], rng) / n - mean * mean
            )
        else:
            assert running_mean is not None
            assert running_var is not None
            mean, biased = running_mean[c], running_var[c]
        inverse = one / np.sqrt(biased + eps)
        normalised = quotient(rows[c] - mean, np.sqrt(biased + eps), rng)
        y[c] = gamma[c] * normalised + beta[c]
        sum_dy, sum_dy_x = shuffled_sum(drows[c], rng), shuffled_sum(drows[c] * normalised, rng)
        coupled = (sum_dy + normalised * sum_dy_x) / n if params["training"] else np.float32(0)
        dx[c] = gamma[c] * inverse * (drows[c] - coupled)
        statistics["mean"].append(np.float32(mean))
        unbiased = params["convention"] == "torch" and n > 1
        statistics["var"].append(np.float32(biased * n / (n - one) if unbiased else biased))
        statistics["dweight"].append(np.float32(sum_dy_x))
        statistics["dbias"].append(np.float32(sum_dy))
    new_share = m if params["convention"] == "torch" else one - m
    for name, running in (("mean", running_mean), ("var", running_var)):
        if running is not None:
            batch = np.array(statistics[name], np.float32)
            moved = (one - new_share) * running + new_share * batch
            answer[f"new_running_{name}"] = moved if params["training"] else running
    by_sample = (n_channels, x.shape[0], *x.shape[2:])
    answer |= {name: np.moveaxis(a.reshape(by_sample), 0, 1) for name, a in (("y", y), ("dx", dx))}
    answer |= {name: np.array(statistics[name], np.float32) for name in ("dweight", "dbias")}
    return answer


def bn_case(
    name: str, why: str, inputs: dict[str, Array | None], params: dict[str, Any], dy: Array, **more: Any
) -> Case:
    """Return a case whose tolerance is measured on `float32_evaluation`."""
    given = {n: inputs.get(n) for n in ALGORITHM.inputs}

    def evaluate(rng: np.random.Generator) -> Evaluation:
        return float32_evaluation(given, dy, params, rng)

    return Case(name, why, given, Spread(evaluate), params, dy, **more)


def cases() -> list[Case]:
    # mean 2, biased variance 1, unbiased 2; with eps = 3, σ = √(1 + 3) = 2 and x̂ = ∓½
    pair: dict[str, Array | None] = {
        "x": np.array([[1.0], [3.0]]),
        "weight": np.array([4.0]),
        "bias": np.array([1.0]),
        "running_mean": np.array([8.0]),
        "running_var": np.array([4.0]),
    }
    by_hand = {
        "y": np.array([[-1.0], [3.0]]),  # 4 · ∓½ + 1
        # γ/σ (dy − mean dy − x̂ mean(dy x̂)) = 2 (1 − ½ − ½ · ¼), 2 (0 − ½ + ½ · ¼)
        "dx": np.array([[0.75], [-0.75]]),
        "dweight": np.array([-0.5]),
        "dbias": np.array([1.0]),
        "new_running_mean": np.array([6.5]),  # ¾ · 8 + ¼ · 2
    }
    tolerant = Ulp(16, 2.0**-20)
    maps: dict[str, Array | None] = {
        "x": reals("bn x", (2, 3, 4, 5), -2, 3),
        "weight": reals("bn weight", (3,), 0.5, 2),
        "bias": reals("bn bias", (3,)),
        "running_mean": reals("bn mean", (3,)),
        "running_var": reals("bn var", (3,), 0.5, 2),
    }
    dy = reals("bn dy", (2, 3, 4, 5))
    return [
        Case(
            "torch-updates-with-the-unbiased-variance",
            "Momentum is the share of the new; the running variance moves towards 2/(2 − 1), though 2/2 normalises.",
            pair,
            tolerant,
            {"training": True, "momentum": 0.25, "eps": 3.0, "convention": "torch"},
            np.array([[1.0], [0.0]]),
            {**by_hand, "new_running_var": np.array([3.5])},  # ¾ · 4 + ¼ · 2
            "by hand",
            ("hand", "convention"),
        ),
        Case(
            "onnx-updates-with-the-biased-variance",
            "Momentum is the share of the old, and the running variance moves towards 2/2.",
            pair,
            tolerant,
            {"training": True, "momentum": 0.75, "eps": 3.0, "convention": "onnx"},
            np.array([[1.0], [0.0]]),
            {**by_hand, "new_running_var": np.array([3.25])},  # ¾ · 4 + ¼ · 1
            "by hand",
            ("hand", "convention"),
        ),
        Case(
            "inference",
            "The running statistics normalise, stay as they are, and are constants to the gradient: σ = √(13 + 3) = 4.",
            {**pair, "running_var": np.array([13.0])},
            tolerant,
            {"training": False, "momentum": 0.25, "eps": 3.0, "convention": "torch"},
            np.array([[1.0], [2.0]]),
            {
                "y": np.array([[-6.0], [-4.0]]),  # 4 (1 − 8)/4 + 1, 4 (3 − 8)/4 + 1
                "dx": np.array([[1.0], [2.0]]),  # 4/4 · dy
                "dweight": np.array([-4.25]),  # 1 · −7/4 + 2 · −5/4
                "dbias": np.array([3.0]),
                "new_running_mean": np.array([8.0]),
                "new_running_var": np.array([13.0]),
            },
            "by hand",
            ("hand",),
        ),
        bn_case(
            "maps-training-torch",
            "Three channels over two images, by the defaults of torch.",
            maps,
            {"training": True, "momentum": 0.1, "eps": 1e-5, "convention": "torch"},
            dy,
            tags=("convention",),
        ),
        bn_case(
            "maps-training-onnx",
            "The same by the defaults of ONNX.",
            maps,
            {"training": True, "momentum": 0.9, "eps": 1e-5, "convention": "onnx"},
            dy,
            tags=("convention",),
        ),
        bn_case(
            "maps-inference",
            "The same at test time.",
            maps,
            {"training": False, "momentum": 0.1, "eps": 1e-3, "convention": "torch"},
            dy,
        ),
        bn_case(
            "without-affine-or-running",
            "Neither weight nor bias nor running statistics.",
            {"x": maps["x"]},
            {"training": True, "momentum": 0.1, "eps": 1e-5, "convention": "torch"},
            dy,
        ),
        Case(
            "constant-channel",
            "No variance: eps alone keeps the division finite, and the output is the bias.",
            {"x": np.full((2, 1, 2), 3.0), "weight": np.array([5.0]), "bias": np.array([-2.0])},
            {"y": Exact(), "dx": tolerant, "dweight": Exact(), "dbias": Exact()},
            {"training": True, "momentum": 0.1, "eps": 0.25, "convention": "torch"},
            np.array([[[1.0, 2.0]], [[4.0, 5.0]]]),
            {
                "y": np.full((2, 1, 2), -2.0),
                "dx": np.array([[[-20.0, -10.0]], [[10.0, 20.0]]]),  # 5/½ · (dy − 3)
                "dweight": np.array([0.0]),
                "dbias": np.array([12.0]),
            },
            "by hand",
            ("hand",),
        ),
        Case(
            "single-value-onnx",
            "One value per channel is its own mean; without the unbiased variance nothing divides by 0.",
            {
                "x": np.array([[7.0]]),
                "weight": np.array([2.0]),
                "bias": np.array([0.5]),
                "running_mean": np.array([1.0]),
                "running_var": np.array([4.0]),
            },
            tolerant,
            {"training": True, "momentum": 0.5, "eps": 0.25, "convention": "onnx"},
            np.array([[3.0]]),
            {
                "y": np.array([[0.5]]),
                "dx": np.array([[0.0]]),
                "dweight": np.array([0.0]),
                "dbias": np.array([3.0]),
                "new_running_mean": np.array([4.0]),  # ½ · 1 + ½ · 7
                "new_running_var": np.array([2.0]),  # ½ · 4 + ½ · 0
            },
            "by hand",
            ("hand", "convention"),
        ),
        Case(
            "tiny-eps",
            "Variance 2⁻²⁰ and eps = 3 · 2⁻²⁰, about 3e-6: a library that takes no eps below 1e-5 divides by too much.",
            {
                "x": np.array([[2.0**-10], [3 * 2.0**-10]]),
                "weight": np.array([4.0]),
                "bias": np.array([1.0]),
                "running_mean": np.array([0.0]),
                "running_var": np.array([2.0**-20]),
            },
            tolerant,
            {"training": False, "momentum": 0.25, "eps": 3 * 2.0**-20, "convention": "torch"},
            np.array([[1.0], [2.0]]),
            {
                "y": np.array([[3.0], [7.0]]),  # σ = 2⁻⁹: 4 · ½ + 1, 4 · 3/2 + 1
                "dx": np.array([[2048.0], [4096.0]]),  # 4/σ · dy
                "dweight": np.array([3.5]),  # 1 · ½ + 2 · 3/2
                "dbias": np.array([3.0]),
                "new_running_mean": np.array([0.0]),
                "new_running_var": np.array([2.0**-20]),
            },
            "by hand",
            ("hand",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random maps in float64 and random statistics."""
    inputs = {
        "x": rng.standard_normal((2, 3, 4, 2)),
        "weight": rng.standard_normal(3),
        "bias": rng.standard_normal(3),
        "running_mean": rng.standard_normal(3),
        "running_var": rng.uniform(0.5, 2, 3),
    }
    params = {
        "training": bool(rng.integers(2)),
        "momentum": 0.1,
        "eps": 1e-3,
        "convention": str(rng.choice(["torch", "onnx"])),
    }
    return Case("random", "", inputs, Ulp(64, 1e-5), params, dy=rng.standard_normal((2, 3, 4, 2)))
