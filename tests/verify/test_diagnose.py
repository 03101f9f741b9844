"""Diagnosis on made-up cases, small enough to see what must come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.verify.diagnose import diagnose
from refdet.verify.dialects import spoken_dialects
from refdet.verify.question import Outcome
from refdet.verify.suite import StoredCase
from refdet.verify.verdict import AlgorithmVerdict

GE, LAST, PLUS1 = "nms.cmp=ge", "nms.tie=last", "box.plus1=yes"


def case(
    name: str, right: int, alternatives: Mapping[int, Sequence[Sequence[str]]] | None = None, status: str = "required"
) -> StoredCase:
    """Return a case whose answer is one number; `alternatives` maps other numbers to sets of deviations."""
    alternatives = alternatives or {}
    names = {f"alt{i}": number for i, number in enumerate(alternatives, 1)}
    entry = {
        "id": f"nms/{name}",
        "algorithm": "nms",
        "status": status,
        "why": "it is made up",
        "tags": [],
        "spec": "none",
        "params": {},
        "tensors": [{"name": "y", "role": "expected"}],
        "compare": {"y": {"kind": "exact"}},
        "probes": sorted({key for sets in alternatives.values() for keys in sets for key in keys}),
        "alternatives": [
            {"name": alt, "deviations": [list(keys) for keys in alternatives[number]]} for alt, number in names.items()
        ],
    }
    tensors = {"y": np.array([right])} | {f"y.{alt}": np.array([number]) for alt, number in names.items()}
    return StoredCase(entry, tensors)


def verdict(cases: Sequence[StoredCase], answers: Sequence[int | str | None]) -> AlgorithmVerdict:
    """Diagnose answers: a number, None for a skip, a string for an error."""
    outcomes = [outcome(c.id, x) for c, x in zip(cases, answers, strict=True)]
    return diagnose("nms", cases, outcomes)


def outcome(case_id: str, x: int | str | None) -> Outcome:
    if x is None:
        return Outcome(case_id, skipped="not offered")
    return Outcome(case_id, error=x) if isinstance(x, str) else Outcome(case_id, {"y": np.array([x])})


PLAIN = case("plain", 0)
ON_GE = case("on-ge", 1, {10: [[GE]]})
ON_LAST = case("on-last", 2, {20: [[LAST]]})
ON_BOTH = case("on-both", 3, {30: [[GE]], 31: [[LAST]], 32: [[GE, LAST]]})
ALIKE = case("alike", 4, {40: [[GE], [LAST]]})
SILENT_ON_PAIR = case("silent-on-pair", 5, {50: [[GE]], 51: [[LAST]]})


@pytest.mark.parametrize(
    ("answers", "kind", "deviations"),
    [
        ((0, 1, 2, 3), "PASS", ()),
        ((0, 10, 2, 30), "VARIANT", (GE,)),
        ((0, 1, 20, 31), "VARIANT", (LAST,)),
        ((0, 10, 20, 32), "VARIANT", (GE, LAST)),
        ((0, 10, 2, 3), "UNKNOWN", ()),  # ≥ in one case and > in another
        ((0, 10, 20, 30), "UNKNOWN", ()),  # both, but not together
        ((7, 10, 2, 30), "UNKNOWN", ()),  # ≥, and something else besides
        ((0, 11, 2, 3), "UNKNOWN", ()),
        ((0, 10, None, None), "VARIANT", (GE,)),
        ((None, None, None, None), "SKIP", ()),
        (("crash", 1, 2, 3), "ERROR", ()),
        (("crash", 10, 2, 30), "VARIANT", (GE,)),
        (("crash", "crash", None, "crash"), "ERROR", ()),
    ],
)
def test_the_smallest_set_that_explains_everything(
    answers: Sequence[Any], kind: str, deviations: tuple[str, ...]
) -> None:
    found = verdict([PLAIN, ON_GE, ON_LAST, ON_BOTH], answers)
    assert (found.kind, found.deviations, found.also) == (kind, deviations, ())
    assert found.failed == (kind not in ("PASS", "SKIP"))


def test_what_no_case_tells_apart_is_said_to_be_so() -> None:
    found = verdict([ALIKE], [40])
    assert (found.kind, found.deviations, found.also) == ("VARIANT", (GE,), ((LAST,),))


def test_silence_explains_nothing() -> None:
    """The only wrong case has no alternative for the pair: neither of them is needed anywhere."""
    assert verdict([SILENT_ON_PAIR], [6]).kind == "UNKNOWN"
    assert verdict([SILENT_ON_PAIR, ON_GE], [6, 10]).kind == "UNKNOWN"  # ≥ alone would give 50


def test_silence_does_not_contradict() -> None:
    """Each of the two is seen elsewhere."""
    assert verdict([SILENT_ON_PAIR, ON_GE, ON_LAST], [6, 10, 20]).deviations == (GE, LAST)


def test_two_values_of_one_name_exclude_each_other() -> None:
    cases = [case("a", 1, {10: [["nms.tie=last"]]}), case("b", 2, {20: [["nms.tie=none"]]})]
    assert verdict(cases, [10, 20]).kind == "UNKNOWN"


class TestCasesThatNeedNotBeRight:
    optional = case("optional", 8, {80: [[GE]]}, status="optional")

    def test_they_help_to_name_and_do_not_fail(self) -> None:
        found = verdict([PLAIN, self.optional], [0, 80])
        assert (found.kind, found.deviations, found.failed) == ("VARIANT", (GE,), False)

    def test_without_a_name_they_are_noted(self) -> None:
        found = verdict([PLAIN, self.optional], [0, 81])
        assert (found.kind, found.failed) == ("PASS", False)
        assert "nms/optional" in found.note

    def test_they_do_not_hide_the_name_of_what_fails(self) -> None:
        found = verdict([ON_LAST, self.optional], [20, 81])
        assert (found.kind, found.deviations, found.failed) == ("VARIANT", (LAST,), True)

    def test_their_errors_are_noted(self) -> None:
        found = verdict([PLAIN, self.optional], [0, "crash"])
        assert (found.kind, found.failed) == ("PASS", False)
        assert "1 of 2 cases" in found.note


def test_a_missing_output_is_an_error_of_its_case() -> None:
    found = diagnose("nms", [PLAIN], [Outcome("nms/plain", {"z": np.array([0])})])
    assert found.kind == "ERROR"
    assert found.results[0].reason == "no tensor y among the answers; there are z"


def test_an_answer_under_a_wrong_name_is_an_error_of_its_case() -> None:
    found = diagnose("nms", [PLAIN], [Outcome("nms/plain", {"y": np.array([0]), "dz": np.array([0])})])
    assert found.results[0].reason == "answers dz, which is not asked for; asked for are y"


def test_gradients_need_not_be_given_and_are_compared_where_they_are() -> None:
    entry = {
        **PLAIN.entry,
        "tensors": [{"name": "y", "role": "expected"}, {"name": "dx", "role": "grad"}],
        "compare": {"y": {"kind": "exact"}, "dx": {"kind": "exact"}},
    }
    with_gradient = StoredCase(entry, {"y": np.array([0]), "dx": np.array([1.0])})

    def found(**answers: Array) -> AlgorithmVerdict:
        return diagnose("nms", [with_gradient], [Outcome("nms/plain", answers)])

    assert (found(y=np.array([0])).kind, found(y=np.array([0])).note) == ("PASS", "outputs only")
    assert found(y=np.array([0]), dx=np.array([1.0])).note == ""
    assert found(y=np.array([0]), dx=np.array([2.0])).kind == "UNKNOWN"


class TestDialects:
    manifest: Mapping[str, Any] = {"dialects": {"old": {"title": "Old", "deviations": [GE, PLUS1]}}}
    cases = (ON_GE, ON_LAST, case("on-plus1", 9, {90: [[PLUS1]]}))

    @pytest.mark.parametrize(
        ("answers", "spoken"),
        [
            ((10, 2, 90), ["old"]),
            ((10, 2, 9), []),  # one of two
            ((10, 20, 90), []),  # and a habit more
            ((10, 2, None), []),  # a single word is no speech
            ((1, 2, 9), []),
        ],
    )
    def test_all_of_its_deviations_and_no_others(self, answers: Sequence[Any], spoken: list[str]) -> None:
        assert spoken_dialects(self.manifest, self.cases, [verdict(self.cases, answers)]) == spoken
