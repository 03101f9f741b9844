"""What the reports say in words and in cells, wherever they are shown. Times are in milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refdet.bench.peaks import Peaks
from refdet.bench.rates import rates
from refdet.bench.report import Report
from refdet.bench.results import GroupResult, Row, Verdict, judge
from refdet.bench.workloads import Target


def table(result: GroupResult, peaks: Peaks | None) -> list[list[str]]:
    """Return the header and a line of cells per row."""
    side, against = result.side, result.against
    header = [
        "workload",
        "what",
        "count",
        f"{side}, ms",
        f"{against}, ms",
        f"{side} / {against}",
        "effective rates",
        "of the peak",
        "difference",
        "memory",
    ]
    return [header, *(_cells(row, peaks) for row in result.rows)]


def _cells(row: Row, peaks: Peaks | None) -> list[str]:
    workload = row.workload
    difference = "" if row.difference is None else f"{row.difference:.1e}"
    first = [workload.name, workload.what, str(workload.count)]
    if row.timings is None or row.ratio is None:
        return [*first, row.status, "", "", "", "", difference, ""]
    times = [f"{1e3 * timing.median:.2f} ± {100 * timing.spread:.0f} %" for timing in row.timings]
    found = rates(row, peaks)
    effective = f"{found.ours:.3g} : {found.theirs:.3g} {found.unit}" if found else ""
    shares = found.shares if found else None
    of_peak = "{:.0f} : {:.0f} %".format(*(100 * share for share in shares)) if shares else ""
    return [*first, *times, f"{row.ratio:.2f}×", effective, of_peak, difference, megabytes(row.timings[0].peak_bytes)]


def conclusions(result: GroupResult) -> list[str]:
    """Return what follows from the table: notes on rows without times, sum, geometric mean, targets."""
    lines = _notes(result)
    summary = result.summary
    if summary.total_ratio is not None and summary.geometric_mean is not None:
        ours, theirs = (1e3 * total for total in summary.totals)
        number = f"all {summary.count}" if summary.complete else f"{summary.timed} of {summary.count}"
        lines.append(
            f"sum over {number}: {result.side} {ours:.1f} ms, {result.against} {theirs:.1f} ms, "
            f"{summary.total_ratio:.2f}×; geometric mean {summary.geometric_mean:.2f}×"
        )
    most = max((len(timing.samples) for row in result.rows for timing in row.timings or ()), default=0)
    for row in result.rows:
        n_turns = len(row.timings[0].samples) if row.timings else most
        if n_turns < most or (row.timings and n_turns == 1):
            slowest = max(timing.median for timing in row.timings or ())
            turns = "a single turn" if n_turns == 1 else f"{n_turns} turns"
            lines.append(f"{row.workload.name}: {turns} of each side, as one takes up to {slowest:.1f} s")
    lines += [f"target {verdict.verdict}: {outcome(verdict)}" for verdict in result.verdicts]
    return lines


def _notes(result: GroupResult) -> list[str]:
    """Return why rows have no times; once, if it is the same for all."""
    notes = {row.note for row in result.rows}
    if len(result.rows) > 1 and len(notes) == 1 and (note := notes.pop()):
        return [f"all rows {result.rows[0].status}: {note}"]
    return [f"{row.workload.name} {row.status}: {row.note}" for row in result.rows if row.note]


def reason(result: GroupResult) -> str:
    """Return why something was not measured: the first note of a row."""
    return next((row.note for row in result.rows if row.note), "")


def describe_target(target: Target) -> str:
    """Say in a line what a target asks.

    >>> describe_target(Target("numba-cpu", "torch", total=0.5))
    'numba-cpu against torch: sum at most 0.50×'
    """
    return f"{target.side} against {target.against}: {'; '.join(limit(verdict) for verdict in judge(target, []))}"


def outcome(verdict: Verdict) -> str:
    """Return the limit, and the value if there is one."""
    return limit(verdict) + ("" if verdict.value is None else f": {quantity(verdict, verdict.value)}")


def limit(verdict: Verdict) -> str:
    """Return what is asked."""
    return f"{verdict.what} at most {quantity(verdict, verdict.limit)}"


def quantity(verdict: Verdict, value: float) -> str:
    """Return a value in the unit of the verdict."""
    if verdict.unit == "ratio":
        return f"{value:.2f}×"
    return f"{value:.2f} s" if verdict.unit == "seconds" else megabytes(int(value))


def megabytes(n_bytes: int | None) -> str:
    """Return an amount of memory, nothing if it is unknown."""
    return "" if n_bytes is None else f"{n_bytes / 1e6:.1f} MB"


def circumstances(report: Report) -> list[str]:
    """Return where and how the report came about, and what its columns mean."""
    machine, settings = report.machine, report.settings
    load = "" if machine["load_average"] is None else f", load average {machine['load_average']:.2f} at the start"
    gpus = "".join(f", {name}" for name in machine.get("gpus", ()))
    return [
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores{gpus}{load}; {machine['system']}, "
        f"Python {machine['python']}, refdet {machine['refdet']}",
        describe_peaks(report.peaks, settings.threads, settings.device),
        f"{settings.threads} threads per side; medians of {settings.repeats} turns, sides in turn; "
        "± is the distance between the quartiles over the median; "
        "both sides keep freed memory (glibc: no mmap, no trim)",
        "a ratio below 1 means that the first side is faster; memory is the most that one call of the first side "
        "takes, output included, where it can be traced",
        "effective rates, of the first side : of the other, are the work of the definition over the time taken, in "
        "GFLOP/s, or in GB/s where moving each byte once takes the machine longer than computing; a side that needs "
        "fewer operations than the definition, as Winograd's convolution does, or that works inside the caches, may "
        "exceed the peak",
        *_sides(report),
    ]


def describe_peaks(peaks: Peaks | None, threads: int, device: str) -> str:
    """Return the machine's own peaks in a line."""
    if peaks is None:
        return "peaks of the machine: not measured"
    where = "on the GPU" if device == "cuda" else f"with {threads} threads"
    orders, sizes = ", ".join(peaks.sgemm), ", ".join(peaks.copy)
    return (
        f"peaks of the machine {where}: {peaks.gflops:.1f} GFLOP/s in float32 (best of sgemm of order {orders}), "
        f"{peaks.gbytes:.1f} GB/s (best of copy and triad of arrays of {sizes} MiB)"
    )


def _sides(report: Report) -> list[str]:
    stated: dict[str, str] = {}
    for result in report.results:
        for name, greeting in zip((result.side, result.against), result.greetings, strict=True):
            if greeting:
                stated.setdefault(name, _greeting(name, greeting))
    return list(stated.values())


def _greeting(name: str, greeting: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{library} {version}" for library, version in greeting.get("versions", {}).items())
    pools = ", ".join(
        f"{pool['internal_api']} {pool['version'] or ''}".strip() + f" with {pool['num_threads']} threads"
        for pool in greeting.get("threads", [])
    )
    return f"{name}: {versions or 'versions not stated'}" + (f"; {pools}" if pools else "")
