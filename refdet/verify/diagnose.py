"""Which convention an implementation follows, told from its answers.

For each algorithm K is sought, the smallest set of deviations such that on every answered case the answer is the one
under K ∩ probes: an alternative, or the canonical answer where that is empty. A case that has no alternative for
K ∩ probes is silent about K. So that silence explains nothing, every member of K must be needed on some case that
speaks: the answer is the one with the member, and not the one without it.

K is sought over all cases, so that cases which need not be right help to find it; if there is none, over the required
cases alone. An answer that no K explains is never given a name. Where a set explains all but a few cases, as when one
slip hides a habit, it is told beside the verdict as the nearest one, with the cases that it leaves over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refdet.core.check import Array
from refdet.verify.alternatives import Yardstick
from refdet.verify.compare import Mismatch, compare_tensor, tolerance_of
from refdet.verify.deviation import compatible_sets
from refdet.verify.question import Outcome
from refdet.verify.suite import ANSWER_ROLES, StoredCase
from refdet.verify.verdict import NO_ANSWER, AlgorithmVerdict, CaseResult

LARGEST_SET = 6  # deviations of one algorithm that are sought at a time
LARGEST_NEAREST = 3  # likewise, where not every case is explained
LEAST_NEAR = 2  # wrong cases that the nearest set must explain


@dataclass(frozen=True)
class Nearest:
    """The set of deviations that explains most, where none explains everything."""

    keys: frozenset[str] = frozenset()
    n_explained: int = 0  # wrong cases whose answer is the one under it
    left_over: tuple[str, ...] = ()  # cases whose answer is not


@dataclass(frozen=True)
class Evidence:
    """What an answered case says about sets of deviations."""

    result: CaseResult
    probes: frozenset[str]
    spoken: frozenset[frozenset[str]]  # sets of probes that have an alternative
    plain: frozenset[frozenset[str]] = frozenset()  # those of them under which what was answered is as without them

    @property
    def right(self) -> bool:
        """Whether the answer is the canonical one."""
        return self.result.verdict == "pass"

    def agrees(self, keys: frozenset[str]) -> bool | None:
        """Return whether the answer is the one under the deviations; None where the case does not know that one."""
        if self.leaves_alone(keys):
            return self.right or (bool(keys) and self.result.nearly)
        touched = keys & self.probes
        return touched in self.result.explained_by if touched in self.spoken else None

    def needs(self, key: str, keys: frozenset[str]) -> bool:
        """Return whether the answer is the one under the deviations, and is not without this one."""
        if self.leaves_alone(keys) and self.leaves_alone(keys - {key}):
            return False
        return self.agrees(keys) is True and self.agrees(keys - {key}) is False

    def leaves_alone(self, keys: frozenset[str]) -> bool:
        """Return whether the answer under the deviations is the canonical one."""
        return not keys & self.probes or keys & self.probes in self.plain


def diagnose(algorithm: str, cases: Sequence[StoredCase], outcomes: Sequence[Outcome]) -> AlgorithmVerdict:
    """Judge the cases of one algorithm one by one, then together."""
    results = [judge(case, outcome) for case, outcome in zip(cases, outcomes, strict=True)]
    evidence = [
        Evidence(result, case.probes, frozenset(case.alternatives), sets_without_effect(case, outcome.answers or {}))
        for case, outcome, result in zip(cases, outcomes, results, strict=True)
        if result.verdict in ("pass", "wrong")
    ]
    kind, found, note = _kind(results, evidence)
    notes = [note, _unanswered(results)]
    near = nearest_set(evidence) if kind == "UNKNOWN" else Nearest()
    return AlgorithmVerdict(
        algorithm,
        kind,
        tuple(sorted(found[0])) if found else (),
        tuple(tuple(sorted(keys)) for keys in found[1:]),
        any(result.failed for result in results),
        tuple(results),
        "; ".join(n for n in notes if n),
        tuple(sorted(near.keys)),
        near.n_explained,
        near.left_over,
    )


def _kind(results: Sequence[CaseResult], evidence: Sequence[Evidence]) -> tuple[str, list[frozenset[str]], str]:
    """Return the kind of the verdict, the sets of deviations that explain it, and a note."""
    errors = sum(r.verdict == "error" for r in results)
    note = f"{errors} of {len(results)} cases {NO_ANSWER}" if errors else ""
    if not evidence:
        return ("ERROR" if errors else "SKIP"), [], note
    found = smallest_sets(evidence)
    if not found:
        found = smallest_sets([e for e in evidence if e.result.status == "required"])
        if found:
            unexplained = [e.result.id for e in evidence if e.agrees(found[0]) is False]
            note = "; ".join(filter(None, [f"has no name, and need not be right: {', '.join(unexplained)}", note]))
    if not found:
        return "UNKNOWN", [], note
    if found[0]:
        return "VARIANT", found, "; ".join(filter(None, [note, _silent(found[0], evidence)]))
    return ("ERROR" if any(r.verdict == "error" and r.status == "required" for r in results) else "PASS"), [], note


def _silent(keys: frozenset[str], evidence: Sequence[Evidence]) -> str:
    """Return which wrong answers are neither explained by the deviations nor contradict them."""
    silent = [e.result.id for e in evidence if not e.right and e.agrees(keys) is None]
    return f"wrong where the suite does not know the answer under these: {', '.join(silent)}" if silent else ""


def smallest_sets(evidence: Sequence[Evidence]) -> list[frozenset[str]]:
    """Return the smallest sets of deviations that explain every case, the empty one if nothing is wrong."""
    if all(e.right for e in evidence):
        return [frozenset()]
    candidates = {key for e in evidence if not e.right for keys in e.result.explained_by for key in keys}
    for size in range(1, min(len(candidates), LARGEST_SET) + 1):
        found = [keys for keys in compatible_sets(candidates, size) if len(keys) == size and _explains(keys, evidence)]
        if found:
            return found
    return []


def _explains(keys: frozenset[str], evidence: Sequence[Evidence]) -> bool:
    return all(e.agrees(keys) is not False for e in evidence) and _needs_all(keys, evidence)


def _needs_all(keys: frozenset[str], evidence: Sequence[Evidence]) -> bool:
    return all(any(e.needs(key, keys) for e in evidence) for key in keys)


def nearest_set(evidence: Sequence[Evidence]) -> Nearest:
    """Return the set of deviations that leaves the fewest cases over; an empty one if none comes near.

    It explains at least `LEAST_NEAR` wrong cases, needs every member, and leaves fewer cases over than are wrong. Of
    sets that leave equally many, it is the one that explains more wrong cases, then the smaller one, then the first in
    alphabetical order.
    """
    wrong = [e for e in evidence if not e.right]
    candidates = {key for e in wrong for keys in e.result.explained_by for key in keys}
    best, rank = Nearest(), (len(wrong), 0)
    for keys in compatible_sets(candidates, min(len(candidates), LARGEST_NEAREST)):
        n_explained = sum(e.agrees(keys) is True for e in wrong)
        if n_explained < LEAST_NEAR:
            continue
        left_over = tuple(e.result.id for e in evidence if e.agrees(keys) is False)
        its_rank = (len(left_over), -n_explained)
        if len(left_over) < len(wrong) and its_rank < rank and _needs_all(keys, evidence):
            best, rank = Nearest(keys, n_explained, left_over), its_rank
    return best


def judge(case: StoredCase, outcome: Outcome) -> CaseResult:
    """Compare one outcome with the case's answers, and with those under deviations."""
    about: dict[str, Any] = {
        "id": case.id,
        "algorithm": case.algorithm,
        "status": case.entry["status"],
        "why": case.entry["why"],
        "tags": tuple(case.entry["tags"]),
        "spec": case.entry["spec"],
        "params": case.entry["params"],
        "seconds": outcome.seconds,
    }
    if outcome.skipped:
        return CaseResult(verdict="skip", reason=outcome.skipped, **about)
    answers = outcome.answers or {}
    error = outcome.error or _wrong_names(case, answers)
    if error:
        return CaseResult(verdict="error", reason=error, **about)
    expected = case.answers
    about["not_answered"] = tuple(name for name in expected if name not in answers)
    mismatches = _mismatches(case, answers)
    yardstick = Yardstick(
        expected, {name: case.rule(name) for name in expected}, {name: case.tolerance(name) for name in expected}
    )
    without_effect = sets_without_effect(case, answers)
    explained_by = tuple(
        keys
        for keys, theirs in case.alternatives.items()
        if keys not in without_effect and yardstick.same(answers, theirs)
    )
    if not mismatches:
        return CaseResult(verdict="pass", explained_by=explained_by, **about)
    return CaseResult(
        verdict="wrong",
        mismatches=mismatches,
        explained_by=explained_by,
        nearly=yardstick.same(answers, expected),
        first_stage=_first_wrong_stage(case, answers),
        inputs={t["name"]: case.tensors[t["name"]] for t in case.entry["tensors"] if t["role"] == "input"},
        got={name: answers[name] for name in mismatches},
        expected={name: expected[name] for name in mismatches},
        allowed={
            name: tolerance_of(expected[name], case.rule(name), case.tolerance(name))
            for name in mismatches
            if case.rule(name)["kind"] != "exact"
        },
        **about,
    )


def _wrong_names(case: StoredCase, answers: Mapping[str, Array]) -> str:
    """Return a sentence if an output is missing, or something was answered that is not asked for."""
    roles = {t["name"]: t["role"] for t in case.entry["tensors"]}
    missing = [name for name, role in roles.items() if role == "expected" and name not in answers]
    if not missing:
        stray = sorted(name for name in answers if roles.get(name) not in (*ANSWER_ROLES, "trace"))
        asked = ", ".join(name for name, role in roles.items() if role in (*ANSWER_ROLES, "trace"))
        return f"answers {', '.join(stray)}, which is not asked for; asked for are {asked}" if stray else ""
    given = f"there are {', '.join(sorted(answers))}" if answers else "the answer is empty"
    return f"no tensor {', '.join(missing)} among the answers; {given}"


def _mismatches(case: StoredCase, answers: Mapping[str, Array]) -> dict[str, Mismatch]:
    found = {}
    for name, expected in case.answers.items():
        if name in answers:
            mismatch = compare_tensor(answers[name], expected, case.rule(name), case.tolerance(name))
            if mismatch:
                found[name] = mismatch
    return found


def sets_without_effect(case: StoredCase, answered: Collection[str]) -> frozenset[frozenset[str]]:
    """Return the sets of deviations whose alternative differs in no tensor that was answered."""
    canonical = {name: x for name, x in case.answers.items() if name in answered}
    return frozenset(
        keys for keys, theirs in case.alternatives.items() if all(theirs[name] is x for name, x in canonical.items())
    )


def _first_wrong_stage(case: StoredCase, answers: Mapping[str, Array]) -> str:
    """Return the first stage of the trace that is answered and wrong."""
    for tensor in case.entry["tensors"]:
        name = tensor["name"]
        if tensor["role"] != "trace" or name not in answers:
            continue
        if compare_tensor(answers[name], case.tensors[name], case.rule(name), case.tolerance(name)):
            return str(name)
    return ""


def _unanswered(results: Sequence[CaseResult]) -> str:
    silent = [r for r in results if r.not_answered]
    if not silent:
        return ""
    return (
        "outputs only"
        if len(silent) == sum(bool(r.not_answered or r.verdict == "pass") for r in results)
        else (f"without gradients in {len(silent)} cases")
    )
