"""Differences, intervals and verdicts in words, the same in the tables and on the pictures of all experiments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from refdet.reproduce.paired import PairedDifference

MINIATURE = "MINIATURE: a trial of all the pieces; its figures mean nothing"


class Judged(Protocol):
    """What an experiment says of a claim."""

    @property
    def difference(self) -> PairedDifference:
        """Return what was measured."""

    @property
    def holds(self) -> bool:
        """Return whether the claim does."""


def points(share: float) -> str:
    """Return a difference of shares in points of a per cent, with its sign.

    >>> points(0.0123), points(-0.2)
    ('+1.2', '−20.0')
    """
    return f"{100 * share:+.1f}".replace("-", "−")


def interval(judged: Judged, form: Callable[[float], str] = points) -> str:
    """Return the interval in words; one seed has none."""
    _, low, high, n = judged.difference
    return "none" if n == 1 else f"{form(low)} … {form(high)}"


def judgement(judged: Judged, *, miniature: bool) -> str:
    """Return "held" or "not held"; "no verdict" from a miniature run or from a single seed."""
    if miniature or judged.difference.n == 1:
        return "no verdict"
    return "held" if judged.holds else "not held"
