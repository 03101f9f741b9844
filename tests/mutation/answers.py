"""A kernel's answers without its input checks, and under a time limit.

The checks are left out of the program while mutants run: they are not what is measured, and an answer must not depend
on a check that refuses what a mutant hands on.
"""

from __future__ import annotations

import contextlib
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.core.kernel import KERNELS, use_backend
from refdet.verify.forward import run_forward


@dataclass(frozen=True)
class Question:
    """What a kernel is asked."""

    algorithm: str
    arguments: tuple[Array | None, ...]
    params: Mapping[str, Any]
    dy: Array | None  # None: no gradients
    needs: tuple[bool, ...]  # for which arguments


class Overtime(BaseException):
    """The time limit has passed; no `except Exception` of a kernel may catch it."""


def answers_of(question: Question) -> list[Array | None]:
    """Return the outputs, and after them the gradients that are needed."""
    keep = question.dy is not None
    outputs, residual = run_forward(question.algorithm, question.arguments, question.params, keep_residual=keep)
    answers = [None if y is None else np.asarray(y) for y in outputs]
    if question.dy is not None:
        backward = KERNELS[f"{question.algorithm}.backward"]
        gradients = backward(residual, question.dy, needs=question.needs, **question.params)
        pairs = zip(gradients, question.needs, strict=True)
        answers += [None if dx is None else np.asarray(dx) for dx, needed in pairs if needed]
    return answers


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Run references without warnings inside a `with` block."""
    with use_backend("reference"), np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Run kernels without their input checks inside a `with` block."""
    checks: dict[str, Callable[..., object]] = {name: kernel.check for name, kernel in KERNELS.items()}
    try:
        for kernel in KERNELS.values():
            kernel.check = _no_check
        yield
    finally:
        for name, check in checks.items():
            KERNELS[name].check = check


def _no_check(*_: object, **__: object) -> None:
    """Accept everything."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Overtime in a `with` block that computes for longer: processor time, whatever else the machine does.

    In the main thread alone, and not inside a call to C.
    """

    def stop(*_: object) -> None:
        raise Overtime

    before = signal.signal(signal.SIGPROF, stop)
    # again and again, as an exception inside a callback of Python's own goes unheard
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def read_only(x: Array | None) -> Array | None:
    """Forbid writing to an array, so that a mutant cannot change what the next one is asked."""
    if x is not None:
        x.flags.writeable = False
    return x
