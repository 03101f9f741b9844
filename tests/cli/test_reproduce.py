"""`refdet reproduce`: in miniature from end to end, resumed, and with what a user may get wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from refdet.cli.main import app
from refdet.reproduce import segmentation


def test_in_miniature_from_end_to_end_and_again(tmp_path: Path) -> None:
    command = ["reproduce", "segmentation", "--miniature", "--seeds", "1", "--out", str(tmp_path / "new")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    for name in segmentation.METHODS.values():
        assert name in result.output
    assert result.output.count("MINIATURE") == 2  # above both tables
    assert result.output.count("no verdict") == len(segmentation.CLAIMS) + 1  # in every row, and why below
    assert result.output.count("none") == len(segmentation.CLAIMS)  # intervals
    assert "held" not in result.output
    written = json.loads((tmp_path / "new" / segmentation.RESULTS).read_text())
    (record,) = written["seeds"].values()
    for losses in record["losses"].values():
        assert np.isfinite(losses).all()
    assert record["losses"]["FCN-8s"][-1] < record["losses"]["FCN-32s"][0]
    for scores in record["scores"].values():
        assert 0 <= scores["mean_iu"] <= 1
    with Image.open(tmp_path / "new" / segmentation.PICTURE) as picture:
        assert picture.size == (1920, 1080)
        assert np.asarray(picture.convert("L")).std() > 10

    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert "already has the seeds 0" in again.output
    assert json.loads((tmp_path / "new" / segmentation.RESULTS).read_text()) == written


def test_what_a_user_may_get_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / segmentation.RESULTS).write_text("{}")
    for options, sentence in (
        (["detection"], "there is no experiment called 'detection'"),
        (["segmentation", "--out", str(tmp_path / "file")], "is a file; name a folder"),
        (["segmentation", "--out", str(tmp_path / "file" / "below")], "cannot write to"),
        (["segmentation", "--out", str(tmp_path)], "does not hold results of this experiment"),
        (["segmentation", "--seeds", "0"], "--seeds"),
        ([], "EXPERIMENT"),
    ):
        result = CliRunner().invoke(app, ["reproduce", *options])
        assert result.exit_code == 2, result.output
        assert sentence in " ".join(result.output.replace("│", " ").split())
        assert "Traceback" not in result.output


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replace the run of a seed by one that takes no time, and list the seeds that are run."""
    seeds: list[int] = []
    scores = dict.fromkeys(("mean_iu", "pixel_accuracy", "mean_accuracy"), 0.25)

    def run_seed(settings: object, seed: int, on_progress: object) -> segmentation.SeedRun:
        seeds.append(seed)
        better = {name: value + 0.5 for name, value in scores.items()}
        record = {"scores": {m: better if m == "fcn_16s" else scores for m in segmentation.METHODS}}
        flat = {m: np.zeros((2, 4, 4), np.uint8) for m in ("truth", *segmentation.METHODS)}
        return segmentation.SeedRun(record, flat | {"image": np.zeros((2, 4, 4, 3), np.uint8)})

    monkeypatch.setattr(segmentation, "run_seed", run_seed)
    return seeds


def run(folder: Path, *options: str) -> str:
    result = CliRunner().invoke(app, ["reproduce", "segmentation", *options, "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_verdict_in_words(tmp_path: Path, quick: list[int]) -> None:
    output = run(tmp_path, "--seeds", "2")
    rows = [line.split("│") for line in output.splitlines() if line.count("│") == 6]
    found = {row[1].strip(): [cell.strip() for cell in row[3:6]] for row in rows if row[2].strip() == "mean IU"}
    assert found["FCN-16s > FCN-32s"] == ["+50.0", "+50.0 … +50.0", "held"]
    assert found["FCN-8s > FCN-16s"] == ["−50.0", "−50.0 … −50.0", "not held"]
    assert found["grid CRF > unary alone"] == ["+0.0", "+0.0 … +0.0", "not held"]
    assert found["CRF-RNN ≥ dense CRF"] == ["+0.0", "+0.0 … +0.0", "held"]
    assert "no verdict" not in output
    assert "MINIATURE" not in output


def test_one_seed_gives_no_verdict(tmp_path: Path, quick: list[int]) -> None:
    output = run(tmp_path, "--seeds", "1")
    assert output.count("no verdict") == len(segmentation.CLAIMS) + 1
    assert "held" not in output
    assert "MINIATURE" not in output


def test_a_miniature_run_gives_no_verdict_however_many_seeds_it_has(tmp_path: Path, quick: list[int]) -> None:
    output = run(tmp_path, "--miniature", "--seeds", "2")
    assert output.count("no verdict") == len(segmentation.CLAIMS) + 1
    assert "+50.0 … +50.0" in output
    assert "held" not in output


def test_a_finished_run_is_only_shown_again(tmp_path: Path, quick: list[int]) -> None:
    first = run(tmp_path, "--seeds", "3")
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert quick == [0, 1, 2]
    (tmp_path / segmentation.PICTURE).unlink()
    assert run(tmp_path, "--seeds", "3").endswith(first)  # after a line that says which seeds there are
    assert quick == [0, 1, 2]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == written
