"""What the adapters share: a table from algorithms to functions, and the reasons to skip.

A function of the table takes the question and returns answers. It says with `need` and `only` which parameters its
library has no word for. Where a library refuses what it is asked, that is a skip too, with the library's own words.
"""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.adapters import Adapter
from refdet.verify.question import Question, Skipped, Unavailable

Answers = Mapping[str, Array]
Function = Callable[[Question], Answers]


def table_adapter(
    name: str,
    versions: Mapping[str, str],
    functions: Mapping[str, Function],
    refusals: tuple[type[Exception], ...] = (),
) -> Adapter:
    """Return the adapter that answers from a table; `refusals` are what the library raises for what it does not do."""

    def answer(question: Question) -> Answers:
        if question.algorithm not in functions:
            raise Skipped(f"{name} has no {question.algorithm}")
        try:
            return functions[question.algorithm](question)
        except refusals as error:
            raise Skipped(f"{name} refuses: {first_line(error)}") from error

    return Adapter(name, versions, answer)


def first_line(error: Exception, limit: int = 160) -> str:
    """Return what the message begins with, without the places in a library's source that some put first."""
    text = re.sub(r"\S*/\S+(:\d+|\.(cc|cpp|h))\S*:? ?", "", str(error))
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:limit]


def import_library(module: str, advice: str) -> Any:
    """Import a library; `advice` says how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Unavailable(f"{module} does not import ({error}); {advice}") from error


def no_argument(name: str, argument: str) -> None:
    """Refuse `name:argument` where nothing may follow the name."""
    if argument:
        raise LookupError(f"the adapter {name!r} takes no argument, got {argument!r}")


def need(condition: object, reason: str) -> None:
    """Skip for that reason unless the condition holds."""
    if not condition:
        raise Skipped(reason)


def only(library: str, question: Question, **allowed: Any) -> None:
    """Skip unless each parameter has the value, or one of the values in a list, that the library implements."""
    for name, values in allowed.items():
        given = question.params[name]
        if given not in (values if isinstance(values, list) else [values]):
            raise Skipped(f"{library} has no {name}={given!r}")


def same_ends(library: str, padding: tuple[tuple[int, int], tuple[int, int]]) -> tuple[int, int]:
    """Return (vertical, horizontal) padding for a library that pads both ends of an axis alike."""
    need(all(before == after for before, after in padding), f"{library} pads both ends of an axis alike, not {padding}")
    return padding[0][0], padding[1][0]


def array(question: Question, name: str) -> Array:
    """Return an argument that is never absent."""
    x = question.arguments[name]
    if x is None:
        raise ValueError(f"{question.id}: the argument {name} is absent")
    return x


def scale_of(question: Question) -> tuple[float, float] | None:
    """Return 1/ratio where a resize is by a scale, None where it is by the sizes of input and output alone."""
    n_in, n_out = array(question, "x").shape[2:], question.params["size"]
    coordinates, ratio = question.params["coordinates"], question.params["ratio"]
    if coordinates == "align_corners" or ratio == tuple(a / b for a, b in zip(n_in, n_out, strict=True)):
        return None
    return 1 / ratio[0], 1 / ratio[1]


def binary(function: Callable[[Any, Any], Any]) -> Function:
    """Return the answer of a function of two arrays."""
    return lambda q: {q.outputs[0]: function(array(q, "x"), array(q, "y"))}


def unary(function: Callable[[Any], Any]) -> Function:
    """Return the answer of a function of one array."""
    return lambda q: {q.outputs[0]: function(array(q, "x"))}


def with_library(function: Callable[[Any, Question], Answers], library: Any) -> Function:
    """Return a function of the question alone."""
    return functools.partial(function, library)


def xywh(boxes: Array) -> Array:
    """Return boxes (x1, y1, x2, y2) as (x, y, w, h)."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
