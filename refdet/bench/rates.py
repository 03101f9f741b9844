"""Effective rates: the work that a definition asks for, over the time that a side took, beside the machine's peak."""

from __future__ import annotations

from typing import NamedTuple

from refdet.bench.peaks import Peaks
from refdet.bench.results import Row
from refdet.bench.workloads import Work


class Rates(NamedTuple):
    """How fast both sides were, in the unit of what limits the work."""

    unit: str  # GFLOP/s, or GB/s where moving memory takes longer than computing
    ours: float
    theirs: float
    peak: float | None  # of the machine, None if it was not measured

    @property
    def shares(self) -> tuple[float, float] | None:
        """Both as shares of the peak; more than 1 for who needs less work than the definition asks for."""
        return None if self.peak is None else (self.ours / self.peak, self.theirs / self.peak)


def intensity(work: Work) -> float:
    """Return how many operations there are for each byte."""
    return work.flops / work.bytes


def is_bound_by_memory(work: Work, peaks: Peaks | None) -> bool:
    """Say whether moving the bytes takes longer than the operations, at the peaks."""
    return peaks is not None and intensity(work) < peaks.ridge


def rates(row: Row, peaks: Peaks | None) -> Rates | None:
    """Return the rates of a row, None where there are no times or the work is not stated."""
    if row.work is None or row.timings is None:
        return None
    ours, theirs = (timing.median for timing in row.timings)
    if is_bound_by_memory(row.work, peaks):
        giga, unit, peak = row.work.bytes / 1e9, "GB/s", peaks.gbytes if peaks else None
    else:
        giga, unit, peak = row.work.flops / 1e9, "GFLOP/s", peaks.gflops if peaks else None
    return Rates(unit, giga / ours, giga / theirs, peak)
