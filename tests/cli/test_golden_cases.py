"""`refdet golden show` and `refdet golden export`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from refdet.cli.golden_export import Container
from refdet.cli.golden_show import describe
from refdet.cli.main import app
from refdet.verify.export import FORMATS
from refdet.verify.suite import load_suite
from tests.cli.sentences import said


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["golden", *arguments], env={"COLUMNS": "200"})


def test_a_case_as_text() -> None:
    result = run("show", "roi_align/largest-point")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "roi_align/largest-point"
    assert lines[1].startswith("The largest of the interpolated points, not of weighted pixels")
    for line in (
        "status: required",
        "  sampling_ratio = 2",
        '  reduction = "max"',
        "given",
        "  rois  float32 (1, 5)",
        "    [[0. 0. 0. 4. 4.]]",
        "expected",
        "  y  float32 (1, 1, 1, 1), compared exactly",
        "    [[[[4.]]]]",
        "  dx  gradient, float32 (1, 1, 4, 4), compared exactly",
        "  tests/oracles/roi_align.py: equal (dx, y)",
    ):
        assert line in lines
    assert max(map(len, lines)) <= 120


def test_a_case_says_what_is_absent_optional_and_tolerated() -> None:
    text = run("show", "roi_align/deck-example").stdout
    assert "y  float32 (1, 1, 1, 1), compared within γ · bound, γ = n·u / (1 − n·u), n = 12" in text
    assert "tolerances\n  y.bound  float32 (1, 1, 1, 1)" in text
    assert "absent: crowd" in run("show", "box_iou/quarters").stdout
    assert "compared within 16 ulp\n" in run("show", "box_iou/fractions").stdout
    optional = load_suite().case("nms/a-nan-score-comes-last").entry["status_reason"]
    shown = run("show", "nms/a-nan-score-comes-last").stdout
    assert f"status: optional: {optional}" in " ".join(shown.split())


def test_a_case_shows_answers_under_deviations() -> None:
    suite = load_suite()
    case = suite.case("nms/no-boxes")
    entry = {
        **case.entry,
        "probes": ["nms.cmp=ge", "nms.tie=last"],
        "alternatives": [
            {"name": "canonical", "tensors": [], "deviations": [["nms.tie=last"]]},
            {"name": "alt1", "tensors": ["kept"], "deviations": [["nms.cmp=ge"], ["nms.cmp=ge", "nms.tie=last"]]},
        ],
    }
    probing = type(case)(entry, {**case.tensors, "kept.alt1": case.tensors["kept"]})
    lines = list(describe(probing, {"nms.cmp=ge": {"title": "suppresses where IoU ≥ threshold"}}))
    assert "  nms.cmp=ge  suppresses where IoU ≥ threshold" in lines
    assert "  nms.tie=last" in lines
    at = lines.index("answer with nms.cmp=ge or nms.cmp=ge + nms.tie=last")
    assert lines[at + 1] == "  kept.alt1  int64 (0,)"
    assert "the same answer with nms.tie=last" in lines


def test_every_case_can_be_shown() -> None:
    suite = load_suite()
    for case in suite.cases():
        text = "\n".join(describe(case, suite.manifest["deviations"]))
        assert text.startswith(case.id)
        assert all(name in text for name in case.tensors)


def test_an_unknown_case_names_the_nearest() -> None:
    assert "did you mean nms/no-boxes" in said(run("show", "nms/noboxes"), 2)
    assert "roi_align/deck-example" in said(run("show", "deck-example"), 2)
    heaps = [case_id for case_id in load_suite().ids if case_id.startswith("nms/heap")]
    assert len(heaps) == 3
    assert f"did you mean {' or '.join(heaps)}?" in said(run("show", "nms/heap"), 2)
    assert "nms/heap-of-100-threshold-5-of-16, and 1 more?" in said(run("show", "heap-of-100"), 2)
    beginnings = r"did you mean conv2d/d\S+ or conv2d/d\S+"
    assert re.search(beginnings, said(run("show", "conv2d/d"), 2))
    assert "roi_align/deck-example" in said(run("show", "roi_allign/deck-example"), 2)
    n_cases = sum(case_id.startswith("nms/") for case_id in load_suite().ids)
    assert f"nms is an algorithm with {n_cases} golden cases, such as nms/" in said(run("show", "nms"), 2)
    sentence = said(run("show", "§"), 2)
    assert sentence == "refdet: there is no golden case '§'; `refdet explain ALGORITHM` lists those of an algorithm\n"


def test_a_case_as_a_picture(tmp_path: Path) -> None:
    file = tmp_path / "case.png"
    result = run("show", "nms/no-boxes", "--picture", str(file))
    assert result.exit_code == 0
    assert result.stdout.endswith(f"picture written to {file}\n")
    assert file.read_bytes().startswith(b"\x89PNG")
    assert "must end in .png, .svg, .pdf" in said(
        run("show", "nms/no-boxes", "--picture", str(tmp_path / "case.txt")), 2
    )


def test_the_command_knows_all_formats() -> None:
    assert [container.value for container in Container] == list(FORMATS)


@pytest.mark.parametrize("to", FORMATS)
def test_export(to: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    result = run("export", "--to", to, "--select", "nms", "--select", "box_iou/no-*", str(folder))
    assert result.exit_code == 0, result.output
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    chosen = [i for i in load_suite().ids if i.startswith(("nms/", "box_iou/no-"))]
    assert [entry["id"] for entry in index["cases"]] == chosen
    assert result.stdout == f"{len(chosen)} cases in {len(index['files'])} files, written to {folder}\n"


def test_export_of_one_case(tmp_path: Path) -> None:
    result = run("export", "--to", "npz", "--select", "nms/no-boxes", str(tmp_path / "out"))
    assert result.stdout == f"1 case in 1 file, written to {tmp_path}/out\n"


def test_export_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "is not empty, and is no earlier export; name a new folder" in said(
        run("export", "--to", "npz", str(tmp_path)), 2
    )
    assert "no golden case matches 'nmsx'" in said(
        run("export", "--to", "npz", "--select", "nmsx", str(tmp_path / "x")), 2
    )
    below_a_file = tmp_path / "mine.txt" / "x"
    assert f"cannot write to {below_a_file}: " in said(
        run("export", "--to", "npz", "--select", "nms", str(below_a_file)), 2
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt"]
