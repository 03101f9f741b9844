"""How a comparison runs.

For each workload: both sides prepare the same inputs; both compute the answer once and the answers are compared; only
if they agree, memory is measured in a call of its own, both sides warm up, and then they take turns, A B A B. A turn is
an untimed call followed by as many timed ones as take about `TURN_SECONDS`; where a call takes long, a turn is one
call, and there are fewer turns, though at least `FEWEST_TURNS`. Between turns there is a pause, because idle threads of
OpenBLAS and OpenMP spin for some time after their work and would slow the other side.

Whatever goes wrong with a side stands in the row where it happened; the other rows run as usual.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from refdet.bench.agreement import Agreement, compare
from refdet.bench.contestant import Contestant, Process, SideError
from refdet.bench.results import GroupResult, Row, Timing
from refdet.bench.sides import Unsupported
from refdet.bench.workloads import Group, Work, Workload

TURN_SECONDS = 0.05
FEWEST_TURNS = 3  # where more would take longer than TURNS_SECONDS
TURNS_SECONDS = 60.0

Progress = Callable[[float, str], None]  # workloads done so far, as a fraction too, and what is being done


@dataclass(frozen=True)
class Settings:
    threads: int = 2
    repeats: int = 7
    seed: int = 0
    time_limit: float = 300.0  # seconds that a side may take for one answer
    device: str = "cpu"  # or "cuda": where the libraries compute that can choose
    interpreters: Mapping[str, str] = field(default_factory=dict)  # of sides that are asked in another than this
    pause: float = 0.05  # seconds between turns; OpenBLAS's idle threads spin for 2^26 cycles, about 0.03 s


def run_group(
    group: Group,
    group_name: str,
    side: str,
    against: str,
    settings: Settings,
    *,
    start: Callable[[str], Contestant] | None = None,
    progress: Progress = lambda done, what: None,
) -> GroupResult:
    """Compare two sides on every workload of a group; `group_name` is how their processes find it."""
    news: list[Callable[[str], None]] = [lambda what: None]  # tells what is going on, in the row that is being timed
    if start is None:

        def start(name: str) -> Contestant:
            return Process(
                name,
                group_name,
                threads=settings.threads,
                time_limit=settings.time_limit,
                device=settings.device,
                executable=settings.interpreters.get(name),
                on_news=lambda what: news[0](what),
            )

    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(closing(start(name))) for name in (side, against))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="refdet-bench-")))
        rows = []
        for i, workload in enumerate(group.workloads):
            advance = _Advance(progress, i, workload.name)
            news[0] = advance.say
            rows.append(_row(workload, (ours, theirs), settings, scratch, advance))
        progress(len(group.workloads), group.name)
        return GroupResult(group, side, against, tuple(rows), (ours.greeting(), theirs.greeting()), group_name)


class _Advance:
    """Tells how far the row of one workload has come."""

    def __init__(self, progress: Progress, done: int, workload: str) -> None:
        self._progress, self._done, self._workload, self._share = progress, done, workload, 0.0

    def __call__(self, share: float, what: str) -> None:
        self._share = share
        self.say(what)

    def say(self, what: str) -> None:
        self._progress(self._done + self._share, f"{self._workload}  {what}")


def _row(
    workload: Workload, sides: tuple[Contestant, Contestant], settings: Settings, scratch: Path, advance: _Advance
) -> Row:
    difference = None
    try:
        for contestant in sides:
            advance(0, f"{contestant.name} makes the inputs")
            contestant.ask("prepare", workload=workload.name, seed=settings.seed)
        work = sides[0].ask("work")["work"]
        agreement = _agreement(workload, sides, scratch, advance)
        difference = agreement.difference
        if agreement.problem is not None:
            return Row(workload, "disagrees", agreement.problem, difference)
        timings = _timings(sides, settings, advance)
        return Row(workload, "ok", "", difference, timings, Work(*work) if work else None)
    except Unsupported as reason:
        return Row(workload, "skipped", str(reason), difference)
    except SideError as error:
        return Row(workload, "failed", str(error), difference)


def _agreement(workload: Workload, sides: tuple[Contestant, Contestant], scratch: Path, advance: _Advance) -> Agreement:
    outputs = []
    for i, contestant in enumerate(sides):
        advance(0, f"{contestant.name} answers, to be compared")
        file = scratch / f"side{i}.npz"
        n_outputs = contestant.ask("outputs", file=str(file))["n_outputs"]
        with np.load(file) as archive:
            outputs.append([archive[f"arr_{k}"] for k in range(n_outputs)])
        file.unlink()
    return compare(outputs[0], outputs[1], workload.tolerance)


def _timings(sides: tuple[Contestant, Contestant], settings: Settings, advance: _Advance) -> tuple[Timing, Timing]:
    peaks = [contestant.ask("memory")["peak_bytes"] for contestant in sides]
    calls, seconds = [], 0.0
    for contestant in sides:
        advance(0, f"{contestant.name} warms up")
        time.sleep(settings.pause)
        warm = contestant.ask("warm_up", seconds=TURN_SECONDS)
        calls.append(int(warm["calls"]))
        seconds += calls[-1] * float(warm["seconds"])
    n_turns = turns(settings.repeats, seconds)
    samples: tuple[list[float], list[float]] = ([], [])
    for turn in range(n_turns):
        for i, contestant in enumerate(sides):
            advance((2 * turn + i + 1) / (2 * n_turns + 1), f"turn {turn + 1} of {n_turns}: {contestant.name}")
            time.sleep(settings.pause)
            samples[i].append(float(contestant.ask("time", calls=calls[i])["seconds"]))
    ours, theirs = (Timing(tuple(samples[i]), calls[i], peaks[i]) for i in (0, 1))
    return ours, theirs


def turns(repeats: int, seconds: float) -> int:
    """Return how many turns each side takes, where one of both takes so many seconds.

    >>> turns(7, 0.1), turns(7, 15.0), turns(7, 90.0), turns(1, 90.0)
    (7, 4, 3, 1)
    """
    return min(repeats, max(FEWEST_TURNS, int(TURNS_SECONDS / seconds)))
