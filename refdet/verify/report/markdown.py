"""The report as Markdown, as GitHub shows it: for a job summary, a comment, or a file in the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator

from refdet.verify.report.words import (
    Habit,
    ambiguities,
    authors,
    beside_habits,
    by_reason,
    common_error,
    counts,
    habits,
    headline,
    listing,
    nearest,
    outcome,
    plural,
    printable,
    skips,
    speaks,
    status_words,
    versions,
    wrong_element,
)
from refdet.verify.verdict import AlgorithmVerdict, CaseResult, Report

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
MOST_CASES = 20  # of one algorithm


def markdown(report: Report) -> str:
    """Return the report as a document."""
    return "\n".join(_lines(report)).rstrip() + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"# {escaped(report.implementation)} and refdet {escaped(report.suite_version)}"
    yield ""
    yield f"**{escaped(headline(report))}** Verdict: {escaped(outcome(report))}."
    if sentence := speaks(report):
        yield f"It {escaped(sentence)}."
    if hint := common_error(report):
        yield f"{escaped(hint)}."
    if report.versions:
        yield ""
        yield f"Asked: {escaped(versions(report))}."
    yield ""
    yield f"{escaped(counts(report))}."
    yield from _habits(report)
    yield from _table(report)
    for verdict in report.of_kind("VARIANT"):
        if beside := beside_habits(verdict):
            yield from ("", f"## Beside the habits of {code(verdict.algorithm)}", "")
            yield from _few(beside)
    for verdict in report.verdicts:
        if verdict.kind in ("UNKNOWN", "ERROR"):
            yield from _unexplained(verdict)
    differing = [result for verdict in report.of_kind("PASS") for result in verdict.bad]
    if differing:
        yield from ("", "## Differs, and need not agree", "")
        yield from _few(differing)
    if found := skips(report):
        yield from ("", "## Skipped", "")
        yield from (f"- {escaped(reason)}: {escaped(concerned)}" for reason, concerned in found)
    for heading, sentences in (
        ("What belongs to no case", report.problems),
        ("Known failures that pass", report.unexpected_passes),
    ):
        if sentences:
            yield from ("", f"## {heading}", "", *(f"- {escaped(sentence)}" for sentence in sentences))


def _table(report: Report) -> Iterator[str]:
    asked = [verdict for verdict in report.verdicts if verdict.kind != "SKIP"]
    if asked:
        yield from (
            "",
            "## Algorithms",
            "",
            "| algorithm | verdict | pass | wrong | error | skip | |",
            "|---|---|--:|--:|--:|--:|---|",
        )
    for verdict in asked:
        cells = " | ".join(str(verdict.count(kind)) for kind in ("pass", "wrong", "error", "skip"))
        remark = "; ".join(part for part in (" ".join(map(code, verdict.deviations)), escaped(verdict.note)) if part)
        kind = f"**{verdict.kind}**" if verdict.failed else verdict.kind
        yield f"| {code(verdict.algorithm)} | {kind} | {cells} | {remark} |"


def _habits(report: Report) -> Iterator[str]:
    for habit in habits(report):
        yield from _habit(habit, report)
    if found := ambiguities(report):
        yield ""
        yield from (f"- {code(algorithm)} is explained as well by {code(sets)}" for algorithm, sets in found)


def _habit(habit: Habit, report: Report) -> Iterator[str]:
    text = report.text(habit.key)
    yield from ("", f"## Habit: {code(habit.key)} in {', '.join(map(code, habit.algorithms))}", "")
    yield f"It {escaped(text['title'])}."
    yield ""
    if text["change"]:
        yield f"- **change: {escaped(text['change'])}**"
    if text["effect"]:
        yield f"- effect: {escaped(text['effect'])}"
    if who := authors(text):
        yield f"- who has it: {'; '.join(map(escaped, who))}"
    if ids := [result.id for result in habit.cases]:
        yield f"- shows in {plural(len(ids), 'case')}: {listing([code(case_id) for case_id in ids])}"


def _unexplained(verdict: AlgorithmVerdict) -> Iterator[str]:
    wrong = [result for result in verdict.bad if result.verdict == "wrong"]
    errors = [result for result in verdict.bad if result.verdict == "error"]
    yield from ("", f"## {'Unknown' if wrong else 'Error'}: {code(verdict.algorithm)}", "")
    if sentence := nearest(verdict):
        yield from (f"Nearest: {escaped(sentence)}.", "")
    yield from _few(wrong)
    for reason, found in by_reason(errors):
        yield f"- {listing([code(result.id) for result in found], most=3)}: {escaped(reason)}"


def _few(results: list[CaseResult]) -> Iterator[str]:
    """Yield the first of some bad cases in full, and count the others."""
    yield from (line for result in results[:MOST_CASES] for line in _case(result))
    if len(results) > MOST_CASES:
        yield f"- and {plural(len(results) - MOST_CASES, 'other case')}"


def _case(result: CaseResult) -> Iterator[str]:
    words = status_words(result)
    yield f"- {code(result.id)}{f' ({words})' if words else ''}: {escaped(result.why or result.reason)}"
    if result.why and result.reason:
        yield f"  - no answer: {escaped(result.reason)}"
    for tensor, mismatch in result.mismatches.items():
        yield f"  - {code(wrong_element(tensor, mismatch))}"
    if result.first_stage:
        yield f"  - first stage that differs: {code(result.first_stage)}"


def escaped(text: str) -> str:
    r"""Return text that Markdown shows as it is, in one line.

    >>> escaped("a|b <i>\n*c*")
    'a\\|b \\<i\\> \\*c\\*'
    """
    return SPECIAL.sub(r"\\\1", " ".join(printable(text).split()))


def code(text: str) -> str:
    """Return text as code, also inside a table.

    >>> code("nms.cmp=ge"), code("a`b")
    ('`nms.cmp=ge`', '`` a`b ``')
    """
    line = " ".join(printable(text).split()).replace("|", "¦")  # a bar would end the cell, even as code
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    return f"{'`' * (longest + 1)} {line} {'`' * (longest + 1)}" if longest else f"`{line}`" if line else ""
