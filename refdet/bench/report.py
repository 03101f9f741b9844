"""The result of a comparison, for a terminal, for a program, and for docs/performance.md.

All three show the same: the machine, each side's versions and threads, a row per workload, sum and geometric mean, and
the targets. Times are in milliseconds there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refdet.bench.results import GroupResult, Row, Verdict, judge
from refdet.bench.runner import Settings
from refdet.bench.workloads import Target

if TYPE_CHECKING:
    from rich.console import Console

FORMAT_VERSION = 1  # of the JSON; raised when a key changes its meaning or goes
WIDE = 120  # columns of a terminal that has room for what a workload is


@dataclass(frozen=True)
class Report:
    machine: dict[str, Any]
    settings: Settings
    results: Sequence[GroupResult]

    @property
    def agrees(self) -> bool:
        return all(result.agrees for result in self.results)

    @property
    def targets_met(self) -> bool:
        """Whether every limit is met; one that could not be measured is not met."""
        return all(verdict.verdict == "met" for result in self.results for verdict in result.verdicts)


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as plain objects; None stands for what was not measured."""
    return {
        "format": "refdet-bench",
        "version": FORMAT_VERSION,
        "machine": report.machine,
        "threads": report.settings.threads,
        "repeats": report.settings.repeats,
        "seed": report.settings.seed,
        "groups": [_group_json(result) for result in report.results],
    }


def _group_json(result: GroupResult) -> dict[str, Any]:
    summary = result.summary
    return {
        "name": result.group.name,
        "title": result.group.title,
        "sides": [
            {"name": name, "versions": greeting.get("versions", {}), "thread_pools": greeting.get("threads", [])}
            for name, greeting in zip((result.side, result.against), result.greetings, strict=True)
        ],
        "rows": [_row_json(row) for row in result.rows],
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


def _row_json(row: Row) -> dict[str, Any]:
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


def to_markdown(report: Report) -> str:
    """Return the report as a section per group, for docs/performance.md."""
    parts = ["\n".join(f"- {line}" for line in _circumstances(report))]
    for result in report.results:
        header, *lines = _table(result)
        rule = ["---", "---", *("---:" for _ in header[2:])]
        cells = [[cell.replace("|", "\\|") for cell in line] for line in (header, rule, *lines)]
        parts += [
            f"## {result.group.name}",
            f"{result.group.title}.",
            "\n".join(f"| {' | '.join(line)} |" for line in cells),
            "\n".join(f"- {line}" for line in _conclusions(result)),
        ]
    return "\n\n".join(part for part in parts if part) + "\n"


def print_report(report: Report, console: Console) -> None:
    """Print tables to a rich console."""
    from rich.table import Table
    from rich.text import Text

    for result in report.results:
        header, *rows = _table(result)
        table = Table(title=f"{result.group.name}: {result.group.title}", title_justify="left")
        shown = [i for i, name in enumerate(header) if name != "what" or console.width >= WIDE]
        for i in shown:
            table.add_column(header[i], justify="left" if i < 2 else "right", no_wrap=i == 0, overflow="fold")
        for cells in rows:
            table.add_row(*(Text(cells[i]) for i in shown))
        console.print(table)
        for line in _conclusions(result):
            console.print(Text(line))
        console.print()
    for line in _circumstances(report):
        console.print(Text(line))


def _table(result: GroupResult) -> list[list[str]]:
    """Return the header and a line of cells per row."""
    side, against = result.side, result.against
    header = [
        "workload",
        "what",
        "count",
        f"{side}, ms",
        f"{against}, ms",
        f"{side} / {against}",
        "difference",
        "memory",
    ]
    return [header, *(_cells(row) for row in result.rows)]


def _cells(row: Row) -> list[str]:
    workload = row.workload
    difference = "" if row.difference is None else f"{row.difference:.1e}"
    first = [workload.name, workload.what, str(workload.count)]
    if row.timings is None or row.ratio is None:
        return [*first, row.status, "", "", difference, ""]
    times = [f"{1e3 * timing.median:.2f} ± {100 * timing.spread:.0f} %" for timing in row.timings]
    return [*first, *times, f"{row.ratio:.2f}×", difference, _megabytes(row.timings[0].peak_bytes)]


def _conclusions(result: GroupResult) -> list[str]:
    """Return what follows from the table: notes on rows without times, sum, geometric mean, targets."""
    lines = [f"{row.workload.name} {row.status}: {row.note}" for row in result.rows if row.note]
    summary = result.summary
    if summary.total_ratio is not None and summary.geometric_mean is not None:
        ours, theirs = (1e3 * total for total in summary.totals)
        number = f"all {summary.count}" if summary.complete else f"{summary.timed} of {summary.count}"
        lines.append(
            f"sum over {number}: {result.side} {ours:.1f} ms, {result.against} {theirs:.1f} ms, "
            f"{summary.total_ratio:.2f}×; geometric mean {summary.geometric_mean:.2f}×"
        )
    lines += [f"target {_target(verdict)}" for verdict in result.verdicts]
    return lines


def describe_target(target: Target) -> str:
    """Say in a line what a target asks.

    >>> describe_target(Target("numba-cpu", "torch", total=0.5))
    'numba-cpu against torch: sum at most 0.50×'
    """
    return f"{target.side} against {target.against}: {'; '.join(_limit(verdict) for verdict in judge(target, []))}"


def _target(verdict: Verdict) -> str:
    value = "" if verdict.value is None else f": {_quantity(verdict, verdict.value)}"
    return f"{verdict.verdict}: {_limit(verdict)}{value}"


def _limit(verdict: Verdict) -> str:
    return f"{verdict.what} at most {_quantity(verdict, verdict.limit)}"


def _quantity(verdict: Verdict, value: float) -> str:
    return f"{value:.2f}×" if verdict.unit == "ratio" else _megabytes(int(value))


def _circumstances(report: Report) -> list[str]:
    machine, settings = report.machine, report.settings
    load = "" if machine["load_average"] is None else f", load average {machine['load_average']:.2f} at the start"
    lines = [
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores{load}; {machine['system']}, "
        f"Python {machine['python']}",
        f"{settings.threads} threads per side; medians of {settings.repeats} turns, sides in turn; "
        "± is the distance between the quartiles over the median; "
        "both sides keep freed memory (glibc: no mmap, no trim)",
        "a ratio below 1 means that the first side is faster; memory is the most that one call of the first side "
        "takes, output included, where it can be traced",
    ]
    stated: dict[str, str] = {}
    for result in report.results:
        for name, greeting in zip((result.side, result.against), result.greetings, strict=True):
            if greeting:
                stated.setdefault(name, _greeting(name, greeting))
    return [*lines, *stated.values()]


def _greeting(name: str, greeting: Any) -> str:
    versions = ", ".join(f"{library} {version}" for library, version in greeting.get("versions", {}).items())
    pools = ", ".join(
        f"{pool['internal_api']} {pool['version'] or ''}".strip() + f" with {pool['num_threads']} threads"
        for pool in greeting.get("threads", [])
    )
    return f"{name}: {versions or 'versions not stated'}; {pools or 'no thread pool found'}"


def _megabytes(n_bytes: int | None) -> str:
    return "" if n_bytes is None else f"{n_bytes / 1e6:.1f} MB"
