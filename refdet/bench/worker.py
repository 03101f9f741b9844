"""The process of one side: answers requests, one JSON object a line on stdin, with one JSON object a line on stdout.

    python -m refdet.bench.worker SIDE GROUP THREADS DEVICE

It first says `{"versions": …, "threads": …}`, then answers `prepare`, `work`, `outputs`, `memory`, `warm_up` and `time`
until stdin ends. `{"skip": reason}` stands for a workload that the side cannot run, `{"error": message}` for an
exception; after both it goes on. Before an answer there may be lines `{"news": what}`, of a function that is being
compiled. Whatever libraries print goes to stderr, so that stdout carries the answers alone.

A call that takes a second or more is neither repeated within a turn nor preceded by an untimed one: what it reads has
left the caches by the time it ends anyway.
"""

from __future__ import annotations

import gc
import json
import logging
import math
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.bench.groups import find_group
from refdet.bench.sides import Runnable, Side, Unsupported, open_side
from refdet.bench.workloads import Group, Inputs, Workload

MAX_CALLS = 1000  # in one turn
SLOW = 1.0  # seconds


class Worker:
    """A side, and the workload that it has in hand."""

    def __init__(self, side: Side, group: Group) -> None:
        self._side, self._group = side, group
        self._runnable: Runnable | None = None
        self._inputs: Inputs = {}
        self._workload: Workload | None = None
        self._is_slow = False

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what the request names and return what it found."""
        what = request.pop("request")
        if what == "prepare":
            return self._prepare(**request)
        if self._runnable is None:
            raise RuntimeError(f"{what} was asked for before a workload was prepared")
        answers: dict[str, Callable[..., dict[str, Any]]] = {
            "work": self._work,
            "outputs": self._outputs,
            "memory": self._memory,
            "warm_up": self._warm_up,
            "time": self._time,
        }
        return answers[what](self._runnable, **request)

    def _prepare(self, workload: str, seed: int) -> dict[str, Any]:
        self._runnable, self._inputs = None, {}
        self._workload = self._group.workload(workload)
        self._inputs = self._workload.inputs(seed)
        self._runnable = self._side.prepare(self._workload, self._inputs)
        return {}

    def _work(self, runnable: Runnable) -> dict[str, Any]:
        """Count the operations and bytes of the workload, whoever does it."""
        count = self._workload.work if self._workload else None
        return {"work": list(count(self._inputs)) if count else None}

    def _outputs(self, runnable: Runnable, file: str) -> dict[str, Any]:
        """Write the answer to an .npz file: arr_0, arr_1, …"""
        outputs = runnable.outputs(runnable.call())
        np.savez(file, *outputs)
        return {"n_outputs": len(outputs)}

    def _memory(self, runnable: Runnable) -> dict[str, Any]:
        """Measure how much more memory is in use at the worst moment of one call than before it."""
        if not self._side.traces_memory:
            return {"peak_bytes": None}
        gc.collect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            result = runnable.call()
            _, peak = tracemalloc.get_traced_memory()
            del result
        finally:
            tracemalloc.stop()
        return {"peak_bytes": peak - before}

    def _warm_up(self, runnable: Runnable, seconds: float) -> dict[str, Any]:
        """Call until warm; return how long a call takes, and how many take about `seconds`."""
        elapsed = _duration(runnable, 1)
        self._is_slow = elapsed >= SLOW
        if not self._is_slow:
            elapsed = _duration(runnable, 1)
        return {"calls": min(MAX_CALLS, max(1, math.ceil(seconds / elapsed))), "seconds": elapsed}

    def _time(self, runnable: Runnable, calls: int) -> dict[str, Any]:
        """Time `calls` calls in a row, after one that brings the data back into the caches; return their mean."""
        gc.collect()
        gc.disable()
        try:
            if not self._is_slow:
                runnable.call()
            return {"seconds": _duration(runnable, calls) / calls}
        finally:
            gc.enable()


def _duration(runnable: Runnable, calls: int) -> float:
    """Return the seconds that so many calls take."""
    start = time.perf_counter()
    for _ in range(calls):
        runnable.call()
    return max(time.perf_counter() - start, 1e-9)


def thread_pools() -> list[dict[str, Any]]:
    """Return the thread pools that have been loaded into this process, as threadpoolctl finds them if it is there."""
    try:
        from threadpoolctl import threadpool_info  # type: ignore[import-untyped]
    except ImportError:  # in another interpreter
        return []
    keys = ("internal_api", "prefix", "version", "architecture", "num_threads")
    return [{key: pool.get(key) for key in keys} for pool in threadpool_info()]


class _News(logging.Handler):
    """Hands on what the backends announce, which is what they compile."""

    def __init__(self, say: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say({"news": record.getMessage()})


def main(arguments: list[str]) -> None:
    side_name, group_name, threads, device = arguments
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    announcements = logging.getLogger("refdet.backends")
    announcements.setLevel(logging.INFO)
    announcements.addHandler(_News(say))
    try:
        worker = Worker(side := open_side(side_name, int(threads), device), find_group(group_name))
    except Exception as error:
        say({"error": _message(error)})
        return
    say({"versions": dict(side.versions), "threads": thread_pools()})
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Unsupported as reason:
            answer = {"skip": str(reason)}
        except Exception as error:
            answer = {"error": _message(error)}
        say(answer)


def _message(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(sys.argv[1:])
