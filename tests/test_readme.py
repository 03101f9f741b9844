"""What the README shows is what there is."""

from __future__ import annotations

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


def test_the_first_network_runs() -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[0], names)
    assert names["loss"].item() > 0


def test_boxes_regions_and_proposals_run() -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[2], names)
    assert len(names["anchors"]) == 20_646
    assert names["crops"].shape == (1, 8, 7, 7)
    assert len(names["boxes"]) == len(names["scores"]) > 0


def test_a_detector_learns_and_detects_stage_by_stage() -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[3], names)
    assert not [name for name, p in names["detector"].named_parameters() if p.grad is None]
    assert len(names["found"]) == len(names["found"].boxes)
    assert names["output"].anchors.shape[0] == names["output"].logits.shape[1]
    assert 0 < len(names["proposals"]) <= names["detector"].rpn.settings.post_nms[1]


def test_segmentation_and_random_fields_run() -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[4], names)
    assert names["refined"].shape == names["labels"].shape
    assert names["found"].free_energies[-1] < names["found"].free_energies[0]


def test_a_backend_gives_the_same() -> None:
    names: dict[str, Any] = {}
    exec(BLOCKS[5], names)
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
