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


class TestNearest:
    """A slip beside a habit: the verdict has no name, and the habit is told all the same."""

    also_on_ge = case("also-on-ge", 6, {60: [[GE]]})

    def test_what_one_slip_hides(self) -> None:
        found = verdict([PLAIN, ON_GE, ON_LAST, self.also_on_ge], [7, 10, 2, 60])
        assert (found.kind, found.deviations, found.also) == ("UNKNOWN", (), ())
        assert (found.nearest, found.n_near, found.left_over) == ((GE,), 2, ("nms/plain",))

    def test_two_habits_and_a_slip(self) -> None:
        found = verdict([PLAIN, ON_GE, ON_LAST, ON_BOTH], [7, 10, 20, 32])
        assert (found.kind, found.nearest, found.n_near) == ("UNKNOWN", (GE, LAST), 3)

    def test_a_right_case_that_it_would_change_is_left_over(self) -> None:
        found = verdict([PLAIN, ON_GE, ON_BOTH, self.also_on_ge], [7, 10, 3, 60])
        assert (found.nearest, found.left_over) == ((GE,), ("nms/plain", "nms/on-both"))

    @pytest.mark.parametrize(
        "answers",
        [
            (7, 10, 2, 6),  # one case alone
            (7, 11, 2, 61),  # none
            (0, 10, 2, 60),  # everything: that is a variant
            (0, 1, 2, 6),  # nothing is wrong
        ],
    )
    def test_nothing_is_near(self, answers: Sequence[int]) -> None:
        found = verdict([PLAIN, ON_GE, ON_LAST, self.also_on_ge], answers)
        assert (found.nearest, found.n_near, found.left_over) == ((), 0, ())

    def test_it_must_leave_fewer_over_than_are_wrong(self) -> None:
        others = [case(name, 6, {60: [[GE]]}) for name in ("third", "fourth")]
        found = verdict([ON_GE, self.also_on_ge, *others, PLAIN], [10, 60, 6, 6, 7])
        assert (found.kind, found.nearest) == ("UNKNOWN", ())  # 2 of 3 wrong, but 2 right ones and 1 wrong against it

    def test_silence_is_no_explanation(self) -> None:
        found = verdict([SILENT_ON_PAIR, ON_GE, ON_LAST, PLAIN], [6, 10, 20, 7])
        assert (found.nearest, found.n_near, found.left_over) == ((GE, LAST), 2, ("nms/plain",))


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
    on_plus1 = case("on-plus1", 9, {90: [[PLUS1]]})
    cases = (ON_GE, ON_LAST, on_plus1)

    @staticmethod
    def spoken(
        dialects: Mapping[str, Sequence[str]], cases: Sequence[StoredCase], answers: Sequence[int | str | None]
    ) -> list[str]:
        manifest = {"dialects": {name: {"title": name, "deviations": list(keys)} for name, keys in dialects.items()}}
        return spoken_dialects(manifest, cases, [verdict(cases, answers)])

    @pytest.mark.parametrize(
        ("answers", "spoken"),
        [
            ((10, 2, 90), ["old"]),
            ((10, 2, 9), []),  # one of two
            ((10, 20, 90), ["old"]),  # and a habit more, about which the dialect says nothing
            ((10, 2, None), []),  # a single word is no speech
            ((1, 2, 9), []),
            ((10, 21, 90), []),  # something without a name
            ((10, "crash", 90), ["old"]),
            ((1, "crash", 9), []),
        ],
    )
    def test_all_of_its_deviations(self, answers: Sequence[Any], spoken: list[str]) -> None:
        assert self.spoken({"old": [GE, PLUS1]}, self.cases, answers) == spoken

    def test_another_habit_of_the_same_name_is_against_it(self) -> None:
        at_random = case("on-tie", 6, {60: [[LAST]], 61: [["nms.tie=none"]]})
        dialects = {"old": [GE, LAST, PLUS1]}
        assert self.spoken(dialects, [ON_GE, at_random, self.on_plus1], [10, 60, 90]) == ["old"]
        assert self.spoken(dialects, [ON_GE, at_random, self.on_plus1], [10, 61, 90]) == []

    def test_a_deviation_that_another_one_hides_is_not_missed(self) -> None:
        """Where there is PLUS1, LAST changes nothing: its alternative is the one without it."""
        hiding = case("hiding", 7, {70: [[PLUS1], [LAST, PLUS1]], 71: [[LAST]]})
        assert self.spoken({"old": [GE, LAST, PLUS1]}, [ON_GE, hiding], [10, 70]) == ["old"]
        assert self.spoken({"old": [GE, LAST, PLUS1]}, [ON_GE, hiding], [10, 7]) == []

    def test_of_two_that_fit_the_one_of_which_more_was_found(self) -> None:
        dialects = {"old": [GE, PLUS1], "older": [GE, LAST, PLUS1]}
        assert self.spoken(dialects, self.cases, (10, 20, 90)) == ["older"]
        assert self.spoken(dialects, self.cases, (10, 2, 90)) == ["old"]
        assert self.spoken(dialects, self.cases, (10, None, 90)) == ["old", "older"]  # nothing tells them apart

    def test_a_dialect_of_one_deviation(self) -> None:
        assert self.spoken({"old": [GE]}, self.cases, (10, 2, 9)) == ["old"]
        assert self.spoken({"old": [GE]}, self.cases, (1, 2, 9)) == []

    def test_only_gradients_that_were_answered_count(self) -> None:
        entry = {
            **case("gradients", 0).entry,
            "tensors": [{"name": "y", "role": "expected"}, {"name": "dx", "role": "grad"}],
            "compare": {"y": {"kind": "exact"}, "dx": {"kind": "exact"}},
            "probes": [GE, LAST],
            "alternatives": [
                {"name": "alt1", "deviations": [[GE]], "tensors": ["y"]},
                {"name": "alt2", "deviations": [[LAST]], "tensors": ["dx"]},
                {"name": "alt3", "deviations": [[GE, LAST]], "tensors": ["y", "dx"]},
            ],
        }
        tensors = {"y": 0, "dx": 1, "y.alt1": 2, "dx.alt2": 3, "y.alt3": 2, "dx.alt3": 3}
        stored = StoredCase(entry, {name: np.array([x]) for name, x in tensors.items()})
        manifest = {"dialects": {"old": {"title": "", "deviations": [GE, LAST, PLUS1]}}}
        cases = [stored, self.on_plus1]
        for dx, spoken in ({"dx": 3}, ["old"]), ({}, ["old"]), ({"dx": 1}, []):
            answers = [{"y": 2, **dx}, {"y": 90}]
            outcomes = [
                Outcome(c.id, {n: np.array([x]) for n, x in given.items()})
                for c, given in zip(cases, answers, strict=True)
            ]
            assert spoken_dialects(manifest, cases, [diagnose("nms", cases, outcomes)]) == spoken, dx
