"""`refdet reproduce`: in miniature from end to end, resumed, and with what a user may get wrong."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from refdet.cli import reproduce_rcnn
from refdet.cli.main import app
from refdet.reproduce import rcnn, segmentation
from refdet.reproduce.rcnn_claims import CLAIMS, METHODS
from tests.reproduce.rcnn_records import record


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
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / rcnn.RESULTS).write_text("{}")
    for options, sentence in (
        (["detection"], "there is no experiment called 'detection'"),
        (["segmentation", "--out", str(tmp_path / "file")], "is a file; name a folder"),
        (["segmentation", "--out", str(tmp_path / "file" / "below")], "cannot write to"),
        (["segmentation", "--out", str(tmp_path)], "does not hold results of this experiment"),
        (["segmentation", "--seeds", "0"], "--seeds"),
        (["rcnn", "--out", str(tmp_path / "other")], "does not hold results of this experiment"),
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


def test_the_r_cnn_family_in_miniature_from_end_to_end_and_again(tmp_path: Path) -> None:
    command = ["reproduce", "rcnn", "--miniature", "--seeds", "1", "--out", str(tmp_path / "new")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    printed = " ".join(result.output.replace("│", " ").split())
    assert result.output.count("MINIATURE") == 3  # above all tables
    assert result.output.count("no verdict") == len(CLAIMS) + 1  # in every row, and why below
    assert result.output.count("none") == len(CLAIMS) + 1  # intervals, and in the text of a claim
    assert "146 ×" in printed
    written = json.loads((tmp_path / "new" / rcnn.RESULTS).read_text())
    (parts,) = (record["parts"] for record in written["seeds"].values())
    assert list(parts) == [part.name for part in rcnn.PARTS]
    for part in parts.values():
        for losses in part["losses"].values():
            assert np.isfinite(losses).all()
    stages = {stage for part in parts.values() for stage in part["losses"]}
    assert stages == {
        "classifier",
        "faster",
        "fast",
        "sliding_window",
        "spp_crops",
        "spp_1",
        "spp_5",
        "rcnn_frozen",
        "rcnn",
    }
    shares = {name: share for part in parts.values() for name, share in part.get("mAP", {}).items()}
    assert set(shares) == {*METHODS, "rcnn_frozen_boxes"}
    assert all(0 <= share <= 1 for share in shares.values())
    timing = parts["timing"]
    assert min(timing["search_seconds"], *timing["seconds"].values(), *timing["fc_seconds"].values()) > 0
    assert [claim["claim"] for claim in written["claims"]] == [claim.name for claim in CLAIMS]
    with Image.open(tmp_path / "new" / rcnn.PICTURE) as picture:
        assert picture.size == (1920, 1080)
        assert np.asarray(picture.convert("L")).std() > 10

    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0, again.output
    assert "already has the seeds 0" in again.output
    assert json.loads((tmp_path / "new" / rcnn.RESULTS).read_text()) == written


def test_verdicts_on_the_r_cnn_family_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seeds alike: 25 times faster, 5 points more by box regression, the rest without difference."""
    found = record({"rcnn_boxes": 2.5}, rcnn_boxes=0.55)["parts"]

    def done(name: str, made: object) -> dict[str, Any]:
        return dict(found[name])

    monkeypatch.setattr(rcnn, "PARTS", [rcnn.Part(name, partial(done, name)) for name in found])
    monkeypatch.setattr(reproduce_rcnn, "console", Console(width=120))
    result = CliRunner().invoke(app, ["reproduce", "rcnn", "--seeds", "2", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in result.output.splitlines() if "│" in line]
    judged = {row[0]: row[1:] for row in rows if len(row) == 6 and row[1]}
    assert judged["Fast R-CNN ≥ 20 × faster than R-CNN"] == ["2", "25.0 ×", "25.0 × … 25.0 ×", "146 ×", "held"]
    assert judged["R-CNN: box regression > none"] == ["2", "+5.0", "+5.0 … +5.0", "+4.3", "held"]
    assert judged["Fast R-CNN ≥ R-CNN"] == ["2", "−5.0", "−5.0 … −5.0", "+0.9", "not held"]
    assert "no verdict" not in result.output
    assert "MINIATURE" not in result.output
    seeds = [row for row in rows if row[0] == "Faster R-CNN" and len(row) == 7]
    assert seeds == [["Faster R-CNN", "2", "50.0", "50.0", "50.0", "69.9", "VGG-16"]]


def test_what_an_interruption_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(made: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(rcnn, "PARTS", [rcnn.Part("first", lambda made: {}), rcnn.Part("second", interrupted)])
    command = ["reproduce", "rcnn", "--miniature", "--out", str(tmp_path)]
    for _ in range(2):  # the first part is not done again, and the second not finished either
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 130
        assert result.output == "refdet: interrupted; the same command again goes on from what is finished\n"
    (found,) = json.loads((tmp_path / rcnn.RESULTS).read_text())["seeds"].values()
    assert list(found["parts"]) == ["first"]


@pytest.mark.usefixtures("usual_signals")
def test_being_terminated_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM is obeyed where nothing else heeds it, in a search for proposals for instance."""

    def terminated(made: object) -> dict[str, Any]:
        signal.raise_signal(signal.SIGTERM)
        return {}

    monkeypatch.setattr(rcnn, "PARTS", [rcnn.Part("proposals", terminated)])
    result = CliRunner().invoke(app, ["reproduce", "rcnn", "--miniature", "--out", str(tmp_path)])
    assert result.exit_code == 130
    assert result.output == "refdet: SIGTERM; the same command again goes on from what is finished\n"
