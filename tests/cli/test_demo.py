"""`refdet demo`: the page, the table, the picture, and what a user may get wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from typer.testing import CliRunner

from refdet.cli import demo as command
from refdet.cli.main import app
from refdet.data import images
from refdet.verify import self_check as module
from refdet.verify.generate import SourceTreeError, case_names
from refdet.verify.question import Unavailable
from refdet.verify.report import html
from refdet.verify.verdict import Report


@pytest.fixture
def _unverified(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the golden suite."""
    monkeypatch.setattr(command, "_verify", lambda output: True)


def test_three_habits_of_the_legacy_implementation_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = command._asked

    def only_numpy(name: str) -> Report:
        if name == command.ACCELERATED:
            raise Unavailable("numba-cpu is not installed")
        return asked(name)

    monkeypatch.setattr(command, "_asked", only_numpy)
    assert command._verify(tmp_path)
    printed = capsys.readouterr().out
    assert printed.startswith(f"Report page: {tmp_path / 'verify.html'}\n")
    output = " ".join(printed.split())
    assert re.findall(r"(\S+=\S+) ([a-z_, ]+): ", output) == [
        ("box.plus1=yes", "box_iou, nms"),
        ("nms.cmp=ge", "nms"),
        ("roi.offset=0", "roi_align"),
    ]
    assert "3 named habits explain the other 3." in output
    assert "algorithms that were answered agree." in output
    assert "refdet:numba-cpu: not here (numba-cpu is not installed)" in output
    assert "3 named habits" in (tmp_path / "verify.html").read_text(encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["verify.html", "verify_refdet.html"]


@pytest.mark.usefixtures("_unverified")
def test_every_op_is_checked_and_the_picture_is_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--output", str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    n = len(case_names())
    assert f"{n} of {n} ops agree" in result.output
    assert "FAILS" not in result.output
    with Image.open(tmp_path / "new" / "feature_maps.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_a_reference_that_differs_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    legacy = command._asked(command.LEGACY)
    monkeypatch.setattr(command, "_asked", lambda name: legacy)
    monkeypatch.setattr(html, "html_page", lambda report: "")  # which other tests look at
    assert not command._verify(tmp_path)


@pytest.mark.usefixtures("_unverified")
def test_a_disagreement_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORACLE_TOLERANCE", -1.0)
    result = CliRunner().invoke(app, ["demo", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "0 of" in result.output


@pytest.mark.usefixtures("_unverified")
def test_a_photograph_of_ones_own(tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (48, 1)) * 4).save(tmp_path / "own.png")
    result = CliRunner().invoke(app, ["demo", "--image", str(tmp_path / "own.png"), "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output


def test_a_photograph_is_read_as_it_was_meant(tmp_path: Path) -> None:
    """Of 16 bits the upper eight; upright, as the camera noted."""
    grey = np.tile(np.arange(64, dtype=np.uint8), (48, 1)) * 4
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    pixels, title = command._photograph(tmp_path / "sixteen.png")
    assert title == "sixteen.png"
    assert np.array_equal(pixels, np.repeat(grey[:, :, None], 3, axis=2))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # lies on its side
    Image.fromarray(grey).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(command._photograph(tmp_path / "turned.png")[0][:, :, 0], np.rot90(grey, -1))


@pytest.mark.parametrize("name", ["$x^{2 $.png", "猫.png", "\x1b[31m\n.png", "x" * 200 + ".png"])
def test_a_title_is_the_name_of_the_file_as_far_as_it_can_be_drawn(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("warnings.showwarning", lambda *given: pytest.fail(str(given[0])))
    command._draw(np.zeros((16, 16, 3), np.uint8), name, tmp_path)
    assert "\x1b" not in capsys.readouterr().out
    with Image.open(tmp_path / "feature_maps.png") as picture:
        assert picture.size == (1600, 700)


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be asked or checked: what is wrong must be told before."""
    for name in ("_verify", "_check_every_op"):
        monkeypatch.setattr(command, name, lambda _: pytest.fail("this comes too late"))


@pytest.mark.usefixtures("_at_once")
def test_bad_pictures_and_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.png").write_text("not a picture")
    for w, h in ((1, 1), (2, 2), (40, 1), (2, 30)):
        Image.new("RGB", (w, h)).save(f"{w}x{h}.png")
    Image.fromarray(np.zeros((8, 8), np.float32)).save("float.tif")
    frames = [Image.new("L", (8, 8), grey) for grey in (0, 255)]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    monkeypatch.setattr(images, "MOST_PIXELS", 10_000)
    Image.new("L", (200, 51)).save("bomb.png")
    small = "pixels are too few for the network, which needs 3 × 3; give a larger one"
    for options, status, sentence in (
        (("--image", "absent.png"), 1, "absent.png: there is no such file"),
        (("--image", "text.png"), 1, "text.png: is not a picture that Pillow knows"),
        (("--image", "bomb.png"), 1, "bomb.png: 200 × 51 pixels are more than 10,000"),
        (("--image", "float.tif"), 1, "float.tif: floating-point pictures have no agreed range"),
        (("--image", "moving.gif"), 1, "moving.gif: has 2 frames; give one of them"),
        (("--image", "1x1.png"), 1, f"1x1.png: 1 × 1 {small}"),
        (("--image", "2x2.png"), 1, f"2x2.png: 2 × 2 {small}"),
        (("--image", "40x1.png"), 1, f"40x1.png: 40 × 1 {small}"),
        (("--image", "2x30.png"), 1, f"2x30.png: 2 × 30 {small}"),
        (("--output", "text.png"), 2, "demo: --output: cannot write to text.png"),
    ):
        result = CliRunner().invoke(app, ["demo", *options])
        assert result.exit_code == status, result.output
        assert result.stderr.startswith(f"refdet: {sentence}")
        assert result.stderr.count("\n") == 1
    assert not Path("demo").exists()


@pytest.mark.usefixtures("_at_once")
def test_the_photograph_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    Image.new("RGB", (16, 16)).save(tmp_path / "own.png")
    (tmp_path / "out" / "feature_maps.png").symlink_to(tmp_path / "own.png")
    before = (tmp_path / "own.png").read_bytes()
    result = CliRunner().invoke(app, ["demo", "--image", str(tmp_path / "own.png"), "--output", str(tmp_path / "out")])
    assert result.exit_code == 2, result.output
    assert "feature_maps.png is --image itself and would be overwritten; give another folder" in result.stderr
    assert (tmp_path / "own.png").read_bytes() == before


@pytest.mark.usefixtures("_unverified")
def test_without_the_source_tree_the_picture_is_drawn_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent() -> list[str]:
        raise SourceTreeError("no source tree")

    monkeypatch.setattr("refdet.verify.generate.case_names", absent)
    result = CliRunner().invoke(app, ["demo", "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "no table of checks" in result.output.replace("\n", " ")
    assert (tmp_path / "feature_maps.png").exists()
