"""What a comparison found: rows, their sums, and what became of the targets.

Times are in seconds. A median is that of the turns; the spread is the distance between the quartiles of the turns over
their median, quartiles interpolated linearly. A ratio is the median of the side under test over that of the other. Sum
and geometric mean count each workload `count` times.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from refdet.bench.workloads import Group, Target, Work, Workload

Status = Literal["ok", "disagrees", "skipped", "failed"]
Unit = Literal["ratio", "bytes", "seconds"]


@dataclass(frozen=True)
class Timing:
    """One side of one row."""

    samples: tuple[float, ...]  # one per turn: the mean duration of the turn's calls
    calls: int  # per turn
    peak_bytes: int | None  # None: this side's memory is not traced

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def spread(self) -> float:
        lower, upper = np.quantile(self.samples, (0.25, 0.75))
        return float(upper - lower) / self.median


@dataclass(frozen=True)
class Row:
    """One workload; `timings` are (side, against) and present exactly if `status` is "ok"."""

    workload: Workload
    status: Status
    note: str = ""
    difference: float | None = None
    timings: tuple[Timing, Timing] | None = None
    work: Work | None = None

    @property
    def ratio(self) -> float | None:
        return self.timings[0].median / self.timings[1].median if self.timings else None


@dataclass(frozen=True)
class Summary:
    """All rows of a group that were timed, out of `count` workloads with their multiplicity."""

    count: int
    timed: int
    totals: tuple[float, float]
    total_ratio: float | None
    geometric_mean: float | None

    @property
    def complete(self) -> bool:
        return self.timed == self.count


@dataclass(frozen=True)
class Verdict:
    """One limit of a target; `value` is None where it could not be measured on every row."""

    what: str
    unit: Unit
    limit: float
    value: float | None

    @property
    def verdict(self) -> Literal["met", "missed", "not measured"]:
        if self.value is None:
            return "not measured"
        return "met" if self.value <= self.limit else "missed"


@dataclass(frozen=True)
class GroupResult:
    group: Group
    side: str
    against: str
    rows: tuple[Row, ...]
    greetings: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})  # versions and threads that each side stated
    group_name: str = ""  # by which a process finds the group, if not by its own name

    @property
    def address(self) -> str:
        """By what name the command line finds the group."""
        return self.group_name or self.group.name

    @property
    def agrees(self) -> bool:
        """Whether no side gave a wrong answer, crashed or hung; a skipped row is no failure."""
        return all(row.status in ("ok", "skipped") for row in self.rows)

    @property
    def summary(self) -> Summary:
        return summarise(self.rows)

    @property
    def verdicts(self) -> list[Verdict]:
        targets = [t for t in self.group.targets if (t.side, t.against) == (self.side, self.against)]
        return [verdict for target in targets for verdict in judge(target, self.rows)]


def not_run(group: Group, side: str, against: str, reason: str, *, group_name: str = "") -> GroupResult:
    """Return the result of a comparison that could not take place."""
    rows = tuple(Row(workload, "skipped", reason) for workload in group.workloads)
    return GroupResult(group, side, against, rows, group_name=group_name)


def summarise(rows: Sequence[Row]) -> Summary:
    """Add up the rows that were timed."""
    count = sum(row.workload.count for row in rows)
    timed = [(row.workload.count, row.timings[0].median, row.timings[1].median) for row in rows if row.timings]
    n_timed = sum(n for n, _, _ in timed)
    if not timed:
        return Summary(count, 0, (0.0, 0.0), None, None)
    ours, theirs = sum(n * a for n, a, _ in timed), sum(n * b for n, _, b in timed)
    geometric_mean = math.exp(sum(n * math.log(a / b) for n, a, b in timed) / n_timed)
    return Summary(count, n_timed, (ours, theirs), ours / theirs, geometric_mean)


def judge(target: Target, rows: Sequence[Row]) -> list[Verdict]:
    """Hold the rows against each limit of the target."""
    summary = summarise(rows)
    peaks = [row.timings[0].peak_bytes if row.timings else None for row in rows]
    limits: list[tuple[str, Unit, float | None, float | None]] = [
        ("sum", "ratio", target.total, summary.total_ratio),
        ("geometric mean", "ratio", target.geometric_mean, summary.geometric_mean),
        ("slowest workload", "ratio", target.each, _largest([row.ratio for row in rows])),
        ("memory of any call", "bytes", target.peak_bytes, _largest(peaks)),
    ]
    medians = {row.workload.name: row.timings[0].median for row in rows if row.timings}
    return [
        *(
            Verdict(what, unit, limit, value if summary.complete else None)
            for what, unit, limit, value in limits
            if limit is not None
        ),
        *(Verdict(name, "seconds", limit, medians.get(name)) for name, limit in target.seconds),
    ]


def _largest(values: Sequence[float | None]) -> float | None:
    """Return the maximum, None if a value is missing."""
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None
