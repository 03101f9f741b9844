"""A verification from end to end: which cases are asked, by whom they are answered, and the report."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from refdet.verify.diagnose import diagnose
from refdet.verify.dialects import spoken_dialects
from refdet.verify.patterns import matches_any, unmatched
from refdet.verify.question import Outcome
from refdet.verify.suite import StoredCase, Suite
from refdet.verify.verdict import Report


def select_cases(suite: Suite, patterns: Sequence[str] = (), *, tier: str = "all") -> list[StoredCase]:
    """Return the cases whose id, or algorithm, one of the patterns matches; all of them without patterns.

    A pattern that matches nothing is refused.
    """
    entries = [e for e in suite.manifest["cases"] if tier == "all" or e["tier"] == tier]
    if unknown := unmatched(patterns, [entry["id"] for entry in entries]):
        raise LookupError(f"no case of the suite matches {unknown[0]!r}; `refdet list` shows the algorithms")
    chosen = [entry["id"] for entry in entries if not patterns or matches_any(patterns, entry["id"])]
    return [suite.case(case_id) for case_id in chosen]


def verify(
    suite: Suite,
    cases: Sequence[StoredCase],
    outcomes: Iterable[Outcome],
    *,
    implementation: str,
    versions: Mapping[str, str],
) -> Report:
    """Judge the outcomes, of which there is one for each case in order, and put everything into a report."""
    started, clock = datetime.now(UTC), time.perf_counter()
    by_algorithm: dict[str, list[tuple[StoredCase, Outcome]]] = {}
    for case, outcome in zip(cases, outcomes, strict=True):
        by_algorithm.setdefault(case.algorithm, []).append((case, outcome))
    verdicts = tuple(
        diagnose(algorithm, [case for case, _ in pairs], [outcome for _, outcome in pairs])
        for algorithm, pairs in sorted(by_algorithm.items())
    )
    return Report(
        suite.version,
        implementation,
        versions,
        verdicts,
        dialects=tuple(spoken_dialects(suite.manifest, cases, verdicts)),
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        deviations=suite.manifest["deviations"],
        dialect_titles={name: dialect["title"] for name, dialect in suite.manifest["dialects"].items()},
    )
