"""The entries of COCO's JSON files, whose fields are checked as they are read.

Whatever is wrong is refused by the name of the file, the entry and the field, and by what came instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from refdet.data.files import read_bytes
from refdet.masks.polygons import polygons_to_rle
from refdet.masks.rle import RLE, check_rle
from refdet.masks.rle_string import rle_from_string

LEAST_ID, MOST_ID = -(2**63), 2**63 - 1  # ids are kept as int64
LARGEST = 1e100  # number that is read: areas are finite too
TOLD_EVERY = 1000  # entries

Progress = Callable[[int, int], object]  # told how many entries of a list were read, and of how many


class CocoError(ValueError):
    """A file that is not what COCO's format says, or cannot be read or written; the message names it, and the entry."""


class CocoImage(NamedTuple):
    """What a file says of one picture.

    Attributes:
        id: by which annotations and results name it.
        file_name: of the picture; empty where the file has none.
        height: in pixels.
        width: in pixels.
    """

    id: int
    file_name: str
    height: int
    width: int


class CocoFile:
    """A file being read, to name in messages."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def refuse(self, problem: str) -> NoReturn:
        raise CocoError(f"{self.path}: {problem}")

    def load(self) -> Any:
        content = read_bytes(self.path, CocoError)
        try:
            return json.loads(content, object_pairs_hook=_object)
        except RecursionError:
            self.refuse("is nested too deeply")
        except ValueError as error:  # of JSON, and of bytes that are no text
            self.refuse(f"is not JSON: {error}")

    def entries(self, content: Mapping[str, Any], name: str, progress: Progress | None = None) -> Iterator[Entry]:
        """Return the entries of a list that must be there; `progress` is told how many were, of how many."""
        listed = content.get(name)
        if not isinstance(listed, list):
            self.refuse(f"{name} must be a list, got {_kind(listed)}")
        for i, value in enumerate(listed):
            if progress is not None and i % TOLD_EVERY == 0:
                progress(i, len(listed))
            if not isinstance(value, dict):
                self.refuse(f"entry {i} of {name} must be an object, got {_kind(value)}")
            yield Entry(self, name, i, value)


class Entry:
    """Entry i of a list, whose fields are checked as they are read."""

    def __init__(self, file: CocoFile, list_name: str, i: int, values: Mapping[str, Any]) -> None:
        self.file, self.list_name, self.i, self.values = file, list_name, i, values

    def refuse(self, problem: str) -> NoReturn:
        self.file.refuse(f"entry {self.i} of {self.list_name}: {problem}")

    def get(self, name: str) -> Any:
        if name not in self.values:
            self.refuse(f"{name} is missing")
        return self.values[name]

    def integer(self, name: str, *, low: int = LEAST_ID, high: int = MOST_ID) -> int:
        """Return an integer, which may be written as a float such as 3.0."""
        value = self.get(name)
        index = int(value) if type(value) is float and value.is_integer() else value
        if type(index) is not int or not low <= index <= high:
            bounds = "" if low == LEAST_ID else f" of at least {low}"
            bounds += "" if high == MOST_ID else f" and at most {high}"
            self.refuse(f"{name} must be an integer{bounds}, got {_shown(value)}")
        return index

    def new_id(self, ids: Mapping[int, Any]) -> int:
        """Return the entry's id, which must not be among `ids`."""
        found = self.integer("id")
        if found in ids:
            self.refuse(f"the id {found} stands in an earlier entry too")
        return found

    def known(self, name: str, ids: Mapping[int, Any], what: str) -> int:
        """Return an id that must be among `ids`."""
        found = self.integer(name)
        if found not in ids:
            self.refuse(f"there is no {what} with the id {found}")
        return found

    def number(self, name: str, *, low: float = -math.inf) -> float:
        value = self.get(name)
        if not _is_number(value) or value < low:
            self.refuse(f"{name} must be a finite number{'' if low < 0 else ' of at least 0'}, got {_shown(value)}")
        return float(value)

    def text(self, name: str) -> str:
        value = self.get(name)
        if not isinstance(value, str):
            self.refuse(f"{name} must be text, got {_shown(value)}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; a missing one is empty."""
        value = self.values.get(name, [])
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            self.refuse(f"{name} must be a list of texts, got {_shown(value)}")
        return tuple(value)

    def numbers(self, name: str) -> list[float]:
        value = self.get(name)
        if not isinstance(value, list) or not all(map(_is_number, value)):
            self.refuse(f"{name} must be a list of finite numbers, got {_shown(value)}")
        return value

    def flag(self, name: str) -> bool:
        """Return whether a field is 1; a missing one is 0."""
        value = self.values.get(name, 0)
        if value not in (0, 1):
            self.refuse(f"{name} must be 0 or 1, got {_shown(value)}")
        return bool(value)

    def box(self) -> list[float]:
        box = self.numbers("bbox")
        if len(box) != 4 or min(box[2:]) < 0:
            self.refuse(f"bbox must be x, y, width and height, the last two not negative, got {_shown(box)}")
        return box

    def keypoints(self, n: int | None) -> list[list[float]]:
        """Return n keypoints, (x, y, visibility), or any number but none."""
        values = self.numbers("keypoints")
        if n == 0 and values:
            self.refuse('has keypoints, but no category has a list of their names; add "keypoints" to its own')
        if len(values) != 3 * n if n is not None else not values or len(values) % 3:
            wanted = "three numbers for each keypoint" if n is None else f"{3 * n} numbers, three for each keypoint"
            self.refuse(f"keypoints must be {wanted}, got {len(values)}")
        return [values[i : i + 3] for i in range(0, len(values), 3)]

    def has_mask(self) -> bool:
        return self.values.get("segmentation") not in (None, [])

    def mask(self, image: CocoImage) -> RLE:
        """Return the segmentation as a mask of the size of its picture."""
        value, size = self.get("segmentation"), (image.height, image.width)
        try:
            if isinstance(value, list) and value:
                return polygons_to_rle(value, size)
            if isinstance(value, dict):
                return _as_rle(value, size)
        except (ValueError, TypeError, OverflowError) as error:
            self.refuse(f"segmentation: {error}")
        self.refuse(f"segmentation must be a list of polygons, or an RLE with counts and size, got {_shown(value)}")


def _as_rle(value: Mapping[str, Any], size: tuple[int, int]) -> RLE:
    given, counts = value.get("size"), value.get("counts")
    if given != list(size):
        raise ValueError(f"size must be that of its picture, height and width {list(size)}, got {_shown(given)}")
    if isinstance(counts, str):
        rle = rle_from_string(counts, size)
    elif isinstance(counts, list) and all(type(count) is int for count in counts):
        rle = RLE(np.array(counts, np.int64), size)
    else:
        raise ValueError(f"counts must be text or a list of integers, got {_shown(counts)}")
    if np.any(rle.counts > size[0] * size[1]):  # before they are summed, which might overflow
        raise ValueError(f"counts must not exceed H·W = {size[0] * size[1]}, got {rle.counts.max()}")
    check_rle("RLE", "the mask", rle)
    return rle


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; refuse one that says two things of one name."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"an object has the name {next(n for n in names if names.count(n) > 1)!r} twice")
    return values


def _is_number(value: Any) -> bool:
    """Say whether JSON gave a finite number; true and false are none."""
    return type(value) in (int, float) and abs(value) <= LARGEST


def _kind(value: Any) -> str:
    """Return what kind of value stands where another was expected."""
    if value is None:
        return "nothing"
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return _shown(value)


def _shown(value: Any) -> str:
    """Return a value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
