"""The draw that tells a mutant apart, as text: what to make a golden case from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.core.check import Array
from refdet.verify.catalogue import load_all
from refdet.verify.suite import load_suite, package_root
from tests.mutation.answers import Overtime, answers_of, quietly, time_limit, unchecked
from tests.mutation.draws import Draws
from tests.mutation.examine import Verdict
from tests.mutation.mutants import mutants_of
from tests.mutation.patch import live_files, patch_of


def witness(verdict: Verdict) -> str:
    """Return the mutant, the question of the draw that tells it apart, and both answers."""
    load_all()
    root = package_root()
    algorithm, _, number = verdict.told_by.partition("#")
    draw = Draws(algorithm, list(load_suite().cases(algorithm))).numbered(int(number))
    mutants = {m.id: m for m in mutants_of(root / verdict.id.partition(":")[0], root)}
    if draw is None or verdict.id not in mutants:
        return f"{verdict.id}: no such mutant or draw any more; run it again"
    lines = [
        verdict.id,
        f"  {verdict.before}",
        f"  {verdict.after}",
        f"{verdict.told_by}: {dict(draw.question.params)}",
    ]
    lines += [f"argument {i} = {_text(x)}" for i, x in enumerate(draw.question.arguments)]
    lines += [f"dy = {_text(draw.question.dy)}"] if draw.question.dy is not None else []
    lines += _answer_lines("original", draw.answers)
    try:
        with quietly(), unchecked(), patch_of(mutants[verdict.id], live_files(root)).applied(), time_limit(2.0):
            lines += _answer_lines("mutant", answers_of(draw.question))
    except (Exception, Overtime) as error:
        lines.append(f"mutant: {type(error).__name__} {error}")
    return "\n".join(lines) + "\n"


def _answer_lines(who: str, answers: Sequence[Array | None]) -> list[str]:
    return [f"{who} answer {i} = {_text(y)}" for i, y in enumerate(answers)]


def _text(x: Array | None) -> str:
    return "None" if x is None else f"{x.dtype} {x.shape} {np.array2string(x, threshold=60, separator=', ')}"
