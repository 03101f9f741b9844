"""The file of known failures: cases that may be wrong without failing the verification.

    # a comment
    nms/iou-equal-to-the-threshold      # suppresses at >=; to be changed in version 3
    soft_nms/*

A line has a case, an algorithm, or a glob of either, and perhaps a reason after `#`. The list is exact, so that it
shrinks as an implementation is put right: a listed case that passes is reported, and fails the verification, whether a
glob or its id lists it. A skipped case is neither. A line that names no case of the suite is a mistake.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from refdet.verify.patterns import matches, unmatched
from refdet.verify.verdict import AlgorithmVerdict, CaseResult, Report


class KnownFailuresError(Exception):
    """The file of known failures is not what it should be; the message says where."""


@dataclass(frozen=True)
class KnownFailure:
    """One line of the file."""

    pattern: str
    reason: str
    line: int


def read_known_failures(path: Path, case_ids: Collection[str]) -> tuple[KnownFailure, ...]:
    """Read the file; every line must name at least one of the suite's cases."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise KnownFailuresError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise KnownFailuresError(f"{path} is not UTF-8") from error
    known = []
    for i, line in enumerate(text.splitlines(), 1):
        pattern, _, reason = line.partition("#")
        if pattern.strip():
            known.append(KnownFailure(pattern.strip(), reason.strip(), i))
    for failure in known:
        if unmatched([failure.pattern], case_ids):
            raise KnownFailuresError(f"{path}, line {failure.line}: no case of the suite is named {failure.pattern!r}")
    return tuple(known)


def with_known_failures(report: Report, known: Collection[KnownFailure]) -> Report:
    """Return the report with the listed cases marked, and those of them that pass."""
    verdicts = tuple(_marked(verdict, known) for verdict in report.verdicts)
    passes = [r.id for v in verdicts for r in v.results if r.verdict == "pass" and _is_listed(r, known)]
    return dataclasses.replace(report, verdicts=verdicts, unexpected_passes=tuple(passes))


def _marked(verdict: AlgorithmVerdict, known: Collection[KnownFailure]) -> AlgorithmVerdict:
    results = tuple(
        dataclasses.replace(r, known=True) if r.is_bad and _is_listed(r, known) else r for r in verdict.results
    )
    return dataclasses.replace(verdict, results=results, failed=any(r.failed for r in results))


def _is_listed(result: CaseResult, known: Collection[KnownFailure]) -> bool:
    return any(matches(failure.pattern, result.id) for failure in known)
