"""`refdet bench`: exit status and output for right and wrong command lines."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from refdet.cli.main import app

FAKES = "tests.bench.fakes:"
QUICK = [FAKES + "TINY", "--threads", "1", "--repeats", "1"]


@pytest.fixture(autouse=True)
def _root_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name the side to compare with, for example --against torch"),
        (
            ["conv-vgg17", "--against", "torch"],
            "no group of workloads named 'conv-vgg17'; there are: conv-vgg16, conv-other",
        ),
        (["os:sep", "--against", "torch"], "os:sep is not a group of workloads but a str"),
        (["--against", "numba-tpu"], "--against: no side named 'numba-tpu'; there are: reference, "),
        (["--against", "nowhere:side"], "--against: cannot load 'nowhere:side': No module named 'nowhere'"),
        (["--side", "numba-tpu", "--against", "reference"], "--side: no side named 'numba-tpu'"),
        (["--against", "reference"], "--side and --against are both 'reference'"),
        (["--against", "torch", "--threads", "0"], "--threads must be greater than 0, got 0"),
        (["--against", "torch", "--repeats", "-1"], "--repeats must be greater than 0, got -1"),
        (["--against", "torch", "--time-limit", "nan"], "--time-limit must be greater than 0, got nan"),
        (
            ["--against", "torch", "--json", "-", "--markdown", "-"],
            "--json and --markdown cannot both go to standard output",
        ),
        (["--against", "torch", "--json", "/nowhere/at/all.json"], "--json: there is no folder /nowhere/at"),
    ],
)
def test_wrong_usage(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(app, ["bench", *arguments])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"refdet: bench: {sentence}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_list() -> None:
    result = CliRunner().invoke(app, ["bench", "--list", "conv-vgg16"])
    assert result.exit_code == 0
    assert "  vgg16/conv5_1-3 × 3: conv2d.forward, 3×3, 512 → 512 at 14²\n" in result.stdout
    assert "  target: reference against torch: sum at most 2.00×; slowest workload at most 3.00×" in result.stdout


def test_json_on_standard_output_stands_alone(tmp_path: Path) -> None:
    markdown = tmp_path / "performance.md"
    result = CliRunner().invoke(
        app, ["bench", *QUICK, "--against", FAKES + "Numpy", "--json", "-", "--markdown", str(markdown)]
    )
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert [row["status"] for row in report["groups"][0]["rows"]] == ["ok", "ok", "ok"]
    assert "Three additions" in result.stderr
    assert "## tiny" in markdown.read_text(encoding="utf-8")


def test_disagreement_exits_with_1_and_a_complete_report() -> None:
    result = CliRunner().invoke(app, ["bench", *QUICK, "--against", FAKES + "Wrong"])
    assert result.exit_code == 1
    assert "second disagrees: output 0 differs by" in " ".join(result.stdout.split())
    assert "third" in result.stdout


def test_a_target_that_is_not_met_exits_with_1_only_if_required() -> None:
    """No second additions: the sum cannot be measured, whatever the times of the rest."""
    arguments = [FAKES + "DEMANDING", *QUICK[1:], "--side", FAKES + "Unable", "--against", "reference"]
    assert CliRunner().invoke(app, ["bench", *arguments]).exit_code == 0
    result = CliRunner().invoke(app, ["bench", *arguments, "--require-targets"])
    assert result.exit_code == 1
    assert "target not measured: sum at most 1.00×" in result.stdout
