"""What every implementation answers to the golden suite: the record from which the conformance page is made.

| key | content |
|---|---|
| `format`, `version` | "refdet-conformance", 1; the version is raised when a key goes or changes its meaning |
| `suite_version`, `date` | of the golden suite; the day, ISO 8601 |
| `environment` | versions of Python and NumPy, the system and the kind of machine |
| `algorithms` | how many cases were asked of each, by name |
| `implementations` | one entry each, below |
| `not_run` | those that could not be asked: `name`, `reason` |
| `deviations` | those that a verdict names: key → `title`, `effect`, `who`, `change` |

An implementation: `name`; `versions` of what is behind it; `dialects` that it speaks; `counts` of `algorithms` and of
`cases`; `verdicts`, by algorithm, but for those that it skipped as a whole; `skipped`, pairs of a reason and what it
concerns. A verdict: `kind`; `deviations`; `also`, other sets that explain it as well; `note`; `counts` of cases;
`differences`, the cases that do not pass, as in the report of one verification (`report/json_report.py`) and with

- `named`: whether the deviations of the verdict account for the answer (or are silent about the case); of a case that
  is named the sets that explain it by itself are left out;
- `explanation`: of one that is not named, its `kind`, `reason` and section of the `errata`; null if there is none.

No number of seconds, no path and no time of day is in it: two runs on one machine differ where answers do.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from refdet.verify.explanations import Explanation, explanation_of
from refdet.verify.report.json_report import json_text
from refdet.verify.report.words import skips
from refdet.verify.suite import StoredCase
from refdet.verify.verdict import Report

FORMAT, VERSION = "refdet-conformance", 1
OF_A_CASE = ("id", "status", "verdict", "reason", "why", "mismatches", "explained_by", "first_stage")

Record = dict[str, Any]


def conformance_record(
    cases: Sequence[StoredCase],
    reports: Sequence[Report],
    not_run: Mapping[str, str],
    explanations: Sequence[Explanation],
    *,
    suite_version: str,
    date: str,
) -> Record:
    """Return the record of reports on the same cases; `not_run` says why there is none of an implementation."""
    n_cases: dict[str, int] = {}
    for case in cases:
        n_cases[case.algorithm] = n_cases.get(case.algorithm, 0) + 1
    by_id = {case.id: case for case in cases}
    implementations = [_implementation(report, by_id, explanations) for report in reports]
    named = {
        key
        for i in implementations
        for v in i["verdicts"].values()
        for keys in (v["deviations"], *v["also"])
        for key in keys
    }
    texts = {key: text for report in reports for key, text in _plain(report)["deviations"].items() if key in named}
    return {
        "format": FORMAT,
        "version": VERSION,
        "suite_version": suite_version,
        "date": date,
        "environment": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "system": platform.system(),
            "machine": platform.machine(),
        },
        "algorithms": dict(sorted(n_cases.items())),
        "implementations": implementations,
        "not_run": [{"name": name, "reason": reason} for name, reason in not_run.items()],
        "deviations": dict(sorted(texts.items())),
    }


def record_text(record: Record) -> str:
    """Return the record as the text of a file."""
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def differences(record: Record) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every case that does not pass, with the name of the implementation."""
    for implementation in record["implementations"]:
        for verdict in implementation["verdicts"].values():
            for case in verdict["differences"]:
                yield implementation["name"], case


def unexplained(record: Record) -> list[str]:
    """Return a sentence for each difference that has neither a name nor an explanation."""
    return [
        f"{name} differs on {case['id']}, and neither a deviation nor an explanation says why"
        for name, case in differences(record)
        if not case["named"] and case["explanation"] is None
    ]


def outdated(record: Record, explanations: Sequence[Explanation]) -> list[str]:
    """Return a sentence for each explanation of an implementation that was asked which explains nothing now."""
    asked = {implementation["name"] for implementation in record["implementations"]}
    left = [(name, case["id"]) for name, case in differences(record) if not case["named"]]
    return [
        f"{e.implementation} no longer differs without a name on {', '.join(e.cases)}: its explanation can go"
        for e in explanations
        if e.implementation in asked and not any(e.explains(*found) for found in left)
    ]


def _plain(report: Report) -> dict[str, Any]:
    """Return the report as JSON has it, without NaN and infinity."""
    content: dict[str, Any] = json.loads(json_text(report))
    return content


def _implementation(
    report: Report, cases: Mapping[str, StoredCase], explanations: Sequence[Explanation]
) -> dict[str, Any]:
    plain = _plain(report)
    verdicts = {
        v["algorithm"]: _verdict(v, report.implementation, cases, explanations)
        for v in plain["algorithms"]
        if v["kind"] != "SKIP"
    }
    return {
        "name": report.implementation,
        "versions": plain["versions"],
        "dialects": plain["dialects"],
        "counts": plain["counts"],
        "verdicts": verdicts,
        "skipped": [list(pair) for pair in skips(report)],
    }


def _verdict(
    verdict: Mapping[str, Any],
    implementation: str,
    cases: Mapping[str, StoredCase],
    explanations: Sequence[Explanation],
) -> dict[str, Any]:
    bad = [case for case in verdict["cases"] if case["verdict"] in ("wrong", "error")]
    found = []
    for case in sorted(bad, key=lambda case: case["status"] != "required"):
        named = _is_named(case, verdict["deviations"], cases[case["id"]])
        why = None if named else explanation_of(explanations, implementation, case["id"])
        about = None if why is None else {"kind": why.kind, "reason": why.reason, "errata": why.errata}
        entry = {key: case[key] for key in OF_A_CASE} | {"named": named, "explanation": about}
        found.append(entry | ({"explained_by": []} if named else {}))
    return {key: verdict[key] for key in ("kind", "deviations", "also", "note", "counts")} | {"differences": found}


def _is_named(case: Mapping[str, Any], deviations: Sequence[str], stored: StoredCase) -> bool:
    """Return whether the answer is the one under the deviations, or nobody knows that one."""
    touched = frozenset(deviations) & stored.probes
    if case["verdict"] != "wrong" or not deviations:
        return False
    if not touched:
        return bool(case["rounded"])
    return sorted(touched) in case["explained_by"] or touched not in stored.alternatives
