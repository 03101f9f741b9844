"""`refdet bench`: exit status and output for right and wrong command lines, and what an interruption leaves."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from refdet.bench import groups, hot_paths, machine, peaks, runner, sides
from refdet.bench.hot_paths import HotPath
from refdet.bench.peaks import Peaks
from refdet.cli.main import app

FAKES = "tests.bench.fakes:"
QUICK = [FAKES + "TINY", "--threads", "1", "--repeats", "1"]
PEAKS = Peaks(100.0, 10.0, {"8": 100.0}, {"1": 10.0}, {"1": 9.0})


@pytest.fixture(autouse=True)
def _known_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet machine without a GPU whose peaks need not be measured, and on which the fakes are found."""
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setattr(peaks, "measure_peaks", lambda threads, device: PEAKS)
    monkeypatch.setattr(machine, "gpu_names", list)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))


def bench(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "name the side to compare with, for example --against torch"),
        (
            ["conv-vgg17", "--against", "torch"],
            "no group of workloads named 'conv-vgg17'; there are: conv-vgg16, conv-other, conv-backward, roi, nms, iou",
        ),
        (["all", "roi"], "all stands for every hot path; name no other group beside it"),
        (["all", "--against", "torch"], "--against: every hot path has its own sides; leave it out"),
        (["all", "--python", "opencv=/bin/sh"], "--python: opencv does not take part; the sides are numba-cpu, torch,"),
        (["all", "--side", "numba-cpu"], "--side: every hot path has its own sides; leave it out"),
        (["os:sep", "--against", "torch"], "os:sep is not a group of workloads but a str"),
        (["--against", "numba-tpu"], "--against: no side named 'numba-tpu'; there are: reference, "),
        (["--against", "nowhere:side"], "--against: cannot load 'nowhere:side': No module named 'nowhere'"),
        (["--side", "numba-tpu", "--against", "reference"], "--side: no side named 'numba-tpu'"),
        (["--against", "reference"], "--side and --against are both 'reference'"),
        (["--against", "torch", "--threads", "0"], "--threads must be greater than 0, got 0"),
        (["--against", "torch", "--repeats", "-1"], "--repeats must be greater than 0, got -1"),
        (["--against", "torch", "--time-limit", "nan"], "--time-limit must be greater than 0, got nan"),
        (["--against", "torch", "--device", "tpu"], "--device must be cpu or cuda, got 'tpu'"),
        (
            ["--side", "reference", "--against", FAKES + "Numpy", "--device", "cuda"],
            "--device cuda: NVIDIA's driver finds no GPU on this machine",
        ),
        (["all", "--device", "cuda"], "--device cuda: NVIDIA's driver finds no GPU on this machine"),
        (
            ["--against", "torch", "--json", "-", "--markdown", "-"],
            "--json and --markdown cannot both go to standard output",
        ),
        (["--against", "torch", "--json", "/nowhere/at/all.json"], "--json: there is no folder /nowhere/at"),
        (["--against", "torch", "--json", "/tmp"], "--json: /tmp is a folder; name a file"),
        (["--against", "torch", "--plot", "/nowhere/at.png"], "--plot: there is no folder /nowhere"),
        (["--against", "torch", "--plot", "a.jpg"], "--plot: the picture is a PNG, so its name must end in .png"),
        (["--against", "torch", "--resume"], "--resume needs --json FILE"),
        (["--against", "torch", "--include", "a.json"], "--include is for the page that `refdet bench all"),
        (["--against", "torch", "--python", "torch"], "--python: write NAME=EXE"),
        (
            ["--against", "torch", "--python", "scipy=/bin/sh"],
            "--python: scipy does not take part; the sides are reference, torch",
        ),
        (["--against", "torch", "--python", "torch=/nowhere/x"], "--python: there is no program /nowhere/x"),
        (
            ["--against", "torch", "--python", "torch=/bin/false"],
            "--against: /bin/false does not have numpy and torch, which torch needs there",
        ),
    ],
)
def test_wrong_usage(arguments: list[str], sentence: str) -> None:
    result = bench(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"refdet: bench: {sentence}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("torchvision", "torchvision is not installed; pip install torchvision, or name another side"),
        ("faster-coco-eval", "faster-coco-eval is not installed; pip install faster-coco-eval, or name another side"),
        ("pydensecrf", "pydensecrf is not installed; pip install pydensecrf2, or name another side"),
        ("numba-cpu", "numba-cpu needs numba, which is not installed; pip install 'refdet[cpu]'"),
    ],
)
def test_what_is_not_installed_is_told_with_what_installs_it(
    name: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    result = bench("--against", name)
    assert (result.exit_code, result.stderr) == (2, f"refdet: bench: --against: {advice}\n")


def test_a_file_that_cannot_be_written_is_told_before_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    result = bench(*QUICK, "--against", FAKES + "Numpy", "--json", tmp_path / "a.json")
    assert result.exit_code == 2
    assert result.stderr == f"refdet: bench: --json: cannot write {tmp_path}/a.json: Permission denied\n"


def test_a_report_that_is_read_or_written_already_is_not_overwritten(tmp_path: Path) -> None:
    gpu, link = tmp_path / "gpu.json", tmp_path / "link.json"
    gpu.write_text("{}")
    link.symlink_to(gpu)
    page = tmp_path / "all.md"
    for option in ("--json", "--markdown"):
        others = ("--markdown", page) if option == "--json" else ()
        result = bench("all", option, link, *others, "--include", gpu)
        problem = f"{option}: {link} is --include itself and would be overwritten; name another file\n"
        assert (result.exit_code, result.stderr) == (2, f"refdet: bench: {problem}")
    assert gpu.read_text() == "{}"
    result = bench(*QUICK, "--against", FAKES + "Numpy", "--json", gpu, "--markdown", link)
    assert result.exit_code == 2
    assert result.stderr == f"refdet: bench: --json and --markdown both name {link}; give each a file of its own\n"


def test_help_teaches() -> None:
    said = " ".join(bench("--help").stdout.split())
    for expected in ("in turns, A B A B", "refdet bench all --json all.json --resume", "Exit status: 0; 1 if"):
        assert expected in said


def test_list() -> None:
    result = bench("--list", "conv-vgg16")
    assert result.exit_code == 0
    assert "  vgg16/conv5_1-3 × 3: conv2d.forward, 3×3, 512 → 512 at 14²\n" in result.stdout
    assert "  target: reference against torch: sum at most 2.00×; slowest workload at most 3.00×" in result.stdout
    everything = bench("--list").stdout
    assert "  target: numba-cpu against reference: proposals/selective-search at most 2.00 s;" in everything
    assert bench("all", "--list").stdout == everything


def test_json_on_standard_output_stands_alone(tmp_path: Path) -> None:
    markdown = tmp_path / "performance.md"
    result = bench(*QUICK, "--against", FAKES + "Numpy", "--json", "-", "--markdown", markdown)
    assert result.exit_code == 0
    report = json.loads(result.stdout)
    assert [row["status"] for row in report["groups"][0]["rows"]] == ["ok", "ok", "ok"]
    assert report["peaks"]["gflops"] == 100.0
    assert "Three additions" in result.stderr
    assert "## tiny" in markdown.read_text(encoding="utf-8")


def test_disagreement_exits_with_1_and_a_complete_report() -> None:
    result = bench(*QUICK, "--against", FAKES + "Wrong")
    assert result.exit_code == 1
    assert "second disagrees: output 0 differs by" in " ".join(result.stdout.split())
    assert "third" in result.stdout


def test_a_target_that_is_not_met_exits_with_1_only_if_required() -> None:
    """No second additions: the sum cannot be measured, whatever the times of the rest."""
    arguments = [FAKES + "DEMANDING", *QUICK[1:], "--side", FAKES + "Unable", "--against", "reference"]
    assert bench(*arguments).exit_code == 0
    result = bench(*arguments, "--require-targets")
    assert result.exit_code == 1
    assert "target not measured: sum at most 1.00×" in result.stdout


def test_a_picture_is_drawn_where_there_are_rates(tmp_path: Path) -> None:
    picture = tmp_path / "roofline.png"
    assert bench(FAKES + "COUNTED", *QUICK[1:], "--against", FAKES + "Numpy", "--plot", picture).exit_code == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    picture.unlink()
    result = bench(*QUICK, "--against", FAKES + "Numpy", "--plot", picture)
    assert result.exit_code == 0
    assert "--plot: there is nothing to draw, as no row with a time states its work" in result.stderr
    assert not picture.exists()


def test_a_busy_machine_is_told_before_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (99.0, 0.0, 0.0))
    result = bench(*QUICK, "--against", FAKES + "Numpy")
    assert "warning: the machine is busy (load average 99.00)" in result.stderr
    assert "warning: the machine was busy when the run began (load average 99.00" in " ".join(result.stdout.split())


def test_another_interpreter_is_asked_whether_it_has_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """This one has NumPy and no more is needed here; it is not looked for in the process that asks."""
    library = sides.Library("nowhere", "Side", ("numpy",), ("numpy",))
    monkeypatch.setitem(sides.LIBRARIES, "torch", library)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None if module == "numpy" else find_spec(module))
    sides.check_side("torch", executable=sys.executable)
    with pytest.raises(LookupError, match="torch is not installed"):
        sides.check_side("torch")
    with pytest.raises(LookupError, match="numba-cpu is no library that another interpreter has"):
        sides.check_side("numba-cpu", executable=sys.executable)


@pytest.fixture
def two_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hot paths of fakes, and one of a library that is not there."""
    group, numpy, talkative = FAKES + "TINY", FAKES + "Numpy", FAKES + "Talkative"
    paths = (
        HotPath("additions", group, numpy, "reference"),
        HotPath("additions, aloud", group, talkative, "reference"),
        HotPath("additions by nobody", group, "numba-tpu", "reference"),
        HotPath("additions on a GPU", group, numpy, "reference", "cuda"),
    )
    monkeypatch.setattr(hot_paths, "HOT_PATHS", paths)


ALL = ["all", "--threads", "1", "--repeats", "1"]


@pytest.mark.usefixtures("two_paths")
def test_all_writes_a_page_with_what_could_not_be_measured(tmp_path: Path) -> None:
    file, page, picture = (tmp_path / name for name in ("all.json", "all.md", "all.png"))
    result = bench(*ALL, "--json", file, "--markdown", page, "--plot", picture)
    assert result.exit_code == 0
    assert [group["sides"][0]["name"] for group in json.loads(file.read_text())["groups"]] == [
        FAKES + "Numpy",
        FAKES + "Talkative",
        "numba-tpu",
    ]
    text = page.read_text(encoding="utf-8")
    assert "not measured: no side named 'numba-tpu'; there are: reference" in text
    assert "| additions on a GPU | tests.bench.fakes:Numpy | reference | none |  | not measured: no GPU" in text
    assert "![" not in text  # no work is stated, so nothing is drawn


@pytest.mark.usefixtures("two_paths")
def test_an_interruption_loses_no_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, made = tmp_path / "all.json", []
    run_group = runner.run_group

    def interrupted(group: Any, name: str, side: str, *rest: Any, **options: Any) -> Any:
        made.append(side)
        if side == FAKES + "Talkative" and len(made) == 2:
            raise KeyboardInterrupt
        return run_group(group, name, side, *rest, **options)

    monkeypatch.setattr(runner, "run_group", interrupted)
    result = bench(*ALL, "--json", file)
    assert result.exit_code == 130
    assert f"interrupted: 1 of 3 comparisons were made; {file} has them" in result.stderr
    kept = json.loads(file.read_text())["groups"]
    result = bench(*ALL, "--json", file, "--resume")
    assert result.exit_code == 0
    assert made == [FAKES + "Numpy", FAKES + "Talkative", FAKES + "Talkative"]
    assert f"{file} already has 1 of 3 comparisons" in result.stderr
    assert json.loads(file.read_text())["groups"][:1] == kept
    made.clear()
    page = tmp_path / "all.md"
    assert bench(*ALL, "--json", file, "--resume", "--markdown", page, "--include", file).exit_code == 0
    assert made == []  # nothing is measured again, but the page is written
    assert "## Targets" in page.read_text(encoding="utf-8")


@pytest.mark.usefixtures("two_paths")
def test_resuming_refuses_another_kind_of_run(tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    assert bench(*ALL, "--json", file).exit_code == 0
    before = file.read_bytes()
    result = bench("all", "--threads", "2", "--repeats", "1", "--json", file, "--resume")
    assert result.exit_code == 2
    assert result.stderr == (f"refdet: bench: --resume: {file} was made with another --threads, 1, where this is 2\n")
    for text, why in (("{}", "it is no report of refdet bench"), ("{", "is not JSON")):
        file.write_text(text)
        result = bench(*ALL, "--json", file, "--resume")
        assert result.exit_code == 2
        assert why in result.stderr
        assert file.read_text() == text
    file.write_bytes(before)
    assert "cannot read" in bench(*ALL, "--markdown", "-", "--include", tmp_path / "none.json").stderr


def test_announcements_of_backends_are_shown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("refdet.backends")
    assert bench("--list", "iou").exit_code == 0
    handlers = [handler for handler in logger.handlers if type(handler).__name__ == "_Announcements"]
    assert len(handlers) == 1
    handlers[0].__init__()  # type: ignore[misc] # forgets what another test announced
    find_group = groups.find_group

    def announced(name: str) -> Any:
        for _ in range(2):
            logger.info("compiling what finds %s (once)", name)
        return find_group(name)

    monkeypatch.setattr(groups, "find_group", announced)
    result = bench("--list", "iou", "nms")
    assert result.stderr == "compiling what finds iou (once)\ncompiling what finds nms (once)\n"
    assert "iou/10k-1k" in result.stdout
