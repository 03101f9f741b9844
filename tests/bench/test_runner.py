"""The order of a comparison, and what becomes of sides that go wrong. No test looks at a clock."""

from __future__ import annotations

import os
import queue
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.bench import worker
from refdet.bench.contestant import Process, SideError, with_refdet_alone
from refdet.bench.results import GroupResult
from refdet.bench.runner import Settings, run_group, turns
from refdet.bench.workloads import Group
from tests.bench.fakes import SIDES, TINY, Numpy

SETTINGS = Settings(repeats=3, pause=0.0, time_limit=60.0)


class Scripted:
    """Answers without a process: outputs of ones, and the timings that it was given."""

    def __init__(self, name: str, log: list[tuple[str, str]], timings: list[float], peak: int | None) -> None:
        self.name, self._log, self._timings, self._peak = name, log, list(timings), peak

    def ask(self, request: str, **details: Any) -> dict[str, Any]:
        self._log.append((self.name, request))
        if request == "outputs":
            np.savez(details["file"], np.ones(2))
            return {"n_outputs": 1}
        if request == "time":
            assert details["calls"] == 5
            return {"seconds": self._timings.pop(0)}
        answers: dict[str, dict[str, Any]] = {
            "prepare": {},
            "work": {"work": [2 * 10**9, 10**9]},
            "memory": {"peak_bytes": self._peak},
            "warm_up": {"calls": 5, "seconds": 0.01},
        }
        return answers[request]

    def greeting(self) -> dict[str, Any]:
        return {"versions": {"library": "1.0"}, "threads": []}

    def close(self) -> None:
        self._log.append((self.name, "close"))


def scripted_result(log: list[tuple[str, str]], *, peak: int | None = 900) -> GroupResult:
    """Medians 2, 3, 8 against 4, 3, 2 (counts 1, 3, 1)."""
    timings = {"a": [9.0, 2.0, 1.0, 3.0, 3.0, 3.0, 8.0, 8.0, 7.0], "b": [4.0, 4.0, 4.0, 3.0, 2.0, 9.0, 2.0, 2.0, 2.0]}
    return run_group(
        TINY,
        "tiny",
        "a",
        "b",
        SETTINGS,
        start=lambda name: Scripted(name, log, timings[name], peak if name == "a" else None),
    )


def test_sides_take_turns_after_agreement_memory_and_warm_up() -> None:
    log: list[tuple[str, str]] = []
    scripted_result(log)
    steps = ["outputs", "memory", "warm_up", "time", "time", "time"]
    first = [("a", "prepare"), ("b", "prepare"), ("a", "work")]  # the work does not depend on who does it
    per_row = [*first, *((side, step) for step in steps for side in "ab")]
    assert log == per_row * 3 + [("b", "close"), ("a", "close")]


def test_medians_ratios_and_sums() -> None:
    result = scripted_result([])
    assert [[t.median for t in row.timings or ()] for row in result.rows] == [[2, 4], [3, 3], [8, 2]]
    assert [row.ratio for row in result.rows] == [0.5, 1.0, 4.0]
    assert [row.work for row in result.rows] == [(2 * 10**9, 10**9)] * 3
    assert result.rows[0].timings is not None
    assert result.rows[0].timings[0].spread == (5.5 - 1.5) / 2  # quartiles of 1, 2, 9
    summary = result.summary
    assert (summary.count, summary.timed, summary.complete) == (5, 5, True)
    assert summary.totals == (2 + 3 * 3 + 8, 4 + 3 * 3 + 2)
    assert summary.total_ratio == 19 / 15
    assert summary.geometric_mean == pytest.approx((0.5 * 1 * 1 * 1 * 4) ** (1 / 5))


def test_targets() -> None:
    verdicts = scripted_result([]).verdicts
    assert [(v.what, v.verdict) for v in verdicts] == [
        ("sum", "missed"),  # 19/15 > 1
        ("geometric mean", "missed"),
        ("slowest workload", "missed"),
        ("memory of any call", "met"),
    ]
    assert scripted_result([], peak=1000).verdicts[-1].verdict == "met"
    assert scripted_result([], peak=1001).verdicts[-1].verdict == "missed"
    assert scripted_result([], peak=None).verdicts[-1].verdict == "not measured"


def test_targets_of_another_pair_of_sides_do_not_apply() -> None:
    log: list[tuple[str, str]] = []
    result = run_group(TINY, "", "b", "a", SETTINGS, start=lambda name: Scripted(name, log, [1.0] * 9, None))
    assert result.verdicts == []


def run(side: str, against: str = "reference", *, time_limit: float = 60.0, group: Group = TINY) -> GroupResult:
    settings = Settings(threads=1, repeats=1, pause=0.0, time_limit=time_limit)
    return run_group(group, SIDES + "TINY", side, against, settings)


def statuses(result: GroupResult) -> list[str]:
    return [row.status for row in result.rows]


def test_sides_in_processes_of_their_own() -> None:
    result = run(SIDES + "Talkative")
    assert statuses(result) == ["ok", "ok", "ok"]
    assert result.agrees
    assert [row.difference for row in result.rows] == [0.0, 0.0, 0.0]
    ours, theirs = result.rows[0].timings or (None, None)
    assert ours is not None
    assert theirs is not None
    assert len(ours.samples) == len(theirs.samples) == 1
    assert theirs.peak_bytes is not None
    assert theirs.peak_bytes >= 2 * 3 * 8  # the reference's output


def test_a_wrong_side_gets_no_ratio() -> None:
    result = run(SIDES + "Wrong")
    assert statuses(result) == ["ok", "disagrees", "ok"]
    row = result.rows[1]
    assert (row.ratio, row.timings) == (None, None)
    assert row.difference is not None
    assert "output 0 differs by" in row.note
    assert "worst at (1, 2)" in row.note
    assert not result.agrees
    assert (result.summary.count, result.summary.timed) == (5, 2)


def test_a_crash_stands_in_its_row() -> None:
    result = run(SIDES + "Crashing")
    assert statuses(result) == ["ok", "failed", "ok"]
    assert result.rows[1].note == f"{SIDES}Crashing: crashed with signal SIGKILL: about to fall over"
    assert not result.agrees


def test_a_hang_stands_in_its_row() -> None:
    result = run("reference", SIDES + "Hanging", time_limit=4.0)
    assert statuses(result) == ["ok", "failed", "ok"]
    assert result.rows[1].note == f"{SIDES}Hanging: no answer to 'outputs' within 4 s; ended"


def test_an_exception_stands_in_its_row() -> None:
    result = run(SIDES + "Raising")
    assert statuses(result) == ["ok", "failed", "ok"]
    assert result.rows[1].note == f"{SIDES}Raising: ZeroDivisionError: as asked"


def test_a_side_may_skip_a_workload() -> None:
    result = run(SIDES + "Unable")
    assert statuses(result) == ["ok", "skipped", "ok"]
    assert result.rows[1].note == f"{SIDES}Unable: no second additions here"
    assert result.agrees


def test_a_side_that_cannot_start_is_started_once() -> None:
    result = run(SIDES + "refuses_to_start")
    assert {row.note for row in result.rows} == {f"{SIDES}refuses_to_start: RuntimeError: not today"}
    assert statuses(result) == ["failed"] * 3
    assert result.summary.total_ratio is None


def test_where_a_call_takes_long_there_are_fewer_turns() -> None:
    """60 seconds of turns, but three of them at least, and never more than were asked for."""
    assert [turns(7, seconds) for seconds in (0.1, 8.5, 12.0, 20.0, 200.0)] == [7, 7, 5, 3, 3]
    assert [turns(repeats, 200.0) for repeats in (1, 2)] == [1, 2]


def test_a_slow_call_is_not_repeated_within_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "SLOW", 0.0)
    made: list[str] = []
    slow = worker.Worker(Numpy(1), TINY)
    slow.answer({"request": "prepare", "workload": "first", "seed": 0})
    runnable = slow._runnable
    assert runnable is not None
    slow._runnable = runnable._replace(call=lambda: made.append("call"))
    assert slow.answer({"request": "warm_up", "seconds": 0.0})["calls"] == 1
    slow.answer({"request": "time", "calls": 1})
    assert len(made) == 2
    monkeypatch.setattr(worker, "SLOW", 1e9)
    slow.answer({"request": "warm_up", "seconds": 0.0})
    slow.answer({"request": "time", "calls": 3})
    assert len(made) == 2 + 2 + 1 + 3


def test_news_of_compiling_is_told() -> None:
    told: list[str] = []
    settings = Settings(threads=1, repeats=1, pause=0.0, time_limit=60.0)
    ours = SIDES + "Compiling"
    result = run_group(TINY, SIDES + "TINY", ours, "reference", settings, progress=lambda done, what: told.append(what))
    assert statuses(result) == ["ok"] * 3
    first = told[: told.index(f"second  {ours} makes the inputs")]
    assert first.index(f"first  {ours}: compiling part 1 (once)") == 1 + first.index(
        f"first  {ours}: compiling part 0 (once)"
    )
    assert f"first  {ours} answers, to be compared" in first
    assert f"first  turn 1 of 1: {ours}" in first


def test_the_time_limit_begins_anew_with_each_piece_of_news() -> None:
    """It is what each line is waited for; three lines of news before the answer are four times the limit at most."""
    waited: list[float] = []

    class Lines(queue.Queue[str | None]):
        def get(self, block: bool = True, timeout: float | None = None) -> str | None:
            waited.append(timeout or 0.0)
            return super().get(block, 0)

    told: list[str] = []
    process = Process("a", "tiny", threads=1, time_limit=5.0, on_news=told.append)
    process._lines = Lines()
    for k in range(3):
        process._lines.put(f'{{"news": "compiling part {k}"}}\n')
    process._lines.put('{"calls": 7}\n')
    assert process._answer("warm_up") == {"calls": 7}
    assert told == [f"a: compiling part {k}" for k in range(3)]
    assert waited == [5.0] * 4


def test_another_interpreter_finds_this_refdet_alone(tmp_path: Path) -> None:
    """A link to it is put before the path, not the folder that it lies in and all that is installed there."""
    environment = with_refdet_alone({"PYTHONPATH": "/mine"}, tmp_path)
    assert environment["PYTHONPATH"] == os.pathsep.join([str(tmp_path), "/mine"])
    assert [file.name for file in tmp_path.iterdir()] == ["refdet"]
    assert (tmp_path / "refdet" / "bench" / "worker.py").is_file()


def test_a_side_in_another_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(threads=1, repeats=1, pause=0.0, interpreters={SIDES + "Threads": sys.executable})
    result = run_group(TINY, SIDES + "TINY", SIDES + "Threads", "reference", settings)
    assert statuses(result) == ["ok"] * 3
    assert "refdet-alone-" in result.greetings[0]["versions"]["path"].split(os.pathsep)[0]


def test_an_interpreter_that_does_not_exist_stands_in_every_row() -> None:
    settings = Settings(threads=1, repeats=1, pause=0.0, interpreters={SIDES + "Numpy": "/nowhere/python"})
    result = run_group(TINY, SIDES + "TINY", SIDES + "Numpy", "reference", settings)
    sentence = f"{SIDES}Numpy: cannot start /nowhere/python: No such file or directory"
    assert {row.note for row in result.rows} == {sentence}


def test_threads_and_allocator_are_in_the_environment_before_the_side_opens() -> None:
    process = Process(SIDES + "Threads", SIDES + "TINY", threads=1, time_limit=60.0)
    try:
        process.ask("prepare", workload="first", seed=0)
        names = ("threads", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        stated = dict(process.greeting()["versions"])
        stated.pop("path")
        assert stated == dict.fromkeys(names, "1") | {"MALLOC_MMAP_MAX_": "0"}
        assert all(pool["num_threads"] == 1 for pool in process.greeting()["threads"])
        with pytest.raises(SideError, match="KeyError: 'nonsense'"):
            process.ask("nonsense")
    finally:
        process.close()
