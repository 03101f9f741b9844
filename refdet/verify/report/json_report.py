"""The report for programs.

| key | content |
|---|---|
| `format`, `version` | "refdet-verify", 1; the version is raised when a key goes or changes its meaning |
| `suite_version` | of the golden suite |
| `implementation`, `versions` | what was asked, and the versions of what is behind it, by name |
| `started`, `seconds` | ISO 8601, and how long it took |
| `failed` | whether the exit status is 1 |
| `counts` | `algorithms`: how many have each kind of verdict; `cases`: how many have each verdict |
| `dialects` | those recognised: `name`, `title` |
| `problems` | sentences about what belongs to no case |
| `unexpected_passes` | ids of cases that are listed as known failures, and pass |
| `deviations` | those that `algorithms` names: key → `title`, `effect`, `who`, `change` |
| `algorithms` | one entry each, below |

An algorithm: `algorithm`; `kind`, one of PASS, VARIANT, UNKNOWN, SKIP, ERROR; `deviations`, the keys of a variant;
`also`, other sets of keys that explain it as well; `failed`; `note`; `counts` of its cases; `cases`; and `nearest`,
null or, beside UNKNOWN, the `deviations` that explain most wrong cases, the number `n_explained`, the ids `left_over`.

A case: `id`; `status`, required, optional or undefined; `verdict`, pass, wrong, skip or error; `reason` of a skip or an
error; `known`, whether it is a known failure; `failed`, whether it makes the verification fail; `why` and `tags` of the
suite; `mismatches`; `rounded`, whether they are no more than what another computation rounds; `explained_by`, sets of
keys that give its very answer; the `first_stage` that differs, or ""; gradients `not_answered`; `seconds`, or null.

A mismatch, by tensor: `sentence`; `index` of the first wrong element in row-major order, null where the form is wrong;
`expected`, `got`; `tolerances`, the distance in tolerances, null where nothing is tolerated; `n_wrong` of `n_elements`.

JSON has no NaN and no infinity: they are the strings "NaN", "Infinity" and "-Infinity". The text is ASCII.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from refdet.verify.compare import Mismatch
from refdet.verify.report.words import authors
from refdet.verify.verdict import CASE_VERDICTS, KINDS, AlgorithmVerdict, CaseResult, Report

FORMAT, VERSION = "refdet-verify", 1


def json_text(report: Report) -> str:
    """Return the report as JSON."""
    return json.dumps(_sound(to_json(report)), indent=2, allow_nan=False) + "\n"


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as plain objects."""
    named = sorted({key for verdict in report.verdicts for key in _keys(verdict)})
    return {
        "format": FORMAT,
        "version": VERSION,
        "suite_version": report.suite_version,
        "implementation": report.implementation,
        "versions": dict(report.versions),
        "started": report.started,
        "seconds": report.seconds,
        "failed": report.failed,
        "counts": {
            "algorithms": {kind: len(report.of_kind(kind)) for kind in KINDS},
            "cases": {verdict: report.count(verdict) for verdict in CASE_VERDICTS},
        },
        "dialects": [{"name": name, "title": report.dialect_titles.get(name, "")} for name in report.dialects],
        "problems": list(report.problems),
        "unexpected_passes": list(report.unexpected_passes),
        "deviations": {key: _deviation(report.text(key)) for key in named},
        "algorithms": [_algorithm(verdict) for verdict in report.verdicts],
    }


def _keys(verdict: AlgorithmVerdict) -> set[str]:
    sets = [verdict.deviations, *verdict.also, *(keys for result in verdict.results for keys in result.explained_by)]
    return {key for keys in sets for key in keys}


def _deviation(text: Mapping[str, Any]) -> dict[str, Any]:
    return {"title": text["title"], "effect": text["effect"], "who": authors(text), "change": text["change"]}


def _algorithm(verdict: AlgorithmVerdict) -> dict[str, Any]:
    return {
        "algorithm": verdict.algorithm,
        "kind": verdict.kind,
        "deviations": list(verdict.deviations),
        "also": [list(keys) for keys in verdict.also],
        "failed": verdict.failed,
        "note": verdict.note,
        "nearest": _nearest(verdict),
        "counts": {kind: verdict.count(kind) for kind in CASE_VERDICTS},
        "cases": [_case(result) for result in verdict.results],
    }


def _nearest(verdict: AlgorithmVerdict) -> dict[str, Any] | None:
    if not verdict.nearest:
        return None
    return {
        "deviations": list(verdict.nearest),
        "n_explained": verdict.n_near,
        "left_over": list(verdict.left_over),
    }


def _case(result: CaseResult) -> dict[str, Any]:
    return {
        "id": result.id,
        "status": result.status,
        "verdict": result.verdict,
        "reason": result.reason,
        "known": result.known,
        "failed": result.failed,
        "why": result.why,
        "tags": list(result.tags),
        "mismatches": {tensor: _mismatch(mismatch) for tensor, mismatch in result.mismatches.items()},
        "rounded": result.nearly,
        "explained_by": [sorted(keys) for keys in result.explained_by],
        "first_stage": result.first_stage,
        "not_answered": list(result.not_answered),
        "seconds": result.seconds,
    }


def _mismatch(mismatch: Mismatch) -> dict[str, Any]:
    return {
        "sentence": mismatch.sentence,
        "index": None if mismatch.index is None else list(mismatch.index),
        "expected": mismatch.expected,
        "got": mismatch.got,
        "tolerances": mismatch.tolerances,
        "n_wrong": mismatch.n_wrong,
        "n_elements": mismatch.n_elements,
    }


def _sound(value: Any) -> Any:
    """Return what every JSON parser reads: no NaN or infinity, no half of a pair of surrogates."""
    if isinstance(value, dict):
        return {_sound(key): _sound(x) for key, x in value.items()}
    if isinstance(value, list):
        return [_sound(x) for x in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
