"""The pictures of a file of COCO's with their objects, each read when it is asked for.

Conventions:

- Pictures come in ascending order of their ids, also those without an object.
- Classes are numbered from 1 in ascending order of the categories' ids, or as `class_names` says; of the latter, names
  that the file does not have are allowed, but not the other way round. Two categories of one name are refused, and one
  that is called "background".
- COCO's (x, y, w, h) becomes (x1, y1, x2, y2); what of a box lies outside the picture is cut off.
- An object whose box has no area, or none inside the picture, is refused when the file is read, by the picture and the
  id of the annotation; or left out, if that is asked for.
- The area of an object is what the file says, else that of its box in the file (see `refdet.data.coco`).
- A crowd is `difficult`: detectors need not find it.
- A keypoint of visibility 0 is not labelled, one of 1 is hidden, one of 2 can be seen. `joints_visible` says which are
  labelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from refdet.core.check import Array
from refdet.data.coco import CocoDataset, read_coco
from refdet.data.coco_entries import CocoError, CocoImage, Progress
from refdet.data.images import read_image
from refdet.data.lazy_sequence import LazySequence
from refdet.data.sample import BACKGROUND, Sample
from refdet.masks.rle import area_of_counts, rle_decode


class CocoImages(LazySequence[Sample]):
    """The pictures of a file of ground truth.

    Args:
        path: the file, such as annotations/instances_val2017.json.
        folder: of the pictures; None for the first of: the file's own folder, `images` in it, and beside its folder
            `images` and the last part of the file's name (val2017), in which the first picture is.
        class_names: those that may occur, without the background; None for those of the file.
        masks: whether to read masks.
        joints: whether to read keypoints; the file must have some.
        leave_out_unusable: leave out objects whose box has no area inside the picture, instead of refusing the file.
        progress: called now and then with the number of annotations that were read, and that of all.

    Attributes:
        class_names: "background", and the others.
        joint_names: of the keypoints; empty where they are not read.
        n_objects: how many objects there are in all pictures, crowds included.
        n_left_out: how many objects were left out.
        n_without_mask: how many of the `n_objects` have an empty mask, where masks are read; the file may give none for
            them.
    """

    def __init__(
        self,
        path: Path | str,
        folder: Path | str | None = None,
        *,
        class_names: Sequence[str] | None = None,
        masks: bool = False,
        joints: bool = False,
        leave_out_unusable: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._path = Path(path)
        dataset = read_coco(path, masks=masks, keypoints=joints, progress=progress)
        if joints and not dataset.keypoint_names:
            raise CocoError(f"{path}: no category has a list of keypoints, so that there are no joints")
        self._truths = dataset.ground_truths
        self._images = [dataset.images[i] for i in dataset.task.image_ids]
        super().__init__(len(self._images))
        self.class_names, self._class_of = self._classes(dataset, class_names)
        self.joint_names = dataset.keypoint_names if joints else ()
        self._boxes, is_usable = self._corners(dataset)
        if not leave_out_unusable and not is_usable.all():
            self._refuse_box(dataset, int(np.argmin(is_usable)))
        self.n_left_out = int(np.count_nonzero(~is_usable))
        self.n_objects = len(is_usable) - self.n_left_out
        rows, encoded = np.flatnonzero(is_usable).tolist(), self._truths.masks
        self.n_without_mask = 0 if encoded is None else sum(area_of_counts(encoded[row].counts) == 0 for row in rows)
        self._rows: dict[int, list[int]] = {}
        for row in rows:
            self._rows.setdefault(int(self._truths.image_ids[row]), []).append(row)
        self._folder = self._folder_of_pictures() if folder is None else Path(folder)

    def _item(self, i: int) -> Sample:
        entry, truths = self._images[i], self._truths
        image = read_image(self._folder / _file_name(self._path, entry))
        if image.shape[:2] != (entry.height, entry.width):
            raise CocoError(
                f"{self._path}: {entry.file_name} should have {entry.width} × {entry.height} pixels, and has "
                f"{image.shape[1]} × {image.shape[0]}"
            )
        rows = self._rows.get(entry.id, [])
        masks = truths.masks
        points = None if truths.keypoints is None else truths.keypoints[rows]
        return Sample(
            entry.file_name,
            image,
            self._boxes[rows].astype(np.float32),
            np.array([self._class_of[int(c)] for c in truths.category_ids[rows]], np.int64),
            truths.is_crowd[rows],
            masks=None
            if masks is None
            else np.array([rle_decode(masks[row]) for row in rows], np.bool_).reshape(-1, *image.shape[:2]),
            joints=None if points is None else points[:, :, :2].astype(np.float32),
            joints_visible=None if points is None else points[:, :, 2] > 0,
            areas=truths.areas[rows],
        )

    def _classes(
        self, dataset: CocoDataset, class_names: Sequence[str] | None
    ) -> tuple[tuple[str, ...], dict[int, int]]:
        """Return the names of the classes, and the class of each category."""
        categories = {i: dataset.task.names[i] for i in dataset.task.category_ids}
        self._check_names(categories)
        if class_names is not None and BACKGROUND in class_names:
            raise ValueError(
                f"CocoImages: class_names must not hold {BACKGROUND!r}, which is class 0 without being named"
            )
        names = tuple(categories.values()) if class_names is None else tuple(class_names)
        unknown = [name for name in categories.values() if name not in names]
        if unknown:
            raise CocoError(f"{self._path}: {unknown[0]!r} is none of the classes asked for")
        if class_names is None:
            return (BACKGROUND, *names), {i: c for c, i in enumerate(categories, start=1)}
        return (BACKGROUND, *names), {i: names.index(name) + 1 for i, name in categories.items()}

    def _check_names(self, categories: Mapping[int, str]) -> None:
        """Refuse two categories of one name, and one that has that of the background."""
        ids: dict[str, int] = {}
        for i, name in categories.items():
            if name == BACKGROUND:
                raise CocoError(
                    f"{self._path}: category {i} is named {name!r}, which is kept for what is no object; rename or "
                    "remove it"
                )
            if name in ids:
                raise CocoError(f"{self._path}: categories {ids[name]} and {i} are both named {name!r}; rename one")
            ids[name] = i

    def _corners(self, dataset: CocoDataset) -> tuple[Array, Array]:
        """Return the boxes cut off at the border of their pictures, (A, 4), and which of them have an area."""
        images = [dataset.images[int(i)] for i in self._truths.image_ids]
        sides = np.array([(image.width, image.height) for image in images], np.float64).reshape(-1, 2)
        xywh = self._truths.boxes_xywh
        low = np.clip(xywh[:, :2], 0, sides)
        high = np.clip(xywh[:, :2] + xywh[:, 2:], 0, sides)
        return np.concatenate([low, high], axis=1), np.all(low.astype(np.float32) < high.astype(np.float32), axis=1)

    def _refuse_box(self, dataset: CocoDataset, row: int) -> None:
        image = dataset.images[int(self._truths.image_ids[row])]
        raise CocoError(
            f"{self._path}: {image.file_name or f'image {image.id}'}: annotation {self._truths.ids[row]} has the box "
            f"{self._truths.boxes_xywh[row].tolist()} (x, y, width, height), which has no area inside the picture of "
            f"{image.width} × {image.height}"
        )

    def _folder_of_pictures(self) -> Path:
        """Return the folder in which the first picture is."""
        own = self._path.parent
        candidates = [own, own / "images", own.parent / "images", own.parent / self._path.stem.rpartition("_")[2]]
        if not self._images:
            return own
        name = _file_name(self._path, self._images[0])
        for folder in candidates:
            if (folder / name).is_file():
                return folder
        raise CocoError(
            f"{self._path}: its first picture, {name}, is in none of the folders "
            f"{', '.join(dict.fromkeys(map(str, candidates)))}"
        )


def _file_name(path: Path, image: CocoImage) -> str:
    if not image.file_name:
        raise CocoError(f"{path}: image {image.id} has no file_name")
    return image.file_name
