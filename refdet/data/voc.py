"""Pascal VOC: annotation files, folders of them, and files of results, read and written.

Conventions:

- VOC counts pixels from 1 and names the first and the last of a box: xmin = 1, xmax = 3 are three pixels. Here it is
  the continuous, half-open (xmin − 1, ymin − 1, xmax, ymax), and back on writing. Some files have fractions; they are
  kept.
- The width xmax − xmin + 1 and the height of a box must be positive. What of it lies outside the picture is cut off;
  a box with nothing inside is refused.
- `difficult` and `truncated` are 0 where they are absent. Other elements (pose, parts, actions) are not read.
- Files are refused, by name and entry, if anything needed is missing or not a number. A document type declaration is
  refused unread: VOC has none, and entities in it can be made to grow without bound.
- Results are VOC's: one file per class, `..._CLASS.txt`, one line per detection: image score xmin ymin xmax ymax.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload
from xml.etree.ElementTree import Element, ParseError, SubElement, TreeBuilder, indent, tostring
from xml.parsers import expat

import numpy as np

from refdet.core.check import Array
from refdet.data.images import read_image
from refdet.data.sample import Sample
from refdet.nn.checkpoint.atomic_file import write_atomically

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png")


class VocError(ValueError):
    """A file that is not what VOC's format says; the message names the file and the entry."""


@dataclass(frozen=True)
class VocAnnotation:
    """What one annotation file says of one picture."""

    image_id: str  # the file's name without its ending
    file_name: str  # of the picture
    size: tuple[int, int]  # (height, width)
    names: tuple[str, ...]  # of the class of each object
    boxes: Array  # (R, 4) float64, continuous
    difficult: Array  # (R,) bool
    truncated: Array  # (R,) bool


@dataclass(frozen=True)
class VocResults:
    """Detections of one class, in the order of the file."""

    image_ids: tuple[str, ...]
    scores: Array  # (D,) float64
    boxes: Array  # (D, 4) float64, continuous


def read_voc_annotation(path: Path | str) -> VocAnnotation:
    """Read one annotation file."""
    path = Path(path)
    root = _parse(path)
    if root.tag != "annotation":
        raise VocError(f"{path}: the outermost element must be annotation, got {root.tag}")
    width, height = (_number(path, "size", root.find("size"), side) for side in ("width", "height"))
    if not (width.is_integer() and height.is_integer() and width > 0 and height > 0):
        raise VocError(f"{path}: the size must be two positive integers, got width {width:g} and height {height:g}")
    objects = root.findall("object")
    described = [_object(path, i, element, (int(height), int(width))) for i, element in enumerate(objects)]
    return VocAnnotation(
        image_id=path.stem,
        file_name=(root.findtext("filename") or "").strip() or f"{path.stem}.jpg",
        size=(int(height), int(width)),
        names=tuple(name for name, *_ in described),
        boxes=np.array([box for _, box, *_ in described], np.float64).reshape(-1, 4),
        difficult=np.array([difficult for *_, difficult, _ in described], np.bool_),
        truncated=np.array([truncated for *_, truncated in described], np.bool_),
    )


def write_voc_annotation(path: Path | str, annotation: VocAnnotation) -> None:
    """Write one annotation file, all or nothing; what `read_voc_annotation` reads from it is the same."""
    root = Element("annotation")
    SubElement(root, "filename").text = annotation.file_name
    size = SubElement(root, "size")
    for tag, side in zip(("height", "width", "depth"), (*annotation.size, 3), strict=True):
        SubElement(size, tag).text = str(side)
    for name, box, difficult, truncated in zip(
        annotation.names, annotation.boxes, annotation.difficult, annotation.truncated, strict=True
    ):
        element = SubElement(root, "object")
        SubElement(element, "name").text = name
        SubElement(element, "truncated").text = str(int(truncated))
        SubElement(element, "difficult").text = str(int(difficult))
        corners = SubElement(element, "bndbox")
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), _to_pixels(box), strict=True):
            SubElement(corners, tag).text = value
    indent(root)
    content = tostring(root, encoding="utf-8") + b"\n"
    write_atomically(Path(path), lambda file: _put(file.write, content))


def read_voc_folder(
    folder: Path | str, *, split: str | None = None, progress: Callable[[str], object] = str
) -> list[VocAnnotation]:
    """Read all annotation files of a folder, in the order of their names.

    Args:
        folder: one with `*.xml` in it, or one of the devkit's, with the folders Annotations and ImageSets/Main.
        split: the name of a list in ImageSets/Main, such as "val"; then its pictures, in its order.
        progress: called with the name of each file before it is read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise VocError(f"{folder}: there is no such folder")
    annotations = folder / "Annotations" if (folder / "Annotations").is_dir() else folder
    if split is None:
        paths = sorted(annotations.glob("*.xml"))
        if not paths:
            raise VocError(f"{annotations}: there are no annotation files (*.xml)")
    else:
        listed = folder / "ImageSets" / "Main" / f"{split}.txt"
        if not listed.is_file():
            raise VocError(f"{listed}: there is no such list of pictures")
        paths = [annotations / f"{line.split()[0]}.xml" for line in _lines(listed)]
    found = []
    for path in paths:
        progress(path.name)
        found.append(read_voc_annotation(path))
    return found


class VocImages(Sequence[Sample]):
    """The pictures of a VOC folder with their objects, each read when it is asked for."""

    def __init__(
        self, folder: Path | str, *, split: str | None = None, class_names: Sequence[str] = VOC_CLASSES
    ) -> None:
        self.annotations = read_voc_folder(folder, split=split)
        self.class_names = ("background", *class_names)
        root = Path(folder)
        self._images = root / "JPEGImages" if (root / "JPEGImages").is_dir() else root
        for annotation in self.annotations:
            unknown = [name for name in annotation.names if name not in self.class_names]
            if unknown:
                raise VocError(f"{annotation.image_id}.xml: {unknown[0]!r} is none of the classes asked for")

    def __len__(self) -> int:
        return len(self.annotations)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        annotation = self.annotations[index]
        image = read_image(self._images / annotation.file_name)
        if image.shape[:2] != annotation.size:
            raise VocError(
                f"{annotation.image_id}.xml: the size is {annotation.size}, but {annotation.file_name} has "
                f"{image.shape[:2]} (height, width)"
            )
        classes = np.array([self.class_names.index(name) for name in annotation.names], np.int64)
        return Sample(annotation.file_name, image, annotation.boxes.astype(np.float32), classes, annotation.difficult)

    def __iter__(self) -> Iterator[Sample]:
        return (self[i] for i in range(len(self)))


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
    """Write one file per class."""
    for name, of_class in results.items():
        lines = [
            f"{image_id} {float(score)!r} {' '.join(_to_pixels(box))}\n"
            for image_id, score, box in zip(of_class.image_ids, of_class.scores, of_class.boxes, strict=True)
        ]
        content = "".join(lines).encode()
        write_atomically(Path(folder) / f"{prefix}{name}.txt", lambda file, content=content: _put(file.write, content))  # type: ignore[misc]


def _results_of(path: Path) -> VocResults:
    image_ids, rows = [], []
    for i, line in enumerate(_lines(path), start=1):
        image_id, *numbers = line.split()
        values = [_float(text) for text in numbers]
        if len(values) != 5 or not all(value is not None and math.isfinite(value) for value in values):
            raise VocError(f"{path}: line {i} must be an image and five finite numbers, got {line.strip()!r}")
        score, xmin, ymin, xmax, ymax = (float(value) for value in values if value is not None)
        if xmax <= xmin - 1 or ymax <= ymin - 1:
            raise VocError(f"{path}: line {i}: the box ends before it begins: {line.strip()!r}")
        image_ids.append(image_id)
        rows.append((score, xmin - 1, ymin - 1, xmax, ymax))
    columns = np.array(rows, np.float64).reshape(-1, 5)
    return VocResults(tuple(image_ids), columns[:, 0].copy(), columns[:, 1:].copy())


def _object(
    path: Path, i: int, element: Element, size: tuple[int, int]
) -> tuple[str, tuple[float, float, float, float], bool, bool]:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise VocError(f"{path}: object {i} has no name")
    where = f"object {i} ({name})"
    corners = element.find("bndbox")
    xmin, ymin, xmax, ymax = (_number(path, where, corners, tag) for tag in ("xmin", "ymin", "xmax", "ymax"))
    H, W = size
    box = (max(xmin - 1, 0.0), max(ymin - 1, 0.0), min(xmax, float(W)), min(ymax, float(H)))
    if xmax <= xmin - 1 or ymax <= ymin - 1:
        raise VocError(f"{path}: {where}: the box ends before it begins: {xmin:g} {ymin:g} {xmax:g} {ymax:g}")
    if box[2] <= box[0] or box[3] <= box[1]:
        raise VocError(
            f"{path}: {where}: the box {xmin:g} {ymin:g} {xmax:g} {ymax:g} lies outside the picture of {W} × {H}"
        )
    return name, box, _flag(path, where, element, "difficult"), _flag(path, where, element, "truncated")


def _number(path: Path, where: str, parent: Element | None, tag: str) -> float:
    text = None if parent is None else parent.findtext(tag)
    value = None if text is None else _float(text)
    if value is None or not math.isfinite(value):
        raise VocError(f"{path}: {where}: {tag} must be a number, got {text if text is None else text.strip()!r}")
    return value


def _flag(path: Path, where: str, element: Element, tag: str) -> bool:
    text = (element.findtext(tag) or "0").strip()
    if text not in ("0", "1"):
        raise VocError(f"{path}: {where}: {tag} must be 0 or 1, got {text!r}")
    return text == "1"


def _float(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*", text) else None


def _to_pixels(box: Array) -> tuple[str, ...]:
    """Return VOC's numbers of a box, without a point where they are integers."""
    x1, y1, x2, y2 = (float(value) for value in box)
    return tuple(f"{v:.0f}" if v.is_integer() else repr(v) for v in (x1 + 1, y1 + 1, x2, y2))


def _parse(path: Path) -> Element:
    """Return the outermost element; refuse a document type declaration as soon as it is met."""
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise VocError(f"{path}: has a document type declaration, which is refused unread")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
        return builder.close()
    except FileNotFoundError:
        raise VocError(f"{path}: there is no such file") from None
    except (expat.ExpatError, ParseError) as error:
        raise VocError(f"{path}: is not XML: {error}") from None


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise VocError(f"{path}: is not text") from None


def _put(write: Callable[[bytes], object], content: bytes) -> None:
    write(content)
