"""The report for a terminal: what differs, why that matters, and what to change, before anything else.

A table of the algorithms that were asked; for every variant, what it does, who else does it, and what to change; for
everything unknown, the first wrong element of its cases; errors; skips by reason; and at the end, where a terminal
stops, the counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

STYLES = {"PASS": "green", "VARIANT": "yellow", "UNKNOWN": "bold red", "ERROR": "bold red", "SKIP": "dim"}
MOST_CASES = 4  # of one algorithm that are shown in full


def print_report(report: Report, output: Console) -> None:
    """Print a report."""
    for part in _parts(report):
        output.print(part)


def _parts(report: Report) -> Iterator[RenderableType]:
    yield _text(f"{versions(report)} asked by the golden suite {report.suite_version}", "bold")
    if any(verdict.kind != "SKIP" for verdict in report.verdicts):
        yield _table(report)
    for variant in variants(report):
        yield from _variant(variant, report)
    for verdict in report.verdicts:
        if verdict.kind in ("UNKNOWN", "ERROR"):
            yield from _unexplained(verdict)
    yield from _passes_with_notes(report)
    if found := skips(report):
        yield _heading("SKIP", "not asked, or not answered")
        yield _facts([(reason, concerned) for reason, concerned in found])
    if report.problems:
        yield _heading("ERROR", "what belongs to no case")
        yield from (_text(f"  {problem}") for problem in report.problems)
    if report.unexpected_passes:
        yield _heading("ERROR", "known failures that pass; take them off the list")
        yield from (_text(f"  {case_id}") for case_id in report.unexpected_passes)
    yield _text("")
    yield _text(counts(report), "bold")
    if sentence := speaks(report):
        yield _text(sentence, "bold")
    yield _text(outcome(report), "bold red" if report.failed else "bold green")


def _table(report: Report) -> Table:
    """Return a row for each algorithm that was asked anything."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("algorithm", "verdict"):
        table.add_column(heading, no_wrap=True)
    for heading in ("pass", "wrong", "error", "skip"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for verdict in report.verdicts:
        if verdict.kind != "SKIP":
            cells = [str(n) if (n := verdict.count(kind)) else "·" for kind in ("pass", "wrong", "error", "skip")]
            kind = _text(verdict.kind, STYLES.get(verdict.kind, ""))
            table.add_row(_text(verdict.algorithm), kind, *cells, _text(_remark(verdict)))
    return table


def _remark(verdict: AlgorithmVerdict) -> str:
    """Return the deviations of a variant, and whether its wrong cases count."""
    parts = [", ".join(verdict.deviations), verdict.note]
    if verdict.bad and not verdict.failed:
        parts.append("no failure")
    return "; ".join(part for part in parts if part)


def _variant(variant: Variant, report: Report) -> Iterator[RenderableType]:
    yield _heading("VARIANT", ", ".join(variant.algorithms))
    for key in variant.keys:
        text = report.text(key)
        yield _text(f"  {key}: {text['title']}", "bold")
        who = [("who" if i == 0 else "", name) for i, name in enumerate(authors(text))]
        facts = [("effect", str(text["effect"])), *who, ("change", str(text["change"]))]
        yield _facts([(name, fact) for name, fact in facts if fact])
    facts = [("also", f"explained as well by {keys}") for keys in variant.also]
    if ids := [result.id for result in variant.cases]:
        facts.append(("shows in", f"{plural(len(ids), 'case')}: {listing(ids)}"))
    for result in variant.cases[:1]:
        facts += [("such as", f"{result.id}, {wrong_element(*wrong)}") for wrong in list(result.mismatches.items())[:1]]
    if facts:
        yield _facts(facts)


def _unexplained(verdict: AlgorithmVerdict) -> Iterator[RenderableType]:
    bad, wrong = verdict.bad, [r for r in verdict.bad if r.verdict == "wrong"]
    if wrong:
        reason = f"{plural(len(wrong), 'case')} of {len(verdict.results)} wrong, and no known deviation explains all"
        yield _heading("UNKNOWN", f"{verdict.algorithm}: {reason}")
        for result in wrong[:MOST_CASES]:
            yield _case_title(result)
            yield _facts(list(_wrong(result)))
        if len(wrong) > MOST_CASES:
            yield _text(f"  and {listing([r.id for r in wrong[MOST_CASES:]])}")
    errors = [r for r in bad if r.verdict == "error"]
    if errors:
        yield _heading("ERROR", f"{verdict.algorithm}: {plural(len(errors), 'case')} without an answer to compare")
        yield _facts([(listing([r.id for r in found], most=3), reason) for reason, found in by_reason(errors)])


def _wrong(result: CaseResult) -> Iterator[tuple[str, str]]:
    """Yield what a wrong case says of itself."""
    if result.why:
        yield "why", result.why
    for tensor, mismatch in result.mismatches.items():
        yield "differs", wrong_element(tensor, mismatch)
    if result.first_stage:
        yield "stage", f"{result.first_stage} is the first that differs"
    for keys in result.explained_by:
        yield "alone", f"this case would be explained by {' with '.join(sorted(keys))}"


def _passes_with_notes(report: Report) -> Iterator[RenderableType]:
    """Yield what algorithms that pass differ in, where they need not agree."""
    differing = [result for verdict in report.of_kind("PASS") for result in verdict.bad]
    if differing:
        yield _heading("PASS", f"but {plural(len(differing), 'answer')} that need not agree")
    for result in differing[: 2 * MOST_CASES]:
        yield _case_title(result)
        yield _facts(list(_wrong(result)) if result.verdict == "wrong" else [("error", result.reason)])
    if len(differing) > 2 * MOST_CASES:
        yield _text(f"  and {plural(len(differing) - 2 * MOST_CASES, 'other case')}")


def _case_title(result: CaseResult) -> RenderableType:
    words = status_words(result)
    return _text(f"  {result.id}{f'  ({words})' if words else ''}", "bold")


def _heading(kind: str, rest: str) -> RenderableType:
    from rich.text import Text

    return Text.assemble("\n", (kind, STYLES[kind]), "  ", (printable(rest), "bold"))


def _facts(facts: list[tuple[str, str]]) -> Table:
    """Return names and what they mean, in two columns; long text wraps in its column."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=2)
    grid.add_column(style="cyan", min_width=8, max_width=40, overflow="fold")
    grid.add_column(overflow="fold", ratio=1)
    for name, fact in facts:
        grid.add_row("", _text(name), _text(fact))
    return grid


def _text(text: str, style: str = "") -> RenderableType:
    """Return text as it is, without markup and without control characters."""
    from rich.text import Text

    return Text(printable(text), style=style)
