"""A report for programs, and back: what was measured once need not be measured again.

None stands for what was not measured. Comparisons are read back only if their workloads are those of today.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from refdet.bench.groups import find_group
from refdet.bench.peaks import Peaks
from refdet.bench.rates import rates
from refdet.bench.report import Report
from refdet.bench.results import GroupResult, Row, Timing
from refdet.bench.runner import Settings
from refdet.bench.workloads import Group, Work

FORMAT, FORMAT_VERSION = "refdet-bench", 2  # raised when a key changes its meaning or goes


class StoredReportError(ValueError):
    """A file is no report, or not one of today's workloads; the message says why in a sentence."""


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as plain objects."""
    return {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "machine": report.machine,
        "peaks": None if report.peaks is None else dataclasses.asdict(report.peaks),
        "device": report.settings.device,
        "interpreters": dict(report.settings.interpreters),
        "threads": report.settings.threads,
        "repeats": report.settings.repeats,
        "seed": report.settings.seed,
        "groups": [_group_json(result, report.peaks) for result in report.results],
    }


def _group_json(result: GroupResult, peaks: Peaks | None) -> dict[str, Any]:
    summary = result.summary
    return {
        "name": result.address,
        "title": result.group.title,
        "sides": [
            {"name": name, "versions": greeting.get("versions", {}), "thread_pools": greeting.get("threads", [])}
            for name, greeting in zip((result.side, result.against), result.greetings, strict=True)
        ],
        "rows": [_row_json(row, peaks) for row in result.rows],
        "summary": {
            "count": summary.count,
            "timed": summary.timed,
            "total_ms": [1e3 * total for total in summary.totals],
            "total_ratio": summary.total_ratio,
            "geometric_mean_ratio": summary.geometric_mean,
        },
        "targets": [
            {"what": v.what, "unit": v.unit, "limit": v.limit, "value": v.value, "verdict": v.verdict}
            for v in result.verdicts
        ],
    }


def _row_json(row: Row, peaks: Peaks | None) -> dict[str, Any]:
    found = rates(row, peaks)
    return {
        "workload": row.workload.name,
        "what": row.workload.what,
        "kernel": row.workload.kernel,
        "count": row.workload.count,
        "status": row.status,
        "note": row.note,
        "difference": row.difference,
        "tolerance": row.workload.tolerance,
        "ratio": row.ratio,
        "work": None if row.work is None else row.work._asdict(),
        "rates": None if found is None else found._asdict(),
        "timings": [
            {
                "median_ms": 1e3 * timing.median,
                "spread": timing.spread,
                "samples_ms": [1e3 * sample for sample in timing.samples],
                "calls_per_sample": timing.calls,
                "peak_bytes": timing.peak_bytes,
            }
            for timing in row.timings or ()
        ],
    }


def from_json(document: Any) -> Report:
    """Return the report that was stored, without comparisons that have changed since; raises StoredReportError."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise StoredReportError("it is no report of refdet bench")
    if document.get("version") != FORMAT_VERSION:
        raise StoredReportError(f"its version is {document.get('version')}, this refdet reads {FORMAT_VERSION}")
    try:
        settings = Settings(
            threads=document["threads"],
            repeats=document["repeats"],
            seed=document["seed"],
            device=document["device"],
            interpreters=document["interpreters"],
        )
        peaks = None if document["peaks"] is None else Peaks(**document["peaks"])
        results = [result for stored in document["groups"] if (result := _result(stored)) is not None]
        return Report(dict(document["machine"]), settings, results, peaks)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise StoredReportError(f"it is incomplete: {type(error).__name__} {error}") from None


def _result(stored: Mapping[str, Any]) -> GroupResult | None:
    """Return a comparison, None if its group or one of its workloads is not what it was."""
    name = stored["name"]
    try:
        group = find_group(name)
    except LookupError:
        return None
    then = [tuple(row[key] for key in ("workload", "what", "kernel", "count", "tolerance")) for row in stored["rows"]]
    now = [(w.name, w.what, w.kernel, w.count, w.tolerance) for w in group.workloads]
    if then != now:
        return None
    ours, theirs = stored["sides"]
    greetings = tuple({"versions": side["versions"], "threads": side["thread_pools"]} for side in (ours, theirs))
    rows = tuple(_row(group, row) for row in stored["rows"])
    return GroupResult(group, ours["name"], theirs["name"], rows, (greetings[0], greetings[1]), name)


def _row(group: Group, stored: Mapping[str, Any]) -> Row:
    timings = [
        Timing(tuple(ms / 1e3 for ms in t["samples_ms"]), t["calls_per_sample"], t["peak_bytes"])
        for t in stored["timings"]
    ]
    work = stored["work"]
    return Row(
        group.workload(stored["workload"]),
        stored["status"],
        stored["note"],
        stored["difference"],
        (timings[0], timings[1]) if timings else None,
        Work(**work) if work else None,
    )
