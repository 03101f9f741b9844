"""Ground truths and detections as columns: one row per annotation or detection, in the order of the file.

COCO's fields by name (Lin et al., "Microsoft COCO: common objects in context", 2014; cocodataset.org/#format-data).

Conventions:

- Boxes are (x, y, w, h), as in COCO's files, not the (x1, y1, x2, y2) of `refdet.boxes`: x + w is rounded, so that
  going there and back would change overlaps in their last bit.
- The area of a ground truth is a column of its own, that of its outline rather than of its box. The area of a detection
  is what `loadRes` of the COCO API makes it: w·h for boxes, the number of pixels for masks, and for keypoints the area
  of the box around all of them, labelled or not.
- A column is a read-only copy: integers are int64, numbers float64. Lists are accepted. Masks are kept as they come.
- A flag is a boolean, or the integer 0 or 1 that COCO's files have; any other integer is refused by its row.
- Numbers are finite and no box is smaller than 0; anything else is refused by its row. Rows count from 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from refdet.core.check import LARGEST_INTEGER, Array, as_index, shape_of
from refdet.masks.rle import RLE, area_of_counts, box_of_counts, check_rle

_DTYPES = {"integers": np.int64, "numbers": np.float64, "booleans": np.bool_}
_ACCEPTED = {"integers": "iu", "numbers": "fiu", "booleans": "biu", "integers or strings": "iuUSO"}  # names of anything
RowShape = tuple[int | None, ...]  # None is any length


def _column(record: str, name: str, values: Any, kind: str, row_shape: RowShape = ()) -> Array:
    """Return a read-only copy in the dtype of its kind; refuse another kind, and rows of another shape."""
    try:
        column = np.asarray(values)
    except ValueError as error:
        raise ValueError(f"{record}: the rows of {name} must be of one shape: {error}") from error
    if column.shape == (0,):  # an empty list, whatever it would have held
        column = np.zeros((0, *(n or 0 for n in row_shape)), _DTYPES.get(kind, np.int64))
    if column.dtype.kind not in _ACCEPTED[kind]:
        or_flags = ", or integers that are 0 or 1" if kind == "booleans" else ""
        raise TypeError(f"{record}: {name} must hold {kind}{or_flags}, got {column.dtype.name}")
    fits = column.ndim == 1 + len(row_shape)
    if not fits or any(n not in (None, m) for n, m in zip(row_shape, column.shape[1:], strict=True)):
        wanted = ", ".join(["rows", *("any" if n is None else str(n) for n in row_shape)])
        raise ValueError(f"{record}: {name} must have shape ({wanted}), got {shape_of(column)}")
    if kind == "booleans":
        rows = np.flatnonzero((column != 0) & (column != 1))
        if rows.size:
            raise ValueError(f"{record}: {name} of row {rows[0]} must be 0 or 1, or a boolean, got {column[rows[0]]}")
    if column.dtype.kind == "u" and column.max(initial=0) > LARGEST_INTEGER:
        raise ValueError(f"{record}: {name} must fit into int64, got {column.max()}")
    column = np.array(column, _DTYPES.get(kind), order="C")
    column.flags.writeable = False
    return column


@dataclass(frozen=True, eq=False)
class Columns:
    """Records whose fields are columns of equal length."""

    def __len__(self) -> int:
        first: Array = getattr(self, dataclasses.fields(self)[0].name)
        return len(first)

    def select(self, rows: Any) -> Self:
        """Return the records of some rows, given by their indices or by one boolean per row."""
        indices = np.arange(len(self))[rows]
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return type(self)(**{name: _take(column, indices) for name, column in values.items()})

    def _set(self, name: str, kind: str, row_shape: RowShape = (), *, finite: bool = True) -> None:
        """Put the checked copy of a column in its place; its numbers must be finite unless said otherwise."""
        object.__setattr__(self, name, _column(type(self).__name__, name, getattr(self, name), kind, row_shape))
        if kind == "numbers" and finite:
            self._refuse(name, ~np.isfinite(getattr(self, name)), "is not finite")

    def _set_masks(self, masks: Iterable[RLE] | None) -> None:
        """Put the checked masks in their place, if there are any."""
        if masks is not None:
            object.__setattr__(self, "masks", _checked_masks(type(self).__name__, masks))

    def _refuse(self, name: str, is_bad: Array, why: str) -> None:
        """Raise for the first row in which something is bad."""
        rows = np.flatnonzero(is_bad.any(axis=tuple(range(1, is_bad.ndim))))
        if rows.size:
            value = getattr(self, name)[rows[0]].tolist()
            raise ValueError(f"{type(self).__name__}: {name} of row {rows[0]} {why}: {value}")

    def _check_lengths(self) -> None:
        """Refuse columns of another length than the first."""
        first, *others = dataclasses.fields(self)
        for field in others:
            column = getattr(self, field.name)
            if column is not None and len(column) != len(self):
                raise ValueError(
                    f"{type(self).__name__}: {field.name} has {len(column)} rows, {first.name} {len(self)}"
                )


def _checked_masks(record: str, masks: Iterable[RLE]) -> tuple[RLE, ...]:
    """Return the masks; refuse what is none by its row."""
    if not isinstance(masks, Iterable):
        raise TypeError(f"{record}: masks must be a sequence of RLE, got {type(masks).__name__}")
    found = tuple(masks)
    for i, rle in enumerate(found):
        check_rle(record, f"the mask of row {i}", rle)
    return found


def _take(column: Any, indices: Array) -> Any:
    """Return some rows of a column, of a tuple of masks, or of None."""
    if column is None:
        return None
    return tuple(column[i] for i in indices) if isinstance(column, tuple) else column[indices]


@dataclass(frozen=True, eq=False)
class GroundTruths(Columns):
    """What is in the images: A annotations.

    Attributes:
        ids: (A,) int64, all different.
        image_ids: (A,) int64.
        category_ids: (A,) int64.
        boxes_xywh: (A, 4) float64, rows (x, y, w, h) in pixels, (x, y) the top left corner; w and h are not negative.
        areas: (A,) float64, in pixels, of the outline.
        is_crowd: (A,) bool: a region that holds any number of objects. COCO's iscrowd, 0 or 1, is accepted.
        masks: A run-length encoded masks, or None.
        keypoints: (A, K, 3) float64, rows (x, y, visibility) in pixels, visibility 0 for not labelled, 1 for hidden,
            2 for visible; or None.
        n_keypoints: (A,) int64, how many are labelled; if it is not given, those of visibility > 0. None without both.

    >>> truths = GroundTruths([1], [7], [3], [[10, 20, 30, 40]], [900], [False])
    >>> len(truths), truths.boxes_xywh
    (1, array([[10., 20., 30., 40.]]))
    """

    ids: Array
    image_ids: Array
    category_ids: Array
    boxes_xywh: Array
    areas: Array
    is_crowd: Array
    masks: tuple[RLE, ...] | None = None
    keypoints: Array | None = None
    n_keypoints: Array | None = None

    def __post_init__(self) -> None:
        for name in ("ids", "image_ids", "category_ids"):
            self._set(name, "integers")
        self._set("boxes_xywh", "numbers", (4,))
        self._set("areas", "numbers")
        self._set("is_crowd", "booleans")
        self._set_masks(self.masks)
        if self.keypoints is not None:
            self._set("keypoints", "numbers", (None, 3))
            if self.n_keypoints is None:
                object.__setattr__(self, "n_keypoints", np.count_nonzero(self.keypoints[:, :, 2] > 0, axis=1))
        if self.n_keypoints is not None:
            self._set("n_keypoints", "integers")
            self._refuse("n_keypoints", self.n_keypoints < 0, "is negative")
        self._check_lengths()
        self._refuse("boxes_xywh", self.boxes_xywh[:, 2:] < 0, "has a negative size")
        self._refuse("areas", self.areas < 0, "is negative")
        repeated = np.ones(len(self), bool)
        repeated[np.unique(self.ids, return_index=True)[1]] = False
        self._refuse("ids", repeated, "stands in an earlier row too")


@dataclass(frozen=True, eq=False)
class Detections(Columns):
    """What was detected: N boxes, masks or sets of keypoints, each with a score.

    `of_boxes`, `of_masks` and `of_keypoints` make them as the COCO API reads its result files.

    Attributes:
        image_ids: (N,) int64.
        category_ids: (N,) int64.
        scores: (N,) float64, finite, the higher the surer.
        boxes_xywh: (N, 4) float64, rows (x, y, w, h) in pixels, (x, y) the top left corner; w and h are not negative.
        areas: (N,) float64, in pixels.
        masks: N run-length encoded masks, or None.
        keypoints: (N, K, 3) float64, rows (x, y, a third number that is not read) in pixels; or None.
    """

    image_ids: Array
    category_ids: Array
    scores: Array
    boxes_xywh: Array
    areas: Array
    masks: tuple[RLE, ...] | None = None
    keypoints: Array | None = None

    def __post_init__(self) -> None:
        self._set("image_ids", "integers")
        self._set("category_ids", "integers")
        self._set("scores", "numbers")
        self._set("boxes_xywh", "numbers", (4,))
        self._set("areas", "numbers")
        self._set_masks(self.masks)
        if self.keypoints is not None:
            self._set("keypoints", "numbers", (None, 3))
        self._check_lengths()
        self._refuse("boxes_xywh", self.boxes_xywh[:, 2:] < 0, "has a negative size")
        self._refuse("areas", self.areas < 0, "is negative")

    @classmethod
    def of_boxes(cls, image_ids: Any, category_ids: Any, scores: Any, boxes_xywh: Any) -> Detections:
        """Return boxes with their area w·h.

        >>> Detections.of_boxes([7], [3], [0.9], [[10, 20, 30, 40]]).areas
        array([1200.])
        """
        boxes = _column("Detections", "boxes_xywh", boxes_xywh, "numbers", (4,))
        return cls(image_ids, category_ids, scores, boxes, boxes[:, 2] * boxes[:, 3])

    @classmethod
    def of_masks(cls, image_ids: Any, category_ids: Any, scores: Any, masks: Iterable[RLE]) -> Detections:
        """Return masks with the number of their pixels and the boxes around them.

        >>> Detections.of_masks([7], [3], [0.9], [RLE(np.array([4, 2]), (3, 2))]).boxes_xywh
        array([[1., 1., 1., 2.]])
        """
        masks = _checked_masks("Detections", masks)
        boxes = np.array([box_of_counts(rle.counts, rle.size[0]) for rle in masks])
        areas = np.array([area_of_counts(rle.counts) for rle in masks], np.float64)
        return cls(image_ids, category_ids, scores, boxes, areas, masks=masks)

    @classmethod
    def of_keypoints(cls, image_ids: Any, category_ids: Any, scores: Any, keypoints: Any) -> Detections:
        """Return sets of K keypoints with the boxes around all K points, and the areas of these.

        >>> Detections.of_keypoints([7], [3], [0.9], [[[10, 20, 1], [13, 24, 1]]]).boxes_xywh
        array([[10., 20.,  3.,  4.]])
        """
        points = _column("Detections", "keypoints", keypoints, "numbers", (None, 3))
        low, high = _extremes(points[:, :, :2])
        size = high - low
        boxes = np.concatenate([low, size], axis=1)
        return cls(image_ids, category_ids, scores, boxes, size[:, 0] * size[:, 1], keypoints=points)


def _extremes(points: Array) -> tuple[Array, Array]:
    """Return the least and the greatest x and y of (N, K, 2), both (N, 2); zeros where there is no point."""
    if points.shape[1] == 0:
        return np.zeros((len(points), 2)), np.zeros((len(points), 2))
    return points.min(axis=1), points.max(axis=1)


@dataclass(frozen=True)
class Task:
    """What is evaluated: every image, also those with nothing in them, and every category, by id.

    Attributes:
        image_ids: given in any order, all different; kept ascending.
        category_ids: likewise.
        names: of the categories, by id; those that have none need not be in it.
    """

    image_ids: tuple[int, ...]
    category_ids: tuple[int, ...]
    names: Mapping[int, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for field in ("image_ids", "category_ids"):
            ids = getattr(self, field)
            if not isinstance(ids, Iterable):
                raise TypeError(f"Task: {field} must be a sequence, got {ids!r}")
            indices = [as_index(i) for i in ids]
            if None in indices:
                raise TypeError(f"Task: {field} must hold integers, got {ids!r}")
            found = sorted({i for i in indices if i is not None})
            if len(found) != len(indices):
                raise ValueError(f"Task: {field} holds an id twice")
            object.__setattr__(self, field, tuple(found))


def check_records(op: str, ground_truths: object, detections: object) -> None:
    """Refuse what is no `GroundTruths` and no `Detections`, also the one in the other's place."""
    for name, records, wanted in (
        ("ground_truths", ground_truths, GroundTruths),
        ("detections", detections, Detections),
    ):
        if not isinstance(records, wanted):
            raise TypeError(f"{op}: {name} must be {wanted.__name__}, got {type(records).__name__}")
