"""COCO's JSON files: read as pycocotools reads them, written, and refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.data import (
    CocoDataset,
    CocoError,
    coco_entries,
    read_coco,
    read_coco_results,
    write_coco,
    write_coco_results,
)
from refdet.masks import rle_decode, rle_encode
from refdet.masks.rle_string import rle_to_string
from tests.real_data import real

SQUARE = [1, 1, 4, 1, 4, 3, 1, 3]  # pixels 1 … 3 of rows 1 and 2


def truth(**changes: Any) -> dict[str, Any]:
    """Return a file of two images and two annotations; a change replaces a field of the second annotation."""
    first = {"id": 1, "image_id": 7, "category_id": 3, "bbox": [1, 1, 3, 2], "area": 6, "iscrowd": 0}
    second = {"id": 2, "image_id": 9, "category_id": 3, "bbox": [0.5, 0, 2, 2.25], "area": 4.5, "iscrowd": 1}
    keypoints = {"keypoints": [1, 2, 2, 3, 1, 1], "num_keypoints": 2}
    second = {k: v for k, v in {**second, **changes}.items() if v is not ...}
    images = [{"id": i, "height": 5, "width": 6, "file_name": f"{i}.jpg"} for i in (9, 7)]
    return {
        "images": images,
        "categories": [{"id": 3, "name": "person", "keypoints": ["nose", "tail"]}, {"id": 1, "name": "cat"}],
        "annotations": [{**first, "segmentation": [SQUARE], **keypoints}, second],
    }


def written(folder: Path, content: Any, name: str = "gt.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def dataset(folder: Path, *, masks: bool = False, keypoints: bool = False) -> CocoDataset:
    return read_coco(written(folder, truth()), masks=masks, keypoints=keypoints)


def test_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco_entries, "TOLD_EVERY", 1)
    told: list[tuple[int, int]] = []
    read_coco(written(tmp_path, truth()), progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2)]


def test_columns(tmp_path: Path) -> None:
    found = dataset(tmp_path, masks=True, keypoints=True)
    truths = found.ground_truths
    assert (found.task.image_ids, found.task.category_ids) == ((7, 9), (1, 3))
    assert found.task.names == {3: "person", 1: "cat"}
    assert (found.images[9].file_name, found.images[9].height, found.images[9].width) == ("9.jpg", 5, 6)
    assert (truths.ids.tolist(), truths.image_ids.tolist()) == ([1, 2], [7, 9])
    np.testing.assert_array_equal(truths.boxes_xywh, [[1, 1, 3, 2], [0.5, 0, 2, 2.25]])
    np.testing.assert_array_equal(truths.areas, [6, 4.5])
    assert truths.is_crowd.tolist() == [False, True]
    assert truths.masks is not None
    expected = np.zeros((5, 6), bool)
    expected[1:3, 1:4] = True
    np.testing.assert_array_equal(rle_decode(truths.masks[0]), expected)
    assert not rle_decode(truths.masks[1]).any()
    assert truths.keypoints is not None
    np.testing.assert_array_equal(truths.keypoints, [[[1, 2, 2], [3, 1, 1]], np.zeros((2, 3))])
    np.testing.assert_array_equal(truths.n_keypoints, [2, 0])
    assert found.keypoint_names == ("nose", "tail")
    assert found.remarks == (f"{tmp_path / 'gt.json'}: 1 annotations have no segmentation; their mask is empty",)


def test_masks_and_keypoints_are_read_only_if_asked_for(tmp_path: Path) -> None:
    truths = dataset(tmp_path).ground_truths
    assert (truths.masks, truths.keypoints) == (None, None)
    read_coco(written(tmp_path, truth(segmentation="nonsense")))


def test_what_may_be_missing(tmp_path: Path) -> None:
    found = read_coco(written(tmp_path, truth(area=..., iscrowd=..., id=0)))
    assert found.ground_truths.areas.tolist() == [6, 4.5]
    assert found.ground_truths.is_crowd.tolist() == [False, False]
    assert "has the id 0, whose match pycocotools takes for a miss" in found.remarks[0]
    assert "1 annotations have no area" in found.remarks[1]
    nothing = read_coco(written(tmp_path, {"images": [], "annotations": [], "categories": []}), masks=True)
    assert len(nothing.ground_truths) == 0


@pytest.mark.parametrize("form", ["polygons", "counts", "text"])
def test_three_forms_of_a_mask(tmp_path: Path, form: str) -> None:
    mask = np.zeros((5, 6), bool)
    mask[1:3, 1:4] = True
    rle = rle_encode(mask)
    forms: dict[str, Any] = {
        "polygons": [SQUARE],
        "counts": {"size": [5, 6], "counts": rle.counts.tolist()},
        "text": {"size": [5, 6], "counts": rle_to_string(rle)},
    }
    found = read_coco(written(tmp_path, truth(segmentation=forms[form])), masks=True)
    assert found.ground_truths.masks is not None
    np.testing.assert_array_equal(rle_decode(found.ground_truths.masks[1]), mask)


def test_results(tmp_path: Path) -> None:
    common = {"image_id": 9, "category_id": 1, "score": 0.5}
    given = dataset(tmp_path)
    boxes = read_coco_results(written(tmp_path, [{**common, "bbox": [1, 2, 3, 4]}], "r.json"), given)
    np.testing.assert_array_equal(boxes.areas, [12])
    masks = read_coco_results(written(tmp_path, [{**common, "segmentation": [SQUARE]}], "r.json"), given, kind="segm")
    np.testing.assert_array_equal(masks.boxes_xywh, [[1, 1, 3, 2]])
    points = [{**common, "keypoints": [1, 2, 1, 4, 6, 1]}]
    keypoints = read_coco_results(written(tmp_path, points, "r.json"), given, kind="keypoints")
    np.testing.assert_array_equal(keypoints.boxes_xywh, [[1, 2, 3, 4]])


@pytest.mark.parametrize("kind", ["bbox", "segm", "keypoints"])
def test_no_results_are_results(tmp_path: Path, kind: str) -> None:
    given = dataset(tmp_path)
    assert len(read_coco_results(written(tmp_path, [], "r.json"), given, kind=kind)) == 0


def test_written_and_read_again(tmp_path: Path) -> None:
    before = dataset(tmp_path, masks=True, keypoints=True)
    write_coco(tmp_path / "again.json", before)
    after = read_coco(tmp_path / "again.json", masks=True, keypoints=True)
    assert (after.task, dict(after.images), after.keypoint_names) == (
        before.task, dict(before.images), before.keypoint_names,
    )  # fmt: skip
    for name in ("ids", "image_ids", "category_ids", "boxes_xywh", "areas", "is_crowd", "keypoints", "n_keypoints"):
        np.testing.assert_array_equal(getattr(after.ground_truths, name), getattr(before.ground_truths, name))
    assert before.ground_truths.masks is not None
    assert after.ground_truths.masks is not None
    for rle, other in zip(after.ground_truths.masks, before.ground_truths.masks, strict=True):
        np.testing.assert_array_equal(rle_decode(rle), rle_decode(other))


def test_results_written_and_read_again(tmp_path: Path) -> None:
    given = dataset(tmp_path)
    common = {"image_id": 9, "category_id": 1, "score": 1 / 3}
    shapes: dict[str, dict[str, Any]] = {
        "bbox": {"bbox": [0.1, 2, 3, 4]},
        "segm": {"segmentation": [SQUARE]},
        "keypoints": {"keypoints": [0.1] * 6},
    }
    for kind, shape in shapes.items():
        before = read_coco_results(written(tmp_path, [{**common, **shape}], "r.json"), given, kind=kind)
        write_coco_results(tmp_path / "again.json", before)
        after = read_coco_results(tmp_path / "again.json", given, kind=kind)
        for name in ("image_ids", "category_ids", "scores", "boxes_xywh", "areas"):
            np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    given = dataset(tmp_path)
    results = read_coco_results(written(tmp_path, [], "r.json"), given)
    before = sorted(tmp_path.iterdir())
    writers: list[Callable[[Path], None]] = [
        lambda path: write_coco(path, given),
        lambda path: write_coco_results(path, results),
    ]
    for write in writers:
        path = tmp_path / "nodir" / "x.json"
        with pytest.raises(CocoError, match=f"^{path}: there is no folder {path.parent}$"):
            write(path)
        with pytest.raises(CocoError, match=r"^nodir/x\.json: there is no folder nodir$"):
            write(Path("nodir/x.json"))
        with pytest.raises(CocoError, match=r"r\.json/x\.json: there is no folder .*r\.json$"):
            write(tmp_path / "r.json" / "x.json")
        with pytest.raises(CocoError, match=r"is a directory, not a file$"):
            write(tmp_path)
        with pytest.raises(CocoError, match=r"cannot be written: File name too long$"):
            write(tmp_path / ("x" * 300))
        with pytest.raises(CocoError, match=r"cannot be written: embedded null byte$"):
            write(tmp_path / "a\0b")
    assert sorted(tmp_path.iterdir()) == before
    assert not Path("nodir").exists()


NESTED = "[" * 100_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"gt\.json: is not JSON: Expecting value"),
        ("{", "is not JSON"),
        (NESTED, "is nested too deeply"),
        ([], "the ground truth must be a JSON object"),
        ({}, "images must be a list, got nothing"),
        ({"images": {}}, "images must be a list, got an object"),
        ({"images": [3]}, "entry 0 of images must be an object, got 3"),
        ({"images": [{"id": 1, "height": 0, "width": 3}]}, "images: height must be an integer of at least 1"),
        ({"images": [{"id": 1, "height": 10**7, "width": 3}]}, "height must be .* of at least 1 and at most 1000000"),
        ({"images": [{"id": 1, "height": 3, "width": 3, "file_name": 5}]}, "file_name must be text, got 5"),
        ({"images": [], "categories": [{"id": 1, "name": "a", "keypoints": 5}]}, "keypoints must be a list of texts"),
        ('{"images": [], "images": []}', "is not JSON: an object has the name 'images' twice"),
        ({"images": [{"id": 1, "height": 3, "width": 3}] * 2}, "entry 1 of images: the id 1 stands in"),
        (truth(id=1), "entry 1 of annotations: the id 1 stands in an earlier entry too"),
        (truth(id="2"), "entry 1 of annotations: id must be an integer, got '2'"),
        (truth(id=2**70), "id must be an integer, got 1180591620717411303424"),
        (truth(id=True), "id must be an integer, got True"),
        (truth(bbox=...), "entry 1 of annotations: bbox is missing"),
        (truth(bbox=[1, 2, 3]), r"bbox must be x, y, width and height.*got \[1, 2, 3\]"),
        (truth(bbox=[1, 2, -3, 4]), "the last two not negative"),
        (truth(bbox=[1, 2, float("nan"), 4]), "bbox must be a list of finite numbers"),
        (truth(bbox=[1, 2, 1e101, 4]), "bbox must be a list of finite numbers"),
        (truth(bbox=[1, 2, 10**400, 4]), "bbox must be a list of finite numbers"),
        (truth(bbox="1234"), "bbox must be a list of finite numbers, got '1234'"),
        (truth(image_id=8), "entry 1 of annotations: there is no image with the id 8"),
        (truth(category_id=2), "entry 1 of annotations: there is no category with the id 2"),
        (truth(area=-1), "area must be a finite number of at least 0, got -1"),
        (truth(area=float("inf")), "area must be a finite number of at least 0, got inf"),
        (truth(iscrowd=2), "iscrowd must be 0 or 1, got 2"),
        (truth(segmentation="x"), "segmentation must be a list of polygons, or an RLE"),
        (truth(segmentation=[[1, 2]]), "entry 1 of annotations: segmentation: "),
        (truth(segmentation=[3]), "entry 1 of annotations: segmentation: "),
        (truth(segmentation=[[0, 0, 1, 0, 1, float("nan")]]), "entry 1 of annotations: segmentation: "),
        (truth(segmentation={"size": [4, 6], "counts": [24]}), r"size must be that of its picture, .* got \[4, 6\]"),
        (truth(segmentation={"size": [5, 6], "counts": [29]}), r"must sum to H·W = 30"),
        (truth(segmentation={"size": [5, 6], "counts": [30, -1, 1]}), "negative count"),
        (truth(segmentation={"size": [5, 6], "counts": [31, -1]}), r"counts must not exceed H·W = 30, got 31"),
        (truth(segmentation={"size": [5, 6], "counts": [2**62] * 3 + [2**62 + 30]}), "counts must not exceed"),
        (truth(segmentation={"size": [5, 6], "counts": [2**70]}), "entry 1 of annotations: segmentation: "),
        (truth(segmentation=[[0, 0, 1, 0, 1, 10**400]]), "entry 1 of annotations: segmentation: "),
        (truth(segmentation=0), "segmentation must be a list of polygons, or an RLE"),
        (truth(segmentation={"size": [5, 6], "counts": "PP"}), "entry 1 of annotations: segmentation: "),
        (truth(segmentation={"counts": [30]}), "size must be that of its picture, .* got None"),
        (truth(segmentation={"size": [5, 6], "counts": [1.5]}), "counts must be text or a list of integers"),
        (truth(keypoints=[1, 2, 2]), "keypoints must be 6 numbers, three for each keypoint, got 3"),
        (truth(num_keypoints=-1), "num_keypoints must be an integer of at least 0, got -1"),
    ],
)  # fmt: skip
def test_ground_truth_that_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(CocoError, match=message):
        read_coco(written(tmp_path, content), masks=True, keypoints=True)


GOOD = {"image_id": 9, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        ({"annotations": []}, "bbox", "must be a JSON list of detections; this looks like a file of ground truth"),
        ([GOOD, {**GOOD, "score": float("nan")}], "bbox", "entry 1 of results: score must be a finite number, got nan"),
        ([GOOD, {**GOOD, "score": None}], "bbox", "entry 1 of results: score must be a finite number, got None"),
        ([{**GOOD, "image_id": 1}], "bbox", "entry 0 of results: there is no image with the id 1"),
        ([{**GOOD, "category_id": 99}], "bbox", "entry 0 of results: there is no category with the id 99"),
        ([{**GOOD, "bbox": [1, 2, 3, -4]}], "bbox", "the last two not negative"),
        ([GOOD], "segm", "entry 0 of results: segmentation is missing"),
        ([GOOD], "keypoints", "entry 0 of results: keypoints is missing"),
        ([{**GOOD, "keypoints": [1, 2, 3, 4]}], "keypoints", "keypoints must be 6 numbers"),
    ],
)
def test_results_that_are_refused(tmp_path: Path, content: Any, kind: str, message: str) -> None:
    with pytest.raises(CocoError, match=message):
        read_coco_results(written(tmp_path, content, "r.json"), dataset(tmp_path), kind=kind)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CocoError, match="there is no such file"):
        read_coco(tmp_path / "absent.json")
    with pytest.raises(CocoError, match="is a directory, not a file"):
        read_coco(tmp_path)
    with pytest.raises(CocoError, match=r"a\.json: cannot be read: Not a directory"):
        read_coco(written(tmp_path, []) / "a.json")


def test_files_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(CocoError, match=r"gt\.json: cannot be read: Permission denied"):
        read_coco(written(tmp_path, truth()))


def test_keypoints_that_no_category_names(tmp_path: Path) -> None:
    content = truth()
    del content["categories"][0]["keypoints"]
    with pytest.raises(CocoError, match="entry 0 of annotations: has keypoints, but no category has a list of their n"):
        read_coco(written(tmp_path, content), keypoints=True)


def test_keypoints_where_the_ground_truth_names_none(tmp_path: Path) -> None:
    """Their number is that of the first result."""
    content = truth()
    del content["categories"][0]["keypoints"]
    given = read_coco(written(tmp_path, content))
    common = {"image_id": 9, "category_id": 1, "score": 0.5}
    good, longer, none = ({**common, "keypoints": [1, 2, 1] * n} for n in (1, 2, 0))
    found = read_coco_results(written(tmp_path, [good, good], "r.json"), given, kind="keypoints")
    assert found.keypoints is not None
    assert found.keypoints.shape == (2, 1, 3)
    for bad, message in ((longer, "keypoints must be 3 numbers"), (none, "keypoints must be 3 numbers, .* got 0")):
        with pytest.raises(CocoError, match=f"entry 1 of results: {message}"):
            read_coco_results(written(tmp_path, [good, bad], "r.json"), given, kind="keypoints")
    with pytest.raises(CocoError, match="entry 0 of results: keypoints must be three numbers for each keypoint, got 0"):
        read_coco_results(written(tmp_path, [none], "r.json"), given, kind="keypoints")
    with pytest.raises(ValueError, match="kind must be one of bbox, segm, keypoints, got 'box'"):
        read_coco_results(tmp_path, dataset(tmp_path), kind="box")


@pytest.mark.real
def test_the_areas_of_real_annotations() -> None:
    """COCO's own areas are of the polygons as drawn; the masks have nearly as many pixels (those of crowds fewer)."""
    found = read_coco(real("coco") / "instances_val2014_100.json", masks=True)
    truths = found.ground_truths
    assert (len(truths), len(found.images), found.remarks) == (839, 100, ())
    assert truths.masks is not None
    pixels = np.array([rle_decode(rle).sum() for rle in truths.masks])
    large = (truths.areas > 1000) & ~truths.is_crowd
    np.testing.assert_allclose(pixels[large], truths.areas[large], rtol=0.03)
