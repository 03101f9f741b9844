"""Golden cases of parallel mean-field inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._mean_field import evaluation, grid, potts, scattered
from golden.cases._numbers import Floats, reals
from refdet.verify.case import Algorithm, Case, Exact, Spread, Ulp
from tests.oracles import mean_field as oracle

ALGORITHM = Algorithm(
    "mean_field",
    oracle,
    ("unary", "features", "compatibilities"),
    ("q",),
    reference="deck 004; Krähenbühl & Koltun (2011), algorithm 1, and (2013), section 4",
    stages=("initial", "messages", "pairwise", "iterates"),  # messages and pairwise: of the first iteration
)
TRACED = ("exact-symmetric", "lattice-none", "smoothness-and-appearance", "damped-repulsion")
NORMALISATIONS = ("none", "before", "after", "symmetric")
ASYMMETRIC = np.array([[0.0, 1.5, 0.25], [0.5, -0.5, 2.0], [1.0, 0.75, 0.125]])
ONE_SIDED = np.array([[0.0, 2.0], [0.0, 0.0]])
SKEW = np.array([[2.0, 0.0], [4.0, 0.0]])  # the costs are (2, 4); transposed (6, 0), and (4, 2) in the mean of both


def params(
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    normalisation: tuple[str, ...],
    *,
    shape: tuple[int, int] | None = None,
    exclude_self: bool = False,
    iterations: int = 3,
    damping: float = 0.0,
) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {
        "dimensions": dimensions,
        "filters": filters,
        "shape": shape,
        "normalisation": normalisation,
        "exclude_self": exclude_self,
        "iterations": iterations,
        "damping": damping,
    }


def measured(
    name: str,
    why: str,
    features: list[Floats],
    compatibilities: list[Floats],
    given: dict[str, Any],
    *,
    tags: tuple[str, ...] = (),
    spread: float = 2.0,
) -> Case:
    """Return a case with random unaries whose tolerance is measured on `_mean_field.evaluation`."""
    n_points, n_labels = len(features[0]), len(compatibilities[0])
    inputs = {
        "unary": reals(f"mean field {name}", (n_points, n_labels), -spread, spread),
        "features": np.concatenate(features, axis=1),
        "compatibilities": np.stack(compatibilities),
    }
    dq = reals(f"mean field {name} dq", (n_points, n_labels))
    return Case(name, why, inputs, Spread(evaluation(inputs, dq, given)), given, dq, tags=tags, traced=name in TRACED)


def cases() -> list[Case]:
    """Return the cases."""
    nowhere = np.zeros((2, 1))
    plane, colours = scattered("mean field plane", 9, 2), scattered("mean field colours", 8, 5)
    image = grid((3, 4), 2.0)
    logistic_1, logistic_2, logistic_3_tanh_1 = 0.7310585786300049, 0.8807970779778823, 0.9076088633209787
    return [
        Case(
            "no-preference",
            "Two points at the same place without a preference: q stays 1/2, but a wish at point 0 goes to both.",
            {"unary": np.zeros((2, 2)), "features": nowhere, "compatibilities": potts(2, 2.0)[None]},
            Exact(),
            params((1,), ("exact",), ("none",), exclude_self=True, iterations=1),
            dy=np.array([[1.0, 0.0], [0.0, 0.0]]),
            expected={
                "q": np.full((2, 2), 0.5),
                # b of the update: ½ (½ − 1), ½ (½ − 0) at point 0; b μ = (½, −½) reaches point 1, and there −½ of it
                "dunary": np.array([[-0.25, 0.25], [-0.25, 0.25]]),
                "dfeatures": np.zeros((2, 1)),  # where two points meet, the kernel is flat
                "dcompatibilities": np.array([[[-0.125, -0.125], [0.125, 0.125]]]),  # bᵀ (½, ½)
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "a-preference-spreads",
            "Point 0 prefers label 0 by 2, point 1 has no preference; Potts of weight 3 at the same place, without "
            "the point itself: after one update the logits of point 1 differ by 3 (Q_0(0) − Q_0(1)) = 3 tanh 1.",
            {
                "unary": np.array([[0.0, 2.0], [0.0, 0.0]]),
                "features": nowhere,
                "compatibilities": potts(2, 3.0)[None],
            },
            Ulp(16, 2.0**-20),
            params((1,), ("exact",), ("none",), exclude_self=True, iterations=1),
            expected={
                "q": np.array(
                    [[logistic_2, 1 - logistic_2], [logistic_3_tanh_1, 1 - logistic_3_tanh_1]],
                )
            },
            source="by hand (1 / (1 + e⁻²) and 1 / (1 + e^(−3 tanh 1)), to 16 digits)",
            tags=("hand",),
            traced=True,
        ),
        Case(
            "the-row-pays-alone",
            "One point without a preference, with itself for a neighbour. μ(0, 1) = 2 makes label 0 cost 2 · 1/2: row "
            "0 of μ is the label that pays.",
            {
                "unary": np.zeros((1, 2)),
                "features": np.zeros((1, 1)),
                "compatibilities": ONE_SIDED[None],
            },
            Ulp(16, 2.0**-20),
            params((1,), ("exact",), ("none",), iterations=1),
            expected={"q": np.array([[1 - logistic_1, logistic_1]])},
            source="by hand (1 / (1 + e⁻¹), to 16 digits)",
            tags=("hand", "convention"),
        ),
        Case(
            "the-row-pays-the-other",
            "Two points at one place, without themselves: label 0 costs 2 · 1/2 at both.",
            {
                "unary": np.zeros((2, 2)),
                "features": np.zeros((2, 1)),
                "compatibilities": ONE_SIDED[None],
            },
            Ulp(16, 2.0**-20),
            params((1,), ("exact",), ("none",), exclude_self=True, iterations=1),
            expected={"q": np.array([[1 - logistic_1, logistic_1]] * 2)},
            source="by hand (1 / (1 + e⁻¹), to 16 digits)",
            tags=("hand", "convention"),
        ),
        *(
            Case(
                f"{place}-{name}",
                f"An undecided neighbourhood: the costs of the labels differ by {cost}. {why}",
                {
                    "unary": np.zeros((n_points, 2)),
                    "features": np.zeros((n_points, 1)),
                    "compatibilities": compatibility[None] / n_points,
                },
                Ulp(16, 2.0**-20),
                params((1,), (kind,), ("none",), iterations=1),
                expected={"q": np.array([[q, 1 - q] if first_wins else [1 - q, q]] * n_points)},
                source=f"by hand (1 / (1 + e^(−{cost})), to 16 digits)",
                tags=("hand", "convention"),
            )
            for place, kind, n_points, q, cost, why in (
                (
                    "a-point-alone-on-the-lattice",
                    "lattice",
                    1,
                    0.6970592839654074,
                    "5/6",
                    "Of a vertex 1 + ½ · ½ stays, as its simplex has one other; that by α = ⅔ is the kernel.",
                ),
                ("two-points-at-one-place", "exact", 2, logistic_1, "1", "Each neighbour brings half of it."),
            )
            for name, compatibility, first_wins in (
                ("equal-labels-rewarded", np.diag([-2.0, 0.0]), True),
                ("one-label-pays", ONE_SIDED, False),
                ("skew-costs", SKEW, True),
            )
        ),
        Case(
            "a-preference-against-a-cost-on-the-lattice",
            "Label 0 is preferred by 12 and costs 12 · 5/6 if the point, alone, has it: it keeps an advantage of 2, "
            "but for what its q was below 1.",
            {
                "unary": np.array([[0.0, 12.0]]),
                "features": np.zeros((1, 1)),
                "compatibilities": np.diag([12.0, 0.0])[None],
            },
            Ulp(16, 2.0**-20),
            params((1,), ("lattice",), ("none",), iterations=1),
            expected={"q": np.array([[0.8808035288161595, 0.11919647118384047]])},
            source="by hand (1 / (1 + e^(−12 + 10 / (1 + e⁻¹²))), to 16 digits)",
            tags=("hand", "convention"),
        ),
        *(
            measured(
                f"full-compatibility-{how}",
                "μ is not symmetric; the point itself is left out. " + EXPLAINED[how],
                [plane],
                [ASYMMETRIC],
                params((2,), ("exact",), (how,), exclude_self=True),
                tags=("convention",),
            )
            for how in ("none", "after", "symmetric")
        ),
        Case(
            "one-label",
            "With one label q is 1 whatever the energies, and nothing has a gradient.",
            {
                "unary": reals("mean field one label", (3, 1)),
                "features": scattered("mean field three points", 3, 2),
                "compatibilities": np.array([[[-2.0]]]),
            },
            Exact(),
            params((2,), ("lattice",), ("symmetric",)),
            dy=np.array([[1.0], [2.0], [3.0]]),
            expected={
                "q": np.ones((3, 1)),
                "dunary": np.zeros((3, 1)),
                "dfeatures": np.zeros((3, 2)),
                "dcompatibilities": np.zeros((1, 1, 1)),
            },
            source="by hand",
            tags=("hand",),
        ),
        measured(
            "no-iterations",
            "The softmax of the negated unaries; the kernels play no part.",
            [plane],
            [potts(3, 2.0)],
            params((2,), ("exact",), ("symmetric",), iterations=0),
        ),
        *(
            measured(
                f"exact-{how}",
                "The matrix of the kernel, self term included; Potts. " + EXPLAINED[how],
                [plane],
                [potts(3, 0.75 if how == "none" else 2.0)],
                params((2,), ("exact",), (how,)),
                tags=("convention",),
            )
            for how in NORMALISATIONS
        ),
        *(
            measured(
                f"lattice-{how}",
                "The permutohedral lattice; Potts as −w I. " + EXPLAINED[how],
                [plane],
                [-(0.75 if how == "none" else 2.0) * np.eye(3)],
                params((2,), ("lattice",), (how,)),
                tags=("convention",),
            )
            for how in NORMALISATIONS
        ),
        measured(
            "without-the-point-itself",
            "The sum of the paper and of the deck, over j ≠ i; n = K 1 then lacks the self term too.",
            [plane],
            [potts(3, 2.0)],
            params((2,), ("exact",), ("symmetric",), exclude_self=True),
            tags=("convention", "deck"),
        ),
        measured(
            "diagonal-compatibility",
            "Each label has its own weight; a positive one repels.",
            [plane],
            [np.diag([-2.0, -0.5, 0.75])],
            params((2,), ("lattice",), ("after",)),
        ),
        measured(
            "full-compatibility",
            "μ(l, l') is not symmetric: its rows belong to the label that is updated.",
            [plane],
            [ASYMMETRIC],
            params((2,), ("exact",), ("before",)),
            tags=("convention",),
        ),
        measured(
            "truncated",
            "Pixels of 3 × 4 with θ = ½: the radius ⌈4 θ⌉ = 2 cuts off exp(−18) and below.",
            [grid((3, 4), 0.5)],
            [potts(2, 1.5)],
            params((2,), ("truncated",), ("none",), shape=(3, 4)),
            tags=("border",),
        ),
        measured(
            "smoothness-and-appearance",
            "The model of the paper: two kernels with their own features, filters, compatibilities and normalisations.",
            [image, np.concatenate([image / 4, scattered("mean field rgb", 12, 3)], axis=1)],
            [potts(3, 0.5), ASYMMETRIC],
            params((2, 5), ("truncated", "lattice"), ("after", "symmetric"), shape=(3, 4), iterations=2),
        ),
        measured(
            "two-lattices",
            "Gradients of five and of one feature, each in its own columns.",
            [colours, scattered("mean field line", 8, 1)],
            [potts(2, 2.0), -1.5 * np.eye(2)],
            params((5, 1), ("lattice", "lattice"), ("symmetric", "before"), iterations=2),
        ),
        measured(
            "a-lattice-beside-an-exact-filter",
            "Both count the point itself; whoever leaves it out of one of them differs from who leaves it out of both.",
            [scattered("mean field beside", 6, 2), scattered("mean field beside line", 6, 1)],
            [potts(2, 1.5), potts(2, 0.75)],
            params((2, 1), ("exact", "lattice"), ("none", "before"), iterations=2),
        ),
        measured(
            "damped-repulsion",
            "Labels that repel each other: undamped the updates would oscillate. A quarter of the new q is taken.",
            [plane],
            [3 * np.eye(2)],
            params((2,), ("exact",), ("none",), iterations=4, damping=0.75),
        ),
        measured(
            "one-point",
            "A point alone, with itself as its neighbour.",
            [np.array([[0.5, 0.25]])],
            [potts(3, 1.0)],
            params((2,), ("exact",), ("symmetric",)),
        ),
        Case(
            "no-kernels",
            "Without a kernel every update is the softmax of the negated unaries.",
            {"unary": np.zeros((3, 4)), "features": np.zeros((3, 0)), "compatibilities": np.zeros((0, 4, 4))},
            Exact(),
            params((), (), ()),
            dy=np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]),
            expected={
                "q": np.full((3, 4), 0.25),
                "dunary": np.array([[-0.1875, 0.0625, 0.0625, 0.0625], [0.0] * 4, [0.0] * 4]),
            },
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


EXPLAINED = {
    "none": "Sums over all points.",
    "before": "Every point sends out its share: columns over their n.",
    "after": "Every point receives a mean: rows over their n.",
    "symmetric": "Rows and columns over √n.",
}


def random_case(rng: np.random.Generator) -> Case:
    """Return a random problem of one or two kernels in float64."""
    names = tuple(str(name) for name in rng.choice(["exact", "lattice"], int(rng.integers(1, 3))))
    dimensions = tuple(int(d) for d in rng.integers(1, 4, len(names)))
    inputs = {
        "unary": rng.standard_normal((5, 3)),
        "features": rng.standard_normal((5, sum(dimensions))),
        "compatibilities": rng.standard_normal((len(names), 3, 3)),
    }
    normalisation = tuple(str(how) for how in rng.choice(NORMALISATIONS, len(names)))
    chosen = params(dimensions, names, normalisation, iterations=2, damping=float(rng.choice([0.0, 0.25])))
    return Case("random", "", inputs, Ulp(64, 1e-5), chosen, dy=rng.standard_normal((5, 3)))
