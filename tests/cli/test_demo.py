"""`refdet demo`: the table, the picture, and what a user may get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from refdet.cli.main import app
from refdet.verify import self_check as module
from refdet.verify.generate import SourceTreeError, case_names


def test_every_op_is_checked_and_the_picture_is_written(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", "--output", str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    n = len(case_names())
    assert f"{n} of {n} ops agree" in result.output
    assert "FAILS" not in result.output
    with Image.open(tmp_path / "new" / "feature_maps.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_a_disagreement_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ORACLE_TOLERANCE", -1.0)
    result = CliRunner().invoke(app, ["demo", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "0 of" in result.output


def test_a_photograph_of_ones_own(tmp_path: Path) -> None:
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (48, 1)) * 4).save(tmp_path / "own.png")
    result = CliRunner().invoke(app, ["demo", "--image", str(tmp_path / "own.png"), "--output", str(tmp_path)])
    assert result.exit_code == 0, result.output


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
