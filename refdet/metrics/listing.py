"""Figures with their names, as few lines of text: what the results of evaluations print."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

WIDTH = 100  # of a line
MOST = 20  # entries; the classes of VOC are as many
JOINED = "\N{NO-BREAK SPACE}"  # within an entry, where no line may end


def counted(n: int, one: str, several: str) -> str:
    """Return a number with the word for what is counted.

    >>> counted(1, "class", "classes"), counted(0, "class", "classes")
    ('1 class', '0 classes')
    """
    return f"{n} {one if n == 1 else several}"


def listing(label: str, figures: Mapping[object, float]) -> str:
    """Return one indented line, or several, of figures with three decimals; behind the first 20 only their number.

    >>> print(listing("AP: ", {"dining table": 0.25, "cat": float("nan")}))
        AP: dining table 0.250, cat nan
    """
    entries = [f"{name} {value:.3f}" for name, value in list(figures.items())[:MOST]]
    if len(figures) > MOST:
        entries.append(f"and {len(figures) - MOST} more")
    text = label + ", ".join(entry.replace(" ", JOINED) for entry in entries)
    lines = fill(
        text,
        WIDTH,
        initial_indent=" " * 4,
        subsequent_indent=" " * 8,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines.replace(JOINED, " ")
