"""Pascal VOC's files of results: one per class, `..._CLASS.txt`, a detection a line: image score xmin ymin xmax ymax.

Conventions: the class is what follows the last underscore, so that none may stand in its name; numbers are finite, and
boxes have an area. How boxes count pixels, and how files are refused, is told in `refdet.data.voc`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from refdet.core.check import Array
from refdet.data.files import make_folder, write_bytes
from refdet.data.voc_entries import VocError, as_float, check_lengths, lines_of, to_pixels


@dataclass(frozen=True, eq=False)
class VocResults:
    """D detections of one class, in the order of the file.

    Attributes:
        image_ids: D names of pictures without ending, as in `VocAnnotation`.
        scores: (D,) float64, finite; the higher, the surer.
        boxes: (D, 4) float64, (x1, y1, x2, y2) in pixels, continuous and half-open.
    """

    image_ids: tuple[str, ...]
    scores: Array
    boxes: Array


def read_voc_results(folder: Path | str) -> dict[str, VocResults]:
    """Read every `..._CLASS.txt` (or `CLASS.txt`) of a folder; return the detections of each class by its name."""
    folder = Path(folder)
    if not folder.is_dir():
        raise VocError(f"{folder}: there is no such folder")
    found: dict[str, VocResults] = {}
    for path in sorted(folder.glob("*.txt")):
        name = path.stem.rpartition("_")[2]
        if name in found:
            raise VocError(f"{path}: there are two files of results of the class {name!r}")
        found[name] = _results_of(path)
    if not found:
        raise VocError(f"{folder}: there are no files of results (such as comp4_det_test_person.txt)")
    return found


def write_voc_results(
    folder: Path | str, results: Mapping[str, VocResults], *, prefix: str = "comp4_det_test_"
) -> None:
    """Write one file per class, each all or nothing, and none if anything is refused.

    Args:
        folder: where to; made if it does not exist, with those above it.
        results: the detections of each class by its name, which must have no spaces, slashes or underscores.
        prefix: what the names of the files begin with, before the class.
    """
    folder = Path(folder)
    contents = {f"{prefix}{name}.txt": _results_text(name, of_class) for name, of_class in results.items()}
    make_folder(folder, VocError)
    for file_name, text in contents.items():
        write_bytes(folder / file_name, text.encode(), VocError)


def _results_text(name: str, results: VocResults) -> str:
    if not re.fullmatch(r"[^\s/\\_]+", name):
        raise ValueError(
            f"write_voc_results: a class must have a name without spaces, slashes, underscores, got {name!r}"
        )
    check_lengths(f"write_voc_results: {name}", image_ids=results.image_ids, scores=results.scores, boxes=results.boxes)
    lines = []
    for image_id, score, box in zip(results.image_ids, results.scores, results.boxes, strict=True):
        if not re.fullmatch(r"\S+", image_id) or not math.isfinite(score):
            raise ValueError(
                f"write_voc_results: {name}: an image must have a name without spaces, and its score be finite, got "
                f"{image_id!r} and {float(score)}"
            )
        lines.append(f"{image_id} {float(score)!r} {' '.join(to_pixels(box))}\n")
    return "".join(lines)


def _results_of(path: Path) -> VocResults:
    image_ids, rows = [], []
    for i, line in lines_of(path):
        image_id, *numbers = line.split()
        values = [as_float(text) for text in numbers]
        if len(values) != 5 or not all(value is not None and math.isfinite(value) for value in values):
            raise VocError(f"{path}: line {i} must be an image and five finite numbers, got {line.strip()!r}")
        score, xmin, ymin, xmax, ymax = (float(value) for value in values if value is not None)
        if xmax <= xmin - 1 or ymax <= ymin - 1:
            raise VocError(f"{path}: line {i}: the box ends before it begins: {line.strip()!r}")
        image_ids.append(image_id)
        rows.append((score, xmin - 1, ymin - 1, xmax, ymax))
    columns = np.array(rows, np.float64).reshape(-1, 5)
    return VocResults(tuple(image_ids), columns[:, 0].copy(), columns[:, 1:].copy())
