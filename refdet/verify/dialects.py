"""Whether an implementation speaks a dialect: deviations that come together in one library.

A dialect says nothing about habits of other names than its keys have, and nothing about algorithms in which none of its
keys shows on a case that was answered. In each of the others its keys that show must have been found, all but those
that, beside what was found, change no answer that the suite knows: nobody could find them. An algorithm whose answers
have no name tells nothing. Two keys in all must have been found, unless the dialect has fewer: one is no language yet.

Of the dialects that fit, one is left out if more keys were found of another, and all of its own among them. Where the
same keys were found of several, the answers do not tell which of them is spoken, and all are reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refdet.verify.diagnose import Evidence, sets_without_effect
from refdet.verify.suite import StoredCase
from refdet.verify.verdict import AlgorithmVerdict, CaseResult

LEAST_KEYS = 2  # that must be found, unless the dialect has fewer
Keys = frozenset[str]


def spoken_dialects(
    manifest: Mapping[str, Any], cases: Sequence[StoredCase], verdicts: Sequence[AlgorithmVerdict]
) -> list[str]:
    """Return the dialects whose deviations were found in every algorithm that they concern."""
    by_id = {case.id: case for case in cases}
    told = [
        (verdict, [_evidence(by_id[r.id], r) for r in verdict.results if r.verdict in ("pass", "wrong")])
        for verdict in verdicts
        if verdict.kind != "UNKNOWN"
    ]
    found = {}
    for name, dialect in manifest["dialects"].items():
        keys = frozenset(dialect["deviations"])
        in_each = [_found(keys, verdict, evidence) for verdict, evidence in told]
        in_all = frozenset[str]().union(*(some for some in in_each if some is not None))
        if None not in in_each and len(in_all) >= min(LEAST_KEYS, len(keys)):
            found[name] = in_all
    return [name for name, keys in found.items() if not any(keys < others for others in found.values())]


def _found(keys: Keys, verdict: AlgorithmVerdict, evidence: Sequence[Evidence]) -> Keys | None:
    """Return the keys that were found in an algorithm; None if one is missing that would show."""
    visible = keys & frozenset[str]().union(*(e.probes for e in evidence))
    for diagnosis in (verdict.deviations, *verdict.also):
        habits = frozenset(diagnosis)
        both = habits | visible
        names = {key.partition("=")[0] for key in both}
        explained = [e for e in evidence if e.agrees(habits) is not False]  # all, or all that must be right
        if len(names) == len(both) and all(e.agrees(both) is not False for e in explained):
            return habits & keys
    return None


def _evidence(case: StoredCase, result: CaseResult) -> Evidence:
    """Return what an answered case says about sets of deviations."""
    answered = case.answers.keys() - set(result.not_answered)
    return Evidence(result, case.probes, frozenset(case.alternatives), sets_without_effect(case, answered))
