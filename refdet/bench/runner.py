"""How a comparison runs.

For each workload: both sides prepare the same inputs; both compute the answer once and the answers are compared; only
if they agree, memory is measured in a call of its own, both sides warm up, and then they take turns, A B A B. A turn is
an untimed call followed by as many timed ones as take about `TURN_SECONDS`. Between turns there is a pause, because
idle threads of OpenBLAS and OpenMP spin for some time after their work and would slow the other side.

Whatever goes wrong with a side stands in the row where it happened; the other rows run as usual.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from refdet.bench.agreement import Agreement, compare
from refdet.bench.contestant import Contestant, Process, SideError
from refdet.bench.results import GroupResult, Row, Timing
from refdet.bench.sides import Unsupported
from refdet.bench.workloads import Group, Workload

TURN_SECONDS = 0.05

Progress = Callable[[float, str], None]  # workloads done so far, as a fraction too, and what is being done


@dataclass(frozen=True)
class Settings:
    threads: int = 2
    repeats: int = 7
    seed: int = 0
    time_limit: float = 120.0  # seconds that a side may take for one answer
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
    if start is None:

        def start(name: str) -> Contestant:
            return Process(name, group_name, threads=settings.threads, time_limit=settings.time_limit)

    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(closing(start(name))) for name in (side, against))
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="refdet-bench-")))
        rows = []
        for i, workload in enumerate(group.workloads):

            def advance(share: float, i: int = i, name: str = workload.name) -> None:
                progress(i + share, name)

            rows.append(_row(workload, (ours, theirs), settings, scratch, advance))
        progress(len(group.workloads), group.name)
        return GroupResult(group, side, against, tuple(rows), (ours.greeting(), theirs.greeting()))


def _row(
    workload: Workload,
    sides: tuple[Contestant, Contestant],
    settings: Settings,
    scratch: Path,
    advance: Callable[[float], None],
) -> Row:
    advance(0)
    difference = None
    try:
        for contestant in sides:
            contestant.ask("prepare", workload=workload.name, seed=settings.seed)
        agreement = _agreement(workload, sides, scratch)
        difference = agreement.difference
        if agreement.problem is not None:
            return Row(workload, "disagrees", agreement.problem, difference)
        return Row(workload, "ok", "", difference, _timings(sides, settings, advance))
    except Unsupported as reason:
        return Row(workload, "skipped", str(reason), difference)
    except SideError as error:
        return Row(workload, "failed", str(error), difference)


def _agreement(workload: Workload, sides: tuple[Contestant, Contestant], scratch: Path) -> Agreement:
    outputs = []
    for i, contestant in enumerate(sides):
        file = scratch / f"side{i}.npz"
        n_outputs = contestant.ask("outputs", file=str(file))["n_outputs"]
        with np.load(file) as archive:
            outputs.append([archive[f"arr_{k}"] for k in range(n_outputs)])
    return compare(outputs[0], outputs[1], workload.tolerance)


def _timings(
    sides: tuple[Contestant, Contestant], settings: Settings, advance: Callable[[float], None]
) -> tuple[Timing, Timing]:
    peaks = [contestant.ask("memory")["peak_bytes"] for contestant in sides]
    calls = []
    for contestant in sides:
        time.sleep(settings.pause)
        calls.append(int(contestant.ask("warm_up", seconds=TURN_SECONDS)["calls"]))
    samples: tuple[list[float], list[float]] = ([], [])
    for turn in range(settings.repeats):
        for i, contestant in enumerate(sides):
            time.sleep(settings.pause)
            samples[i].append(float(contestant.ask("time", calls=calls[i])["seconds"]))
        advance((turn + 1) / (settings.repeats + 1))
    ours, theirs = (Timing(tuple(samples[i]), calls[i], peaks[i]) for i in (0, 1))
    return ours, theirs
