"""`refdet demo`: the page, the table, the picture, and what a user may get wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from refdet.cli import demo as command
from refdet.cli.main import app
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


@pytest.mark.usefixtures("_unverified")
def test_bad_pictures_and_folders(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    for options, sentence in (
        (["--image", str(tmp_path / "absent.png")], "there is no file"),
        (["--image", str(tmp_path / "text.png")], "is not a picture that can be read"),
        (["--output", str(tmp_path / "text.png")], "cannot write to"),
    ):
        result = CliRunner().invoke(app, ["demo", *options])
        assert result.exit_code == 2, result.output
        assert sentence in result.output.replace("\n", " ")
        assert "Traceback" not in result.output


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
