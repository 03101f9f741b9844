"""What a verification found: of each case, of each algorithm, and in all.

| kind | meaning |
|---|---|
| PASS | every answered case is right, but perhaps for cases that need not be |
| VARIANT | a named set of deviations explains every answered case |
| UNKNOWN | something is wrong that no set of named deviations explains |
| SKIP | no case was answered |
| ERROR | a case brought no answer that could be compared, and no other is wrong |

A case is required, or its answer is worth knowing and no failure: optional, undefined. Only required cases fail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from refdet.core.check import Array
from refdet.verify.compare import Mismatch

KINDS = ("PASS", "VARIANT", "UNKNOWN", "SKIP", "ERROR")
CASE_VERDICTS = ("pass", "wrong", "skip", "error")
NO_ANSWER = "brought no answer"  # how the note that counts errors ends


@dataclass(frozen=True)
class CaseResult:
    """One case, judged."""

    id: str
    algorithm: str
    status: str  # "required", "optional" or "undefined"
    verdict: str  # "pass", "wrong", "skip" or "error"
    reason: str = ""  # of a skip, or the sentence of an error
    mismatches: Mapping[str, Mismatch] = field(default_factory=dict)  # by tensor, of what is wrong
    explained_by: tuple[frozenset[str], ...] = ()  # sets of deviations that give the very answer
    nearly: bool = False  # whether it is wrong by no more than an alternative tolerates: what another sum rounds
    first_stage: str = ""  # the first stage of the trace that is wrong, if any was answered
    why: str = ""  # the idea that the case tests
    tags: tuple[str, ...] = ()
    spec: str = ""  # paper, equation or deck
    params: Mapping[str, Any] = field(default_factory=dict)  # as in the manifest
    inputs: Mapping[str, Array] = field(default_factory=dict)  # of wrong cases, what they were asked
    got: Mapping[str, Array] = field(default_factory=dict)  # of wrong cases, what was answered, by tensor
    expected: Mapping[str, Array] = field(default_factory=dict)  # and what is right
    allowed: Mapping[str, Array] = field(default_factory=dict)  # the largest distance that passes; absent where none
    not_answered: tuple[str, ...] = ()  # gradients that were asked for, and need not be given
    known: bool = False  # listed as a known failure
    seconds: float | None = None

    @property
    def is_bad(self) -> bool:
        """Whether the answer is wrong, or there is none that could be compared."""
        return self.verdict in ("wrong", "error")

    @property
    def n_given(self) -> int:
        """How many numbers a wrong case was asked about."""
        return sum(x.size for x in self.inputs.values())

    @property
    def is_dtype_alone(self) -> bool:
        """Whether nothing but the dtype of its answers is known to be wrong."""
        return bool(self.mismatches) and all(mismatch.is_dtype for mismatch in self.mismatches.values())

    @property
    def minimal_explanations(self) -> tuple[frozenset[str], ...]:
        """The sets of deviations that give the very answer, without those that contain another of them."""
        return tuple(keys for keys in self.explained_by if not any(other < keys for other in self.explained_by))

    @property
    def failed(self) -> bool:
        """Whether it makes the verification fail."""
        return self.is_bad and self.status == "required" and not self.known


@dataclass(frozen=True)
class AlgorithmVerdict:
    """All cases of one algorithm, judged together."""

    algorithm: str
    kind: str  # one of `KINDS`
    deviations: tuple[str, ...] = ()  # of a variant: the smallest set that explains it, by key
    also: tuple[tuple[str, ...], ...] = ()  # other sets, equally small, that explain it as well
    failed: bool = False  # a required case is wrong or has an error, and is not known to
    results: tuple[CaseResult, ...] = ()  # in the order of the suite
    note: str = ""  # what else should be known
    nearest: tuple[str, ...] = ()  # of what has no name: the set that comes closest, which is no diagnosis
    n_near: int = 0  # how many wrong cases it explains
    left_over: tuple[str, ...] = ()  # cases that it does not explain: wrong ones, and right ones that it would change

    def count(self, verdict: str) -> int:
        """Return how many cases have this verdict."""
        return sum(result.verdict == verdict for result in self.results)

    @property
    def bad(self) -> tuple[CaseResult, ...]:
        """The cases that are wrong or have errors: what is left over first, then required ones, the smallest first."""

        def order(result: CaseResult) -> tuple[bool, bool, int, bool]:
            is_left_over = result.id in self.left_over
            return not is_left_over, result.status != "required", result.n_given, "hand" not in result.tags

        return tuple(sorted((r for r in self.results if r.is_bad), key=order))


@dataclass(frozen=True)
class Report:
    """All of a verification."""

    suite_version: str
    implementation: str
    versions: Mapping[str, str]  # of what answered: {"torch": "2.13.0"}
    verdicts: tuple[AlgorithmVerdict, ...]  # in alphabetical order
    dialects: tuple[str, ...] = ()  # recognised
    problems: tuple[str, ...] = ()  # what belongs to no case: files that answer no question, and the like
    unexpected_passes: tuple[str, ...] = ()  # cases listed as known failures that pass
    started: str = ""  # ISO 8601, UTC
    seconds: float = 0.0
    deviations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # texts by key, as in the manifest
    dialect_titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether the exit status is 1: a required case fails, a known failure does not, or nothing was answered."""
        return self.is_vacuous or bool(self.unexpected_passes) or any(verdict.failed for verdict in self.verdicts)

    @property
    def is_vacuous(self) -> bool:
        """Whether every case was skipped, so that nothing is known."""
        return all(result.verdict == "skip" for result in self.results)

    @property
    def results(self) -> Iterator[CaseResult]:
        """Every case."""
        return (result for verdict in self.verdicts for result in verdict.results)

    def count(self, verdict: str) -> int:
        """Return how many cases have this verdict."""
        return sum(v.count(verdict) for v in self.verdicts)

    def of_kind(self, kind: str) -> tuple[AlgorithmVerdict, ...]:
        """Return the algorithms with this verdict."""
        return tuple(verdict for verdict in self.verdicts if verdict.kind == kind)

    def text(self, key: str) -> Mapping[str, Any]:
        """Return what the suite says of a deviation: title, effect, who, change; of an unknown one, its key."""
        return self.deviations.get(key, {"title": key, "effect": "", "who": [], "change": "", "algorithms": []})
