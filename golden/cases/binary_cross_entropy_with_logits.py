"""Golden cases of binary cross-entropy."""

from __future__ import annotations

import numpy as np

from golden.cases._losses import ACCURATE, random_reduction, random_upstream
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import binary_cross_entropy_with_logits as oracle

ALGORITHM = Algorithm(
    "binary_cross_entropy_with_logits",
    oracle,
    ("logits", "targets", "weight"),
    ("loss",),
    reference="max(x, 0) − x t + ln(1 + e^−|x|)",
)


LN_2 = 0.6931471805599453


def cases() -> list[Case]:
    # At x = 0 every target loses ln 2, with gradient ½ − t.
    zeros = {
        "logits": np.zeros(4),
        "targets": np.array([0.0, 1.0, 0.5, 0.25]),
        "weight": np.array([1.0, 2.0, 4.0, 1.0]),
    }
    gradient = np.array([0.5, -1.0, 0.0, 0.25])  # w (½ − t)
    return [
        *(
            Case(
                f"reduction-{reduction}",
                f"Weights 1, 2, 4, 1 times ln 2: {what}.",
                zeros,
                ACCURATE,
                {"reduction": reduction},
                dy=np.array(upstream),
                expected={"loss": np.array(loss), "dlogits": gradient, "dtargets": np.zeros(4)},
                source="by hand",
                tags=("hand",),
            )
            for reduction, upstream, loss, what in (
                ("mean", 4.0, 2 * LN_2, "8 ln 2 divided by the number of elements, not by the weights"),
                ("sum", 1.0, 8 * LN_2, "8 ln 2"),
                ("none", [1.0] * 4, [LN_2, 2 * LN_2, 4 * LN_2, LN_2], "one by one"),
            )
        ),
        Case(
            "one-and-minus-one",
            "ln(1 + e) and ln(1 + 1/e), which differ by 1; the gradient is σ(x) − t; that of the target is −x.",
            {"logits": np.array([1.0, 1.0, -1.0]), "targets": np.array([0.0, 1.0, 1.0]), "weight": None},
            ACCURATE,
            {"reduction": "none"},
            dy=np.array([1.0, 1.0, 1.0]),
            expected={
                "loss": np.array([1.3132616875182228, 0.3132616875182228, 1.3132616875182228]),
                "dlogits": np.array([0.7310585786300049, -0.2689414213699951, -0.7310585786300049]),
                "dtargets": np.array([-1.0, -1.0, 1.0]),
            },
            source="by hand (to 16 digits)",
            tags=("hand",),
        ),
        Case(
            "huge-logits",
            "ln σ(−1000) written down as such is −∞; the loss is 1000, and 0 on the right side.",
            {"logits": np.array([1000.0, -1000.0, 1000.0]), "targets": np.array([0.0, 1.0, 1.0]), "weight": None},
            ACCURATE,
            {"reduction": "none"},
            dy=np.array([1.0, 2.0, 4.0]),
            expected={
                "loss": np.array([1000.0, 1000.0, 0.0]),
                "dlogits": np.array([1.0, -2.0, 0.0]),
                "dtargets": np.array([-1000.0, 2000.0, -4000.0]),
            },
            source="by hand",
            tags=("hand", "overflow"),
        ),
        Case(
            "soft-targets",
            "Targets between 0 and 1, as masks have at their borders after resizing.",
            {"logits": reals("bce x", (3, 7), -6, 6), "targets": reals("bce t", (3, 7), 0, 1), "weight": None},
            ACCURATE,
            {"reduction": "mean"},
            dy=np.array(1.0),
        ),
        Case(
            "mean-of-nothing",
            "No elements: the mean is 0/0, NaN.",
            {"logits": np.zeros((0, 2)), "targets": np.zeros((0, 2)), "weight": None},
            Exact(),
            {"reduction": "mean"},
            dy=np.array(1.0),
            expected={"loss": np.array(np.nan), "dlogits": np.zeros((0, 2)), "dtargets": np.zeros((0, 2))},
            source="by hand",
            tags=("hand", "empty", "nan"),
        ),
        Case(
            "weights-of-zero-count",
            "Six elements, two of them with weight 0: the mean divides by 6, not by the 4 others, nor by the 2 rows.",
            {
                "logits": np.zeros((2, 3)),
                "targets": np.array([[0.0, 1.0, 0.5], [0.25, 1.0, 0.0]]),
                "weight": np.array([[1.0, 0.0, 2.0], [4.0, 0.0, 1.0]]),
            },
            ACCURATE,
            {"reduction": "mean"},
            dy=np.array(6.0),
            expected={
                "loss": np.array(8 * LN_2 / 6),
                "dlogits": np.array([[0.5, 0.0, 0.0], [1.0, 0.0, 0.5]]),  # w (½ − t)
                "dtargets": np.zeros((2, 3)),
            },
            source="by hand",
            tags=("hand", "convention"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random logits in float64 and random targets."""
    reduction = random_reduction(rng)
    inputs = {
        "logits": 3 * rng.standard_normal((3, 4)),
        "targets": rng.random((3, 4)),
        "weight": rng.random((3, 4)) if rng.random() < 0.5 else None,
    }
    return Case("random", "", inputs, ACCURATE, {"reduction": reduction}, dy=random_upstream(rng, (3, 4), reduction))
