"""The rates of a report, as a roofline shows them."""

from __future__ import annotations

from collections.abc import Iterable

from refdet.bench.rates import intensity
from refdet.bench.report import Report
from refdet.bench.results import GroupResult
from refdet.pictures.roofline import Measured, Roofline


def roofline_of(report: Report) -> Roofline | None:
    """Return what can be drawn: of each group the first comparison with rates; None without rates or peaks."""
    of_group: dict[str, tuple[Measured, ...]] = {}
    pairs = []
    for result in report.results:
        if result.group.name not in of_group and (points := _points(result)):
            of_group[result.group.name] = points
            pairs.append((result.side, result.against))
    if report.peaks is None or not of_group:
        return None
    machine, threads = report.machine, report.settings.threads
    where = ", ".join([machine["cpu"], *machine["gpus"]])
    return Roofline(
        report.peaks.gflops,
        report.peaks.gbytes,
        tuple(point for points in of_group.values() for point in points),
        (_one(side for side, _ in pairs) or "ours", _one(against for _, against in pairs) or "the others"),
        f"{where}, {threads} threads, {machine['date']}. Rates are effective: work of the definition over time taken.",
    )


def _one(names: Iterable[str]) -> str | None:
    """Return the name, if it is the same everywhere."""
    different = set(names)
    return different.pop() if len(different) == 1 else None


def _points(result: GroupResult) -> tuple[Measured, ...]:
    points = []
    families = {row.workload.name.partition("/")[0] for row in result.rows}
    prefix = f"{families.pop()}/" if len(families) == 1 else ""  # that all names have
    for row in result.rows:
        if row.work is not None and row.timings is not None:
            ours, theirs = (row.work.flops / 1e9 / timing.median for timing in row.timings)
            name = row.workload.name.removeprefix(prefix)
            points.append(Measured(result.group.name, name, intensity(row.work), ours, theirs))
    return tuple(points)
