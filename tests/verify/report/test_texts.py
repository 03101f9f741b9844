"""The reports that are text: terminal, JSON, JUnit XML, Markdown, badges."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
from typing import Any
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from rich.console import Console

from refdet.verify.known_failures import KnownFailure, with_known_failures
from refdet.verify.report.badge import badge, badge_json, badge_svg
from refdet.verify.report.json_report import json_text
from refdet.verify.report.junit import junit_xml
from refdet.verify.report.markdown import markdown
from refdet.verify.report.terminal import print_report
from refdet.verify.report.words import listing, outcome, printable, wrong_element
from refdet.verify.verdict import AlgorithmVerdict, Report
from tests.verify.report.sample import (
    NASTY,
    nasty_report,
    nms_case,
    passed,
    passing_report,
    sample_report,
    skip,
    wrong,
)

STRINGS = {"type": "array", "items": {"type": "string"}}
NUMBER = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}, {"type": "null"}]}
COUNTS = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


TEXT, BOOLEAN, COUNT = {"type": "string"}, {"type": "boolean"}, {"type": "integer", "minimum": 0}
MISMATCH = closed(
    sentence=TEXT,
    index={"type": ["array", "null"], "items": COUNT},
    expected=NUMBER,
    got=NUMBER,
    tolerances=NUMBER,
    n_wrong=COUNT,
    n_elements=COUNT,
)
CASE = closed(
    id=TEXT,
    status={"enum": ["required", "optional", "undefined"]},
    verdict={"enum": ["pass", "wrong", "skip", "error"]},
    reason=TEXT,
    known=BOOLEAN,
    failed=BOOLEAN,
    why=TEXT,
    tags=STRINGS,
    mismatches={"type": "object", "additionalProperties": MISMATCH},
    explained_by={"type": "array", "items": STRINGS},
    first_stage=TEXT,
    not_answered=STRINGS,
    seconds={"type": ["number", "null"]},
)
ALGORITHM = closed(
    algorithm=TEXT,
    kind={"enum": ["PASS", "VARIANT", "UNKNOWN", "SKIP", "ERROR"]},
    deviations=STRINGS,
    also={"type": "array", "items": STRINGS},
    failed=BOOLEAN,
    note=TEXT,
    counts=COUNTS,
    cases={"type": "array", "items": CASE},
)
SCHEMA = closed(
    format={"const": "refdet-verify"},
    version={"const": 1},
    suite_version=TEXT,
    implementation=TEXT,
    versions={"type": "object", "additionalProperties": TEXT},
    started=TEXT,
    seconds={"type": "number"},
    failed=BOOLEAN,
    counts=closed(algorithms=COUNTS, cases=COUNTS),
    dialects={"type": "array", "items": closed(name=TEXT, title=TEXT)},
    problems=STRINGS,
    unexpected_passes=STRINGS,
    deviations={"type": "object", "additionalProperties": closed(title=TEXT, effect=TEXT, who=STRINGS, change=TEXT)},
    algorithms={"type": "array", "items": ALGORITHM},
)
REPORTS = [sample_report(), passing_report(), nasty_report(), dataclasses.replace(sample_report(), verdicts=())]


def refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


def terminal(report: Report, width: int = 200) -> str:
    output = io.StringIO()
    print_report(report, Console(file=output, width=width, force_terminal=False, emoji=False))
    return output.getvalue()


# --- terminal


def test_terminal_names_what_to_change() -> None:
    lines = [" ".join(line.split()) for line in terminal(sample_report()).splitlines()]
    text = "\n".join(lines)
    for expected in (
        "roi_align VARIANT · 1 · 1 roi.offset=0",
        "VARIANT nms",
        "change Compute widths as x2 - x1.",
        "who Detectron, roi_align_op.cc\ntorchvision, roi_align with aligned=False",
        "also explained as well by roi.sampling=fixed with roi.min1=1",
        "decode_boxes/corners\nwhy Corners.",
        "differs boxes[0, 2]: expected 10.0, got 11.0 (nothing is tolerated); 4 of 12 elements are wrong",
        "stage centres is the first that differs",
        "smooth_l1/kink (optional)",
        "mine has no … relu, tanh",
        "only the mean roi_align (1 case)",
        "nms/old.safetensors answers no case",
    ):
        assert expected in text
    assert lines[-3:] == [
        "8 algorithms: 2 pass, 2 variant, 1 unknown, 1 error, 2 skipped; 4 of 9 answered cases pass",
        "speaks detectron1 (Detectron and its descendants)",
        "failed: 4 required cases are wrong or without answer",
    ]


def test_terminal_puts_algorithms_with_one_deviation_together() -> None:
    verdicts = [AlgorithmVerdict(name, "VARIANT", ("box.plus1=1",), failed=True) for name in ("box_iou", "nms")]
    text = terminal(dataclasses.replace(sample_report(), verdicts=tuple(verdicts)))
    assert "VARIANT  box_iou, nms" in text
    assert text.count("Compute widths") == 1


@pytest.mark.parametrize("width", [40, 80, 200])
def test_terminal_is_sent_no_control_characters(width: int) -> None:
    text = terminal(nasty_report(), width)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert max(map(len, text.splitlines())) <= width


def test_terminal_takes_brackets_as_they_are() -> None:
    verdict = AlgorithmVerdict("nms", "ERROR", failed=True, results=(skip("nms/a", "[bold]no[/bold] :cat:"),))
    assert "[bold]no[/bold] :cat:" in terminal(dataclasses.replace(sample_report(), verdicts=(verdict,)))


# --- words


def test_the_wrong_element_is_written_with_its_index() -> None:
    case = wrong("nms/x", {"y": (np.array([[1.0, np.nan]]), np.array([[1.0, 2.0]]))}, rule={"kind": "spread"},
                 stored=np.ones((1, 2)))  # fmt: skip
    assert (
        wrong_element("y", case.mismatches["y"])
        == "y[0, 1]: expected 2.0, got nan (beyond any tolerance); 1 of 2 elements are wrong"
    )


def test_printable_leaves_letters_and_line_ends() -> None:
    assert printable("naïve ŷ\n中文") == "naïve ŷ\n中文"
    assert printable("a\r\nb\tc\x9b‮") == "a\nb    c\\x9b\\u202e"


def test_long_lists_are_counted() -> None:
    assert listing([str(i) for i in range(9)]) == "0, 1, 2, 3, 4, 5 and 3 more"


def test_outcomes() -> None:
    assert outcome(passing_report()) == "conforms on every required case that was answered"
    nothing = dataclasses.replace(sample_report(), verdicts=sample_report().verdicts[3:5])
    assert outcome(nothing) == "failed: no case was answered"
    known = with_known_failures(passing_report(), [KnownFailure("add", "", 1)])
    assert outcome(known) == "failed: 1 known failure passed"


# --- JSON


@pytest.mark.parametrize("report", REPORTS)
def test_json_is_what_its_page_says(report: Report) -> None:
    text = json_text(report)
    assert text.isascii()
    content = json.loads(text, parse_constant=refuse)
    jsonschema.validate(content, SCHEMA)
    assert content["failed"] is report.failed
    assert [case["id"].startswith("nms") for a in content["algorithms"] for case in a["cases"]] == [
        result.id.startswith("nms") for result in report.results
    ]


def test_json_gives_numbers_back() -> None:
    content = json.loads(json_text(sample_report()))
    case = next(a for a in content["algorithms"] if a["algorithm"] == "roi_align")["cases"][0]
    assert case["mismatches"]["y"]["index"] == [0, 0, 0, 0]
    assert (case["mismatches"]["y"]["expected"], case["mismatches"]["y"]["got"]) == (9.5, 14.0)
    assert case["explained_by"] == [["roi.offset=0"]]
    assert content["deviations"]["roi.offset=0"]["change"].startswith("Subtract 0.5")
    assert set(content["deviations"]) == {"box.plus1=1", "roi.offset=0", "roi.sampling=fixed", "roi.min1=1"}


def test_json_writes_what_is_no_number_as_a_word() -> None:
    got, expected = np.array([math.nan]), np.array([-math.inf])
    verdict = AlgorithmVerdict("exp", "UNKNOWN", failed=True, results=(wrong("exp/x", {"y": (got, expected)}),))
    content = json.loads(json_text(dataclasses.replace(sample_report(), verdicts=(verdict,))), parse_constant=refuse)
    mismatch = content["algorithms"][0]["cases"][0]["mismatches"]["y"]
    assert (mismatch["expected"], mismatch["got"]) == ("-Infinity", "NaN")


# --- JUnit


@pytest.mark.parametrize("report", REPORTS)
def test_junit_counts_are_those_of_its_elements(report: Report) -> None:
    root = ElementTree.fromstring(junit_xml(report).encode())
    assert root.tag == "testsuites"
    for suite in [root, *root.iter("testsuite")]:
        assert int(suite.get("tests", "")) == len(list(suite.iter("testcase")))
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(count, "0")) == len(list(suite.iter(tag))), (suite.get("name"), tag)
    is_red = any(True for tag in ("failure", "error") for _ in root.iter(tag))
    assert is_red == (report.failed and bool(report.verdicts or report.is_vacuous))


def test_junit_has_a_test_for_each_case() -> None:
    root = ElementTree.fromstring(junit_xml(sample_report()).encode())
    tests = {f"{t.get('classname')}/{t.get('name')}": [child.tag for child in t] for t in root.iter("testcase")}
    assert tests == {
        "add/one": [],
        "decode_boxes/corners": ["failure"],
        "decode_boxes/empty": [],
        "nms/iou-equal-to-the-threshold": ["failure"],
        "nms/one-box": [],
        "relu/nan": ["skipped"],
        "tanh/nan": ["skipped"],
        "roi_align/half-pixel": ["failure"],
        "roi_align/max": ["skipped"],
        "smooth_l1/kink": ["skipped"],  # it is optional
        "smooth_l1/zero": [],
        "soft_nms/one": ["error"],
    }
    failure = next(root.iterfind(".//testcase[@name='half-pixel']/failure"))
    assert failure.get("type") == "VARIANT"
    assert "Subtract 0.5 from the scaled corners" in (failure.text or "")


def test_junit_shows_known_failures_and_those_that_pass() -> None:
    verdict = AlgorithmVerdict("nms", "UNKNOWN", failed=True, results=(nms_case(), passed("nms/one-box")))
    report = dataclasses.replace(passing_report(), verdicts=(verdict,))
    root = ElementTree.fromstring(junit_xml(with_known_failures(report, [KnownFailure("nms", "", 1)])).encode())
    [known, passes] = root.iter("testcase")
    assert [child.tag for child in known] == ["skipped"]
    assert known[0].get("message", "").startswith("known failure: kept")
    assert passes[0].get("type") == "unexpected pass"


def test_junit_keeps_what_was_said() -> None:
    root = ElementTree.fromstring(junit_xml(nasty_report()).encode())
    assert root.get("name") == printable(NASTY)
    assert r"\x1b[31m\x00" in printable(NASTY)


# --- Markdown


@pytest.mark.parametrize("report", REPORTS)
def test_markdown_tables_have_as_many_cells_in_every_row(report: Report) -> None:
    rows = [line for line in markdown(report).splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} <= {8}


def test_markdown_shows_html_as_text() -> None:
    outside_code = re.sub(r"(`+)(?:(?!\1).)*\1", "", markdown(nasty_report()))
    assert not re.search(r"(?<!\\)<", outside_code)


def test_markdown_says_what_to_change() -> None:
    text = markdown(sample_report())
    assert "## Variant: `roi_align`" in text
    assert "- change: Subtract 0.5 from the scaled corners before the bins are made." in text
    assert "  - `boxes[0, 2]: expected 10.0, got 11.0 (nothing is tolerated); 4 of 12 elements are wrong`" in text


# --- badge


@pytest.mark.parametrize(
    ("report", "message", "colour"),
    [
        (passing_report(), "1/1 algorithms", "brightgreen"),
        (sample_report(), "2/6 algorithms, detectron1", "red"),
        (dataclasses.replace(sample_report(), verdicts=sample_report().verdicts[2:3]), "0/1 algorithms, detectron1",
         "orange"),
        (dataclasses.replace(sample_report(), verdicts=sample_report().verdicts[3:4]), "nothing answered", "lightgrey"),
        (with_known_failures(passing_report(), [KnownFailure("add", "", 1)]), "1/1 algorithms", "red"),
    ],
)  # fmt: skip
def test_badges(report: Report, message: str, colour: str) -> None:
    assert badge(report) == ("refdet 0.4.0", message, colour)
    assert json.loads(badge_json(report)) == {
        "schemaVersion": 1,
        "label": "refdet 0.4.0",
        "message": message,
        "color": colour,
    }


@pytest.mark.parametrize("report", REPORTS)
def test_the_drawn_badge_holds_its_words(report: Report) -> None:
    root = ElementTree.fromstring(badge_svg(report).encode())
    label, message, _ = badge(report)
    space = "{http://www.w3.org/2000/svg}"
    texts = list(root.iter(f"{space}text"))
    assert [text.text for text in texts] == [label, message]
    assert float(texts[1].get("x", "")) + float(texts[1].get("textLength", "")) < float(root.get("width", ""))
    assert root.get("aria-label") == f"{label}: {message}"
