"""`refdet verify`: its exit status, what it writes, and what a user may get wrong."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
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
from refdet.verify.ask import question_of
from refdet.verify.known_failures import read_known_failures
from refdet.verify.protocol import run_line
from refdet.verify.question import Question, Skipped
from refdet.verify.suite import load_suite

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


def offers_nothing(question: Question) -> dict[str, Array]:
    """Say so as Python programmers do."""
    raise NotImplementedError("not yet" if question.algorithm == "relu" else "")


def leaves(question: Question) -> dict[str, Array]:
    """End the program, as a script does."""
    sys.exit(3)


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


def test_what_is_not_implemented_is_skipped() -> None:
    text = words(run("--adapter", f"{__name__}:offers_nothing", "--select", "relu", "--select", "add"))
    assert "not yet relu" in text
    assert "not implemented add" in text
    assert "2 algorithms: 2 skipped" in text


def test_an_adapter_that_exits_is_an_error_of_its_cases() -> None:
    result = run("--adapter", f"{__name__}:leaves", "--select", "relu")
    assert result.exit_code == 1
    assert "it called exit(3), which would end refdet too" in words(result)
    assert "relu ERROR" in words(result)


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
    excused = run("--adapter", WRONG, "--select", "nms", "--known-failures", str(known))
    assert excused.exit_code == 0
    assert f"conforms but for {len(failed)} known failures" in words(excused)
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
        (["--select", "nmss"], "did you mean nms?"),
        (["--select", "nms,soft_nms/*"], "repeat the option: --select nms --select 'soft_nms/*'"),
        (["--select", "qwertz"], "refdet list shows the algorithms"),
        (["--adapter", "fails_on_import:f"], "does not import: it raises ZeroDivisionError: division by zero"),
        (["--adapter", "exits_on_import:f"], "does not import: it raises SystemExit: 3"),
        (["--select", "nms", "--select", "["], "--select: no case of the suite is named '['"),
        (["--tier", "best"], "--tier must be core or all, got 'best'"),
        (["--time-limit", "0"], "--time-limit must be a number of seconds above 0, got 0"),
        (["--time-limit", "nan"], "--time-limit must be a number of seconds above 0, got nan"),
        (["--known-failures", "none"], "--known-failures: none cannot be read: No such file or directory"),
        (["--badge", "badge.png"], "--badge: the name of the file must end in .svg or .json, got badge.png"),
        (["--html", "none/page.html"], "--html: there is no folder"),
        (["--json", "."], "--json: . is a folder; name a file"),
        (["--json", "a", "--html", "./a"], "--json and --html both name ./a; give each a file of its own"),
        (["--json", "-", "--junit", "-"], "--json and --junit both name -; give each a file of its own"),
        (["--html", "x" * 300], f"verify: --html: cannot write {'x' * 300}: File name too long"),
        (["--suite", "none"], "--suite: there is no folder none"),
    ],
)
def test_mistakes_give_a_sentence(
    arguments: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "fails_on_import.py").write_text("x = 1 / 0\n")
    (modules / "exits_on_import.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(str(modules))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert sentence in words(result)
    assert result.stdout == ""
    assert not any((tmp_path / "here").iterdir())


@pytest.mark.parametrize("option", ["--json", "--junit", "--markdown", "--html", "--badge"])
def test_nothing_that_is_read_is_overwritten(option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the list of known failures nor an answer nor the suite, by whatever path or link they are named."""
    monkeypatch.chdir(tmp_path)
    suite, answers = Path("suite"), Path("answers")
    (answers / "relu").mkdir(parents=True)
    suite.mkdir()
    small_suite(suite)
    known, answer = Path("known.json"), answers / "relu" / "nan-stays.npz"
    known.write_text("relu/*\n")
    answer.write_bytes(b"")
    given = ("--suite", "suite", "--outputs", "answers", "--known-failures", "known.json")
    for file, what in (
        (known, "--known-failures itself"),
        (answer, "one of the files of --outputs"),
        (suite / "manifest.json", "one of the files of --suite"),
    ):
        Path("link.json").unlink(missing_ok=True)
        Path("link.json").symlink_to(file)
        before = file.read_bytes()
        result = run(*given, option, "link.json")
        assert result.exit_code == 2, result.output
        problem = f"verify: {option}: link.json is {what} and would be overwritten; name another file"
        assert problem in words(result)
        assert file.read_bytes() == before
    result = run(*given, option, str(known.absolute()))
    assert f"{known.absolute()} is --known-failures itself" in result.stderr.replace("\n", "")


def test_two_reports_by_two_names_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "link.html").symlink_to(tmp_path / "a.json")
    result = run("--json", str(tmp_path / "a.json"), "--html", str(tmp_path / "link.html"))
    assert result.exit_code == 2, result.output
    assert "--json and --html both name" in words(result)


def small_suite(folder: Path) -> dict[str, Any]:
    """Write a suite of one algorithm, and return its manifest."""
    root, manifest = load_suite().root, load_suite().manifest
    names = [f"relu.{kind}.safetensors" for kind in ("inputs", "answers")]
    small = manifest | {
        "files": {name: manifest["files"][name] for name in names},
        "cases": [case for case in manifest["cases"] if case["algorithm"] == "relu"],
    }
    for name in names:
        shutil.copy(root / name, folder)
    (folder / "manifest.json").write_text(json.dumps(small))
    return json.loads(json.dumps(small))  # type: ignore[no-any-return]


def test_a_suite_that_lies_elsewhere(tmp_path: Path) -> None:
    small_suite(tmp_path)
    assert run("--suite", str(tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    ("where", "value", "sentence"),
    [
        (("format",), 99, "'format' of the manifest is 99, not 1"),
        (("suite_version",), None, "'suite_version' of the manifest is not of type str"),
        (("cases",), {}, "'cases' of the manifest is no list"),
        (("cases", 0, "alternatives"), None, "'alternatives' of element 0 of 'cases' of the manifest is no list"),
        (("cases", 0, "compare"), {"y": {"kind": "about"}}, "'kind' of 'y' of 'compare' of element 0"),
        (("cases", 0, "id"), "relu", "the id 'relu' is not algorithm/name"),
        (("cases", 0, "incoming_gradient"), 7, "has none of the types that it may have"),
        (("cases", 0, "params"), [], "'params' of element 0 of 'cases' of the manifest is not of type dict"),
        (("dialects", "caffe"), {}, "'caffe' of 'dialects' of the manifest has no 'title'"),
        (("files",), None, "'files' of the manifest is no object"),
    ],
)
def test_a_suite_of_another_form_is_refused(tmp_path: Path, where: tuple[Any, ...], value: Any, sentence: str) -> None:
    manifest: Any = small_suite(tmp_path)
    part = manifest
    for key in where[:-1]:
        part = part[key]
    part[where[-1]] = value
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    result = run("--suite", str(tmp_path))
    assert result.exit_code == 2
    assert "is not in the format of this version" in words(result)
    assert sentence in words(result)


def test_a_suite_with_a_case_twice_or_without_any_or_with_a_broken_file(tmp_path: Path) -> None:
    manifest = small_suite(tmp_path)
    twice = manifest | {"cases": [*manifest["cases"], manifest["cases"][0]]}
    (tmp_path / "manifest.json").write_text(json.dumps(twice))
    assert "is there twice" in words(run("--suite", str(tmp_path)))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"cases": []}))
    assert "has no cases" in words(run("--suite", str(tmp_path)))
    (tmp_path / "relu.inputs.safetensors").write_bytes(b"broken")
    manifest["files"]["relu.inputs.safetensors"]["sha256"] = hashlib.sha256(b"broken").hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    result = run("--suite", str(tmp_path))
    assert result.exit_code == 2
    assert "is not what the format says" in words(result)


def test_a_suite_that_cannot_be_read_is_no_verdict(tmp_path: Path) -> None:
    assert run("--suite", str(tmp_path)).exit_code == 2
    (tmp_path / "manifest.json").write_text("[]")
    result = run("--suite", str(tmp_path))
    assert result.exit_code == 2
    assert "is not a manifest" in words(result)


def test_a_case_outside_the_tier_is_named() -> None:
    cases = load_suite().manifest["cases"]
    name = next(case["id"] for case in cases if case["tier"] != "core")
    result = run("--tier", "core", "--select", name)
    assert result.exit_code == 2
    assert f"--select: no case that {name!r} names is in the tier core" in words(result)


class TestTheFormatPage:
    """What `golden/README.md` shows is so."""

    text = (ROOT / "golden" / "README.md").read_text(encoding="utf-8")

    def section(self, heading: str) -> str:
        """Return the indented lines of a section, without their indentation."""
        lines = self.text.partition(f"## {heading}\n")[2].partition("\n## ")[0].splitlines()
        return "\n".join(line[4:] for line in lines if line.startswith("    ") or not line)

    def test_the_function_in_python(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        own = "from refdet.boxes.nms import nms\n\ndef my_nms(b, s, t):\n    return nms(b, s, threshold=t)\n"
        (tmp_path / "mine_as_shown.py").write_text(f"{own}\n{self.section('A function in Python')}\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "path", [*sys.path])
        arguments = ("--adapter", "mine_as_shown:answer", "--select", "nms", "--select", "relu")
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        assert "mine has nms alone, with an offset of 0 relu" in words(result)

    def test_the_file_of_known_failures(self, tmp_path: Path) -> None:
        file = tmp_path / "known.txt"
        file.write_text(self.section("Known failures"))
        assert len(read_known_failures(file, load_suite().ids)) == 2

    def test_the_question_with_gradients(self) -> None:
        case = load_suite().case("conv2d/dilation")
        line = json.loads(run_line(8, question_of(case), case.entry, Path("/"), Path("/8.safetensors")))
        shown = self.section("The protocol").partition('{"type": "run", "seq": 8')[2].partition("\n\n")[0]
        for key in ("params", "arguments", "absent", "incoming_gradient", "outputs", "gradients", "stages"):
            assert f'"{key}": {json.dumps(line[key])}' in shown
        assert list(line["tensors"]) == re.findall(r'"(\w+)": \{\.\.\.\}', shown)


def test_the_help_teaches() -> None:
    text = words(run("--help"))
    for expected in ("Exit status", "--outputs answers", "refdet verify --adapter torchvision", "VARIANT"):
        assert expected in text


def test_nothing_is_loaded_before_it_is_needed() -> None:
    program = "import sys, refdet.cli.verify; print('matplotlib' in sys.modules, 'jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["False", "False"]
