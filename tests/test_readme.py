"""What the README shows is what there is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from refdet import ops
from refdet.cli.main import app
from refdet.verify import catalogue

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_catalogue_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend of the CPU stands in it; whether that of the GPU loads depends on the machine."""
    on_cpu = {name: table for name, table in catalogue.backends().items() if name == "numba-cpu"}
    monkeypatch.setattr(catalogue, "backends", lambda: on_cpu)
    written = README.split("catalogue begins")[1].split("-->\n", 1)[1].split("<!-- catalogue ends")[0]
    generated = CliRunner().invoke(app, ["list", "--markdown"]).output
    assert written.strip() == generated.strip(), "paste the output of `refdet list --markdown` into the README"


BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def run_block(telling: str) -> dict[str, Any]:
    """Run the only block that says that, and return the names it leaves."""
    (block,) = (block for block in BLOCKS if telling in block)
    names: dict[str, Any] = {}
    exec(block, names)
    return names


def test_the_first_network_runs() -> None:
    names = run_block("nn.Sequential")
    assert names["loss"].item() > 0


def test_boxes_regions_and_proposals_run() -> None:
    names = run_block("base_anchors")
    assert len(names["anchors"]) == 20_646
    assert names["crops"].shape == (1, 8, 7, 7)
    assert len(names["boxes"]) == len(names["scores"]) > 0


def test_half_of_the_objects_are_found() -> None:
    assert run_block("evaluate_coco")["ap"] == pytest.approx(51 / 101)


def test_the_scene_that_is_written_has_objects_that_the_detector_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_block("scene.png")
    result = CliRunner().invoke(app, ["detect", "scene.png", "--json"])
    (found,) = json.loads(result.stdout)["images"]
    assert len(found["objects"]) >= 3
    assert Path("scene.detected.png").exists()


def test_a_detector_learns_and_detects_stage_by_stage() -> None:
    names = run_block("small_faster_rcnn")
    assert not [name for name, p in names["detector"].named_parameters() if p.grad is None]
    assert len(names["found"]) == len(names["found"].boxes)
    assert names["output"].anchors.shape[0] == names["output"].logits.shape[1]
    assert 0 < len(names["proposals"]) <= names["detector"].rpn.settings.post_nms[1]


def test_segmentation_and_random_fields_run() -> None:
    names = run_block("crf.DenseCRF")
    assert names["refined"].shape == names["labels"].shape
    assert names["found"].free_energies[-1] < names["found"].free_energies[0]


def test_a_backend_gives_the_same() -> None:
    names = run_block("use_backend")
    reference = ops.conv2d(names["images"], names["weights"], padding=1).data
    np.testing.assert_allclose(names["maps"].data, reference, rtol=1e-4)


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (Path(__file__).parents[1] / target).exists(), target


def test_the_report_in_it_is_what_the_command_says() -> None:
    """What stands between the dots, word by word."""
    report = re.search(r"\$ refdet verify --adapter legacy [^\n]*\n(.*?)```", README, re.DOTALL)
    assert report is not None
    said = words(CliRunner().invoke(app, ["verify", "--adapter", "legacy"]).stdout)
    for part in report[1].split("...\n"):
        assert words(part) in said


def words(text: str) -> str:
    """Return text without lines, and with one space between words."""
    return " ".join(text.replace("─", "").split())
