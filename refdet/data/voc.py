"""Pascal VOC: annotation files and folders of them, read and written; for results see `refdet.data.voc_results`.

Conventions:

- VOC counts pixels from 1 and names the first and the last of a box: xmin = 1, xmax = 3 are three pixels. Here it is
  the continuous, half-open (xmin − 1, ymin − 1, xmax, ymax), and back on writing. Some files have fractions; they are
  kept.
- The width xmax − xmin + 1 and the height of a box must be positive. What of it lies outside the picture is cut off;
  a box with nothing inside is refused.
- `difficult` and `truncated` are 0 where they are absent. Other elements (pose, parts, actions) are not read, and of
  two elements of one name only the first.
- Files are refused, by name and entry, if anything needed is missing or not a number. A document type declaration is
  refused unread: VOC has none, and entities in it can be made to grow without bound.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError, SubElement, TreeBuilder, indent, tostring
from xml.parsers import expat

import numpy as np

from refdet.core.check import Array
from refdet.data.files import MOST_SIDE, read_bytes, write_bytes
from refdet.data.images import read_image
from refdet.data.lazy_sequence import LazySequence
from refdet.data.sample import BACKGROUND, Sample
from refdet.data.voc_entries import Progress, VocError, as_float, check_lengths, checked_text, lines_of, to_pixels

VOC_CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class VocAnnotation:
    """What one annotation file says of one picture with R objects.

    Attributes:
        image_id: the name of the annotation file without its ending.
        file_name: of the picture.
        size: (height, width) in pixels.
        names: R names, of the class of each object.
        boxes: (R, 4) float64, (x1, y1, x2, y2) in pixels, continuous and half-open.
        difficult: (R,) bool, the objects that VOC's evaluation leaves out.
        truncated: (R,) bool, the objects of which the box holds only a part.
    """

    image_id: str
    file_name: str
    size: tuple[int, int]
    names: tuple[str, ...]
    boxes: Array
    difficult: Array
    truncated: Array


def read_voc_annotation(path: Path | str) -> VocAnnotation:
    """Read one annotation file."""
    path = Path(path)
    root = _parse(path)
    if root.tag != "annotation":
        raise VocError(f"{path}: the outermost element must be annotation, got {root.tag}")
    width, height = (_number(path, "size", root.find("size"), side) for side in ("width", "height"))
    if not all(side.is_integer() and 0 < side <= MOST_SIDE for side in (width, height)):
        raise VocError(
            f"{path}: the size must be two positive integers of at most {MOST_SIDE:,}, got width {width:g} and height "
            f"{height:g}"
        )
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
    """Write one annotation file, all or nothing.

    What `read_voc_annotation` reads from it is the same for boxes inside the picture, but for the last bit of a
    fraction, to which 1 was added. Names that XML would change and boxes without area are refused, and a path that
    cannot be written, in a folder that is not there for instance, as a `VocError`.
    """
    columns = {name: getattr(annotation, name) for name in ("names", "boxes", "difficult", "truncated")}
    check_lengths("write_voc_annotation", **columns)
    root = Element("annotation")
    SubElement(root, "filename").text = checked_text(annotation.file_name)
    size = SubElement(root, "size")
    for tag, side in zip(("height", "width", "depth"), (*annotation.size, 3), strict=True):
        SubElement(size, tag).text = str(side)
    for name, box, difficult, truncated in zip(*columns.values(), strict=True):
        element = SubElement(root, "object")
        SubElement(element, "name").text = checked_text(name)
        SubElement(element, "truncated").text = str(int(truncated))
        SubElement(element, "difficult").text = str(int(difficult))
        corners = SubElement(element, "bndbox")
        for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), to_pixels(box), strict=True):
            SubElement(corners, tag).text = value
    indent(root)
    write_bytes(path, tostring(root, encoding="utf-8") + b"\n", VocError)


def read_voc_folder(
    folder: Path | str,
    *,
    split: str | None = None,
    known: Mapping[str, VocAnnotation] | None = None,
    progress: Progress | None = None,
) -> list[VocAnnotation]:
    """Read all annotation files of a folder, in the order of their names.

    Args:
        folder: one with `*.xml` in it, or one of the devkit's, with the folders Annotations and ImageSets/Main.
        split: the name of a list in ImageSets/Main, such as "val"; then its pictures, in its order. The second column
            of the lists for one class (1, 0, −1) is not used: they name all pictures, those without the class too.
            Lines may end in any way; one with more on it, or something else, is refused.
        known: annotations of this folder by their `image_id`, which are not read again.
        progress: called after each file with the number of files that were read, and that of all.
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
        paths = [annotations / f"{name}.xml" for name in _listed(listed)]
    found = []
    for path in paths:
        annotation = None if known is None or path.parent != annotations else known.get(path.stem)
        found.append(read_voc_annotation(path) if annotation is None else annotation)
        if progress is not None:
            progress(len(found), len(paths))
    return found


class VocImages(LazySequence[Sample]):
    """The pictures of a VOC folder with their objects, each read when it is asked for.

    Args:
        folder: one with the pictures and `*.xml` in it, or one of the devkit's, with JPEGImages and Annotations.
        split: the name of a list in ImageSets/Main, as in `read_voc_folder`.
        class_names: those that may occur, without the background; entry c is class c + 1.
        known, progress: likewise.

    Attributes:
        annotations: what the annotation files say, in the order of the pictures.
        class_names: "background", and those that were given.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        split: str | None = None,
        class_names: Sequence[str] = VOC_CLASSES,
        known: Mapping[str, VocAnnotation] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.annotations = read_voc_folder(folder, split=split, known=known, progress=progress)
        super().__init__(len(self.annotations))
        self.class_names = (BACKGROUND, *class_names)
        root = Path(folder)
        self._images = root / "JPEGImages" if (root / "JPEGImages").is_dir() else root
        for annotation in self.annotations:
            if BACKGROUND in annotation.names:
                raise VocError(
                    f"{annotation.image_id}.xml: object {annotation.names.index(BACKGROUND)} is named {BACKGROUND!r}, "
                    "which is kept for what is no object; rename or remove it"
                )
            unknown = [name for name in annotation.names if name not in class_names]
            if unknown:
                raise VocError(f"{annotation.image_id}.xml: {unknown[0]!r} is none of the classes asked for")
        if BACKGROUND in class_names:
            raise VocError(
                f"{folder}: no class may be named {BACKGROUND!r}, which is kept for what is no object; rename it"
            )

    def _item(self, i: int) -> Sample:
        annotation = self.annotations[i]
        image = read_image(self._images / annotation.file_name)
        if image.shape[:2] != annotation.size:
            raise VocError(
                f"{annotation.image_id}.xml: the size is {annotation.size}, but {annotation.file_name} has "
                f"{image.shape[:2]} (height, width)"
            )
        classes = np.array([self.class_names.index(name) for name in annotation.names], np.int64)
        return Sample(annotation.file_name, image, annotation.boxes.astype(np.float32), classes, annotation.difficult)


def _listed(path: Path) -> list[str]:
    """Return the names of the pictures in a list."""
    names = []
    for i, line in lines_of(path):
        columns = line.split()
        if len(columns) > 2 or (len(columns) == 2 and columns[1] not in ("-1", "0", "1")):
            raise VocError(
                f"{path}: line {i} must be the name of one picture, and for one class -1, 0 or 1 after it, got "
                f"{line.strip()!r}"
            )
        names.append(columns[0])
    return names


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
    value = None if text is None else as_float(text)
    if value is None or not math.isfinite(value):
        raise VocError(f"{path}: {where}: {tag} must be a number, got {text if text is None else text.strip()!r}")
    return value


def _flag(path: Path, where: str, element: Element, tag: str) -> bool:
    text = (element.findtext(tag) or "0").strip()
    if text not in ("0", "1"):
        raise VocError(f"{path}: {where}: {tag} must be 0 or 1, got {text!r}")
    return text == "1"


def _parse(path: Path) -> Element:
    """Return the outermost element; refuse a document type declaration as soon as it is met."""
    content = read_bytes(path, VocError)
    builder = TreeBuilder()
    parser = expat.ParserCreate()

    def refuse(*_: Any) -> None:
        raise VocError(f"{path}: has a document type declaration, which is refused unread")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
        return builder.close()
    except VocError:
        raise
    except (expat.ExpatError, ParseError, LookupError, ValueError) as error:  # the last two: encodings expat lacks
        raise VocError(f"{path}: is not XML: {error}") from None
