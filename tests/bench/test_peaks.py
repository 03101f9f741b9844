"""The machine's own peaks, and the rates that are held against them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from refdet.bench import peaks
from refdet.bench.peaks import Peaks, on_cpu
from refdet.bench.rates import intensity, rates
from refdet.bench.results import Row, Timing
from refdet.bench.workloads import Work
from tests.bench.fakes import TINY

MACHINE = Peaks(100.0, 20.0, {"8": 100.0}, {"1": 20.0}, {"1": 15.0})  # a ridge at 5 operations a byte
TIMINGS = (Timing((0.5,), 1, None), Timing((2.0,), 1, None))


def row(work: Work | None) -> Row:
    return Row(TINY.workloads[0], "ok", "", 0.0, TIMINGS, work)


def test_peaks_are_the_best_of_all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peaks, "ORDERS", (8, 16))
    monkeypatch.setattr(peaks, "MEBIBYTES", (1, 2))
    monkeypatch.setattr(peaks, "REPEATS", 1)
    found = on_cpu(2)
    assert list(found.sgemm) == ["8", "16"]
    assert list(found.copy) == list(found.triad) == ["1", "2"]
    assert found.gflops == max(found.sgemm.values()) > 0
    assert found.gbytes == max(*found.copy.values(), *found.triad.values()) > 0


def test_copy_and_triad_move_what_they_say() -> None:
    arrays = np.arange(3.0 * 40_000).reshape(3, 40_000).astype(np.float32)
    peaks._copy(moved := arrays.copy())
    np.testing.assert_array_equal(moved[0], arrays[1])
    peaks._triad(moved := arrays.copy())
    np.testing.assert_array_equal(moved[0], arrays[1] + 3 * arrays[2])
    np.testing.assert_array_equal(moved[1:], arrays[1:])


def test_what_cannot_be_measured_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert peaks.measure_peaks(1) is None


def test_rates_are_in_the_unit_of_what_limits() -> None:
    """Above 5 operations a byte it is arithmetic: 10 GFLOP in 0.5 s and in 2 s; below, memory: 1 GB."""
    computing = rates(row(Work(10 * 10**9, 10**9)), MACHINE)
    assert computing is not None
    assert computing.shares == (0.2, 0.05)
    assert computing == ("GFLOP/s", 20.0, 5.0, 100.0)
    moving = rates(row(Work(2 * 10**9, 10**9)), MACHINE)
    assert moving == ("GB/s", 2.0, 0.5, 20.0)
    assert intensity(Work(2 * 10**9, 10**9)) == 2.0


def test_no_rate_without_work_or_times_and_no_share_without_peaks() -> None:
    assert rates(row(None), MACHINE) is None
    assert rates(Row(TINY.workloads[0], "skipped", "why", work=Work(1, 1)), MACHINE) is None
    found = rates(row(Work(2 * 10**9, 10**9)), None)
    assert found is not None
    assert (found.unit, found.shares) == ("GFLOP/s", None)
