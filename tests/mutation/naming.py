"""Whether the verifier takes a mutant for a deviation, and whether it is one.

Some mutants are deviations: ≥ for > in the suppression is `nms.cmp=ge`. A mutant that the verifier names so must answer
as the deviation does, on random draws too; else an unknown error was given a known name. A mutant that also gives no
answer to some cases is not taken for one: those stand beside the name as errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from refdet.core.kernel import find_backend, use_backend
from refdet.verify.adapters import Adapter
from refdet.verify.adapters.refdet_kernels import answer_with
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.deviation import deviating, named
from refdet.verify.diagnose import diagnose
from refdet.verify.generate import all_deviations
from tests.mutation.answers import Overtime, answers_of, quietly, time_limit, unchecked
from tests.mutation.draws import differ
from tests.mutation.examine import Laboratory
from tests.mutation.patch import patch_of

SECONDS = 2.0  # a mutant that takes longer for one case gives no answer


@dataclass(frozen=True)
class Name:
    """What the verifier says of a mutant."""

    mutant: str
    algorithm: str
    keys: tuple[str, ...]
    false_by: str = ""  # the draw to which the deviations and the mutant give different answers


def names_of(laboratory: Laboratory, mutant_id: str, n_draws: int) -> list[Name]:
    """Return the names that the verifier gives a mutant, each held against so many draws."""
    return [
        Name(mutant_id, algorithm, keys, _told_apart(laboratory, mutant_id, algorithm, keys, n_draws))
        for algorithm, keys in _verdicts(laboratory, mutant_id)
    ]


def _verdicts(laboratory: Laboratory, mutant_id: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    patch = patch_of(laboratory.mutants[mutant_id], laboratory.live)
    reference = find_backend("reference")
    adapter = Adapter("mutant", {}, lambda question: answer_with(reference, question))
    for algorithm in laboratory.blank(mutant_id).algorithms:
        cases = [case for case in laboratory.cases.values() if case.algorithm == algorithm]
        with quietly(), unchecked(), patch.applied():
            outcomes = list(ask_adapter(adapter, [question_of(case) for case in cases], time_limit=SECONDS))
        verdict = diagnose(algorithm, cases, outcomes)
        if verdict.kind == "VARIANT" and not any(result.verdict == "error" for result in verdict.results):
            yield algorithm, verdict.deviations


def _told_apart(laboratory: Laboratory, mutant_id: str, algorithm: str, keys: tuple[str, ...], n_draws: int) -> str:
    patch = patch_of(laboratory.mutants[mutant_id], laboratory.live)
    backend = deviating(named(keys, all_deviations()))
    n_compared = 0
    for draw in laboratory.draws(algorithm).first(n_draws):
        try:
            with quietly(), unchecked(), time_limit(SECONDS):
                with patch.applied():
                    ours = answers_of(draw.question)
                with use_backend(backend):
                    theirs = answers_of(draw.question)
        except (Exception, Overtime):  # one of the two refuses it
            continue
        if differ(ours, theirs, draw.question.dy):
            return f"{algorithm}#{draw.number}"
        n_compared += 1
    return "" if n_compared else "no draw that both answer"
