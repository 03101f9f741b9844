"""Golden cases of softmax cross-entropy."""

from __future__ import annotations

import numpy as np

from golden.cases._losses import ACCURATE
from golden.cases._numbers import integers, reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import softmax_cross_entropy as oracle

ALGORITHM = Algorithm(
    "softmax_cross_entropy",
    oracle,
    ("logits", "labels", "weight"),
    ("loss",),
    reference="Long, Shelhamer & Darrell (2015), section 4.3; Caffe softmax_loss_layer.cpp",
)


LN_4 = 1.3862943611198906


def cases() -> list[Case]:
    # Equal logits: every position loses w ln 4. Labels 0, 1, ignored | 2, ignored, 3 with weights 1, 3, ½, ½.
    flat = {
        "logits": np.zeros((2, 4, 3)),
        "labels": np.array([[0, 1, 255], [2, 255, 3]]),
        "weight": np.array([1.0, 3.0, 0.5, 0.5]),
    }

    def normalised(normalize: str, divisor: float, why: str) -> Case:
        return Case(
            f"normalize-{normalize}",
            f"1 + 3 + ½ + ½ = 5 times ln 4, divided by {why}.",
            flat,
            ACCURATE,
            {"ignore_label": 255, "normalize": normalize},
            dy=np.array(divisor),
            expected={"loss": np.array(5 * LN_4 / divisor), "dlogits": gradient},
            source="by hand (ln 4 = 2 ln 2)",
            tags=("hand", "convention"),
        )

    # with the divisor as incoming gradient: w (¼ − 1) at the label, w ¼ elsewhere, 0 at an ignored position
    gradient = np.array(
        [
            [[-0.75, 0.75, 0.0], [0.25, -2.25, 0.0], [0.25, 0.75, 0.0], [0.25, 0.75, 0.0]],
            [[0.125, 0.0, 0.125], [0.125, 0.0, 0.125], [-0.375, 0.0, 0.125], [0.125, 0.0, -0.375]],
        ]
    )
    return [
        normalised("valid", 4.0, "the 4 positions not ignored (Caffe VALID)"),
        normalised("weight", 5.0, "the sum of their weights, 5 (the mean of torch)"),
        normalised("full", 6.0, "all 6 positions (Caffe FULL)"),
        normalised("batch", 2.0, "the 2 images (Caffe BATCH_SIZE)"),
        normalised("sum", 1.0, "1 (Caffe NONE)"),
        Case(
            "normalize-none",
            "No reduction: one loss per position, 0 where ignored.",
            flat,
            ACCURATE,
            {"ignore_label": 255, "normalize": "none"},
            dy=np.array([[1.0, 1.0, 7.0], [1.0, 7.0, 2.0]]),
            expected={
                "loss": np.array([[1.0, 3.0, 0.0], [0.5, 0.0, 0.5]]) * LN_4,
                "dlogits": gradient * np.array([[[1.0, 1.0, 7.0]], [[1.0, 7.0, 2.0]]]),
            },
            source="by hand (ln 4 = 2 ln 2)",
            tags=("hand", "convention"),
        ),
        *(
            Case(
                f"all-ignored-{normalize}",
                why,
                {"logits": np.ones((1, 2, 2)), "labels": np.full((1, 2), -1), "weight": None},
                ACCURATE,
                {"ignore_label": -1, "normalize": normalize},
                dy=np.array(1.0),
                expected={"loss": np.array(loss), "dlogits": np.zeros((1, 2, 2))},
                source="by hand",
                tags=("hand", "empty", "convention"),
            )
            for normalize, loss, why in (
                ("valid", 0.0, "Nothing counts: 0 divided by at least 1 is 0."),
                ("weight", np.nan, "Nothing counts: the mean of torch is 0/0, NaN, but no position has a gradient."),
            )
        ),
        Case(
            "huge-logits",
            "Logits of ±10⁴: the loss is 20000, not infinite, and right answers lose nothing.",
            {"logits": np.array([[1e4, -1e4], [1e4, -1e4]]), "labels": np.array([0, 1]), "weight": None},
            ACCURATE,
            {"ignore_label": None, "normalize": "none"},
            dy=np.array([1.0, 1.0]),
            expected={"loss": np.array([0.0, 20000.0]), "dlogits": np.array([[0.0, 0.0], [1.0, -1.0]])},
            source="by hand",
            tags=("hand", "overflow"),
        ),
        Case(
            "segmentation-map",
            "21 classes per pixel as in FCN, some pixels ignored, summed as FCN does.",
            {
                "logits": reals("xent logits", (1, 21, 6, 5), -6, 6),
                "labels": np.where(
                    integers("xent void", (1, 6, 5), 0, 3) == 0, 255, integers("xent", (1, 6, 5), 0, 20)
                ),
                "weight": None,
            },
            {"loss": Ulp(64, 0.0), "dlogits": Ulp(64, 2.0**-20)},
            {"ignore_label": 255, "normalize": "sum"},
            dy=np.array(1.0),
        ),
        Case(
            "empty-batch",
            "No images: 0 divided by at least 1.",
            {"logits": np.zeros((0, 3)), "labels": np.zeros(0, np.int64), "weight": None},
            Exact(),
            {"ignore_label": None, "normalize": "valid"},
            dy=np.array(1.0),
            expected={"loss": np.array(0.0), "dlogits": np.zeros((0, 3))},
            source="by hand",
            tags=("hand", "empty"),
        ),
        *(
            Case(
                f"empty-batch-{normalize}",
                f"No images: 0 divided by at least 1, where the divisor is the number of {what}.",
                {"logits": np.zeros((0, 3)), "labels": np.zeros(0, np.int64), "weight": None},
                Exact(),
                {"ignore_label": None, "normalize": normalize},
                dy=np.array(1.0),
                expected={"loss": np.array(0.0), "dlogits": np.zeros((0, 3))},
                source="by hand",
                tags=("hand", "empty"),
            )
            for normalize, what in (("full", "positions"), ("batch", "images"))
        ),
        Case(
            "one-image",
            "Two positions of a single image: the sum of both losses, ln 4 each, is divided by 1.",
            {"logits": np.zeros((1, 4, 2)), "labels": np.array([[0, 1]]), "weight": None},
            ACCURATE,
            {"ignore_label": None, "normalize": "batch"},
            dy=np.array(1.0),
            expected={
                "loss": np.array(2 * LN_4),
                "dlogits": np.array([[[-0.75, 0.25], [0.25, -0.75], [0.25, 0.25], [0.25, 0.25]]]),
            },
            source="by hand (ln 4 = 2 ln 2)",
            tags=("hand",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random logits in float64 and random labels."""
    inputs = {
        "logits": 3 * rng.standard_normal((2, 4, 3, 2)),
        "labels": rng.integers(0, 4, (2, 3, 2)),
        "weight": rng.uniform(0.5, 2, 4) if rng.random() < 0.5 else None,
    }
    normalize = str(rng.choice(["valid", "weight", "full", "batch", "sum", "none"]))
    dy = rng.standard_normal((2, 3, 2) if normalize == "none" else ())
    return Case("random", "", inputs, ACCURATE, {"ignore_label": 3, "normalize": normalize}, dy=np.asarray(dy))
