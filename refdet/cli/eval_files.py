"""What `refdet eval` reads: ground truth and detections, from COCO's files or VOC's, as the same records."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from refdet.core.check import Array
from refdet.data import VocError, read_coco, read_coco_results, read_voc_folder, read_voc_results
from refdet.data.coco_entries import CocoError
from refdet.data.voc_entries import lines_of
from refdet.metrics import Detections, GroundTruths, LabelledBoxes, ScoredBoxes, Task
from refdet.metrics.image_overlaps import ignored_truths

if TYPE_CHECKING:
    from refdet.cli.progress_bar import Begin
    from refdet.data import VocAnnotation, VocResults

FIRST_CHARACTERS = 2**16  # of a file of results, in which its first entry is looked for


@dataclass(frozen=True, eq=False)
class EvalFiles:
    """Ground truth and detections."""

    ground_truth: Path
    results: Path
    kind: str  # "bbox", "segm" or "keypoints"
    task: Task
    truths: GroundTruths
    detections: Detections
    remarks: tuple[str, ...]
    keypoint_names: tuple[str, ...] = ()
    is_difficult: Array | None = None  # of VOC's objects
    voc: tuple[LabelledBoxes, ScoredBoxes] | None = None  # classes are categories

    @property
    def is_ignored(self) -> Array:
        """Which objects need not be found, (A,): crowds, persons without labelled keypoints, difficult ones."""
        return ignored_truths("eval", self.truths, self.kind, self.is_difficult)

    def count(self, category_ids: Array) -> Array:
        """Return how many of these there are of each category of the task."""
        return np.array([np.count_nonzero(category_ids == i) for i in self.task.category_ids], np.int64)


def guess_kind(results: Path) -> str:
    """Return what the first result has: keypoints, else a segmentation, else a box. The file need not be whole.

    Of results that have several of these the kind that says most is taken; of none, boxes.
    """
    try:
        with results.open("rb") as file:
            text = file.read(FIRST_CHARACTERS).decode(errors="replace")
    except OSError as error:
        raise CocoError(f"{results}: cannot be read: {error.strerror}") from None
    try:
        first, _ = json.JSONDecoder().raw_decode(text, text.index("{"))
    except (ValueError, RecursionError):  # there is none, or it is longer than what was read, or very deep
        first = re.findall(r'"(\w+)"\s*:', text)
    return "keypoints" if "keypoints" in first else "segm" if "segmentation" in first else "bbox"


def read_coco_files(ground_truth: Path, results: Path, kind: str, begin: Begin) -> EvalFiles:
    """Read two files of COCO's."""
    progress = begin(f"reading {ground_truth.name}")
    dataset = read_coco(ground_truth, masks=kind == "segm", keypoints=kind == "keypoints", progress=progress)
    if kind == "keypoints" and not dataset.keypoint_names:
        raise CocoError(f"{ground_truth}: no category has a list of keypoints, so that none can be evaluated")
    detections = read_coco_results(results, dataset, kind=kind, progress=begin(f"reading {results.name}"))
    files = EvalFiles(
        ground_truth,
        results,
        kind,
        dataset.task,
        dataset.ground_truths,
        detections,
        dataset.remarks,
        dataset.keypoint_names,
    )
    return _with_remarks(files, [])


def read_voc_files(ground_truth: Path, results: Path, split: str | None, begin: Begin) -> EvalFiles:
    """Read a folder of annotations and one of results; categories are numbered from 1 in the order of their names."""
    annotations = read_voc_folder(ground_truth, split=split, progress=begin(f"reading {ground_truth.name}"))
    if not annotations:
        raise VocError(f"{ground_truth / 'ImageSets' / 'Main' / f'{split}.txt'}: names no picture")
    begin(f"reading {results.name}")
    by_class = read_voc_results(results)
    image_numbers = _image_numbers(ground_truth, annotations)
    named = {name for annotation in annotations for name in annotation.names}
    numbers = {name: i for i, name in enumerate(sorted(named | by_class.keys()), start=1)}
    task = Task(tuple(image_numbers.values()), tuple(numbers.values()), {i: name for name, i in numbers.items()})
    objects = _voc_objects(annotations, image_numbers, numbers)
    scored = _voc_detections(results, by_class, image_numbers, numbers)
    xywh = _xywh(objects.boxes)
    truths = GroundTruths(
        np.arange(1, len(xywh) + 1),
        objects.image_ids,
        objects.classes,
        xywh,
        xywh[:, 2] * xywh[:, 3],
        np.zeros(len(xywh), bool),
    )
    detections = Detections.of_boxes(scored.image_ids, scored.classes, scored.scores, _xywh(scored.boxes))
    remarks = [
        *(f"{results}: there is no file of {name}, so that none is found" for name in sorted(named - by_class.keys())),
        *(f"{ground_truth}: there is no {name}, so that it has no AP" for name in sorted(by_class.keys() - named)),
    ]
    files = EvalFiles(
        ground_truth,
        results,
        "bbox",
        task,
        truths,
        detections,
        (),
        is_difficult=objects.difficult,
        voc=(objects, scored),
    )
    return _with_remarks(files, remarks)


def _with_remarks(files: EvalFiles, found: list[str]) -> EvalFiles:
    """Add what a reader should know beside what was found while reading."""
    remarks = [*files.remarks, *found]
    if files.is_ignored.all():
        remarks.append(f"{files.ground_truth}: there are no objects to find, so that no figure can be given")
    if not len(files.detections):
        remarks.append(f"{files.results}: there are no detections")
    return replace(files, remarks=tuple(remarks))


def _image_numbers(folder: Path, annotations: list[VocAnnotation]) -> dict[str, int]:
    """Number the images from 0."""
    counts = Counter(annotation.image_id for annotation in annotations)
    for image_id, n in counts.items():
        if n > 1:
            raise VocError(f"{folder}: the list of pictures names {image_id!r} {n} times")
    return {image_id: i for i, image_id in enumerate(counts)}


def _voc_objects(
    annotations: list[VocAnnotation], image_numbers: Mapping[str, int], numbers: Mapping[str, int]
) -> LabelledBoxes:
    return LabelledBoxes(
        np.array([image_numbers[a.image_id] for a in annotations for _ in a.names], np.int64),
        np.array([numbers[name] for a in annotations for name in a.names], np.int64),
        np.concatenate([np.zeros((0, 4)), *(a.boxes for a in annotations)]),
        np.concatenate([np.zeros(0, bool), *(a.difficult for a in annotations)]),
    )


def _voc_detections(
    folder: Path, by_class: Mapping[str, VocResults], image_numbers: Mapping[str, int], numbers: Mapping[str, int]
) -> ScoredBoxes:
    for name, found in by_class.items():
        for i, image_id in enumerate(found.image_ids):
            if image_id not in image_numbers:
                raise VocError(
                    f"{_place(folder, name, i)} is a detection in a picture {image_id!r}, which is not among the "
                    f"{len(image_numbers)} of the ground truth"
                )
    return ScoredBoxes(
        np.array([image_numbers[i] for found in by_class.values() for i in found.image_ids], np.int64),
        np.array([numbers[name] for name, found in by_class.items() for _ in found.image_ids], np.int64),
        np.concatenate([np.zeros(0), *(found.scores for found in by_class.values())]),
        np.concatenate([np.zeros((0, 4)), *(found.boxes for found in by_class.values())]),
    )


def _place(folder: Path, name: str, i: int) -> str:
    """Return the file, and the line in it, of a detection of a class."""
    path = next(path for path in sorted(folder.glob("*.txt")) if path.stem.rpartition("_")[2] == name)
    return f"{path}: line {lines_of(path)[i][0]}"


def _xywh(boxes: Array) -> Array:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
