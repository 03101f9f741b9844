"""Golden cases of the mean-field free energy."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import Floats, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact, Ulp
from tests.oracles import free_energy as oracle

ALGORITHM = Algorithm(
    "free_energy",
    oracle,
    ("q", "unary", "pairwise"),
    ("energy",),
    reference="Krähenbühl & Koltun (2013), section 3; Koller & Friedman (2009), section 11.5",
)


def magnitudes(q: Floats, unary: Floats, pairwise: Floats) -> Floats:
    """Return Σ |q log q| + |ψ q| + ½ |q p|, against which a sum in any order is held."""
    entropy = q * np.log(np.where(q > 0, q, 1))
    return np.asarray(np.sum(np.abs(entropy) + np.abs(unary * q) + np.abs(q * pairwise) / 2))


def summed(name: str, why: str, q: Floats, unary: Floats, pairwise: Floats, **more: Any) -> Case:
    """Return a case of 3 N L terms: a rounding for each, three within each, and that of the answer."""
    inputs = {"q": q, "unary": unary, "pairwise": pairwise}
    return Case(name, why, inputs, Bound(3 * q.size + 4, {"energy": magnitudes(q, unary, pairwise)}), **more)


def cases() -> list[Case]:
    """Return the cases."""
    shares = np.abs(reals("free energy q", (12, 4))) + 2.0**-6
    q = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32).astype(np.float64)
    return [
        Case(
            "a-sure-point",
            "Label 1 has all of q: no entropy, its ψ = 3 and half of its p = 4.",
            {"q": np.array([[0.0, 1.0]]), "unary": np.array([[7.0, 3.0]]), "pairwise": np.array([[9.0, 4.0]])},
            Exact(),
            expected={"energy": np.array(5.0)},
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "an-undecided-point",
            "Two labels with 1/2 each and no energy: F = −ln 2.",
            {"q": np.full((1, 2), 0.5), "unary": np.zeros((1, 2)), "pairwise": np.zeros((1, 2))},
            Ulp(4, 2.0**-40),
            expected={"energy": np.array(-0.6931471805599453)},
            source="by hand (ln 2, to 16 digits)",
            tags=("hand",),
        ),
        Case(
            "half-of-the-pairwise-energy",
            "Every pair is met from both ends: of p = 2 at each of two sure points 2 are left.",
            {"q": np.array([[1.0], [1.0]]), "unary": np.array([[0.25], [0.5]]), "pairwise": np.array([[2.0], [2.0]])},
            Exact(),
            expected={"energy": np.array(2.75)},
            source="by hand",
            tags=("hand", "convention", "dyadic"),
        ),
        summed(
            "twelve-points",
            "Random marginals and energies of both signs.",
            q,
            reals("free energy unary", (12, 4), -3, 3),
            reals("free energy pairwise", (12, 4), -2, 2),
        ),
        Case(
            "no-points",
            "A sum over nothing.",
            {"q": np.zeros((0, 3)), "unary": np.zeros((0, 3)), "pairwise": np.zeros((0, 3))},
            Exact(),
            expected={"energy": np.array(0.0)},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "a-label-that-cannot-be",
            "q = 0 where ψ = ∞: 0 · ∞ is not taken for 0, and the answer is NaN.",
            {"q": np.array([[1.0, 0.0]]), "unary": np.array([[1.0, np.inf]]), "pairwise": np.zeros((1, 2))},
            Exact(),
            expected={"energy": np.array(np.nan)},
            source="by hand",
            tags=("hand", "inf", "nan", "convention"),
            status="optional",
            status_reason="many implementations take 0 · ∞ for 0, or assume finite energies",
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random marginals and energies in float64."""
    q = rng.dirichlet(np.ones(3), 5)
    inputs = {"q": q, "unary": rng.standard_normal((5, 3)), "pairwise": rng.standard_normal((5, 3))}
    return Case("random", "", inputs, Ulp(64, 1e-5))
