"""Whether an implementation speaks a dialect: the deviations of a library, all of those that its answers could show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refdet.verify.suite import StoredCase
from refdet.verify.verdict import AlgorithmVerdict

LEAST_KEYS = 2  # that must show, unless the dialect has fewer


def spoken_dialects(
    manifest: Mapping[str, Any], cases: Sequence[StoredCase], verdicts: Sequence[AlgorithmVerdict]
) -> list[str]:
    """Return the dialects whose deviations, and no others, were found in every algorithm that they concern."""
    return [
        name
        for name, dialect in manifest["dialects"].items()
        if _is_spoken(frozenset(dialect["deviations"]), cases, verdicts)
    ]


def _is_spoken(keys: frozenset[str], cases: Sequence[StoredCase], verdicts: Sequence[AlgorithmVerdict]) -> bool:
    shown: set[str] = set()
    for verdict in verdicts:
        answered = {r.id for r in verdict.results if r.verdict in ("pass", "wrong")}
        visible = {key for case in cases if case.id in answered for key in case.probes & keys}
        if not visible:
            continue
        if verdict.kind not in ("PASS", "VARIANT"):
            return False
        if visible not in [set(found) for found in (verdict.deviations, *verdict.also)]:
            return False
        shown |= visible
    return len(shown) >= min(LEAST_KEYS, len(keys))
