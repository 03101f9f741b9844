"""`refdet conformance`: what it writes, its exit status, and what a user may get wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from refdet.cli.conformance import PAGES, conformance
from refdet.cli.conformance_sources import known_implementations, without_places
from refdet.cli.main import Commands
from refdet.core.check import Array
from refdet.verify.adapters import ADAPTERS, load_adapter
from refdet.verify.question import Question
from refdet.verify.suite import load_suite

ROOT = Path(__file__).parents[2]
RIGHT, WRONG = f"{__name__}:right", f"{__name__}:keeps_everything"
app = typer.Typer(cls=Commands, add_completion=False)
app.command("conformance")(conformance)


@app.callback()
def _group() -> None:
    """Make `conformance` a command among others, as it is in `refdet`."""


def right(question: Question) -> dict[str, Array]:
    """Answer as refdet does."""
    return dict(load_adapter("refdet").answer(question))


def keeps_everything(question: Question) -> dict[str, Array]:
    """Suppress nothing."""
    boxes = question.arguments["boxes"]
    return {"kept": np.arange(0 if boxes is None else len(boxes))}


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["conformance", *arguments])


def words(result: Any) -> str:
    return " ".join(result.output.split())


def test_three_files_are_written(tmp_path: Path) -> None:
    result = run("--adapter", RIGHT, "--adapter", "legacy", "--select", "nms", "--output", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(PAGES)
    record = json.loads((tmp_path / "conformance.json").read_text(encoding="utf-8"))
    assert [i["verdicts"]["nms"]["kind"] for i in record["implementations"]] == ["PASS", "VARIANT"]
    assert "2 implementations" in words(result)
    assert "every difference has a name or a reason" in words(result)


def test_a_suite_without_cases_is_refused(tmp_path: Path) -> None:
    manifest = {**load_suite().manifest, "cases": []}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    result = run("--suite", str(tmp_path), "--adapter", "refdet", "--output", str(tmp_path))
    assert result.exit_code == 2
    assert "has no cases" in words(result)


def test_what_nobody_explains_fails_and_is_written(tmp_path: Path) -> None:
    result = run("--adapter", WRONG, "--select", "nms", "--output", str(tmp_path))
    assert result.exit_code == 1
    assert "and neither a deviation nor an explanation says why" in words(result)
    assert "Not explained yet" in (tmp_path / "conformance.md").read_text(encoding="utf-8")


def test_a_file_of_explanations(tmp_path: Path) -> None:
    why = tmp_path / "why.toml"
    table = f'implementation = "{WRONG}"\ncases = ["nms/*"]\nkind = "bug"\nreason = "It suppresses nothing."\n'
    why.write_text(f"[[explanation]]\n{table}")
    result = run("--adapter", WRONG, "--select", "nms", "--output", str(tmp_path), "--explanations", str(why))
    assert result.exit_code == 0, result.output
    assert "It suppresses nothing." in (tmp_path / "conformance.html").read_text(encoding="utf-8")


def test_who_cannot_be_asked_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    options = ("--select", "relu", "--output", str(tmp_path))
    result = run("--adapter", "legacy", "--adapter", "torch", *options)
    assert result.exit_code == 0, result.output
    assert "(1 could not be asked)" in words(result)
    assert "torch does not import" in (tmp_path / "conformance.md").read_text(encoding="utf-8")
    alone = run("--adapter", "torch", *options)
    assert alone.exit_code == 2
    assert "torch cannot be asked: torch does not import" in words(alone)


def test_an_adapter_in_another_interpreter(tmp_path: Path) -> None:
    options = ("--adapter", "legacy", "--python", f"legacy={sys.executable}", "--output", str(tmp_path))
    result = run(*options, "--select", "box_iou")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "conformance.json").read_text(encoding="utf-8"))
    (legacy,) = record["implementations"]
    assert (legacy["name"], legacy["versions"]) == ("legacy", {"legacy": "2015"})
    assert legacy["verdicts"]["box_iou"]["deviations"] == ["box.plus1=yes"]


CRASHES = """
import os, sys
from refdet.verify import serve
from refdet.verify.adapters import Adapter, legacy
answer = legacy.load("").answer
serve.load_adapter = lambda name: Adapter(name, {}, lambda q: os.abort() if q.id == "nms/no-boxes" else answer(q))
sys.argv = ["serve", "legacy"]
sys.exit(serve.main())
"""


def test_a_crash_is_an_error_of_one_case(tmp_path: Path) -> None:
    """A library answers in a process of its own; this one ends where it is asked about no boxes."""
    fragile = tmp_path / "fragile"
    fragile.write_text(f"#!{sys.executable}{CRASHES}")
    fragile.chmod(0o755)
    options = ("--adapter", "legacy", "--python", f"legacy={fragile}", "--output", str(tmp_path))
    result = run(*options, "--select", "nms")
    assert result.exit_code == 1
    assert "legacy differs on nms/no-boxes" in words(result)
    (found,) = json.loads((tmp_path / "conformance.json").read_text(encoding="utf-8"))["implementations"]
    assert found["counts"]["cases"]["error"] == 1
    assert found["verdicts"]["nms"]["deviations"] == ["box.plus1=yes", "nms.cmp=ge"]


def test_another_interpreter_that_cannot_serve(tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\nexit 3\n")
    silent.chmod(0o755)
    options = ("--adapter", "legacy", "--adapter", "scipy", "--python", f"scipy={silent}", "--select", "relu")
    result = run(*options, "--output", str(tmp_path))
    assert result.exit_code == 0, result.output
    (absent,) = json.loads((tmp_path / "conformance.json").read_text(encoding="utf-8"))["not_run"]
    assert absent["name"] == "scipy"
    assert absent["reason"].startswith("silent cannot serve it: the program")
    assert str(tmp_path) not in absent["reason"]


def test_all_adapters_are_asked_by_default() -> None:
    names = known_implementations()
    assert set(ADAPTERS) <= set(names)
    assert (names[0], names[-1]) == ("refdet", "legacy")
    assert len(set(names)) == len(names)


def test_reasons_name_no_places() -> None:
    text = "/opt/env/bin/python3.12: no refdet; see https://docs.python.org/3/ or ./here/or/there"
    assert without_places(text) == "python3.12: no refdet; see https://docs.python.org/3/ or ./here/or/there"
    assert without_places("cannot open '/opt/lib/x.so'") == "cannot open 'x.so'"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--adapter", "nobody"], "no adapter is called 'nobody'"),
        (["--python", "torchvision"], "--python: write NAME=EXE, such as torchvision=/usr/bin/python3"),
        (["--python", "nobody=python3"], "--python: no adapter is called 'nobody'"),
        (["--python", "torch=no-such-python"], "--python: there is no program no-such-python"),
        (["--adapter", "legacy", "--python", "torch=sh"], "--python: torch is not asked; add --adapter torch"),
        (["--python", "torch=sh", "--python", "torch=sh"], "--python: torch is there twice"),
        (["--select", "nmss"], "--select: no case of the suite is named 'nmss'"),
        (["--time-limit", "nan"], "--time-limit must be a number of seconds above 0, got nan"),
        (["--suite", "none"], "--suite: there is no folder none"),
        (["--explanations", "none.toml"], "--explanations: none.toml cannot be read: No such file or directory"),
    ],
)
def test_mistakes_give_a_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output = [] if "--output" in arguments else ["--output", "."]
    result = run(*arguments, *output)
    assert result.exit_code == 2, result.output
    assert sentence in words(result)
    assert result.stdout == ""
    assert not any(tmp_path.iterdir())


def test_the_folder_is_made(tmp_path: Path) -> None:
    result = run("--adapter", "legacy", "--select", "relu", "--output", str(tmp_path / "new" / "docs"))
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in (tmp_path / "new" / "docs").iterdir()) == sorted(PAGES)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("--adapter", "legacy", "--select", "relu", "--output", str(tmp_path / "file" / "docs"))
    assert result.exit_code == 2, result.output
    assert f"conformance: --output: {tmp_path}/file is a file, not a folder" in result.stderr.replace("\n", "")


def test_reasons_are_not_overwritten(tmp_path: Path) -> None:
    """Not even where a page is a link to them."""
    why = tmp_path / "why.toml"
    why.write_text("explanation = []\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "conformance.md").symlink_to(why)
    options = ("--adapter", "legacy", "--select", "relu", "--output", str(tmp_path / "docs"))
    result = run(*options, "--explanations", str(why))
    assert result.exit_code == 2, result.output
    assert "docs/conformance.md is --explanations itself and would be overwritten; give another folder" in result.stderr
    assert why.read_text() == "explanation = []\n"


def test_the_help_teaches() -> None:
    text = words(run("--help"))
    for expected in ("Exit status", "--python torchvision=/usr/bin/python3", "conformance.html", "unexplained"):
        assert expected in text


def test_nothing_is_loaded_before_it_is_needed() -> None:
    program = "import sys, refdet.cli.conformance; print('torch' in sys.modules, 'jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]
