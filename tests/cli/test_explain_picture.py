"""`refdet explain NAME --picture FILE`: where the picture goes, and what a user may get wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from refdet.cli.main import app


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["explain", *arguments], env={"COLUMNS": "200"})


@pytest.mark.parametrize("name", ["roi_align", "roi_align.backward", "refdet.ops.roi_align"])
def test_the_explanation_ends_with_where_the_picture_is(name: str, tmp_path: Path) -> None:
    path = tmp_path / "[bold] slide.png"  # which is not markup
    result = run(name, "--picture", str(path))
    assert result.exit_code == 0, result.output
    assert "how to call refdet.ops.roi_align" in result.stdout
    assert result.stdout.endswith(f"written to {path}\n")
    with Image.open(path) as picture:
        assert picture.size == (1920, 1080)


def test_a_file_of_several_algorithms(tmp_path: Path) -> None:
    """`anchors` is no algorithm but the file that holds two; the picture is that of the first."""
    result = run("anchors", "--picture", str(tmp_path / "anchors.png"))
    assert result.exit_code == 0, result.stderr
    first, second = (
        result.stdout.index(f"{name}: refdet/boxes/anchors.py") for name in ("anchor_grid", "base_anchors")
    )
    assert first < second
    assert "how to call refdet.boxes.base_anchors" in result.stdout
    with Image.open(tmp_path / "anchors.png") as picture:
        assert picture.size == (1920, 1080)


def test_a_function(tmp_path: Path) -> None:
    path = tmp_path / "lattice.svg"
    result = run("permutohedral", "--picture", str(path))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("permutohedral_filter: ")
    assert result.stdout.endswith(f"written to {path}\n")
    assert path.read_text().startswith("<?xml")


def test_without_the_option_no_picture_is_mentioned() -> None:
    assert "written to" not in run("roi_align").stdout


@pytest.mark.parametrize(
    ("name", "file", "sentence"),
    [
        ("conv2d", "x.png", "there is no picture of conv2d; these have one: anchor_grid, "),
        ("DenseCRF", "x.png", "there is no picture of DenseCRF; these have one: "),
        ("crf_rnn", "x.png", "there is no picture of crf_rnn; these have one: "),
        ("nms", "x.gif", "the name of the file must end in .png, .svg, .pdf, got "),
        ("nms", "absent/x.png", "there is no folder "),
        ("nms", "folder.png", "cannot write to "),
    ],
)
def test_one_sentence_and_nothing_else(name: str, file: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    result = run(name, "--picture", str(tmp_path / file))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"refdet: --picture: {sentence}")
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_an_unknown_algorithm_is_the_first_problem(tmp_path: Path) -> None:
    result = run("nsm", "--picture", str(tmp_path / "x.gif"))
    assert result.exit_code == 2
    assert "there is no algorithm called 'nsm'; did you mean" in result.stderr
