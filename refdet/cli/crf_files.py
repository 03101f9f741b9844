"""What `refdet crf` reads besides the photograph: what each pixel says by itself, as labels or as probabilities.

- A picture of grey values or with a palette: the stored value is the label. 8 or 16 bits, or black and white.
- A picture of colours: each distinct colour is a label. They are numbered from 0 in the order of 65536 R + 256 G + B,
  at most 256 of them; the colour that means "unsure" gets no number.
- A file of NumPy's, .npy: probabilities, (L, H, W) or (H, W, L), of which those of a pixel add up to 1; or labels,
  (H, W) integers. Pickled objects, which could run a program, are refused.

Pictures that were compressed as JPEG are refused, as that changes values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refdet.cli.messages import UsageProblem
from refdet.core.check import Array
from refdet.crf.unary import unary_from_labels, unary_from_probabilities
from refdet.data.files import why_unreadable
from refdet.data.images import ImageError, image_size

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

UNSURE = -1  # in `Evidence.before`
VOID = 255  # VOC's label of what is unsure
USUAL_CONFIDENCE = 0.7  # of the authors' example
MOST_COLOURS = 256
MOST_LABELS = 2**16  # as many as a PNG can hold
MOST_BYTES = 2**30  # of the potentials, and of a compatibility; inference takes some ten times as much
SUM_TOLERANCE = 1e-3
FEW = 0.25  # of the labels that there are: if no more than this share occurs, there may be too many
DTYPE = "float32"  # of the potentials, as in the authors' program
GREYS = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")  # Pillow's modes whose pixels are single whole numbers


class EvidenceError(ImageError):
    """A file of labels or of probabilities that is not what it should be; the message names it."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What each pixel says by itself."""

    kind: str  # "labels", "colours" or "probabilities"
    potentials: Array  # (N, L) float32
    before: Array  # (H, W) int64: the likeliest label of each pixel, or UNSURE
    palette: Array | None = None  # (n, 3) uint8: the colours that the file has for labels 0, 1 …
    unsure: int | str | None = None  # the label, or colour as #rrggbb, that says nothing
    warning: str | None = None  # about what may not be meant

    @property
    def n_labels(self) -> int:
        """L."""
        return int(self.potentials.shape[1])


@dataclass(frozen=True)
class LabelOptions:
    """What the command line says about labels; None: nothing."""

    confidence: float | None = None
    unsure: str | None = None  # "none", a label, or a colour as #rrggbb
    n_labels: int | None = None


class LabelMap(NamedTuple):
    """Labels as they are in a file."""

    labels: Array  # (H, W) int64
    unsure: int | None  # the label that says nothing
    palette: Array | None
    kind: str


def check_options(options: LabelOptions) -> None:
    """Refuse what cannot be meant, whatever the file."""
    p, unsure, n = options.confidence, options.unsure, options.n_labels
    if p is not None and not 0 < p < 1:
        raise UsageProblem(f"crf: --confidence must lie between 0 and 1, got {p:g}")
    if unsure is not None and not re.fullmatch(r"none|\d{1,9}|#[0-9a-fA-F]{6}", unsure, re.ASCII):
        raise UsageProblem(f"crf: --unsure must be a label, a colour such as #000000, or none, got {unsure!r}")
    if n is not None and not 2 <= n <= MOST_LABELS:
        raise UsageProblem(f"crf: --labels must be from 2 to {MOST_LABELS}, got {n}")


def read_evidence(path: Path, shape: tuple[int, int], options: LabelOptions) -> Evidence:
    """Read labels or probabilities for an image of `shape` (H, W)."""
    with _readable(path), path.open("rb") as file:
        start = file.read(6)
    if start == b"\x93NUMPY":
        array = _load(path)
        if array.ndim == 2 and array.dtype.kind in "iu":
            return _from_labels(path, _labels_of_array(path, array, shape, options), options)
        return _from_probabilities(path, array, shape, options)
    if start.startswith(b"PK"):
        raise EvidenceError(f"{path}: is an archive, such as .npz; save the one array with numpy.save, as .npy")
    if path.suffix.lower() == ".npy":
        raise EvidenceError(f"{path}: is not a file of numpy.save, though its name ends in .npy")
    return _from_labels(path, _read_picture(path, shape, options), options)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever happens while a file is read, but for too little memory, into an error that names it."""
    try:
        yield
    except (ImageError, UsageProblem, MemoryError):
        raise
    except Exception as problem:  # for files that are cut or broken Pillow raises nearly anything
        raise EvidenceError(f"{path}: {why_unreadable(problem)}") from problem


def _load(path: Path) -> Array:
    """Return the array in a file, of which nothing is read yet."""
    try:
        array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as problem:
        raise EvidenceError(
            f"{path}: cannot be read as an array of numbers ({problem}); pickled objects are refused"
        ) from None
    return array


def _check_size(path: Path, size: tuple[int, int], shape: tuple[int, int]) -> None:
    if size != shape:
        raise EvidenceError(f"{path}: has {size[1]} × {size[0]} pixels, but the image has {shape[1]} × {shape[0]}")


def _labels_of_array(path: Path, array: Array, shape: tuple[int, int], options: LabelOptions) -> LabelMap:
    _check_size(path, (int(array.shape[0]), int(array.shape[1])), shape)
    if array.max(initial=0) >= 2**63:
        raise EvidenceError(f"{path}: has the label {array.max()}; at most {MOST_LABELS} are possible")
    labels = np.array(array, np.int64)
    return LabelMap(labels, _unsure_label(path, labels, options), None, "labels")


def _read_picture(path: Path, shape: tuple[int, int], options: LabelOptions) -> LabelMap:
    """Read labels from a picture: stored values, or else the numbers of colours."""
    from PIL import Image, ImageOps

    _check_size(path, image_size(path), shape)
    with _readable(path), Image.open(path) as file:
        if file.format in ("JPEG", "MPO"):
            raise EvidenceError(f"{path}: is a JPEG, which changes values and so labels; save them as PNG")
        if getattr(file, "n_frames", 1) > 1:
            raise EvidenceError(f"{path}: has {file.n_frames} frames; give one of them")  # type: ignore[attr-defined]
        picture = _without_transparency(path, ImageOps.exif_transpose(file))
        if picture.mode == "RGB":
            return _labels_of_colours(path, np.asarray(picture, np.int64), options)
        if picture.mode not in GREYS:
            raise EvidenceError(f"{path}: has pixels of the kind {picture.mode}; save labels as a PNG of 8 or 16 bits")
        labels = np.array(picture, np.int64)
        colours = picture.getpalette() if picture.mode == "P" else None
    palette = None if colours is None else np.array(colours, np.uint8).reshape(-1, 3)
    return LabelMap(labels, _unsure_label(path, labels, options), palette, "labels")


def _without_transparency(path: Path, picture: PillowImage) -> PillowImage:
    """Drop an alpha channel that is opaque everywhere."""
    if picture.mode not in ("RGBA", "LA"):
        return picture
    if picture.getchannel("A").getextrema() != (255, 255):
        raise EvidenceError(f"{path}: has transparent pixels, which have no label; save it without transparency")
    return picture.convert(picture.mode[:-1])


def _labels_of_colours(path: Path, picture: Array, options: LabelOptions) -> LabelMap:
    """Number the colours of a picture, (H, W, 3)."""
    if options.unsure is not None and options.unsure.isdigit():
        raise UsageProblem(
            f"crf: --unsure {options.unsure}: {path} is a picture of colours; give a colour, such as #000000"
        )
    packed = picture @ np.array([65536, 256, 1])
    unsure = int(options.unsure[1:], 16) if options.unsure not in (None, "none") else None
    colours = np.setdiff1d(packed, [] if unsure is None else [unsure])
    if len(colours) > MOST_COLOURS:
        raise EvidenceError(
            f"{path}: has {len(colours):,} distinct colours, of which at most {MOST_COLOURS} can be labels; save "
            f"labels as a PNG whose grey values or palette are the labels, without smoothing"
        )
    labels = np.where(packed == unsure, UNSURE, np.searchsorted(colours, packed))
    palette = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], axis=1).astype(np.uint8)
    return LabelMap(labels, None if unsure is None else UNSURE, palette, "colours")


def _unsure_label(path: Path, labels: Array, options: LabelOptions) -> int | None:
    """Return the label that means unsure: VOC's, unless labels go as far as that."""
    if options.unsure is None:
        is_free = labels.max(initial=0) <= VOID and (options.n_labels or 0) <= VOID
        return VOID if is_free else None
    if options.unsure[0] == "#":
        raise UsageProblem(
            f"crf: --unsure {options.unsure}: {path} holds the labels themselves, no colours; give a label, such as 255"
        )
    return None if options.unsure == "none" else int(options.unsure)


def _from_labels(path: Path, given: LabelMap, options: LabelOptions) -> Evidence:
    """Turn labels into potentials; there are as many as --labels says, or the largest needs."""
    is_sure = np.ones(given.labels.shape, bool) if given.unsure is None else given.labels != given.unsure
    sure = given.labels[is_sure]
    if not sure.size:
        raise EvidenceError(f"{path}: every pixel is unsure; there is no label to begin with")
    n_labels = options.n_labels or int(sure.max()) + 1
    outside = is_sure & ((given.labels < 0) | (given.labels >= n_labels))
    if outside.any():
        y, x = np.argwhere(outside)[0].tolist()
        allowed = f"0 … {n_labels - 1}" + ("" if given.unsure in (None, UNSURE) else f" or {given.unsure}, unsure")
        raise EvidenceError(
            f"{path}: has the label {given.labels[y, x]} at x {x}, y {y}, counted from 0; labels must be {allowed}"
        )
    _check_number(path, n_labels, given)
    p = USUAL_CONFIDENCE if options.confidence is None else options.confidence
    if p <= 1 / n_labels:
        raise UsageProblem(
            f"crf: --confidence {p:g}: of {n_labels} labels one is right by chance with 1/{n_labels}; give more"
        )
    _check_memory(path, given.labels.size, n_labels)
    potentials = unary_from_labels(given.labels.ravel(), n_labels, gt_probability=p, unsure=given.unsure, dtype=DTYPE)
    unsure = options.unsure if given.kind == "colours" and given.unsure is not None else given.unsure
    warning = None if options.n_labels else _gaps(path, sure, n_labels)
    return Evidence(given.kind, potentials, np.where(is_sure, given.labels, UNSURE), given.palette, unsure, warning)


def _gaps(path: Path, sure: Array, n_labels: int) -> str | None:
    """Return a warning if few of the labels occur: the doubt about a pixel is shared among all of them."""
    occurring = np.unique(sure).tolist()
    n = len(occurring)
    if n > FEW * n_labels:
        return None
    shown = ", ".join(map(str, occurring[:4])) + (" …" if n > 4 else "")
    return (
        f"{path}: of {n_labels:,} labels, 0 … {n_labels - 1}, only {n} occur{'s' if n == 1 else ''} ({shown}); number "
        f"them 0 … {max(n, 2) - 1} without gaps, or give --labels {n_labels} if all of them are possible"
    )


def _check_number(path: Path, n_labels: int, given: LabelMap) -> None:
    """Refuse a single label, and more than a picture can hold."""
    if n_labels > MOST_LABELS:
        raise EvidenceError(f"{path}: has labels up to {n_labels - 1}; at most {MOST_LABELS} are possible")
    if n_labels == 1:
        what = "one colour" if given.kind == "colours" else "the label 0"
        hint = ""
        if given.unsure == VOID and (given.labels == VOID).any():
            hint = "; if it is a mask of 0 and 255, write 1 for 255, as 255 means unsure"
        raise EvidenceError(f"{path}: has only {what}, so that there is nothing to choose from{hint}")


def _check_memory(path: Path, n_points: int, n_labels: int) -> None:
    """Refuse what would fill the memory: as many labels, for the compatibility of each two, or as many pixels."""
    itemsize = np.dtype(DTYPE).itemsize
    for what, count in ((f"for each of {n_points:,} pixels", n_points), ("with each other", n_labels)):
        size = count * n_labels * itemsize
        if size > MOST_BYTES:
            raise EvidenceError(
                f"{path}: {n_labels} labels {what} take {size:,} bytes, and {MOST_BYTES:,} are the limit; number the "
                f"labels 0, 1, 2 … without gaps{', or make the image smaller' * (count == n_points)}"
            )


def _from_probabilities(path: Path, array: Array, shape: tuple[int, int], options: LabelOptions) -> Evidence:
    """Turn probabilities into potentials."""
    for option, value in (("--confidence", options.confidence), ("--unsure", options.unsure)):
        if value is not None:
            raise UsageProblem(f"crf: {option} is for labels, but {path} holds probabilities")
    if array.dtype.kind != "f":
        raise EvidenceError(
            f"{path}: probabilities must be floating-point numbers (or labels integers of shape (H, W)), got "
            f"{array.dtype} of shape {array.shape}"
        )
    axis = _label_axis(path, array, shape)
    n_labels = int(array.shape[axis])
    if options.n_labels not in (None, n_labels):
        raise UsageProblem(f"crf: --labels {options.n_labels}: {path} has probabilities of {n_labels} labels")
    if n_labels < 2:
        raise EvidenceError(f"{path}: has probabilities of {n_labels} label, so that there is nothing to choose from")
    if n_labels > MOST_LABELS:
        raise EvidenceError(f"{path}: has probabilities of {n_labels} labels; at most {MOST_LABELS} are possible")
    _check_memory(path, shape[0] * shape[1], n_labels)
    p = np.moveaxis(array, axis, 2)  # (H, W, L)
    _check_probabilities(path, p)
    rows = np.ascontiguousarray(p, DTYPE).reshape(-1, n_labels)
    before = np.argmax(rows, axis=1).reshape(shape)
    return Evidence("probabilities", unary_from_probabilities(rows), before)


def _label_axis(path: Path, array: Array, shape: tuple[int, int]) -> int:
    """Return which axis has the labels: the first or the last, and if it may be both, the one whose sums are 1."""
    H, W = shape
    axes = [] if array.ndim != 3 else [axis for axis in (0, 2) if np.delete(array.shape, axis).tolist() == [H, W]]
    if not axes:
        hint = "; drop the first axis" if array.ndim == 4 and array.shape[0] == 1 else ""
        raise EvidenceError(
            f"{path}: has the shape {array.shape}, but for the image of {W} × {H} pixels it must be (L, {H}, {W}) or "
            f"({H}, {W}, L){hint}"
        )
    if len(axes) == 1:
        return axes[0]
    sums = {axis: array.sum(axis=axis, dtype=np.float64) for axis in axes}  # of a cube either axis may be that of L
    axes = [axis for axis in axes if (np.abs(sums[axis] - 1) <= SUM_TOLERANCE).all()]
    if not axes:
        raise EvidenceError(f"{path}: adds up to 1 along neither the first axis nor the last; apply softmax to scores")
    if len(axes) == 2:
        raise EvidenceError(
            f"{path}: of the shape {array.shape}, for an image of {W} × {H} pixels, the labels may be the first axis "
            f"or the last, and both add up to 1; leave out a row of the image and of the array"
        )
    return axes[0]


def _check_probabilities(path: Path, p: Array) -> None:
    """Refuse what is not finite or does not add up to 1, and say what it may be instead."""
    finite = np.isfinite(p)
    if not finite.all():
        y, x, l = np.argwhere(~finite)[0].tolist()
        raise EvidenceError(f"{path}: has {p[y, x, l]} for label {l} at x {x}, y {y}, counted from 0")
    low, high = float(p.min()), float(p.max())
    if low < -SUM_TOLERANCE or high > 1 + SUM_TOLERANCE:
        if high <= SUM_TOLERANCE and _adds_up(np.exp(p[:1, :1])).all():
            advice = "they look like logarithms of probabilities: apply exp first"
        else:
            advice = "they look like scores (logits): apply softmax over the labels first"
        raise EvidenceError(f"{path}: has values from {low:g} to {high:g}, not from 0 to 1; {advice}")
    wrong = ~_adds_up(p)
    if wrong.any():
        y, x = np.argwhere(wrong)[0].tolist()
        raise EvidenceError(
            f"{path}: the probabilities at x {x}, y {y}, counted from 0, add up to {p[y, x].sum():.4g} instead of 1; "
            f"divide them by their sum, or apply softmax if they are scores (logits)"
        )


def _adds_up(p: Array) -> Array:
    """Return at which pixels the probabilities add up to 1, (H, W)."""
    close: Array = np.abs(p.sum(axis=2, dtype=np.float64) - 1) <= SUM_TOLERANCE
    return close
