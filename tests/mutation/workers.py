"""Many mutants, in forked processes: one that hangs inside a call to C, or dies, costs its mutant alone."""

from __future__ import annotations

import faulthandler
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

BYTES = 6 * 2**30  # of address space that one process may take
PATIENCE = 300.0  # seconds without an answer, after which a process is given up

Work = Callable[[str], object]


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: str
    since: float


def run_all(
    tasks: Sequence[str], work: Work, *, n_workers: int, patience: float = PATIENCE
) -> Iterator[tuple[str, object]]:
    """Yield every task with what `work` makes of it, as they are done; None where its process hung or died, twice."""
    waiting = list(tasks)
    lost: set[str] = set()
    workers: list[_Worker] = []
    try:
        while waiting or workers:
            while waiting and len(workers) < n_workers:
                workers.append(_started(work, _next(waiting, "", workers)))
            ready = wait([w.pipe for w in workers], timeout=1.0)
            for worker in list(workers):
                if worker.pipe in ready:
                    try:
                        result = worker.pipe.recv()
                    except EOFError:  # it died
                        result = None
                elif time.monotonic() - worker.since > patience:
                    result = None
                else:
                    continue
                if result is None and worker.task not in lost:
                    lost.add(worker.task)
                    waiting.append(worker.task)
                else:
                    yield worker.task, result
                if result is None or not waiting:
                    workers.remove(worker)
                    _stop(worker)
                else:
                    worker.task, worker.since = _next(waiting, worker.task, workers), time.monotonic()
                    worker.pipe.send(worker.task)
    finally:
        for worker in workers:
            _stop(worker)


def _next(waiting: list[str], last: str, workers: Sequence[_Worker]) -> str:
    """Take the next task: of the file of the `last` one, else of a file that no other process is at, else any."""
    busy = {_file(w.task) for w in workers if w.task != last}
    same = [i for i, task in enumerate(waiting) if last and _file(task) == _file(last)]
    free = [i for i, task in enumerate(waiting) if _file(task) not in busy]
    return waiting.pop((same or free or [0])[0])


def _file(task: str) -> str:
    return task.partition(":")[0]


def _started(work: Work, task: str) -> _Worker:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, work), daemon=True)
    process.start()
    theirs.close()
    ours.send(task)
    return _Worker(process, ours, task, time.monotonic())


def _serve(pipe: Connection, work: Work) -> None:
    faulthandler.disable()  # that a mutant dies is an answer
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    parent = multiprocessing.parent_process()
    while parent is not None and parent.is_alive():  # a sibling may hold the other end open, so that no EOF comes
        if pipe.poll(5.0):
            pipe.send(work(pipe.recv()))


def _stop(worker: _Worker) -> None:
    worker.pipe.close()
    worker.process.kill()
    worker.process.join()
