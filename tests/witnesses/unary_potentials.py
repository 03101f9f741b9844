"""Witnesses of the unary potentials, one number at a time, with a switch for each deviation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from refdet.verify.question import Question, Skipped
from tests.witnesses._witness import Witness


def answer_unary_from_probabilities(question: Question, *, clipped: bool = True) -> Mapping[str, Any]:
    """−log p."""
    p = np.asarray(question.arguments["probabilities"], np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"unary": -np.log(np.clip(p, question.params["floor"], 1.0) if clipped else p)}


def answer_unary_from_labels(question: Question, *, unsure: str = "") -> Mapping[str, Any]:
    """−log p for the label, −log((1 − p)/(L − 1)) for others; log L if unsure: as given, "never", or at "zero"."""
    labels, params = question.arguments["labels"], question.params
    assert labels is not None
    p, count = params["gt_probability"], params["n_labels"]
    unary = np.zeros((len(labels), count))
    for i, label in enumerate(labels.tolist()):
        sure = {"": label != params["unsure"], "never": True, "zero": label != 0}[unsure]
        for other in range(count):
            given = other == (label - 1 if unsure == "zero" else label)
            if not sure:
                unary[i, other] = math.log(count)
            elif given:
                unary[i, other] = -math.log(p)
            else:
                unary[i, other] = -math.log((1 - p) / (count - 1)) if count > 1 else math.inf
    return {"unary": unary}


def labels_by_pydensecrf(question: Question, *, zero_unsure: bool) -> Mapping[str, Any]:
    """Answer with pydensecrf, to which a label beyond the last is an error and a negative one counts from the end."""
    from pydensecrf.utils import unary_from_labels

    labels, params = question.arguments["labels"], question.params
    assert labels is not None
    lowest, highest = (0, params["n_labels"]) if zero_unsure else (0, params["n_labels"] - 1)
    if labels.size and not lowest <= labels.min() <= labels.max() <= highest:
        raise Skipped("pydensecrf indexes with the labels")
    with np.errstate(divide="ignore"):
        unary = unary_from_labels(labels, params["n_labels"], np.float64(params["gt_probability"]), zero_unsure)
    if params["dtype"] == "float64":
        raise Skipped("pydensecrf answers float32")
    return {"unary": unary.T}


def probabilities_by_pydensecrf(question: Question) -> Mapping[str, Any]:
    """Answer with pydensecrf's older function, that has no clipping."""
    from pydensecrf.utils import unary_from_softmax

    p = question.arguments["probabilities"]
    assert p is not None
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"unary": unary_from_softmax(p.T, scale=None, clip=None).T.reshape(p.shape)}


CONFORMING: list[tuple[str, Callable[[Question], Mapping[str, Any]]]] = [
    ("unary_from_probabilities", answer_unary_from_probabilities),
    ("unary_from_labels", answer_unary_from_labels),
]

WITNESSES = [
    Witness(
        "unary.floor=none",
        "unary_from_probabilities",
        "the definition",
        partial(answer_unary_from_probabilities, clipped=False),
    ),
    *[
        Witness(
            f"unary.unsure={how}", "unary_from_labels", "the definition", partial(answer_unary_from_labels, unsure=how)
        )
        for how in ("never", "zero")
    ],
]

if find_spec("pydensecrf"):
    WITNESSES += [
        Witness("unary.floor=none", "unary_from_probabilities", "pydensecrf, utils.py", probabilities_by_pydensecrf),
        *[
            Witness(key, "unary_from_labels", "pydensecrf, utils.py", partial(labels_by_pydensecrf, zero_unsure=zero))
            for key, zero in (("unary.unsure=never", False), ("unary.unsure=zero", True))
        ],
    ]
