"""Ask an implementation in this process, case by case: whatever happens lands on the case that was asked."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.adapters import Adapter
from refdet.verify.question import Outcome, Question, Skipped
from refdet.verify.suite import StoredCase


class TimeLimitError(BaseException):  # no Exception, so that an adapter which catches those does not catch this one
    """An answer took too long."""


def question_of(case: StoredCase) -> Question:
    """Return what is asked: the case without its answers, as copies, which whoever answers may write to."""
    by_role: dict[str, list[str]] = {}
    for tensor in case.entry["tensors"]:
        by_role.setdefault(tensor["role"], []).append(tensor["name"])
    return Question(
        case.id,
        case.algorithm,
        case.params,
        {name: _copy(x) for name, x in zip(case.entry["arguments"], case.arguments, strict=True)},
        _copy(case.incoming_gradient),
        tuple(by_role.get("expected", ())),
        tuple(by_role.get("grad", ())),
        tuple(by_role.get("trace", ())),
    )


def _copy(x: Array | None) -> Array | None:
    return None if x is None else x.copy()


def ask_adapter(adapter: Adapter, questions: Sequence[Question], *, time_limit: float = 30.0) -> Iterator[Outcome]:
    """Yield one outcome for each question, in order."""
    for question in questions:
        started = time.perf_counter()
        try:
            with limited(time_limit), np.errstate(all="ignore"):
                answers = as_arrays(adapter.answer(question))
            outcome = Outcome(question.id, answers, seconds=time.perf_counter() - started)
        except Skipped as reason:
            outcome = Outcome(question.id, skipped=str(reason) or "no reason given")
        except TimeLimitError:
            outcome = Outcome(question.id, error=f"no answer within {time_limit:g} s")
        except NotImplementedError as error:  # what Python programmers write where others raise Skipped
            outcome = Outcome(question.id, skipped=str(error) or "not implemented")
        except SystemExit as error:
            outcome = Outcome(question.id, error=f"it called exit({error.code!r}), which would end refdet too")
        except Exception as error:  # of whatever implementation
            outcome = Outcome(question.id, error=sentence_of(error))
        yield outcome


def sentence_of(error: Exception) -> str:
    """Return what a stranger's error says, or its kind alone where it cannot say it."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # its own __str__
        return type(error).__name__


def as_arrays(answers: Any) -> dict[str, Array]:
    """Return answers as arrays by name; refuse what is no mapping of names to numbers."""
    if not isinstance(answers, Mapping):
        raise TypeError(f"the answer must map names to arrays, got {type(answers).__name__}")
    arrays = {str(name): np.asarray(x) for name, x in answers.items() if x is not None}
    for name, x in arrays.items():
        if x.dtype.kind not in "biuf":
            raise TypeError(f"{name} must be an array of numbers, got {x.dtype} {x.shape}")
    return arrays


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitError` inside a `with` block that takes longer, where the system and the thread allow it."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def give_up(*_: object) -> None:
        raise TimeLimitError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
