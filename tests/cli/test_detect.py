"""`refdet detect`: what is found, drawn and printed, and what a picture or a file may be instead."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from typer.testing import CliRunner

from refdet.cli.detect import _detect_all
from refdet.cli.main import app
from refdet.data.stick_figures import JOINT_NAMES
from refdet.detection.detected import Detected
from refdet.detection.model_file import load_model, save_model, shipped_weights
from refdet.detection.model_names import MODELS
from refdet.masks.rle import rle_decode
from refdet.masks.rle_string import rle_from_string
from tests.cli.sentences import said
from tests.cli.tiny_detectors import BRIGHT, TINY, Bright, save_bright

H, W = 40, 64
SCENE = np.zeros((H, W, 3), np.uint8)
SCENE[10:30, 20:50] = 255  # 600 of 2560 pixels
BOX, SCORE = [20.0, 10.0, 50.0, 30.0], 600 / 2560


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with a picture and a detector that finds what is bright."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(MODELS, "bright", BRIGHT)
    Image.fromarray(SCENE).save("scene.png")
    save_bright(Path("bright.safetensors"))
    return tmp_path


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["detect", *map(str, arguments)], env={"COLUMNS": "200"})


def bright(*arguments: object) -> Any:
    return run(*arguments, "--weights", "bright.safetensors", "--score", "0.1")


def as_json(*arguments: object, status: int = 0) -> Any:
    result = bright(*arguments, "--json")
    assert result.exit_code == status, result.output
    return json.loads(result.stdout)


class TestWhatIsFound:
    def test_the_table(self, folder: Path) -> None:
        result = bright("scene.png")
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        assert "1 object of score 0.1 or more in 1 picture" in result.stdout
        row = next(line for line in result.stdout.splitlines() if "scene.png" in line and "person" in line)
        assert [cell.strip() for cell in row.split("│")[1:-1]] == [
            "scene.png", "person", f"{SCORE:.3f}", "20.0", "10.0", "50.0", "30.0", "600", "14",
        ]  # fmt: skip
        assert "drawn: scene.detected.png" in result.stdout

    def test_json(self, folder: Path) -> None:
        Image.new("L", (20, 10)).save("dark.png")
        told = as_json("scene.png", "dark.png")
        assert {name: told[name] for name in ("model", "weights", "score", "class_names", "problems")} == {
            "model": "bright",
            "weights": "bright.safetensors",
            "score": 0.1,
            "class_names": ["background", "person"],
            "problems": [],
        }
        scene, dark = told["images"]
        assert dark == {"file": "dark.png", "drawing": "dark.detected.png", "width": 20, "height": 10, "objects": []}
        assert (scene["width"], scene["height"]) == (W, H)
        (found,) = scene["objects"]
        assert (found["class"], found["box"]) == ("person", BOX)
        assert found["score"] == pytest.approx(SCORE)
        mask = rle_decode(rle_from_string(found["mask"]["counts"], tuple(found["mask"]["size"])))
        assert np.array_equal(mask, SCENE[:, :, 0] > 0)
        assert found["joints"] == [[20, 10, 1], [50, 30, 1]] * 7

    def test_the_drawing(self, folder: Path) -> None:
        assert bright("scene.png", "--out", "new/found").exit_code == 0
        with Image.open("new/found/scene.detected.png") as drawing:
            assert drawing.size == (10 * W, 10 * H)
        assert sorted(path.name for path in folder.iterdir()) == ["bright.safetensors", "new", "scene.png"]

    def test_limbs_go_by_the_names_of_joints(self, folder: Path) -> None:
        """Fourteen joints of other names are drawn without; those of stick figures are joined."""
        pixels = []
        for names in ((), [f"part {i}" for i in range(14)], JOINT_NAMES[1:] + JOINT_NAMES[:1]):
            save_bright(Path("bright.safetensors"), joint_names=names)
            assert as_json("scene.png")["joint_names"] == list(names)
            with Image.open("scene.detected.png") as drawing:
                pixels.append(np.array(drawing))
        assert np.array_equal(pixels[0], pixels[1])
        assert np.array_equal(pixels[0], pixels[2])
        save_bright(Path("bright.safetensors"), joint_names=JOINT_NAMES)
        assert bright("scene.png").exit_code == 0
        with Image.open("scene.detected.png") as drawing:
            assert not np.array_equal(np.array(drawing), pixels[0])

    def test_the_score_from_which_objects_count(self, folder: Path) -> None:
        assert run("scene.png", "--weights", "bright.safetensors").stdout.startswith(" ")
        assert "0 objects of score 0.5 or more" in run("scene.png", "--weights", "bright.safetensors").stdout
        exactly = str(float(np.float32(SCORE)))
        assert "1 object " in run("scene.png", "--weights", "bright.safetensors", "--score", exactly).stdout

    def test_a_real_model_without_masks(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from refdet.detection.small_detectors import small_faster_rcnn

        detector = small_faster_rcnn(("background", "a", "b"), rng=np.random.default_rng(0), settings=TINY)
        save_model("tiny.safetensors", detector, model="small_faster_rcnn", settings=TINY)
        result = run("scene.png", "--weights", "tiny.safetensors", "--score", "0", "--json")
        (image,) = json.loads(result.stdout)["images"]
        expected = detector.detect(SCENE)
        assert len(expected) > 0
        assert [found["box"] for found in image["objects"]] == expected.boxes.tolist()
        assert {tuple(found) for found in image["objects"]} == {("class", "score", "box")}


class TestKindsOfPictures:
    def test_of_every_kind_the_same_is_found(self, folder: Path) -> None:
        whole = Image.fromarray(SCENE)
        whole.convert("L").save("grey.png")
        whole.convert("P").save("palette.png")
        Image.fromarray(SCENE[:, :, 0].astype(np.uint16) * 257).save("sixteen.png")
        alpha = np.dstack([SCENE, np.where(SCENE[:, :, 0] > 0, 0, 255).astype(np.uint8)])  # transparent is white
        Image.fromarray(alpha).save("alpha.png")
        whole.save("photo.jpg", quality=95)
        names = ["grey.png", "palette.png", "sixteen.png", "alpha.png", "photo.jpg"]
        for image in as_json(*names)["images"]:
            assert [found["box"] for found in image["objects"]] == [BOX], image["file"]

    def test_a_photograph_is_turned_as_the_camera_noted(self, folder: Path) -> None:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6  # to be turned clockwise: (x, y) becomes (H − y, x)
        Image.fromarray(SCENE).save("turned.jpg", exif=exif, quality=95)
        (image,) = as_json("turned.jpg")["images"]
        assert (image["width"], image["height"]) == (H, W)
        assert image["objects"][0]["box"] == [10, 20, 30, 50]


def _png(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has no pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _spoil(name: str) -> None:
    """Make a file that cannot be looked at."""
    path = Path(name)
    if name == "text.jpg":
        path.write_text("no picture")
    elif name == "cut.jpg":
        noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3)).astype(np.uint8)
        Image.fromarray(noise).save(name)
        path.write_bytes(path.read_bytes()[:1500])
    elif name == "film.gif":
        Image.fromarray(SCENE).save(name, save_all=True, append_images=[Image.fromarray(255 - SCENE)])
    elif name == "folder.png":
        path.mkdir()
    elif name == "speck.png":
        Image.fromarray(SCENE[:2, :2]).save(name)
    elif name != "absent.png":
        sizes = {
            "nothing.png": (0, 0),
            "huge.png": (30_000, 30_000),
            "large.png": (9000, 9000),
            "wide.png": (12_000, 10_000),
        }
        path.write_bytes(_png(*sizes[name]))


PROBLEMS = {
    "text.jpg": "is not a picture that Pillow knows",
    "cut.jpg": "image file is truncated",
    "film.gif": "has 2 frames; give one of them",
    "folder.png": "is a directory, not a file",
    "absent.png": "there is no such file",
    "nothing.png": "is not a picture that Pillow knows",
    "huge.png": "Image size (900000000 pixels) exceeds limit",
    "large.png": "9000 × 9000 pixels are more than 80,000,000",
    "wide.png": "12000 × 10000 pixels are more than 80,000,000",
    "speck.png": "bright cannot look at 2 × 2 pixels: Bright: too small",
}


class TestBadPictures:
    def test_each_is_told_and_the_others_are_looked_at(self, folder: Path) -> None:
        for name in PROBLEMS:
            _spoil(name)
        result = bright(*PROBLEMS, "scene.png", "--out", "found")
        assert result.exit_code == 1
        lines = result.stderr.splitlines()
        assert len(lines) == len(PROBLEMS)
        for line, (name, problem) in zip(lines, PROBLEMS.items(), strict=True):
            assert line.startswith(f"refdet: {name}: ")
            assert problem in line
        assert "1 object of score 0.1 or more in 1 picture" in result.stdout
        assert [path.name for path in Path("found").iterdir()] == ["scene.detected.png"]

    def test_in_json(self, folder: Path) -> None:
        told = as_json("absent.png", "scene.png", status=1)
        assert told["problems"] == [{"file": "absent.png", "problem": "absent.png: there is no such file"}]
        assert [image["file"] for image in told["images"]] == ["scene.png"]

    def test_only_bad_ones(self, folder: Path) -> None:
        assert "there is no such file" in said(bright("absent.png"), 1)

    def test_no_picture_is_overwritten(self, folder: Path) -> None:
        Image.fromarray(SCENE).save("scene.detected.png")
        before = Path("scene.detected.png").read_bytes()
        result = bright("scene.png", "scene.detected.png")
        assert result.exit_code == 1
        assert "scene.png: scene.detected.png is one of the pictures and would be overwritten" in result.stderr
        assert Path("scene.detected.png").read_bytes() == before
        assert Path("scene.detected.detected.png").exists()
        assert bright("scene.png").exit_code == 0  # a drawing of before may be replaced
        assert Path("scene.detected.png").read_bytes() != before

    def test_pictures_of_one_name_have_a_drawing_each(self, folder: Path) -> None:
        Path("other").mkdir()
        for name in ("scene.jpg", "other/scene.png"):
            Image.fromarray(SCENE).save(name)
        told = as_json("scene.png", "scene.jpg", "other/scene.png", "--out", "found")
        assert [image["drawing"] for image in told["images"]] == [
            "found/scene.detected.png",
            "found/scene.jpg.detected.png",
            "found/scene.png.detected.png",
        ]

    def test_the_same_folder_by_another_way(self, folder: Path) -> None:
        Path("other").mkdir()
        for name in ("other/scene.png", "other/scene.jpg"):
            Image.fromarray(SCENE).save(name)
        drawings = [image["drawing"] for image in as_json("other/scene.png", "other/../other/scene.jpg")["images"]]
        assert drawings == ["other/scene.detected.png", "other/../other/scene.jpg.detected.png"]

    def test_links_in_a_circle(self, folder: Path) -> None:
        Path("circle.png").symlink_to("circle.png")
        result = bright("circle.png", "scene.png")
        assert result.exit_code == 1
        assert "refdet: circle.png: cannot be read: Too many levels of symbolic links" in result.stderr
        assert "1 object of score 0.1 or more in 1 picture" in result.stdout

    def test_a_picture_that_may_not_be_read_does_not_stop_the_others(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refused = {"scene.png": os.R_OK}  # what is refused; to root nothing ever is
        monkeypatch.setattr(os, "access", lambda path, mode: mode != refused.get(os.fspath(path)))
        assert bright("scene.png").exit_code == 0

    def test_a_drawing_that_cannot_be_written(self, folder: Path) -> None:
        Path("scene.detected.png").mkdir()
        assert "scene.detected.png: is a directory, not a file" in said(bright("scene.png"), 1)

    def test_a_picture_that_is_too_narrow(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A square out of it could be looked at; out of a speck none could."""
        detect = Bright.detect

        def picky(self: Bright, image: np.ndarray) -> Detected:
            if max(image.shape[:2]) > 100 * min(image.shape[:2]):
                raise ValueError("max_pool2d: the output would be 0 × 256")
            return detect(self, image)

        monkeypatch.setattr(Bright, "detect", picky)
        Image.new("RGB", (5000, 5)).save("line.png")
        assert said(bright("line.png"), 1) == ("refdet: line.png: 5000 × 5 pixels are too narrow for bright; crop it\n")
        Image.new("RGB", (9, 3)).save("speck.png")
        assert "speck.png: bright cannot look at 9 × 3 pixels: Bright: too small" in said(bright("speck.png"), 1)

    def test_a_picture_that_does_not_fit_into_memory(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def read(path: Path) -> np.ndarray:
            if path.name == "large.png":
                raise MemoryError
            return SCENE

        monkeypatch.setattr("refdet.data.read_image", read)
        result = bright("large.png", "scene.png")
        assert (result.exit_code, result.stderr) == (
            1,
            "refdet: large.png: needs more memory than there is; make it smaller\n",
        )
        assert "1 object of score 0.1 or more in 1 picture" in result.stdout


class TestCtrlC:
    @pytest.fixture(autouse=True)
    def _third_picture(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Press Ctrl-C while the third picture is looked at."""
        detect, n_calls = Bright.detect, 0

        def interrupted(self: Bright, image: np.ndarray) -> Detected:
            nonlocal n_calls
            n_calls += 1
            if n_calls == 2:
                raise KeyboardInterrupt
            return detect(self, image)

        monkeypatch.setattr(Bright, "detect", interrupted)
        for name in ("b.png", "c.png"):
            Image.fromarray(SCENE).save(name)

    def test_what_was_found_is_printed(self, folder: Path) -> None:
        result = bright("scene.png", "absent.png", "b.png", "c.png")
        assert result.exit_code == 130
        assert "1 object of score 0.1 or more in 1 picture" in result.stdout
        assert result.stderr.splitlines() == [
            "refdet: absent.png: there is no such file",
            "refdet: detect: stopped after 2 of 4 pictures",
        ]
        assert [path.name for path in folder.glob("*.detected.png")] == ["scene.detected.png"]

    def test_as_json(self, folder: Path) -> None:
        told = as_json("scene.png", "absent.png", "b.png", "c.png", status=130)
        assert [image["file"] for image in told["images"]] == ["scene.png"]
        assert [problem["file"] for problem in told["problems"]] == ["absent.png"]

    def test_nothing_was_found_yet(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(self: Bright, image: np.ndarray) -> Detected:
            raise KeyboardInterrupt

        monkeypatch.setattr(Bright, "detect", interrupted)
        assert said(bright("scene.png"), 130) == "refdet: detect: stopped after 0 of 1 picture\n"
        assert as_json("scene.png", status=130)["images"] == []


class TestManyPictures:
    def test_masks_are_kept_as_runs(self, folder: Path) -> None:
        """Columns 20 … 49 are bright in rows 10 … 29: 20·40 + 10 dark pixels before, 10 + 14·40 after."""
        (found,), problems = _detect_all(
            load_model("bright.safetensors"), [Path("scene.png")], [Path("scene.detected.png")], 0.1
        )
        assert problems == []
        assert found.objects.masks is None
        assert found.masks is not None
        (mask,) = found.masks
        assert mask.size == (H, W)
        assert mask.counts.tolist() == [810, *[20] * 59, 570]

    def test_a_name_that_moves_the_cursor(self, folder: Path) -> None:
        """What is invisible is an escape, in the table, below it and in messages; in JSON the name is as it is."""
        name, absent = "red\x1b[31m\nline.png", "not\x1b]0;here\x07.png"
        Path("scene.png").rename(name)
        save_bright(Path("bright.safetensors"), ("background", "per\x1b[1mson"))
        result = bright(name, absent)
        assert result.exit_code == 1
        assert "\x1b" not in result.output
        assert "│ red\\x1b[31m\\nline.png │ per\\x1b[1mson │" in result.stdout
        assert "drawn: red\\x1b[31m\\nline.detected.png\n" in result.stdout
        assert result.stderr == "refdet: not\\x1b]0;here\\x07.png: there is no such file\n"
        assert as_json(name)["images"][0]["file"] == name

    @pytest.mark.parametrize("options", [("--json",), ()])
    def test_a_name_that_is_not_utf_8(self, folder: Path, options: tuple[str, ...]) -> None:
        """What was found in the other pictures is there, whatever standard output takes."""
        name = os.fsdecode(b"sc\xe9ne.png")
        try:
            Path(name).write_bytes(Path("scene.png").read_bytes())
        except OSError:
            pytest.skip("this file system has no such names")
        absent = os.fsdecode(b"\xff.png")
        command = [sys.executable, "-c", WITH_BRIGHT, "detect", name, absent, "scene.png", *options]
        environment = {
            **os.environ,
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        result = subprocess.run(
            [*command, "--weights", "bright.safetensors", "--score", "0.1"], env=environment, capture_output=True
        )
        assert result.returncode == 1, result.stderr
        assert result.stderr.decode().splitlines() == ["refdet: \\udcff.png: there is no such file"]
        printed = result.stdout.decode()
        if not options:
            assert "│ sc\\udce9ne.png │" in printed
            assert "│ scene.png" in printed
            assert "drawn: sc\\udce9ne.detected.png, scene.detected.png" in printed
            return
        told = json.loads(printed)
        assert [os.fsencode(image["file"]) for image in told["images"]] == [b"sc\xe9ne.png", b"scene.png"]
        assert [[found["box"] for found in image["objects"]] for image in told["images"]] == [[BOX], [BOX]]
        assert [os.fsencode(problem["file"]) for problem in told["problems"]] == [b"\xff.png"]
        assert Path(os.fsdecode(b"sc\xe9ne.detected.png")).exists()


WITH_BRIGHT = """
from refdet.cli.main import main
from refdet.detection.model_names import MODELS
from tests.cli.tiny_detectors import BRIGHT

MODELS["bright"] = BRIGHT
main()
"""


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (("--model", "brihgt"), "there is no model called 'brihgt'; did you mean bright?"),
            (("--score", "nan"), "--score must be a finite number, got nan"),
            (("--out", "scene.png"), "--out: scene.png is a file, not a folder"),
            (("--out", "scene.png/found"), "scene.png is a file, not a folder"),
            (("--out", "x" * 300), f"--out: cannot write to {'x' * 300}: File name too long"),
            (("--backend", "abacus"), "--backend: no backend named 'abacus'; installed: reference"),
            (("--model", "bright"), "refdet comes without weights for bright; give yours with --weights, or train so"),
            (("--model", "small_spp_net"), "without weights for small_spp_net; give yours with --weights\n"),
            (("--model", "maskrcnn_resnet50_fpn"), "--weights, or those that torchvision publishes\n"),
            (("--model", "fasterrcnn_vgg16"), "or train some: refdet train fasterrcnn_vgg16 --data voc:FOLDER\n"),
            (("--model", "maskrcnn_resnet50_c4"), "refdet train maskrcnn_resnet50_c4 --data coco:FILE.json\n"),
        ],
    )
    def test_mistakes(self, folder: Path, arguments: tuple[str, ...], problem: str) -> None:
        assert problem in said(run("scene.png", *arguments), 2)

    def test_weights_of_another_model(self, folder: Path) -> None:
        result = run("scene.png", "--weights", "bright.safetensors", "--model", "small_mask_rcnn")
        assert "bright.safetensors: holds a bright, not a small_mask_rcnn" in said(result, 1)
        assert "none.safetensors: No such file" in said(run("scene.png", "--weights", "none.safetensors"), 1)
        assert "the suffix chooses the format and must be .safetensors, .npz, .pth or .pt, not '.png'" in said(
            run("scene.png", "--weights", "scene.png"), 1
        )

    def test_weights_that_are_not_there(self, folder: Path) -> None:
        """Before it is asked which model they are of."""
        for name in ("nope.pth", "nope.npz", "nope"):
            refused = said(run("scene.png", "--weights", name), 1)
            assert refused == f"refdet: {name}: No such file or directory\n"

    def test_weights_that_are_a_folder(self, folder: Path) -> None:
        for name in ("run", "run.pth"):
            Path(name).mkdir()
            refused = said(run("scene.png", "--weights", name), 1)
            assert refused == f"refdet: {name}: is a folder; name a file, .safetensors, .npz, .pth or .pt\n"
            Path("bright.safetensors").rename(f"{name}/model.safetensors")
            refused = said(run("scene.png", "--weights", name), 1)
            assert refused == f"refdet: {name}: is a folder; name the model in it, {name}/model.safetensors\n"
            assert run("scene.png", "--weights", f"{name}/model.safetensors").exit_code == 0
            Path(f"{name}/model.safetensors").rename("bright.safetensors")

    def test_help_teaches(self) -> None:
        result = run("--help")
        assert result.exit_code == 0
        for part in ("Examples:", "refdet detect scene.png", "--weights", "Exit status: 0", "130 if interrupted"):
            assert part in result.stdout

    def test_the_reference_is_a_backend(self, folder: Path) -> None:
        assert bright("scene.png", "--backend", "reference").exit_code == 0

    def test_without_options(self, folder: Path) -> None:
        """The weights that come with refdet are used; where there are none, it is said how to train some."""
        result = run("scene.png")
        if shipped_weights("small_mask_rcnn") is None:
            assert "or train some: refdet train small_mask_rcnn --data shapes" in said(result, 2)
        else:
            assert result.exit_code == 0, result.output
