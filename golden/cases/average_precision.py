"""Golden cases of average precision."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from golden.cases._numbers import integers
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import average_precision as oracle

ALGORITHM = Algorithm(
    "average_precision",
    oracle,
    ("precision", "recall"),
    ("ap",),
    reference="deck 001; Everingham et al. (2010), section 4.2.1; Lin et al. (2014)",
    stages=("envelope", "interpolated", "widths", "heights"),  # each only where the convention has it
)
TENSORS = (*ALGORITHM.inputs, *ALGORITHM.outputs, *ALGORITHM.stages)
FLOAT64 = dict.fromkeys(TENSORS, "float64")  # thirds and tenths are not exact in float32
CONVENTIONS = ("step", "trapezoid", "area", "voc2007", "voc2007-arange", "coco101")


def curve(verdicts: str, n_positive: int) -> dict[str, Array]:
    """Return the curve of detections that are right, T, or wrong, F."""
    n_true = np.cumsum([verdict == "T" for verdict in verdicts])
    return {"precision": n_true / np.arange(1, len(verdicts) + 1), "recall": n_true / n_positive}


def case(
    name: str,
    why: str,
    inputs: Mapping[str, Array],
    convention: str,
    ap: Fraction | None = None,
    *,
    tags: tuple[str, ...] = (),
    source: str = "by hand",
    traced: bool = False,
) -> Case:
    """Return a case in float64; its AP is known as a fraction, or left to the oracle."""
    n_terms = max(len(inputs["precision"]), 101)
    return Case(
        name,
        why,
        inputs,
        Bound(n_terms + 3),  # the terms; a difference of recalls, a half, a division
        {"convention": convention},
        expected={} if ap is None else {"ap": np.array(float(ap))},
        source="" if ap is None else source,
        tags=tags,
        dtypes=FLOAT64,
        traced=traced,
    )


def cases() -> list[Case]:
    """Return the cases."""
    known = {
        "TTFFT": ("13/15", "17/20", "13/15", "47/55", "47/55", "437/505"),
        "TFTFT": ("34/45", "32/45", "34/45", "42/55", "42/55", "382/505"),
        "TFFTT": ("7/10", "59/90", "11/15", "41/55", "41/55", "371/505"),
    }
    by_hand = [
        case(
            f"{verdicts.lower()}-of-three-{convention}",
            "Deck 001 has three objects and five detections, of which the first and the last are right and one between "
            "them: the points (1/1, 1/3), (2/4, 2/3), (3/5, 3/3). This is one of the three possible orders.",
            curve(verdicts, 3),
            convention,
            Fraction(ap),
            tags=("hand", "deck", "convention"),
            traced=verdicts == "TFFTT",  # whose precision rises at the end, so that the envelope is another curve
        )
        for verdicts, aps in known.items()
        for convention, ap in zip(CONVENTIONS, aps, strict=True)
    ]
    three_tenths = curve("TTT", 10)
    return [
        *by_hand,
        case(
            "recall-of-three-tenths-voc2007",
            "Three of ten found: the recall reaches 0, 1/10, 2/10 and 3/10, four of the eleven.",
            three_tenths,
            "voc2007",
            Fraction(4, 11),
            tags=("hand", "tie", "rounding"),
        ),
        case(
            "recall-of-three-tenths-voc2007-arange",
            "The same, but numpy.arange(0, 1.1, 0.1)[3] = 0.30000000000000004 is not reached.",
            three_tenths,
            "voc2007-arange",
            Fraction(3, 11),
            tags=("hand", "tie", "rounding", "convention"),
        ),
        case(
            "recall-of-thirty-five-hundredths-coco101",
            "35 of a hundred found: numpy.linspace(0, 1, 101)[35] = 0.35000000000000003 is not reached; 35/100 is.",
            curve("T" * 35, 100),
            "coco101",
            Fraction(35, 101),
            tags=("hand", "tie", "rounding", "convention"),
        ),
        *(
            Case(
                f"nan-in-the-curve-{convention}",
                "A NaN recall, as of a class without objects: the AP is NaN, not 0.",
                {"precision": np.zeros(2), "recall": np.full(2, np.nan)},
                Exact(),
                {"convention": convention},
                expected={"ap": np.array(np.nan)},
                source="by hand",
                tags=("hand", "nan"),
                status="optional",
                status_reason="implementations assume that there are objects",
                dtypes=FLOAT64,
            )
            for convention in ("area", "voc2007")
        ),
        case(
            "all-found-first",
            "Every object found before anything else: AP = 1, whatever comes after.",
            curve("TTTTFFF", 4),
            "area",
            Fraction(1),
            tags=("deck", "hand"),
            source="deck 001",
        ),
        *(
            case(
                f"no-detections-{convention}",
                "No points: nothing was found.",
                curve("", 3),
                convention,
                Fraction(0),
                tags=("empty",),
            )
            for convention in CONVENTIONS
        ),
        case(
            "all-wrong",
            "Five detections, no object found: precision and recall stay 0.",
            curve("FFFFF", 3),
            "coco101",
            Fraction(0),
            tags=("hand",),
        ),
        *(
            case(
                f"two-hundred-detections-{convention}",
                "A long curve that goes up and down, and ends before every object is found.",
                curve("".join("FTT"[i] for i in integers("average precision", (200,), 0, 2)), 160),
                convention,
            )
            for convention in CONVENTIONS
        ),
        case(
            "first-point-of-merged-scores-trapezoid",
            "The first two detections have one score, so that the curve begins at (1/2, 1/2): up to there it is 1/2 "
            "high, and from there on (1/2 + 3/4)/2.",
            {"precision": np.array([0.5, 0.75]), "recall": np.array([0.5, 1.0])},
            "trapezoid",
            Fraction(9, 16),
            tags=("hand", "convention"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return the curve of random verdicts."""
    verdicts = "".join(rng.choice(["T", "F"], 20))
    return case("random", "", curve(verdicts, 20), str(rng.choice(CONVENTIONS)))
