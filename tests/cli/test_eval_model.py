"""`refdet eval --model`: the figures of a detector on a test set, and what cannot be asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from refdet.cli.main import app
from refdet.data import FIGURE_CLASS_NAMES, Sample, StickFigures
from refdet.detection.detected import Detected
from refdet.detection.model_names import MODELS
from refdet.training import detector_scores
from tests.cli.sentences import said
from tests.cli.tiny_detectors import BRIGHT, Bright, save_bright
from tests.cli.train_command import coco_of_joints, voc, with_joints
from tests.data.foreign_joints import CROWD_POSE

NUMBER_OR_NULL = {"type": ["number", "null"]}
FIGURES = {"type": "object", "additionalProperties": NUMBER_OR_NULL}
COUNT = {"type": "integer", "minimum": 0}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "versions": {"type": "object", "required": ["refdet", "numpy", "python"]},
        "model": {"type": "string"},
        "weights": {"type": ["string", "null"]},
        "data": {"type": "string"},
        "counts": {"type": "object", "required": ["images", "objects", "detections"], "additionalProperties": COUNT},
        "seconds": {"type": "number", "minimum": 0},
        "figures": FIGURES,
        "coco": {"type": "object", "additionalProperties": FIGURES},
        "per_class": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "objects", "detections", "figures"],
                "properties": {"name": {"type": "string"}, "figures": FIGURES, "objects": COUNT, "detections": COUNT},
            },
        },
    },
}
SCHEMA["required"] = list(SCHEMA["properties"])


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with a detector that knows the test pictures of the stick figures by heart."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(MODELS, "bright", BRIGHT)
    known = {sample.image.tobytes(): sample for sample in StickFigures(4, seed=1)}

    def detect(self: Bright, image: np.ndarray) -> Detected:
        sample = known[image.tobytes()]
        assert sample.joints is not None
        is_last = sample.name.endswith("/3")  # the last figure is found at the wrong place
        shift = np.float32(60 if is_last else 0)
        score = np.array([0.5 if is_last else 0.9], np.float32)
        masks = None if sample.masks is None else np.roll(sample.masks, int(shift), axis=2)
        return Detected(sample.boxes + shift, score, sample.classes, masks, sample.joints + shift)

    monkeypatch.setattr(Bright, "detect", detect)
    save_bright(Path("bright.safetensors"), FIGURE_CLASS_NAMES)


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["eval", *map(str, arguments)], env={"COLUMNS": "200"})


ON_FIGURES = ("--weights", "bright.safetensors", "--data", "figures", "--test-size", "4")


def test_three_of_four_are_found() -> None:
    """The wrong one is the least sure: VOC's AP is 3/4, COCO's 76 recalls of 101."""
    result = run(*ON_FIGURES, "--json", "-")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    jsonschema.validate(told, SCHEMA)
    assert (told["model"], told["weights"], told["data"]) == ("bright", "bright.safetensors", "figures")
    assert told["counts"] == {"images": 4, "objects": 4, "detections": 4}
    assert told["figures"] == pytest.approx(
        {"mAP": 0.75, "box AP": 76 / 101, "box AP50": 76 / 101, "mask AP": 76 / 101, "mask AP50": 76 / 101,
         "keypoint AP": 76 / 101, "keypoint AP50": 76 / 101}
    )  # fmt: skip
    (person,) = told["per_class"]
    assert (person["name"], person["objects"], person["detections"]) == ("person", 4, 4)
    assert person["figures"]["AP@.5"] == 0.75
    assert set(told["coco"]) == {"bbox", "segm", "keypoints"}
    assert told["coco"]["bbox"]["AP-large"] is None  # no figure has 96² pixels
    assert "box AP, COCO's, IoU 0.5 to 0.95" in result.stderr


def test_the_tables() -> None:
    result = run(*ON_FIGURES)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert "4 pictures, 4 objects, 4 detections, " in result.stdout
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.stdout.splitlines() if "│" in line]
    assert ["mAP, VOC's, IoU 0.5", "0.750"] in rows
    assert ["keypoint AP, COCO's, OKS 0.5 to 0.95", "0.752"] in rows
    assert ["person", "4", "4", "0.750", "0.752", "0.752", "0.752"] in rows


def test_the_classes_are_there_whether_asked_for_or_not() -> None:
    tables = [run(*ON_FIGURES, *asked).stdout.partition("Every class")[2] for asked in ((), ("--per-class",))]
    assert tables[0] == tables[1] != ""


def test_json_into_a_file() -> None:
    result = run(*ON_FIGURES, "--json", "scores.json")
    assert "4 pictures" in result.stdout
    jsonschema.validate(json.loads(Path("scores.json").read_text()), SCHEMA)


def test_sigmas_may_be_given() -> None:
    loose = json.loads(run(*ON_FIGURES, "--json", "-", "--sigmas", ",".join(["50"] * 14)).stdout)
    assert loose["figures"]["keypoint AP"] == pytest.approx(1)  # nothing is far away any more
    assert "each of the 14 joints needs a sigma, got 2" in said(run(*ON_FIGURES, "--sigmas", "0.1,0.1"), 2)


def test_a_model_of_joints_looks_at_figures_by_default() -> None:
    assert "1 picture, 1 object, 1 detection, " in run("--weights", "bright.safetensors", "--test-size", "1").stdout


def test_a_picture_that_cannot_be_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def detect(self: Bright, image: np.ndarray) -> Detected:
        raise ValueError("too small")

    monkeypatch.setattr(Bright, "detect", detect)
    assert "eval: stick figures 1/0: the detector cannot look at it: too small" in said(run(*ON_FIGURES), 1)


def test_a_picture_that_is_too_narrow() -> None:
    """A square out of it could be looked at, so that its own words are those of `refdet detect`."""
    Image.new("RGB", (2, 300)).save("line.png")
    object_ = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 30], "area": 60, "iscrowd": 0}
    told = {
        "images": [{"id": 1, "file_name": "line.png", "width": 2, "height": 300}],
        "categories": [{"id": 1, "name": "disc"}],
        "annotations": [object_ | {"segmentation": [[0, 0, 2, 0, 2, 30, 0, 30]]}],
    }
    Path("told.json").write_text(json.dumps(told))
    refused = run("--model", "small_mask_rcnn", "--data", "coco:told.json")
    assert "eval: line.png: 2 × 300 pixels are too narrow for the detector; crop it" in said(refused, 1)


def test_a_picture_that_needs_more_memory_than_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named; by its number where not even it can be read. To judge may take too much, too."""
    detect, known = Bright.detect, [sample.image.tobytes() for sample in StickFigures(4, seed=1)]

    def too_much(self: Bright, image: np.ndarray) -> Detected:
        if image.tobytes() == known[2]:
            raise MemoryError
        return detect(self, image)

    with monkeypatch.context() as patch:
        patch.setattr(Bright, "detect", too_much)
        assert said(run(*ON_FIGURES), 1) == (
            "refdet: eval: stick figures 1/2 needs more memory than there is; make it smaller or leave it out\n"
        )
    item = StickFigures._item

    def too_large(self: StickFigures, i: int) -> Sample:
        if i == 1:
            raise MemoryError
        return item(self, i)

    with monkeypatch.context() as patch:
        patch.setattr(StickFigures, "_item", too_large)
        assert "eval: picture 2 of 4 of figures needs more memory than there is" in said(run(*ON_FIGURES), 1)

    def too_many(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(detector_scores, "evaluate_voc", too_many)
    assert said(run(*ON_FIGURES), 1) == (
        "refdet: eval: to judge 4 pictures takes more memory than there is; take fewer by --test-size\n"
    )


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    detect, n_calls = Bright.detect, 0

    def interrupted(self: Bright, image: np.ndarray) -> Detected:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 3:
            raise KeyboardInterrupt
        return detect(self, image)

    monkeypatch.setattr(Bright, "detect", interrupted)
    assert said(run(*ON_FIGURES, "--json", "-"), 130) == (
        "refdet: eval: stopped after 2 of 4 pictures; nothing is judged\n"
    )


def test_a_folder_of_voc_s(tmp_path: Path) -> None:
    text = voc(tmp_path / "flat", [["person"]])
    known = run("--weights", "bright.safetensors", "--data", text, "--sigmas", "1")
    assert "eval: --sigmas is for joints, and here are none to judge" in said(known, 2)
    (tmp_path / "flat" / "000.png").unlink()
    assert "000.png: there is no such file" in said(run("--weights", "bright.safetensors", "--data", text), 1)
    unknown = run("--weights", "bright.safetensors", "--data", voc(tmp_path / "gnus", [["gnu"]]))
    assert "000.xml: 'gnu' is none of the classes asked for: the model knows person" in said(unknown, 1)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--data", "shapes"), "--data needs a detector to look at it: --model or --weights"),
        (("--model", "brihgt"), "there is no model called 'brihgt'; did you mean bright?"),
        (("--model", "bright"), "refdet comes without weights for bright"),
        (("--weights", "bright.safetensors", "--data", "shapes"), "shapes has no joints"),
        (("--weights", "bright.safetensors", "--data", "cars"), "--data must be shapes, figures, voc:FOLDER, "),
        (("truth.json", "--weights", "bright.safetensors"), "either files or a detector: got truth.json beside"),
        ((*ON_FIGURES, "--kind", "segm"), "--kind has no meaning for a detector that looks itself"),
        ((*ON_FIGURES, "--errors"), "--errors has no meaning for a detector that looks itself"),
        ((*ON_FIGURES, "--min-score", "0.5"), "--min-score has no meaning for a detector that looks itself"),
        ((*ON_FIGURES, "--leave-out-unusable"), "--leave-out-unusable has no meaning for DATA that is not COCO's"),
        (("--weights", "bright.safetensors", "--leave-out-unusable"), "no meaning for DATA that is not COCO's"),
        ((*ON_FIGURES, "--json", "none/x.json"), "--json: there is no folder"),
        ((*ON_FIGURES, "--backend", "abacus"), "--backend: no backend named 'abacus'"),
        ((), "give GT and DETECTIONS, or a detector with --model or --weights"),
        (("only.json",), "give GT and DETECTIONS, or a detector"),
        (("a", "b", "--test-size", "3"), "--test-size has no meaning for files"),
        (("a", "b", "--leave-out-unusable"), "--leave-out-unusable has no meaning for files"),
    ],
)
def test_mistakes(arguments: tuple[str, ...], problem: str) -> None:
    assert problem in said(run(*arguments), 2)


def test_nothing_that_is_read_is_overwritten(tmp_path: Path) -> None:
    """Neither the weights nor the data, by whatever path or link they are named."""
    text = voc(tmp_path / "voc", [["person"]], {"val": [0]})
    people = coco_of_joints(tmp_path)
    Path("link").symlink_to("bright.safetensors")
    for data, out, what in (
        ("figures", "bright.safetensors", "--weights itself"),
        ("figures", "link", "--weights itself"),
        (f"coco:{people}", people, "--data itself"),
        (text, tmp_path / "voc" / "Annotations" / "000.xml", "one of the files of --data"),
        (text, tmp_path / "voc" / "ImageSets" / "Main" / "val.txt", "one of the files of --data"),
        (text, tmp_path / "voc" / "JPEGImages" / "000.png", "one of the files of --data"),
    ):
        before = Path(out).read_bytes()
        refused = said(run("--weights", "bright.safetensors", "--data", data, "--json", out), 2)
        assert refused == (f"refdet: eval: --json: {out} is {what} and would be overwritten; name another file\n")
        assert Path(out).read_bytes() == before


def test_a_folder_as_weights() -> None:
    Path("run").mkdir()
    refused = said(run("--weights", "run", "--data", "figures"), 1)
    assert refused == "refdet: run: is a folder; name a file, .safetensors, .npz, .pth or .pt\n"


def test_a_detector_of_other_classes() -> None:
    save_bright(Path("cats.safetensors"), ("background", "cat"))
    refused = run("--weights", "cats.safetensors", "--data", "figures")
    assert "eval: the model knows cat; figures has person" in said(refused, 2)


def test_help_teaches() -> None:
    shown = run("--help").stdout
    assert "refdet eval --weights runs/small_faster_rcnn/model.safetensors --data shapes" in shown


def test_joints_of_other_names_need_sigmas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fourteen, as stick figures have, but not theirs; with the sigmas that are given they are judged."""

    def detect(self: Bright, image: np.ndarray) -> Detected:
        box, one = np.array([[1, 1, 9, 9]], np.float32), np.ones(1, np.int64)
        masks = np.zeros((1, *image.shape[:2]), np.bool_)
        masks[0, 1:9, 1:9] = True
        return Detected(box, np.ones(1, np.float32), one, masks, np.full((1, 14, 2), 3, np.float32))

    monkeypatch.setattr(Bright, "detect", detect)
    on_file = (
        "--weights",
        "bright.safetensors",
        "--data",
        f"coco:{coco_of_joints(tmp_path, **with_joints(CROWD_POSE))}",
    )
    refused = run(*on_file)
    assert refused.exit_code == 2
    assert "each of the 14 joints needs a sigma, and their names are not COCO's; give yours" in refused.stderr
    told = json.loads(run(*on_file, "--json", "-", "--sigmas", ",".join(["0.1"] * 14)).stdout)
    assert told["figures"]["keypoint AP"] == pytest.approx(1)
    save_bright(Path("bright.safetensors"), joint_names=CROWD_POSE[::-1])
    refused = run(*on_file, "--sigmas", ",".join(["0.1"] * 14))
    assert refused.exit_code == 2
    assert f"eval: the model finds the joints {', '.join(CROWD_POSE[:-4:-1])} … (14); coco:" in refused.stderr


def test_help_says_which_pictures_are_looked_at() -> None:
    shown = " ".join(run("--help").stdout.replace("│", " ").split())
    assert "A folder without lists, or a single file, is taken whole, with the four of five pictures" in shown
    assert "of VOC's folder those of its list val or test, of COCO's folder those of its file _val*.json" in shown
