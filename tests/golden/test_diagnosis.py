"""Every deviation of the suite, applied to the reference, is named; alone, and in every combination that is stored.

Two sets of deviations may give the same answers to every case: what empty boxes do does not show where boxes are a
pixel larger. Then the smallest sets that give these answers are right, and no verifier could say more. Of equally small
sets that no case tells apart all are named.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.verify import diagnose as diagnose_module
from refdet.verify.adapters import Adapter
from refdet.verify.adapters.refdet_kernels import answer_with
from refdet.verify.alternatives import CANONICAL, Yardstick
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.catalogue import load_all
from refdet.verify.deviation import deviating, named
from refdet.verify.diagnose import diagnose
from refdet.verify.generate import all_deviations
from refdet.verify.question import Outcome
from refdet.verify.suite import StoredCase, load_suite
from refdet.verify.verdict import AlgorithmVerdict, CaseResult

load_all()
SUITE = load_suite()
ALGORITHMS = sorted({case["algorithm"] for case in SUITE.manifest["cases"] if case["probes"]})
Keys = frozenset[str]


@pytest.fixture(scope="module", autouse=True)
def _equal_answers_are_judged_once() -> Iterator[None]:
    """Judge an answer that a case was given before, bit for bit, as it was then: thousands of sets give few answers."""
    judge = diagnose_module.judge
    judged: dict[object, CaseResult] = {}

    def judge_once(case: StoredCase, outcome: Outcome) -> CaseResult:
        answers = outcome.answers or {}
        given = tuple((name, (x := np.asarray(y)).dtype.str, x.shape, x.tobytes()) for name, y in answers.items())
        key = case.id, given, outcome.answers is None, outcome.skipped, outcome.error
        if key not in judged:
            judged[key] = judge(case, outcome)
        return judged[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnose_module, "judge", judge_once)
        yield


@functools.cache
def cases_of(algorithm: str) -> tuple[StoredCase, ...]:
    return tuple(SUITE.cases(algorithm))


@functools.lru_cache(maxsize=256)
def outcomes_under(algorithm: str, keys: Keys) -> tuple[Outcome, ...]:
    backend = deviating(named(keys, all_deviations()))
    adapter = Adapter("deviating", {}, lambda question: answer_with(backend, question))
    return tuple(ask_adapter(adapter, [question_of(case) for case in cases_of(algorithm)]))


def verdict_under(algorithm: str, keys: Keys) -> AlgorithmVerdict:
    return diagnose(algorithm, cases_of(algorithm), outcomes_under(algorithm, keys))


def stored_sets(algorithm: str) -> list[Keys]:
    """Return the sets that give an answer of their own somewhere, small ones first."""
    found = {
        frozenset(keys)
        for case in cases_of(algorithm)
        for alternative in case.entry["alternatives"]
        if alternative["name"] != CANONICAL
        for keys in alternative["deviations"]
    }
    return sorted(found, key=lambda keys: (len(keys), sorted(keys)))


def same_answers(algorithm: str, one: Keys, other: Keys) -> bool:
    """Return whether two sets of deviations give the same answers to every case."""
    pairs = zip(outcomes_under(algorithm, one), outcomes_under(algorithm, other), strict=True)
    for case, (a, b) in zip(cases_of(algorithm), pairs, strict=True):
        canonical = case.answers
        yardstick = Yardstick(
            canonical, {name: case.rule(name) for name in canonical}, {name: case.tolerance(name) for name in canonical}
        )
        if not yardstick.same(answers_of(a, canonical), answers_of(b, canonical)):
            return False
    return True


def answers_of(outcome: Outcome, canonical: Mapping[str, Array]) -> dict[str, Array]:
    assert outcome.answers is not None
    return {name: np.asarray(outcome.answers[name]).astype(x.dtype) for name, x in canonical.items()}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_deviation_is_named(algorithm: str) -> None:
    for keys in stored_sets(algorithm):
        if len(keys) == 1:
            verdict = verdict_under(algorithm, keys)
            assert (verdict.kind, frozenset(verdict.deviations), verdict.also) == ("VARIANT", keys, ()), keys


def test_every_deviation_is_named_somewhere() -> None:
    alone = {key for algorithm in ALGORITHMS for keys in stored_sets(algorithm) if len(keys) == 1 for key in keys}
    assert alone == {deviation.key for deviation in all_deviations()} == set(SUITE.manifest["deviations"])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_combinations_are_named(algorithm: str) -> None:
    untold = []
    for keys in stored_sets(algorithm):
        verdict = verdict_under(algorithm, keys)
        assert verdict.kind in ("VARIANT", "UNKNOWN"), keys
        sets = [frozenset(found) for found in (verdict.deviations, *verdict.also)]
        if keys not in sets:
            assert len(sets[0]) <= len(keys), (keys, sets)
            if verdict.kind == "UNKNOWN" or not all(same_answers(algorithm, keys, found) for found in sets):
                untold.append(" + ".join(sorted(keys)))
    assert not untold, "a combination that no case tells is listed in golden/untold.py"


def test_the_reference_deviates_in_nothing() -> None:
    for algorithm in ALGORITHMS:
        assert verdict_under(algorithm, frozenset()).kind == "PASS"
