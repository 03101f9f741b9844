"""`refdet verify`: its exit status, what it writes, and what a user may get wrong."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from refdet.cli.main import Commands
from refdet.cli.verify import verify_implementation
from refdet.core.check import Array
from refdet.verify.adapters import load_adapter
from refdet.verify.question import Question, Skipped

ROOT = Path(__file__).parents[2]
RIGHT, WRONG = f"{__name__}:right", f"{__name__}:keeps_everything"
app = typer.Typer(cls=Commands, add_completion=False)
app.command("verify")(verify_implementation)


@app.callback()
def _group() -> None:
    """Make `verify` a command among others, as it is in `refdet`."""


def right(question: Question) -> dict[str, Array]:
    """Answer as refdet does."""
    return dict(load_adapter("refdet").answer(question))


def keeps_everything(question: Question) -> dict[str, Array]:
    """Suppress nothing; that is right where there is at most one box."""
    if question.algorithm == "soft_nms":
        raise Skipped("no soft_nms here")
    boxes = question.arguments["boxes"]
    return {"kept": np.arange(0 if boxes is None else len(boxes))}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["verify", *arguments])


def words(result: Any) -> str:
    return " ".join(result.output.split())


def test_refdet_conforms() -> None:
    result = run("--select", "nms", "--select", "relu")
    assert result.exit_code == 0, result.output
    assert "2 algorithms: 2 pass" in words(result)
    assert "conforms on every required case that was answered" in words(result)


def test_a_wrong_implementation_fails() -> None:
    result = run("--adapter", WRONG, "--select", "*nms")
    assert result.exit_code == 1
    assert re.search(r"\bnms (UNKNOWN|VARIANT)", words(result))
    assert "no soft_nms here" in words(result)


def test_nothing_answered_is_no_success() -> None:
    result = run("--adapter", WRONG, "--select", "soft_nms")
    assert result.exit_code == 1
    assert "failed: no case was answered" in words(result)


def test_all_reports_are_written(tmp_path: Path) -> None:
    files = {name: tmp_path / f"report.{name}" for name in ("json", "junit", "markdown", "html")}
    options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    badge = tmp_path / "badge.svg"
    result = run("--adapter", WRONG, "--select", "nms/legacy*", *options, "--badge", str(badge))
    assert result.exit_code == 1
    assert json.loads(files["json"].read_text())["failed"] is True
    assert ElementTree.parse(files["junit"]).getroot().get("failures") != "0"
    assert files["markdown"].read_text().startswith("# ")
    assert "data:image/png;base64," in files["html"].read_text(encoding="utf-8")
    assert ElementTree.parse(badge).getroot().tag.endswith("svg")
    assert sorted(tmp_path.iterdir()) == sorted([*files.values(), badge])


def test_json_on_standard_output_is_alone_there() -> None:
    result = run("--select", "relu", "--json", "-")
    content: dict[str, Any] = json.loads(result.stdout)
    assert content["counts"]["algorithms"]["PASS"] == 1
    assert "1 algorithm: 1 pass" in " ".join(result.stderr.split())


def test_a_badge_for_shields_io(tmp_path: Path) -> None:
    file = tmp_path / "badge.json"
    assert run("--select", "relu", "--badge", str(file)).exit_code == 0
    assert json.loads(file.read_text())["message"] == "1/1 algorithms"


def test_known_failures_are_excused(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    run("--adapter", WRONG, "--select", "nms", "--json", str(report))
    cases = json.loads(report.read_text())["algorithms"][0]["cases"]
    failed = [case["id"] for case in cases if case["failed"]]
    known = tmp_path / "known.txt"
    known.write_text("\n".join(f"{case_id}  # suppresses nothing" for case_id in failed))
    assert run("--adapter", WRONG, "--select", "nms", "--known-failures", str(known)).exit_code == 0
    result = run("--adapter", RIGHT, "--select", "nms", "--known-failures", str(known))
    assert result.exit_code == 1
    assert f"failed: {len(failed)} known failures passed" in words(result)


def test_a_known_failure_may_lie_outside_the_selection(tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text("roi_align/*\n")
    assert run("--select", "relu", "--known-failures", str(known)).exit_code == 0


def test_answers_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "nms").mkdir()
    np.savez(tmp_path / "nms" / "nothing-like-it.npz", kept=np.arange(2))
    result = run("--outputs", str(tmp_path), "--select", "nms")
    assert result.exit_code == 1
    assert "nothing-like-it.npz" in words(result)
    assert "nms ERROR" in words(result)


def test_a_program_is_asked() -> None:
    command = f"{sys.executable} -c pass"
    result = run("--command", command, "--select", "relu")
    assert result.exit_code == 1
    assert "relu ERROR" in words(result)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--adapter", "torch", "--command", "x"], "--adapter and --command exclude each other; give one of them"),
        (["--adapter", ""], "--adapter must not be empty"),
        (["--adapter", "nobody"], "no adapter is called 'nobody'"),
        (["--adapter", "json:nothing"], "the module 'json' has no function 'nothing'"),
        (["--command", " "], "--command must not be empty"),
        (["--command", "it's"], "cannot be split into words: No closing quotation"),
        (["--outputs", "none"], "--outputs: there is no folder none"),
        (["--select", "nmss"], "--select: no case of the suite is named 'nmss'"),
        (["--select", "nms", "--select", "["], "--select: no case of the suite is named '['"),
        (["--tier", "best"], "--tier must be core or all, got 'best'"),
        (["--time-limit", "0"], "--time-limit must be a number of seconds above 0, got 0"),
        (["--time-limit", "nan"], "--time-limit must be a number of seconds above 0, got nan"),
        (["--known-failures", "none"], "--known-failures: none cannot be read: No such file or directory"),
        (["--badge", "badge.png"], "--badge: the name of the file must end in .svg or .json, got badge.png"),
        (["--html", "none/page.html"], "--html: there is no folder"),
        (["--json", "."], "--json: . is a folder; name a file"),
        (["--json", "a", "--html", "./a"], "--json and --html both name ./a; give each a file of its own"),
        (["--suite", "none"], "--suite: there is no folder none"),
    ],
)
def test_mistakes_give_a_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert sentence in words(result)
    assert result.stdout == ""
    assert not any(tmp_path.iterdir())


def test_the_help_teaches() -> None:
    text = words(run("--help"))
    for expected in ("Exit status", "--outputs answers", "refdet verify --adapter torchvision", "VARIANT"):
        assert expected in text


def test_nothing_is_loaded_before_it_is_needed() -> None:
    program = "import sys, refdet.cli.verify; print('matplotlib' in sys.modules, 'jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]
