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
from refdet.verify.report.terminal import MOST_ROWS, print_report
from refdet.verify.report.words import (
    beside_habits,
    common_error,
    explanations,
    given,
    habits,
    headline,
    listing,
    nearest,
    outcome,
    printable,
    speaks,
    wrong_element,
)
from refdet.verify.verdict import AlgorithmVerdict, CaseResult, Report
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
    rounded=BOOLEAN,
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
    nearest={"anyOf": [closed(deviations=STRINGS, n_explained=COUNT, left_over=STRINGS), {"type": "null"}]},
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
        "roi_align VARIANT · 1 1 · roi.offset=0",
        "HABIT box.plus1=1 in nms",
        "change Compute widths as x2 - x1.",
        "who Detectron, roi_align_op.cc\ntorchvision, roi_align with aligned=False",
        "roi_align by roi.sampling=fixed with roi.min1=1",
        "box.plus1=1 nms: Compute widths as x2 - x1.",
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
        "failed: 4 required cases are wrong or without answer; 1 file or folder belongs to no case",
    ]


def test_terminal_puts_algorithms_with_one_deviation_together() -> None:
    verdicts = [AlgorithmVerdict(name, "VARIANT", ("box.plus1=1",), failed=True) for name in ("box_iou", "nms")]
    text = terminal(dataclasses.replace(sample_report(), verdicts=tuple(verdicts)))
    assert "HABIT  box.plus1=1  in box_iou, nms" in text
    assert text.count("Detectron, utils/boxes.py") == 1


def test_terminal_names_many_that_pass_in_a_sentence() -> None:
    plain = [AlgorithmVerdict(f"exp{i}", "PASS", results=(passed(f"exp{i}/x"),)) for i in range(MOST_ROWS + 1)]
    noted = dataclasses.replace(plain[0], algorithm="add", results=(wrong("add/x", {"y": (np.ones(2), np.zeros(2))},
                                                                          status="optional"),))  # fmt: skip
    text = " ".join(terminal(dataclasses.replace(passing_report(), verdicts=(noted, *plain)), 80).split())
    assert f"PASS {MOST_ROWS + 1} algorithms, every answered case: exp0, exp1" in text
    assert "add PASS · 1 no failure" in text


def test_what_a_variant_gets_wrong_beside_its_habits_is_shown() -> None:
    unnamed = wrong("nms/nan", {"kept": (np.array([1]), np.array([0]))}, status="optional", why="NaN.")
    failed = CaseResult("nms/many", "nms", "required", "error", "out of memory", why="Many boxes.")
    verdict = AlgorithmVerdict("nms", "VARIANT", ("box.plus1=1",), failed=True, results=(nms_case(), unnamed, failed))
    assert beside_habits(verdict) == [failed, unnamed]
    report = dataclasses.replace(sample_report(), verdicts=(verdict,))
    for text in (" ".join(terminal(report).split()), markdown(report)):
        assert "nms/nan" in text
        assert "nms/many" in text
        assert "out of memory" in text


def test_headlines() -> None:
    verdicts = sample_report().verdicts
    for chosen, sentence in (
        (verdicts[:1], "The only algorithm that was answered agrees."),
        (verdicts[:3], "1 of 3 algorithms agrees; 1 named habit explains 1 more; 1 differs in no known way."),
        (verdicts[2:3], "The only algorithm that was answered differs; 1 named habit explains it."),
        (verdicts[1:2], "The only algorithm that was answered differs in no known way."),
        (verdicts[-1:], "The only algorithm that was answered brought no answer to compare."),
        (verdicts[1:3], "None of 2 algorithms agrees; 1 named habit explains 1; 1 differs in no known way."),
        ((verdicts[0], verdicts[2]), "1 of 2 algorithms agrees; 1 named habit explains the other."),
        ((verdicts[0], verdicts[2], verdicts[5]), "1 of 3 algorithms agrees; 2 named habits explain the other 2."),
        ((verdicts[2], verdicts[5]), "None of 2 algorithms agrees; 2 named habits explain all 2."),
        ((verdicts[0], verdicts[-1]), "1 of 2 algorithms agrees; 1 brought no answer to compare."),
        (verdicts[3:5], "Nothing was answered, so that nothing is known."),
    ):
        assert headline(dataclasses.replace(sample_report(), verdicts=chosen)) == sentence


def test_a_habit_is_shown_first_by_what_it_explains_alone() -> None:
    both = dataclasses.replace(nms_case(), id="nms/both", explained_by=(frozenset({"box.plus1=1", "nms.cmp=ge"}),))
    verdict = AlgorithmVerdict("nms", "VARIANT", ("box.plus1=1", "nms.cmp=ge"), failed=True, results=(both, nms_case()))
    first, second = habits(dataclasses.replace(sample_report(), verdicts=(verdict,)))
    assert [result.id for result in first.cases] == ["nms/iou-equal-to-the-threshold", "nms/both"]
    assert [result.id for result in second.cases] == ["nms/both"]


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
    assert outcome(excused_report()) == "conforms but for 1 known failure"
    strays = dataclasses.replace(passing_report(), problems=("a", "b"))
    assert outcome(strays).endswith("that was answered; 2 files or folders belong to no case")
    many = dataclasses.replace(excused_report(), problems=tuple("abcdefghijklmnopqrstu"))
    assert outcome(many) == "conforms but for 1 known failure; more than 20 files or folders belong to no case"


def excused_report() -> Report:
    """Return a report on one case, which is wrong and known to be."""
    verdict = AlgorithmVerdict("nms", "VARIANT", ("box.plus1=1",), failed=True, results=(nms_case(),))
    report = dataclasses.replace(passing_report(), verdicts=(verdict,))
    return with_known_failures(report, [KnownFailure("nms", "", 1)])


def near_report() -> Report:
    """Return a report on a habit that one slip hides."""
    slip = wrong("nms/no-boxes", {"kept": (np.zeros(0), np.zeros(0, np.int64))}, why="Nothing.")
    other = dataclasses.replace(nms_case(), id="nms/other")
    verdict = AlgorithmVerdict(
        "nms",
        "UNKNOWN",
        failed=True,
        results=(nms_case(), other, slip, passed("nms/one-box")),
        nearest=("box.plus1=1",),
        n_near=2,
        left_over=("nms/no-boxes", "nms/one-box"),
    )
    return dataclasses.replace(sample_report(), verdicts=(verdict,))


def test_the_nearest_habit_is_told_and_what_it_leaves_over() -> None:
    sentence = (
        "box.plus1=1 explains 2 of 3 wrong cases; left over: nms/no-boxes (dtype float64); right, and otherwise with "
        "it: nms/one-box"
    )
    assert nearest(near_report().verdicts[0]) == sentence
    text = terminal(near_report())
    assert sentence in text
    assert re.search(r"only the dtype\n +nms/no-boxes  kept: the dtype is float64, expected integers", text)
    assert "refdet golden show nms/iou-equal-to-the-threshold --picture" in text
    assert f"Nearest: {sentence}." in markdown(near_report()).replace("\\", "")
    [algorithm] = json.loads(json_text(near_report()))["algorithms"]
    assert algorithm["nearest"] == {
        "deviations": ["box.plus1=1"],
        "n_explained": 2,
        "left_over": ["nms/no-boxes", "nms/one-box"],
    }
    assert nearest(sample_report().verdicts[1]) == ""


def test_bad_cases_come_in_the_order_in_which_to_read_them() -> None:
    def bad(name: str, size: int, status: str = "required") -> CaseResult:
        tensors = {"y": (np.ones(1), np.zeros(1))}
        return wrong(f"nms/{name}", tensors, inputs={"boxes": np.zeros(size)}, status=status)

    results = (bad("a", 9), bad("b", 1, "optional"), bad("c", 3), bad("d", 4), bad("e", 12))
    verdict = AlgorithmVerdict("nms", "UNKNOWN", results=results, left_over=("nms/e",))
    assert [result.id[-1] for result in verdict.bad] == ["e", "c", "d", "a", "b"]


def test_what_was_given_is_shown_where_it_is_short() -> None:
    tensors = {"y": (np.array([0.0, 1.0, 9.0]), np.array([0.0, 1.0, 2.0]))}
    short = wrong("nms/a", tensors, inputs={"boxes": np.array([[1, 2], [3, 4]]), "scores": np.array([0.5, 0.25])})
    assert given(short) == "boxes = [[1, 2], [3, 4]], scores = [0.5, 0.25]"
    rows = wrong("nms/a", tensors, inputs={"boxes": np.arange(12).reshape(3, 4), "x": np.zeros((99, 3))})
    assert given(rows) == "boxes[2] = [8, 9, 10, 11]"
    indices = wrong("nms/a", {"kept": (np.array([0, 2, 1]), np.array([0, 1, 2]))}, inputs={"boxes": np.zeros((3, 99))})
    assert given(indices) == ""  # an element of an index is no row


def test_only_minimal_explanations_are_given() -> None:
    sets = (frozenset("a"), frozenset("ab"), frozenset("bc"), frozenset("bcd"))
    assert explanations(dataclasses.replace(nms_case(), explained_by=sets)) == "a, or by b with c"


def test_one_error_of_most_algorithms_is_said_to_be_of_the_adapter() -> None:
    def report(*reasons: str) -> Report:
        results = [CaseResult(f"a{i}/x", f"a{i}", "required", "error", reason) for i, reason in enumerate(reasons)]
        verdicts = [AlgorithmVerdict(result.algorithm, "ERROR", failed=True, results=(result,)) for result in results]
        return dataclasses.replace(passing_report(), verdicts=tuple(verdicts))

    mostly = report("KeyError: 'x'", "KeyError: 'x'", "KeyError: 'x'", "KeyError: 'y'")
    assert common_error(mostly).startswith("3 of 4 algorithms fail with one error (KeyError: 'x'): look for it where")
    for text in (terminal(mostly, 400), markdown(mostly)):
        assert "3 of 4 algorithms fail with one error" in text
    assert common_error(report("a", "a")) == ""
    assert common_error(report("a", "b", "c", "a", "a", "b")) == ""
    assert common_error(sample_report()) == ""


def test_several_dialects_are_alternatives() -> None:
    report = dataclasses.replace(sample_report(), dialects=("old", "older"))
    assert speaks(report) == "speaks old or older"
    assert badge(report)[1] == "2/6 algorithms, old or older"


def test_the_number_of_errors_stands_in_its_column_alone() -> None:
    results = (CaseResult("add/x", "add", "required", "error", "no"),)
    verdict = AlgorithmVerdict("add", "ERROR", failed=True, results=results, note="1 of 1 cases brought no answer")
    assert "brought no answer\n" not in terminal(dataclasses.replace(passing_report(), verdicts=(verdict,)))


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
    assert "## Habit: `roi.offset=0` in `roi_align`" in text
    assert "- **change: Subtract 0.5 from the scaled corners before the bins are made.**" in text
    assert "- `roi_align` is explained as well by `roi.sampling=fixed with roi.min1=1`" in text
    assert "  - `boxes[0, 2]: expected 10.0, got 11.0 (nothing is tolerated); 4 of 12 elements are wrong`" in text


# --- badge


@pytest.mark.parametrize(
    ("report", "message", "colour"),
    [
        (passing_report(), "1/1 algorithms", "brightgreen"),
        (sample_report(), "2/6 algorithms, detectron1", "red"),
        (dataclasses.replace(sample_report(), verdicts=sample_report().verdicts[2:3]), "0/1 algorithms, detectron1",
         "orange"),
        (dataclasses.replace(sample_report(), verdicts=sample_report().verdicts[2:3], dialects=()),
         "0/1 algorithms, 1 habit", "orange"),
        (dataclasses.replace(sample_report(), verdicts=sample_report().verdicts[3:4]), "nothing answered", "lightgrey"),
        (with_known_failures(passing_report(), [KnownFailure("add", "", 1)]), "1/1 algorithms", "red"),
        (with_known_failures(dataclasses.replace(sample_report(), verdicts=sample_report().verdicts[2:3], dialects=()),
                             [KnownFailure("nms/iou*", "", 1)]),
         "1/1 algorithms, 1 habit, 1 known failure", "yellowgreen"),
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
