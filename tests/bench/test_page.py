"""The page of performance: a row for every hot path, measured or not, and commands that can be typed."""

from __future__ import annotations

import dataclasses

import pytest

from refdet.bench import hot_paths, page
from refdet.bench.groups import GROUPS
from refdet.bench.hot_paths import HOT_PATHS, HotPath
from refdet.bench.page import NO_GPU, REMARKS, command
from refdet.bench.report import Report
from refdet.bench.results import GroupResult, Row, Timing, not_run
from refdet.bench.runner import Settings
from refdet.bench.sides import BACKENDS, LIBRARIES
from tests.bench.test_report import MACHINE, PEAKS

VGG, ROI = GROUPS["conv-vgg16"], GROUPS["roi"]
FAST = (Timing((0.002,), 5, 2_500_000), Timing((0.005,), 7, None))


def timed(side: str = "numba-cpu", against: str = "torch") -> GroupResult:
    """All layers at 0.4 times the other's time."""
    return GroupResult(VGG, side, against, tuple(Row(w, "ok", "", 0.0, FAST) for w in VGG.workloads))


def rows_of(text: str) -> dict[tuple[str, str, str], list[str]]:
    """Return the cells of the table of targets by hot path and sides."""
    table = text.partition("## Targets")[2].partition("##")[0]
    lines = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines() if line.startswith("| ")]
    return {(cells[0], cells[1], cells[2]): cells[3:] for cells in lines[2:]}


def report_of(*results: GroupResult, device: str = "cpu") -> Report:
    return Report(MACHINE, Settings(device=device), results, PEAKS)


def test_every_hot_path_has_a_group_sides_and_a_target() -> None:
    for path in HOT_PATHS:
        assert {path.side, path.against} <= {"reference", *BACKENDS, *LIBRARIES}
        targets = [(t.side, t.against) for t in GROUPS[path.group].targets]
        assert (path.side, path.against) in targets or path.side == "reference", path
    assert {path.group for path in HOT_PATHS if path.device == "cpu"} == set(GROUPS)


def test_targets_are_met_missed_or_not_measured_with_the_reason() -> None:
    reason = "torchvision is not installed; pip install torchvision, or name another side"
    text = page.page([report_of(timed(), timed("reference"), not_run(ROI, "numba-cpu", "torchvision", reason))])
    rows = rows_of(text)
    assert len(rows) == len(HOT_PATHS)
    limits = "sum at most 0.50×; geometric mean at most 0.50×"
    assert rows["3×3 convolutions of VGG-16", "numba-cpu", "torch"] == [
        limits,
        "sum 0.40×; geometric mean 0.40×",
        "met",
    ]
    target, measured, verdict = rows["RoIAlign and RoIPool, forward and backward", "numba-cpu", "torchvision"]
    assert (target, measured) == ("slowest workload at most 0.50×", "")
    assert verdict == f"not measured: {reason}"
    assert rows["dense CRF", "numba-cpu", "pydensecrf"][2] == "not measured: it is not part of this run"
    assert rows["overlaps of boxes on a GPU", "numba-cuda", "torchvision"][2] == "not measured: no GPU was at hand"
    assert NO_GPU in text
    assert REMARKS in text
    slow = dataclasses.replace(timed(), rows=tuple(dataclasses.replace(r, timings=FAST[::-1]) for r in timed().rows))
    assert "**missed**" in rows_of(page.page([report_of(slow)]))["3×3 convolutions of VGG-16", "numba-cpu", "torch"][2]


def test_a_run_on_a_gpu_stands_in_its_own_section() -> None:
    with_gpu = dataclasses.replace(report_of(timed("numba-cuda"), device="cuda"), machine=MACHINE | {"gpus": ["a GPU"]})
    text = page.page([report_of(timed()), with_gpu])
    cpu, gpu = text.split("## On a GPU")
    assert NO_GPU not in text
    assert "a GPU" in gpu
    assert ", a GPU" not in cpu.partition("## On the CPU")[2]
    assert "    refdet bench conv-vgg16 --device cuda --side numba-cuda --against torch" in gpu.splitlines()
    assert rows_of(text)["3×3 convolutions of VGG-16 on a GPU", "numba-cuda", "torch"][1] == "sum 0.40×"


def test_the_page_shows_the_picture_it_is_given() -> None:
    assert "](roofline.png)" in page.page([report_of()], picture="roofline.png")
    assert "![" not in page.page([report_of()])


def test_commands_repeat_what_is_not_usual() -> None:
    settings = Settings(threads=4, repeats=3, interpreters={"torchvision": "/opt/my python"})
    every = "refdet bench all --python 'torchvision=/opt/my python' --threads 4 --repeats 3"
    assert command(settings, "all") == every
    assert command(settings, "crf", "pydensecrf") == "refdet bench crf --threads 4 --repeats 3"


def test_a_hot_path_without_a_target_shows_its_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    path = HotPath("layers", "conv-vgg16", "reference", "numba-cpu")
    monkeypatch.setattr(hot_paths, "HOT_PATHS", (path,))
    rows = rows_of(page.page([report_of(timed("reference", "numba-cpu"))]))
    assert rows["layers", "reference", "numba-cpu"][:2] == ["none", "sum 0.40×"]
