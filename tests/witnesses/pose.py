"""The percentages of correct parts and detected joints, measured otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Answer = Callable[[Question], Mapping[str, Any]]


def _read(question: Question, visible: str) -> tuple[Any, Any, Any]:
    predictions, truths = (np.asarray(question.arguments[name]) for name in ("predictions", "truths"))
    shown = question.arguments["visible"]
    if shown is None or visible == "all":
        shown = np.ones(truths.shape[:2], bool)
    return predictions.astype(float), truths.astype(float), shown


def _apart(a: Any, b: Any) -> float:
    return math.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2)


def _share(found: list[bool]) -> float:
    return sum(found) / len(found) if found else math.nan


def _near(error: float, allowed: float, comparison: str) -> bool:
    return error < allowed if comparison == "<" else error <= allowed


def pcp(question: Question, *, ends: str = "both", comparison: str = "<=", visible: str = "flags") -> dict[str, Any]:
    """xrmocap, mvpose_utils.py, check_limb_is_correct has ends = "mean"; the definition asks it of both."""
    predictions, truths, shown = _read(question, visible)
    fractions = []
    for j, k in question.params["limbs"]:
        found = []
        for y, t, s in zip(predictions, truths, shown, strict=True):
            if s[j] and s[k]:
                allowed = question.params["alpha"] * _apart(t[j], t[k])
                errors = [_apart(y[j], t[j]), _apart(y[k], t[k])]
                if ends == "mean":
                    errors = [(errors[0] + errors[1]) / 2]
                found.append(all(_near(e, allowed, comparison) for e in errors))
        fractions.append(_share(found))
    return {"fractions": np.array(fractions, float)}


def pdj(question: Question, *, scale: str = "torso", comparison: str = "<=", visible: str = "flags") -> dict[str, Any]:
    """With scale = "body" evaluatePCK.m: scale = max(max(gt, [], 1) - min(gt, [], 1) + 1), over all joints."""
    predictions, truths, shown = _read(question, visible)
    a, b = question.params["torso"]
    fractions = []
    for k in range(truths.shape[1]):
        found = []
        for y, t, s in zip(predictions, truths, shown, strict=True):
            if not s[k] or (scale == "torso" and not (s[a] and s[b])):
                continue
            size = _apart(t[a], t[b])
            if scale == "body":
                size = max(max(axis) - min(axis) + 1 for axis in t.T.tolist())
            found.append(_near(_apart(y[k], t[k]), question.params["fraction"] * size, comparison))
        fractions.append(_share(found))
    return {"fractions": np.array(fractions, float)}


CONFORMING: list[tuple[str, Answer]] = [("pcp", pcp), ("pdj", pdj)]

WITNESSES = [
    Witness("pcp.ends=mean", "pcp", "xrmocap, mvpose_utils.py, check_limb_is_correct", partial(pcp, ends="mean")),
    Witness("pdj.scale=body", "pdj", "LiamLYJ/pose_GAN, evaluatePCK.m", partial(pdj, scale="body")),
    Witness("pose.cmp=lt", "pcp", "EvalStickmen.m: avg_ndxy < pars.max_parall_dist", partial(pcp, comparison="<")),
    Witness("pose.cmp=lt", "pdj", "eval_pck.m: dist < thresh * gt(n).scale", partial(pdj, comparison="<")),
    Witness("pose.visible=all", "pcp", "EvalStickmen.m, which has no flags", partial(pcp, visible="all")),
    Witness("pose.visible=all", "pdj", "evaluatePCK.m, which has no flags", partial(pdj, visible="all")),
]
