"""The pictures of a file of COCO's, as samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refdet.data.coco_entries import CocoError
from refdet.data.coco_images import CocoImages
from refdet.data.limbs import COCO_JOINT_NAMES, COCO_LIMBS, same_joints, swapped_of
from refdet.data.stick_figures import JOINT_NAMES, SWAPPED
from tests.data.foreign_joints import AP_10K, AP_10K_SWAPPED, COCO_SWAPPED

CONTENT: dict[str, Any] = {
    "images": [
        {"id": 9, "width": 12, "height": 8, "file_name": "nine.png"},
        {"id": 4, "width": 10, "height": 6, "file_name": "four.png"},
        {"id": 5, "width": 10, "height": 6, "file_name": "five.png"},
    ],
    "categories": [
        {"id": 18, "name": "dog"},
        {"id": 3, "name": "car", "keypoints": ["front", "rear"]},
    ],
    "annotations": [
        {"id": 1, "image_id": 9, "category_id": 18, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0,
         "segmentation": [[1, 2, 4, 2, 4, 6, 1, 6]]},
        {"id": 2, "image_id": 4, "category_id": 3, "bbox": [-1, 0, 4, 9.5], "area": 12, "iscrowd": 1,
         "segmentation": {"size": [6, 10], "counts": [0, 6, 54]}, "keypoints": [1, 2, 2, 3, 4, 0]},
        {"id": 3, "image_id": 9, "category_id": 3, "bbox": [8, 0, 4, 8], "area": 32, "iscrowd": 0,
         "segmentation": [[8, 0, 12, 0, 12, 8, 8, 8]], "keypoints": [9, 1, 1, 10, 3, 2]},
    ],
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    for image in CONTENT["images"]:
        size = (image["height"], image["width"], 3)
        Image.fromarray(np.full(size, image["id"], np.uint8)).save(tmp_path / image["file_name"])
    return write(tmp_path / "truth.json", CONTENT)


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def with_box(box: list[float]) -> dict[str, Any]:
    first, *rest = CONTENT["annotations"]
    return {**CONTENT, "annotations": [{**first, "bbox": box}, *rest]}


def test_pictures_come_in_the_order_of_their_ids(file: Path) -> None:
    images = CocoImages(file)
    assert [sample.name for sample in images] == ["four.png", "five.png", "nine.png"]
    assert [int(sample.image[0, 0, 0]) for sample in images] == [4, 5, 9]
    assert images.class_names == ("background", "car", "dog")


def test_boxes_classes_and_crowds(file: Path) -> None:
    four, five, nine = CocoImages(file)
    assert four.boxes.tolist() == [[0, 0, 3, 6]]  # cut off on three sides
    assert (four.classes.tolist(), four.difficult.tolist()) == ([1], [True])
    assert nine.boxes.tolist() == [[1, 2, 4, 6], [8, 0, 12, 8]]
    assert (nine.classes.tolist(), nine.difficult.tolist()) == ([2, 1], [False, False])
    assert (five.boxes.shape, five.classes.shape) == ((0, 4), (0,))
    assert four.masks is four.joints is None


def test_masks_and_joints(file: Path) -> None:
    images = CocoImages(file, masks=True, joints=True)
    four, five, nine = images
    assert images.joint_names == ("front", "rear")
    assert four.masks is not None
    assert np.array_equal(four.masks[0], np.arange(10)[None].repeat(6, axis=0) == 0)
    assert nine.masks is not None
    assert [int(mask.sum()) for mask in nine.masks] == [12, 32]
    assert nine.masks[0, 2:6, 1:4].all()
    assert five.masks is not None
    assert five.masks.shape == (0, 6, 10)
    assert nine.joints is not None
    assert nine.joints_visible is not None
    assert nine.joints[1].tolist() == [[9, 1], [10, 3]]
    assert nine.joints_visible.tolist() == [[False, False], [True, True]]  # the dog has none; a hidden one is labelled
    assert four.joints_visible is not None
    assert four.joints_visible.tolist() == [[True, False]]


def test_classes_of_a_detector(file: Path) -> None:
    images = CocoImages(file, class_names=("cat", "dog", "car"))
    assert images.class_names == ("background", "cat", "dog", "car")
    assert images[2].classes.tolist() == [2, 3]
    with pytest.raises(CocoError, match="'car' is none of the classes asked for"):
        CocoImages(file, class_names=("dog",))


@pytest.mark.parametrize("class_names", [None, ("cat", "dog", "car")])
def test_names_that_do_not_tell_classes_apart(file: Path, class_names: tuple[str, ...] | None) -> None:
    dog, car = CONTENT["categories"]
    write(file, {**CONTENT, "categories": [dog, {**car, "name": "dog"}]})
    with pytest.raises(CocoError, match=r"truth\.json: categories 3 and 18 are both named 'dog'; rename one"):
        CocoImages(file, class_names=class_names)
    write(file, {**CONTENT, "categories": [{**dog, "name": "background"}, car]})
    with pytest.raises(CocoError, match=r"category 18 is named 'background', which is kept for what is no object"):
        CocoImages(file, class_names=class_names)
    write(file, CONTENT)
    with pytest.raises(ValueError, match="class_names must not hold 'background', which is class 0 without being nam"):
        CocoImages(file, class_names=("background", "dog", "car"))


def test_areas_are_those_of_the_file_or_else_of_the_box_in_it(file: Path) -> None:
    first, second, third = CONTENT["annotations"]
    without = {name: value for name, value in second.items() if name != "area"}
    write(file, {**CONTENT, "annotations": [{**first, "area": 7.25}, without, third]})
    four, five, nine = CocoImages(file, masks=True)
    assert four.areas is not None
    assert four.areas.tolist() == [4 * 9.5]  # not 18, of what of the box lies in the picture
    assert five.areas is not None
    assert five.areas.shape == (0,)
    assert nine.areas is not None
    assert nine.areas.tolist() == [7.25, 32]
    write(file, {**with_box([1, 2, 0, 4])})
    nine = CocoImages(file, leave_out_unusable=True)[2]
    assert nine.areas is not None
    assert nine.areas.tolist() == [32]  # that of the object which is left


def test_objects_without_a_mask_are_counted(file: Path) -> None:
    """However the empty mask is written; not those that are left out, nor where masks are not read."""
    assert CocoImages(file, masks=True).n_without_mask == 0
    first, *rest = CONTENT["annotations"]
    for segmentation in (
        [],
        [[20, 20, 22, 20, 22, 22]],
        *({"size": [8, 12], "counts": c} for c in ([96], [96, 0], [9, 0, 87])),
    ):
        empty = {**first, "segmentation": segmentation}
        write(file, {**CONTENT, "annotations": [empty, *rest]})
        assert CocoImages(file, masks=True).n_without_mask == 1
        assert CocoImages(file).n_without_mask == 0
        write(file, {**CONTENT, "annotations": [{**empty, "bbox": [1, 2, 0, 4]}, *rest]})
        images = CocoImages(file, masks=True, leave_out_unusable=True)
        assert (images.n_left_out, images.n_objects, images.n_without_mask) == (1, 2, 0)


@pytest.mark.parametrize("box", [[1, 2, 0, 4], [1, 2, 3, 0], [12, 0, 3, 3], [0, -5, 3, 5], [-9, 0, 9, 3]])
def test_a_box_without_area_is_refused_by_its_picture(file: Path, box: list[float]) -> None:
    write(file, with_box(box))
    with pytest.raises(CocoError, match=r"truth\.json: nine\.png: annotation 1 has the box .* no area inside the pic"):
        CocoImages(file)
    images = CocoImages(file, leave_out_unusable=True)
    assert images.n_left_out == 1
    assert images[2].boxes.tolist() == [[8, 0, 12, 8]]


@pytest.mark.parametrize("place", ["images", "../images", "../truth"])
def test_where_pictures_are_looked_for(file: Path, place: str) -> None:
    folder = file.parent / "annotations"
    folder.mkdir()
    moved = write(folder / "instances_truth.json", CONTENT)
    (folder / place).mkdir()
    for image in CONTENT["images"]:
        (file.parent / image["file_name"]).rename(folder / place / image["file_name"])
    assert CocoImages(moved)[0].name == "four.png"
    (folder / place / "four.png").unlink()
    with pytest.raises(CocoError, match=r"its first picture, four\.png, is in none of the folders "):
        CocoImages(moved)


def test_a_picture_of_another_size_is_refused(file: Path) -> None:
    Image.new("RGB", (6, 10)).save(file.parent / "four.png")
    with pytest.raises(CocoError, match=r"four\.png should have 10 × 6 pixels, and has 6 × 10"):
        CocoImages(file)[0]


def test_what_the_file_does_not_have(file: Path) -> None:
    without = {**CONTENT, "categories": [{"id": 3, "name": "car"}, {"id": 18, "name": "dog"}], "annotations": []}
    with pytest.raises(CocoError, match="no category has a list of keypoints"):
        CocoImages(write(file, without), joints=True)
    nameless = {**CONTENT, "images": [{**image, "file_name": ""} for image in CONTENT["images"]]}
    with pytest.raises(CocoError, match="image 4 has no file_name"):
        CocoImages(write(file, nameless))


def test_coco_s_limbs_join_neighbours_and_mirror_into_themselves() -> None:
    named = {tuple(sorted((COCO_JOINT_NAMES[a], COCO_JOINT_NAMES[b]))) for a, b in COCO_LIMBS}
    assert ("left ankle", "left knee") in named
    assert ("left elbow", "left shoulder") in named
    assert len(named) == 19
    mirrored = {tuple(sorted((COCO_SWAPPED[a], COCO_SWAPPED[b]))) for a, b in COCO_LIMBS}
    assert mirrored == {tuple(sorted(pair)) for pair in COCO_LIMBS}
    assert [COCO_JOINT_NAMES[COCO_SWAPPED[i]] for i in (0, 5, 16)] == ["nose", "right shoulder", "left ankle"]


def test_names_say_what_joints_become_in_a_mirror() -> None:
    assert swapped_of(COCO_JOINT_NAMES) == COCO_SWAPPED
    assert swapped_of([name.replace(" ", "_") for name in COCO_JOINT_NAMES]) == COCO_SWAPPED
    assert swapped_of(JOINT_NAMES) == SWAPPED
    assert swapped_of(AP_10K) == AP_10K_SWAPPED
    assert swapped_of(["L_Eye", "Nose", "R_Eye"]) == (2, 1, 0)
    assert swapped_of(["eye.Left", "eye right"]) == (1, 0)


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("front", "rear"),  # no sides
        ("left eye", "right eye", "left ear"),
        ("left eye", "left_eye", "right eye"),
        ("lefteye", "righteye"),  # one word each
        ("left_eye", "right_eye", "Lefthip", "Righthip"),  # the hips
    ],
)
def test_names_that_do_not_say_it(names: tuple[str, ...]) -> None:
    assert swapped_of(names) is None


def test_joints_are_the_same_by_their_words_in_their_order() -> None:
    assert same_joints(["left_shoulder", "Nose"], ["left shoulder", "nose"])
    assert not same_joints(["left shoulder", "nose"], ["nose", "left shoulder"])
    assert not same_joints(["nose"], ["nose", "neck"])
    assert not same_joints(AP_10K, COCO_JOINT_NAMES)
