"""The report as Markdown, as GitHub shows it: for a job summary, a comment, or a file in the repository."""

from __future__ import annotations

import re
from collections.abc import Iterator

from refdet.verify.report.words import (
    Variant,
    authors,
    by_reason,
    counts,
    listing,
    outcome,
    plural,
    printable,
    skips,
    speaks,
    status_words,
    variants,
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
    yield f"**{escaped(counts(report))}.** Verdict: {escaped(outcome(report))}."
    if sentence := speaks(report):
        yield f"It {escaped(sentence)}."
    if report.versions:
        yield ""
        yield f"Asked: {escaped(versions(report))}."
    yield from _table(report)
    for variant in variants(report):
        yield from _variant(variant, report)
    for verdict in report.verdicts:
        if verdict.kind in ("UNKNOWN", "ERROR"):
            yield from _unexplained(verdict)
    differing = [result for verdict in report.of_kind("PASS") for result in verdict.bad]
    if differing:
        yield from ("", "## Differs, and need not agree", "")
        yield from (line for result in differing[:MOST_CASES] for line in _case(result))
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
        yield from ("", "| algorithm | verdict | pass | wrong | error | skip | |", "|---|---|--:|--:|--:|--:|---|")
    for verdict in asked:
        cells = " | ".join(str(verdict.count(kind)) for kind in ("pass", "wrong", "error", "skip"))
        remark = "; ".join(part for part in (" ".join(map(code, verdict.deviations)), escaped(verdict.note)) if part)
        kind = f"**{verdict.kind}**" if verdict.failed else verdict.kind
        yield f"| {code(verdict.algorithm)} | {kind} | {cells} | {remark} |"


def _variant(variant: Variant, report: Report) -> Iterator[str]:
    yield from ("", f"## Variant: {', '.join(map(code, variant.algorithms))}")
    for key in variant.keys:
        text = report.text(key)
        yield from ("", f"{code(key)}: {escaped(text['title'])}", "")
        yield from (f"- {name}: {escaped(text[name])}" for name in ("effect", "change") if text[name])
        if who := authors(text):
            yield f"- who does it: {'; '.join(map(escaped, who))}"
    yield ""
    yield from (f"Explained as well by {code(keys)}.\n" for keys in variant.also)
    if ids := [result.id for result in variant.cases]:
        yield f"It shows in {plural(len(ids), 'case')}: {listing([code(case_id) for case_id in ids])}."


def _unexplained(verdict: AlgorithmVerdict) -> Iterator[str]:
    wrong = [result for result in verdict.bad if result.verdict == "wrong"]
    errors = [result for result in verdict.bad if result.verdict == "error"]
    yield from ("", f"## {'Unknown' if wrong else 'Error'}: {code(verdict.algorithm)}", "")
    yield from (line for result in wrong[:MOST_CASES] for line in _case(result))
    if len(wrong) > MOST_CASES:
        yield f"- and {plural(len(wrong) - MOST_CASES, 'other case')}"
    for reason, found in by_reason(errors):
        yield f"- {listing([code(result.id) for result in found], most=3)}: {escaped(reason)}"


def _case(result: CaseResult) -> Iterator[str]:
    words = status_words(result)
    yield f"- {code(result.id)}{f' ({words})' if words else ''}: {escaped(result.why or result.reason)}"
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
