"""`refdet train --data`: synthetic sets, folders of VOC's and files of COCO's, and their joints."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refdet.cli import train_data
from refdet.cli.train_data import open_data
from refdet.data import CLASS_NAMES, VocAnnotation
from refdet.data.coco_entries import CocoError
from refdet.data.limbs import COCO_JOINT_NAMES
from refdet.detection.model_file import load_model
from tests.cli.sentences import said
from tests.cli.train_command import SMALL, coco_of_joints, run, trains, voc, with_joints
from tests.data.foreign_joints import AP_10K, AP_10K_SWAPPED, COCO_SWAPPED, CROWD_POSE, CROWD_POSE_SWAPPED

pytestmark = pytest.mark.usefixtures("folder_of_runs")


def numbers(samples: Any) -> list[int]:
    return [int(sample.image[0, 0, 0]) for sample in samples]


class TestData:
    def test_synthetic_sets_are_of_one_kind_and_share_nothing(self) -> None:
        data = open_data("train", "shapes", train_size=4, test_size=3)
        assert (len(data.train), len(data.test), data.class_names) == (4, 3, CLASS_NAMES)
        assert [sample.name for sample in data.test] == ["shapes 1/0", "shapes 1/1", "shapes 1/2"]
        usual = open_data("train", "shapes")
        assert (len(usual.train), len(usual.test), usual.train[0].name) == (2000, 500, "shapes 0/0")

    @pytest.mark.parametrize("kind", ["shapes", "figures"])
    def test_synthetic_pictures_are_kept_but_where_each_is_looked_at_once(self, kind: str) -> None:
        trained, tested = (
            open_data("eval", kind, train_size=1, test_size=1, for_test_alone=alone) for alone in (False, True)
        )
        assert trained.train[0].image is trained.train[0].image
        assert trained.test[0].image is trained.test[0].image
        assert tested.test[0].image is not tested.test[0].image
        np.testing.assert_array_equal(tested.test[0].image, trained.test[0].image)

    def test_every_fifth_picture_of_a_flat_folder_is_held_out(self, tmp_path: Path) -> None:
        text = voc(tmp_path / "flat", [["cat"]] * 11)
        data = open_data("train", text)
        assert numbers(data.test) == [4, 9]
        assert numbers(data.train) == [0, 1, 2, 3, 5, 6, 7, 8, 10]
        assert numbers(open_data("train", text, train_size=2, test_size=1).train) == [0, 1]
        assert len(data.class_names) == 21
        assert numbers(open_data("eval", text, for_test_alone=True).test) == list(range(11))

    def test_few_pictures_are_shared_out_too(self, tmp_path: Path) -> None:
        data = open_data("train", voc(tmp_path / "two", [["cat"]] * 2))
        assert (numbers(data.train), numbers(data.test)) == ([0], [1])
        refused = run("sliding_window", "--data", voc(tmp_path / "one", [["cat"]]))
        assert "there must be pictures to train on and to test on" in said(refused, 2)

    def test_lists_say_what_is_trained_on(self, tmp_path: Path) -> None:
        text = voc(tmp_path / "kit", [["b"], ["a", "b"], [], ["a"]], {"trainval": [3, 0, 2], "test": [1]})
        data = open_data("train", text)
        assert (numbers(data.train), numbers(data.test)) == ([3, 0, 2], [1])
        assert data.class_names == ("background", "a", "b")  # none of VOC's
        assert data.test[0].classes.tolist() == [1, 2]
        assert numbers(open_data("eval", text, class_names=data.class_names, for_test_alone=True).test) == [1]

    def test_no_annotation_is_read_twice(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from refdet.data import voc as files

        text = voc(tmp_path / "kit", [["a"]] * 4, {"train": [3, 0], "val": [1]})
        read: list[str] = []
        told: list[Any] = []
        read_one = files.read_voc_annotation

        def noted(path: Path) -> VocAnnotation:
            read.append(path.name)
            return read_one(path)

        def begin(what: str) -> Any:
            told.append(what)
            return lambda done, total: told.append((done, total))

        monkeypatch.setattr(files, "read_voc_annotation", noted)
        bar = functools.partial(contextlib.nullcontext, begin)
        monkeypatch.setattr(train_data, "progress_bar", bar)
        data = open_data("train", text)
        assert (numbers(data.train), numbers(data.test)) == ([3, 0], [1])
        assert read == ["000.xml", "001.xml", "002.xml", "003.xml"]
        assert told == [
            "reading kit", (1, 4), (2, 4), (3, 4), (4, 4),
            "reading train.txt of kit", (1, 2), (2, 2), "reading val.txt of kit", (1, 1),
        ]  # fmt: skip

    def test_which_lists_are_taken(self, tmp_path: Path) -> None:
        lists: dict[str, Sequence[int]] = {"train": [0, 1], "test": [2], "cat_train": [0, 1, 2], "cat_val": [0, 1, 2]}
        data = open_data("train", voc(tmp_path / "train-test", [["cat"]] * 3, lists))
        assert (numbers(data.train), numbers(data.test)) == ([0, 1], [2])
        data = open_data("train", voc(tmp_path / "three", [["cat"]] * 3, {**lists, "test": [2], "val": [1]}))
        assert (numbers(data.train), numbers(data.test)) == ([0, 1], [1])
        data = open_data("train", voc(tmp_path / "trainval", [["cat"]] * 3, {**lists, "trainval": [0]}))
        assert (numbers(data.train), numbers(data.test)) == ([0], [2])

    @pytest.mark.parametrize(
        ("found", "told"),
        [
            (("train",), "train.txt"),
            (("test", "cat_train", "cat_test"), "test.txt"),
            (("val", "trainval"), "trainval.txt, val.txt"),
            (("fold1", "fold2"), "fold1.txt, fold2.txt"),
            (("cat_train", "cat_val"), "lists of one class alone, such as cat_train.txt"),
        ],
    )
    def test_lists_that_do_not_say_what_is_trained_on(self, tmp_path: Path, found: tuple[str, ...], told: str) -> None:
        text = voc(tmp_path / "kit", [["cat"]] * 2, {name: [0] for name in found})
        assert said(run("sliding_window", "--data", text), 1) == (
            f"refdet: {tmp_path}/kit/ImageSets/Main: there must be train.txt and val.txt, or trainval.txt and "
            f"test.txt, or train.txt and test.txt, got {told}; add what is missing, or remove ImageSets to go without "
            "lists\n"
        )

    def test_to_test_alone_a_list_to_test_on_is_enough(self, tmp_path: Path) -> None:
        from refdet.data import VocError

        text = voc(tmp_path / "kit", [["cat"]] * 3, {"test": [2, 1], "cat_test": [0, 1, 2]})
        assert numbers(open_data("eval", text, for_test_alone=True).test) == [2, 1]
        for found in ("train", "trainval"):
            text = voc(tmp_path / found, [["cat"]] * 3, {found: [0, 1]})
            with pytest.raises(VocError, match=rf"got {found}\.txt; add what is missing"):
                open_data("eval", text, for_test_alone=True)

    def test_a_class_that_the_detector_does_not_know(self, tmp_path: Path) -> None:
        from refdet.data import VocError

        text = voc(tmp_path / "flat", [["cat"], ["gnu"]])
        with pytest.raises(VocError, match=r"001\.xml: 'gnu' is none of the classes asked for"):
            open_data("eval", text, class_names=("background", "cat"), for_test_alone=True)

    def test_coco_s_files(self, tmp_path: Path) -> None:
        for part, ids in (("train", (1, 2, 3)), ("val", (7,))):
            (tmp_path / f"{part}2017").mkdir()
            (tmp_path / "annotations").mkdir(exist_ok=True)
            for i in ids:
                Image.new("RGB", (16, 12), (i, 0, 0)).save(tmp_path / f"{part}2017" / f"{i}.png")
            content = {
                "images": [{"id": i, "width": 16, "height": 12, "file_name": f"{i}.png"} for i in ids],
                "categories": [{"id": 4, "name": "cat"}],
                "annotations": [
                    {"id": i, "image_id": i, "category_id": 4, "bbox": [1, 1, i - 1, 5], "area": 9} for i in ids
                ],
            }
            (tmp_path / "annotations" / f"instances_{part}2017.json").write_text(json.dumps(content))
        text = f"coco:{tmp_path}"
        data = open_data("train", text, leave_out_unusable=True)
        assert (numbers(data.train), numbers(data.test)) == ([1, 2, 3], [7])
        assert [len(sample.boxes) for sample in data.train] == [0, 1, 1]
        refused = said(run("sliding_window", "--data", text), 1)
        assert "1.png: annotation 1 has the box [1, 1, 0, 5]" in refused.replace(".0", "")
        assert "--leave-out-unusable leaves such objects out" in refused
        one = open_data("train", f"coco:{tmp_path}/annotations/instances_val2017.json", for_test_alone=True)
        assert (numbers(one.test), one.class_names) == ([7], ("background", "cat"))
        (tmp_path / "annotations" / "instances_train2017.json").rename(tmp_path / "train.json")
        assert "there must be annotations/instances_train*.json and" in said(run("sliding_window", "--data", text), 1)
        assert numbers(open_data("eval", text, for_test_alone=True).test) == [7]
        (tmp_path / "annotations" / "instances_val2017.json").unlink()
        assert "there must be annotations/instances_train*.json and" in said(run("sliding_window", "--data", text), 1)
        (tmp_path / "train.json").rename(tmp_path / "annotations" / "instances_train2017.json")
        assert "there must be annotations/instances_train*.json and" in said(run("sliding_window", "--data", text), 1)
        with pytest.raises(CocoError, match=r": there must be annotations/instances_val\*\.json$"):
            open_data("eval", text, for_test_alone=True)


def test_joints_that_nobody_has_sigmas_for_are_trained_all_the_same(tmp_path: Path) -> None:
    result = trains("bright", "--data", f"coco:{coco_of_joints(tmp_path)}")
    assert "people.json: 1 of 2 objects are without a mask" in result.stderr
    assert (
        "the 3 joints are trained but not tested, for their names are not COCO's; refdet eval --sigmas tests them"
        in result.stderr
    )
    assert "2 pictures" not in result.stdout
    assert Path("runs/bright/model.safetensors").exists()


@pytest.mark.parametrize(
    ("names", "swapped"),
    [
        (AP_10K, AP_10K_SWAPPED),
        (COCO_JOINT_NAMES, COCO_SWAPPED),
        ([name.replace(" ", "_") for name in COCO_JOINT_NAMES], COCO_SWAPPED),
        (CROWD_POSE, CROWD_POSE_SWAPPED),
        ([str(i) for i in range(17)], None),
    ],
)
def test_joints_are_swapped_by_their_names(
    tmp_path: Path, names: Sequence[str], swapped: tuple[int, ...] | None
) -> None:
    data = open_data("train", f"coco:{coco_of_joints(tmp_path, **with_joints(names))}", needs=("joints",))
    assert (data.joint_names, data.swapped) == (tuple(names), swapped)


def test_samples_to_test_on_say_how_their_joints_are_called(tmp_path: Path) -> None:
    text = f"coco:{coco_of_joints(tmp_path, **with_joints(AP_10K))}"
    for command, for_test_alone in (("train", False), ("eval", True)):
        test = open_data(command, text, needs=("joints",), for_test_alone=for_test_alone).test
        assert test[0].joints is not None
        assert test.joint_names == AP_10K  # type: ignore[attr-defined]


def test_fourteen_joints_of_others_are_trained_and_not_judged_as_those_of_stick_figures(tmp_path: Path) -> None:
    result = trains("bright", "--data", f"coco:{coco_of_joints(tmp_path, **with_joints(CROWD_POSE))}")
    assert "the 14 joints are trained but not tested, for their names are not COCO's" in result.stderr
    assert load_model("runs/bright/model.safetensors").joint_names == CROWD_POSE
    assert "mask AP" in result.stdout
    assert "keypoint AP" not in result.stdout
    judged = trains("bright", "--data", "figures", *SMALL, "--out", "figures")
    assert "keypoint AP" in judged.stdout


def test_a_file_of_coco_s_without_objects(tmp_path: Path) -> None:
    path = coco_of_joints(tmp_path, annotations=[])
    assert f"{path}: there is no object in any picture" in said(run("bright", "--data", f"coco:{path}"), 1)
