"""What an implementation under test is asked, and what it may say instead of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refdet.core.check import Array


class Skipped(Exception):  # noqa: N818  nothing went wrong
    """The implementation does not offer what is asked; the message is the reason."""


class Unavailable(Exception):  # noqa: N818
    """The implementation is not installed; the message says what to do."""


@dataclass(frozen=True)
class Question:
    """One case without its answers."""

    id: str
    algorithm: str
    params: Mapping[str, Any]  # Python values
    arguments: Mapping[str, Array | None]  # in the algorithm's order; None where an optional one is absent
    incoming_gradient: Array | None  # None: no gradients are asked for
    outputs: tuple[str, ...]  # what must be answered
    gradients: tuple[str, ...]  # what may be: gradients of arguments,
    stages: tuple[str, ...] = ()  # and what comes between arguments and outputs


@dataclass(frozen=True)
class Outcome:
    """What came back for one case: answers, or why there are none."""

    id: str
    answers: Mapping[str, Array] | None = None
    skipped: str = ""  # the reason
    error: str = ""  # what went wrong
    seconds: float | None = None
