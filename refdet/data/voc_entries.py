"""What the files of Pascal VOC share: numbers, pixels counted from 1, lines, and how a file is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sized
from pathlib import Path

from refdet.core.check import Array
from refdet.data.files import read_bytes

Progress = Callable[[int, int], object]  # told how many files were read, and of how many


class VocError(ValueError):
    """A file that is not what VOC's format says, or cannot be read or written; the message names it, and the entry."""


def as_float(text: str) -> float | None:
    """Return a decimal number; None for anything else, such as nan, inf, or Python's 1_000."""
    return float(text) if re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", text) else None


def checked_text(name: str) -> str:
    """Return a name for an XML file; refuse one that would not come back as it is."""
    if not name or name != name.strip() or not name.isprintable():
        raise ValueError(f"VOC: a name must be printable, without spaces around it, to be written, got {name!r}")
    return name


def to_pixels(box: Array) -> tuple[str, ...]:
    """Return VOC's numbers of a box, without a point where they are integers."""
    x1, y1, x2, y2 = (float(value) for value in box)
    if not (all(map(math.isfinite, (x1, y1, x2, y2))) and x1 < x2 and y1 < y2):
        raise ValueError(f"VOC: a box must be finite and have an area to be written, got {x1:g} {y1:g} {x2:g} {y2:g}")
    return tuple(f"{v:.0f}" if v.is_integer() else repr(v) for v in (x1 + 1, y1 + 1, x2, y2))


def check_lengths(what: str, **columns: Sized) -> None:
    """Refuse columns of which one has more entries than another."""
    if len({len(column) for column in columns.values()}) > 1:
        lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise ValueError(f"{what}: every column must have one entry for each box, got {lengths}")


def lines_of(path: Path) -> list[tuple[int, str]]:
    """Return the lines that are not blank, with their numbers in the file, from 1; they may end in any way."""
    try:
        text = read_bytes(path, VocError).decode("utf-8-sig")  # Windows may have put a mark in front
    except UnicodeDecodeError:
        raise VocError(f"{path}: is not text") from None
    return [(i, line) for i, line in enumerate(re.split("\r\n|\r|\n", text), start=1) if line.strip()]
