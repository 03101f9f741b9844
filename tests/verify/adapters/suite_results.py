"""What outcomes are worth against the golden suite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from refdet.verify.adapters import Adapter
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.compare import compare_tensor
from refdet.verify.question import Outcome, Question
from refdet.verify.suite import StoredCase, load_suite


@dataclass
class Results:
    """Case ids and algorithms; a gradient that is not answered is counted, not compared."""

    algorithms: set[str] = field(default_factory=set)
    passed: set[str] = field(default_factory=set)
    wrong: dict[str, str] = field(default_factory=dict)  # and crashes
    skipped: dict[str, str] = field(default_factory=dict)
    n_gradients: int = 0
    n_gradients_left_out: int = 0


def all_cases() -> list[StoredCase]:
    return list(load_suite().cases())


def questions(cases: Iterable[StoredCase]) -> list[Question]:
    return [question_of(case) for case in cases]


def results_of(adapter: Adapter, cases: Sequence[StoredCase]) -> Results:
    """Ask an adapter everything."""
    return judged(cases, ask_adapter(adapter, questions(cases)))


def judged(cases: Iterable[StoredCase], outcomes: Iterable[Outcome]) -> Results:
    results = Results()
    for case, outcome in zip(cases, outcomes, strict=True):
        if outcome.skipped:
            results.skipped[case.id] = outcome.skipped
            continue
        results.algorithms.add(case.algorithm)
        sentence = outcome.error or _first_mismatch(case, outcome, results)
        if sentence:
            results.wrong[case.id] = sentence
        else:
            results.passed.add(case.id)
    return results


def _first_mismatch(case: StoredCase, outcome: Outcome, results: Results) -> str:
    answers = outcome.answers or {}
    if set(answers) - set(case.answers):
        return f"answers that nobody asked for: {sorted(set(answers) - set(case.answers))}"
    sentences = []
    for tensor in case.entry["tensors"]:
        name, is_gradient = tensor["name"], tensor["role"] == "grad"
        if name not in case.answers:
            continue
        if is_gradient:
            results.n_gradients += name in answers
            results.n_gradients_left_out += name not in answers
        if name in answers:
            mismatch = compare_tensor(answers[name], case.answers[name], case.rule(name), case.tolerance(name))
            sentences += [f"{name}: {mismatch}"] if mismatch else []
        elif not is_gradient:
            sentences.append(f"{name} is not answered")
    return "; ".join(sentences)
