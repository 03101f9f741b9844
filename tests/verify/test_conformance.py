"""The record of a conformance run, its explanations, and the pages that are made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.verify.adapters import Adapter, load_adapter
from refdet.verify.ask import ask_adapter, question_of
from refdet.verify.conformance import conformance_record, differences, outdated, record_text, unexplained
from refdet.verify.explanations import Explanation, ExplanationsError, read_explanations
from refdet.verify.question import Question, Skipped
from refdet.verify.report.conformance_html import conformance_html
from refdet.verify.report.conformance_markdown import conformance_markdown
from refdet.verify.run import select_cases, verify
from refdet.verify.suite import load_suite

DOCS = Path(__file__).parents[2] / "docs"
PATTERNS = ("relu", "nms", "sqrt")


def with_nan_for_nothing(question: Question) -> Mapping[str, Array]:
    """Answer as the legacy implementation does, but for sqrt, which is wrong, and relu, which raises."""
    if question.algorithm == "relu":
        raise ValueError("<no relu today>")
    if question.algorithm == "sqrt":
        return {"y": np.full_like(question.arguments["x"], np.nan)}
    return load_adapter("legacy").answer(question)


def only_relu(question: Question) -> Mapping[str, Array]:
    """Answer relu as refdet does."""
    if question.algorithm != "relu":
        raise Skipped(f"only_relu has no {question.algorithm}")
    return load_adapter("refdet").answer(question)


def record_of(explanations: Sequence[Explanation] = ()) -> dict[str, Any]:
    suite, cases = load_suite(), select_cases(load_suite(), PATTERNS)
    reports = [
        verify(
            suite,
            cases,
            ask_adapter(Adapter(name, {"x": "1.0"}, answer), [question_of(case) for case in cases]),
            implementation=name,
            versions={"x": "1.0"},
        )
        for name, answer in (("odd|one", with_nan_for_nothing), ("only_relu", only_relu))
    ]
    not_run = {"absent": "absent does not import; install it"}
    return conformance_record(cases, reports, not_run, explanations, suite_version="9.9.9", date="2026-01-02")


SQRT = Explanation("odd|one", ("sqrt",), "bug", "It has NaN for <everything>.", "odd-sqrt")
RELU = Explanation("odd|one", ("relu/*",), "undefined", "It raises.")


def test_the_record() -> None:
    record = record_of([SQRT])
    odd, plain = record["implementations"]
    assert record["algorithms"].keys() == {"relu", "nms", "sqrt"}
    assert odd["verdicts"]["nms"]["kind"] == "VARIANT"
    assert odd["verdicts"]["nms"]["deviations"] == ["box.plus1=yes", "nms.cmp=ge"]
    assert odd["verdicts"]["sqrt"]["kind"] == "UNKNOWN"
    assert odd["verdicts"]["relu"]["kind"] == "ERROR"
    assert {name: v["kind"] for name, v in plain["verdicts"].items()} == {"relu": "PASS"}
    assert plain["counts"]["algorithms"]["SKIP"] == 2
    assert set(record["deviations"]) == {"box.plus1=yes", "nms.cmp=ge"}
    assert record["not_run"] == [{"name": "absent", "reason": "absent does not import; install it"}]
    assert json.loads(record_text(record)) == record
    assert "seconds" not in record_text(record)


def test_what_has_a_name_needs_no_explanation() -> None:
    found = {case["id"]: case for _, case in differences(record_of([SQRT]))}
    assert all(case["named"] == case_id.startswith("nms/") for case_id, case in found.items())
    assert {case["explanation"] is not None for case_id, case in found.items() if "sqrt" in case_id} == {True}


def test_nothing_stays_unexplained_unseen() -> None:
    missing = unexplained(record_of([SQRT]))
    assert missing
    assert all(sentence.startswith("odd|one differs on relu/") for sentence in missing)
    assert unexplained(record_of([SQRT, RELU])) == []


def test_an_explanation_of_nothing_is_outdated() -> None:
    of_nms = Explanation("odd|one", ("nms/*",), "bug", "It has a name.")
    of_others = Explanation("somebody", ("nms/*",), "bug", "Not asked.")
    record = record_of([SQRT, RELU, of_nms])
    assert outdated(record, [SQRT, RELU, of_others]) == []
    assert outdated(record, [of_nms]) == ["odd|one no longer differs without a name on nms/*: its explanation can go"]


def test_the_markdown_page() -> None:
    text = conformance_markdown(record_of([SQRT]))
    row = next(line for line in text.splitlines() if line.startswith("| `nms` |"))
    assert row.endswith("<br>`box.plus1=yes`<br>`nms.cmp=ge` | – |")
    assert "**VARIANT**" in row
    assert "- absent: absent does not import; install it" in text
    assert r"It has NaN for \<everything\>. *(bug)* [Reproduction](errata.md#odd-sqrt)." in text
    assert "Not explained yet." in text
    assert "expected " in text
    assert "got nan" in text
    assert text.count("\n## ") == 4  # implementations, verdicts, and one for each of them


def test_the_html_page_is_whole_and_escaped() -> None:
    text = conformance_html(record_of([SQRT]))
    assert text.startswith("<!DOCTYPE html>")
    assert "It has NaN for &lt;everything&gt;." in text
    assert "<everything>" not in text
    assert "&lt;no relu today&gt;" in text
    for loaded in ("<script", "<link", "http://", "https://", "src="):
        assert loaded not in text


def test_files_of_explanations(tmp_path: Path) -> None:
    file = tmp_path / "why.toml"
    file.write_text('[[explanation]]\nimplementation = "torch"\ncases = ["nms/*"]\nkind = "bug"\nreason = "Because."\n')
    (found,) = read_explanations(file)
    assert found == Explanation("torch", ("nms/*",), "bug", "Because.", "")
    assert found.explains("torch", "nms/no-boxes")
    assert not found.explains("torchvision", "nms/no-boxes")
    assert not found.explains("torch", "relu/empty")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = [", "is not TOML"),
        ("a = 1", "must hold tables called"),
        ('explanation = "x"', "must hold tables called"),
        ("[[explanation]]\nwho = 1", "explanation 1 has the key 'who'"),
        ('[[explanation]]\nimplementation = "x"\ncases = "y"', "cases must be a list of texts"),
        ('[[explanation]]\nimplementation = "x"\ncases = []', "cases must be a list of texts"),
        ('[[explanation]]\nimplementation = "x"\ncases = ["y"]\nkind = "bug"', "reason must be a text"),
        ('[[explanation]]\nimplementation = "x"\ncases = ["y"]\nkind = "odd"\nreason = "z"', "kind must be one of bug"),
    ],
)
def test_bad_files_of_explanations(text: str, sentence: str, tmp_path: Path) -> None:
    file = tmp_path / "why.toml"
    file.write_text(text)
    with pytest.raises(ExplanationsError, match=sentence):
        read_explanations(file)


def test_a_missing_file_of_explanations(tmp_path: Path) -> None:
    with pytest.raises(ExplanationsError, match="cannot be read: No such file"):
        read_explanations(tmp_path / "none.toml")


def test_explanations_of_refdet_are_about_cases_that_exist() -> None:
    ids = set(load_suite().ids)
    explanations = read_explanations()
    assert {case for e in explanations for case in e.cases} <= ids


def test_the_published_pages_are_made_from_the_published_record() -> None:
    record = json.loads((DOCS / "conformance.json").read_text(encoding="utf-8"))
    assert conformance_markdown(record) == (DOCS / "conformance.md").read_text(encoding="utf-8")
    assert conformance_html(record) == (DOCS / "conformance.html").read_text(encoding="utf-8")
    assert unexplained(record) == []
