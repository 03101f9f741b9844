"""Every test of the command line sees a terminal of one width; those of `refdet train` ask for a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from refdet.cli.messages import console
from refdet.detection.model_names import MODELS
from refdet.training import run_folder
from refdet.training.recipes import RECIPES
from tests.cli.tiny_detectors import BRIGHT
from tests.cli.train_command import RECIPE


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", 200)
    monkeypatch.setattr(console, "_height", 50)


@pytest.fixture
def folder_of_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, where `refdet train bright` knows a detector and a recipe that take no time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(MODELS, "bright", BRIGHT)
    monkeypatch.setitem(RECIPES, "bright", RECIPE)
    monkeypatch.setattr(run_folder, "draw_curves", lambda history, path, **_: path.touch())  # takes a second
