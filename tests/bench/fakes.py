"""A tiny group of workloads and sides that go wrong in every way, to be named as tests.bench.fakes:X."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from refdet.bench.sides import RefdetSide, Runnable, Unsupported
from refdet.bench.workloads import Group, Inputs, Target, Work, Workload

SIDES = "tests.bench.fakes:"


def _make_inputs(rng: np.random.Generator) -> Inputs:
    return {"x": rng.standard_normal((2, 3)), "y": rng.standard_normal((2, 3))}


def _workload(name: str, count: int = 1) -> Workload:
    return Workload(name, "2 × 3 sums", "add.forward", _make_inputs, {}, tolerance=1e-6, count=count)


TINY = Group(
    "tiny",
    "Three additions",
    (_workload("first"), _workload("second", count=3), _workload("third")),
    (Target("a", "b", total=1.0, geometric_mean=1.0, each=2.0, peak_bytes=1000),),
)


class Numpy:
    """Adds correctly, except where a subclass says otherwise."""

    versions: Mapping[str, str] = {"numpy": np.__version__}
    traces_memory = True

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        x, y = inputs["x"], inputs["y"]
        if x is None or y is None:
            raise Unsupported("both operands are needed")
        return Runnable(lambda: self.add(workload.name, x, y), lambda result: [result])

    def add(self, name: str, x: Any, y: Any) -> Any:
        return x + y


class Wrong(Numpy):
    def add(self, name: str, x: Any, y: Any) -> Any:
        z = x + y
        if name == "second":
            z[1, 2] += 0.5
        return z


class Crashing(Numpy):
    def add(self, name: str, x: Any, y: Any) -> Any:
        if name == "second":
            os.write(2, b"about to fall over\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return x + y


class Hanging(Numpy):
    def add(self, name: str, x: Any, y: Any) -> Any:
        if name == "second":
            time.sleep(600)
        return x + y


class Raising(Numpy):
    def add(self, name: str, x: Any, y: Any) -> Any:
        if name == "second":
            raise ZeroDivisionError("as asked")
        return x + y


class Unable(Numpy):
    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        if workload.name == "second":
            raise Unsupported("no second additions here")
        return super().prepare(workload, inputs)


class Talkative(Numpy):
    def add(self, name: str, x: Any, y: Any) -> Any:
        print("this is not an answer")
        os.write(1, b"neither is this\n")
        return x + y


class Threads(Numpy):
    """States the environment that it found when it started."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        self.versions = {"threads": str(threads), **{name: os.environ.get(name, "") for name in names}}
        self.versions["MALLOC_MMAP_MAX_"] = os.environ.get("MALLOC_MMAP_MAX_", "")
        self.versions["path"] = os.environ.get("PYTHONPATH", "")


class Compiling(Numpy):
    """Says twice, as a backend does, that it compiles, the first time that it is called."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        self._is_compiled = False

    def add(self, name: str, x: Any, y: Any) -> Any:
        for part in () if self._is_compiled else range(2):
            logging.getLogger("refdet.backends").info("compiling part %d (once)", part)
        self._is_compiled = True
        return x + y


def refuses_to_start(threads: int) -> RefdetSide:
    raise RuntimeError("not today")


DEMANDING = Group("demanding", TINY.title, TINY.workloads, (Target(SIDES + "Unable", "reference", total=1.0),))
COUNTED = Group(
    "counted",
    "Additions of which the work is stated",
    tuple(dataclasses.replace(workload, work=lambda inputs: Work(6, 144)) for workload in TINY.workloads),
)
