"""The entries of COCO's JSON files, whose fields are checked as they are read.

Whatever is wrong is refused by the name of the file, the entry and the field, and by what came instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from refdet.core.check import as_index
from refdet.masks.polygons import polygons_to_rle
from refdet.masks.rle import RLE, check_rle
from refdet.masks.rle_string import rle_from_string

LEAST_ID, MOST_ID = -(2**63), 2**63 - 1  # ids are kept as int64


class CocoError(ValueError):
    """A file that is not what COCO's format says; the message names the file and the entry."""


class CocoImage(NamedTuple):
    """What a file says of one picture."""

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
        try:
            return json.loads(self.path.read_bytes())
        except FileNotFoundError:
            self.refuse("there is no such file")
        except IsADirectoryError:
            self.refuse("is a directory, not a JSON file")
        except RecursionError:
            self.refuse("is nested too deeply")
        except ValueError as error:  # of JSON, and of bytes that are no text
            self.refuse(f"is not JSON: {error}")

    def entries(self, content: Mapping[str, Any], name: str) -> Iterator[Entry]:
        """Return the entries of a list that must be there."""
        listed = content.get(name)
        if not isinstance(listed, list):
            self.refuse(f"{name} must be a list, got {_kind(listed)}")
        for i, value in enumerate(listed):
            if not isinstance(value, dict):
                self.refuse(f"entry {i} of {name} must be an object, got {_kind(value)}")
            yield Entry(self, f"entry {i} of {name}", value)


class Entry:
    """One entry of a list, whose fields are checked as they are read."""

    def __init__(self, file: CocoFile, where: str, values: Mapping[str, Any]) -> None:
        self.file, self.where, self.values = file, where, values

    def refuse(self, problem: str) -> NoReturn:
        self.file.refuse(f"{self.where}: {problem}")

    def get(self, name: str) -> Any:
        if name not in self.values:
            self.refuse(f"{name} is missing")
        return self.values[name]

    def integer(self, name: str, *, low: int = LEAST_ID) -> int:
        value = self.get(name)
        index = int(value) if isinstance(value, float) and value.is_integer() else as_index(value)
        if index is None or not low <= index <= MOST_ID:
            at_least = "" if low == LEAST_ID else f" of at least {low}"
            self.refuse(f"{name} must be an integer{at_least}, got {_shown(value)}")
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
        values = self.numbers("keypoints")
        if len(values) % 3 or (n is not None and len(values) != 3 * n):
            wanted = "three numbers for each keypoint" if n is None else f"{3 * n} numbers, three for each keypoint"
            self.refuse(f"keypoints must be {wanted}, got {len(values)}")
        return [values[i : i + 3] for i in range(0, len(values), 3)]

    def mask(self, image: CocoImage) -> RLE:
        """Return the segmentation as a mask of the size of its picture."""
        value, size = self.get("segmentation"), (image.height, image.width)
        try:
            if isinstance(value, list) and value:
                return polygons_to_rle(value, size)
            if isinstance(value, dict):
                rle = _as_rle(value)
                if rle.size != size:
                    self.refuse(f"segmentation has size {rle.size}, its picture {size} (height, width)")
                return rle
        except (ValueError, TypeError) as error:
            if isinstance(error, CocoError):
                raise
            self.refuse(f"segmentation: {error}")
        self.refuse(f"segmentation must be a list of polygons, or an RLE with counts and size, got {_shown(value)}")


def _as_rle(value: Mapping[str, Any]) -> RLE:
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, list) or len(size) != 2 or None in map(as_index, size) or min(size) < 0:
        raise ValueError(f"size must be height and width, got {_shown(size)}")
    H, W = size
    if isinstance(counts, str):
        return rle_from_string(counts, (H, W))
    if not isinstance(counts, list) or None in map(as_index, counts):
        raise ValueError(f"counts must be text or a list of integers, got {_shown(counts)}")
    rle = RLE(np.array(counts, np.int64), (H, W))
    check_rle("RLE", "the mask", rle)
    return rle


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


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
