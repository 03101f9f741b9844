"""The report for a terminal: what differs, why that matters, and what to change.

A table of the algorithms that were asked; for every habit, what it does, who else has it, and what to change; for
everything unknown, the first wrong element of its cases; errors; skips by reason; and at the end, where a terminal
stops, the whole of it in a few lines. It is made for 80 columns, and says nothing by colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from refdet.verify.report.words import (
    Habit,
    ambiguities,
    authors,
    beside_habits,
    by_reason,
    common_error,
    counts,
    explanations,
    given,
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
from refdet.verify.verdict import CASE_VERDICTS, NO_ANSWER, AlgorithmVerdict, CaseResult, Report

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

STYLES = {
    "HABIT": "yellow",
    "PASS": "green",
    "VARIANT": "yellow",
    "UNKNOWN": "bold red",
    "ERROR": "bold red",
    "SKIP": "dim",
}
MOST_CASES = 4  # of one algorithm that are shown in full
MOST_ROWS = 12  # of algorithms that pass; more are named in a sentence


def print_report(report: Report, output: Console) -> None:
    """Print a report."""
    for part in _parts(report):
        output.print(part)


def _parts(report: Report) -> Iterator[RenderableType]:
    yield _text(f"{versions(report)} asked by the golden suite {report.suite_version}", "bold")
    if any(verdict.kind != "SKIP" for verdict in report.verdicts):
        yield _table(report)
    for habit in habits(report):
        yield from _habit(habit, report)
    if found := ambiguities(report):
        yield _heading("VARIANT", "explained as well by other habits")
        yield _facts([(algorithm, f"by {sets}") for algorithm, sets in found])
    for verdict in report.of_kind("VARIANT"):
        if beside := beside_habits(verdict):
            yield _heading("VARIANT", f"{verdict.algorithm}: beside its habits, {plural(len(beside), 'bad case')}")
            yield from _few(beside)
    for verdict in report.verdicts:
        if verdict.kind in ("UNKNOWN", "ERROR"):
            yield from _unexplained(verdict)
    yield from _passes_with_notes(report)
    if found := skips(report):
        yield _heading("SKIP", "reasons that were given, and what they concern")
        yield _facts([(reason, concerned) for reason, concerned in found])
    if report.problems:
        yield _heading("ERROR", "what belongs to no case")
        yield from (_text(f"  {problem}") for problem in report.problems)
    if report.unexpected_passes:
        yield _heading("ERROR", "known failures that pass; take them off the list")
        yield from (_text(f"  {case_id}") for case_id in report.unexpected_passes)
    yield _text("")
    yield from summary(report)
    yield _text(counts(report))
    if sentence := speaks(report):
        yield _text(sentence, "bold")
    yield _text(outcome(report), "bold red" if report.failed else "bold green")


def summary(report: Report) -> Iterator[RenderableType]:
    """Yield what was found in a sentence, and what to change, a line for each habit."""
    yield _text(headline(report), "bold")
    if hint := common_error(report):
        yield _text(hint)
    found = [
        (habit.key, f"{listing(habit.algorithms)}: {report.text(habit.key)['change']}") for habit in habits(report)
    ]
    if found:
        yield _facts(found)


def _table(report: Report) -> RenderableType:
    """Return a row for each algorithm that was asked anything, but for those of many that pass."""
    from rich import box
    from rich.console import Group
    from rich.table import Table

    asked = [verdict for verdict in report.verdicts if verdict.kind != "SKIP"]
    plain = [v for v in asked if v.kind == "PASS" and not v.bad]
    if len(plain) <= MOST_ROWS:
        plain = []
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("algorithm", "verdict"):
        table.add_column(heading, no_wrap=True)
    counted = [kind for kind in CASE_VERDICTS if kind == "pass" or any(verdict.count(kind) for verdict in asked)]
    for heading in counted:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for verdict in asked:
        if verdict not in plain:
            cells = [str(n) if (n := verdict.count(kind)) else "·" for kind in counted]
            kind = _text(verdict.kind, STYLES.get(verdict.kind, ""))
            table.add_row(_text(verdict.algorithm), kind, *cells, _text(_remark(verdict)))
    names = f"{plural(len(plain), 'algorithm')}, every answered case: {', '.join(v.algorithm for v in plain)}"
    return Group(*([table] if table.rows else []), *([_heading("PASS", names)] if plain else []))


def _remark(verdict: AlgorithmVerdict) -> str:
    """Return the deviations of a variant, and whether its wrong cases count.

    Notes that name cases stand below; how many brought no answer stands in a column.
    """
    notes = [] if ": " in verdict.note else verdict.note.split("; ")
    parts = [", ".join(verdict.deviations), *(note for note in notes if not note.endswith(NO_ANSWER))]
    if verdict.bad and not verdict.failed:
        parts.append("no failure")
    return "; ".join(part for part in parts if part)


def _habit(habit: Habit, report: Report) -> Iterator[RenderableType]:
    text = report.text(habit.key)
    yield _heading("HABIT", f"{habit.key}  in {', '.join(habit.algorithms)}")
    who = [("who" if i == 0 else "", name) for i, name in enumerate(authors(text))]
    facts = [("habit", str(text["title"])), ("change", str(text["change"])), ("effect", str(text["effect"])), *who]
    if ids := [result.id for result in habit.cases]:
        facts.append(("shows in", f"{plural(len(ids), 'case')}: {listing(ids)}"))
    for result in habit.cases[:1]:
        facts += [("such as", f"{result.id}, {wrong_element(*wrong)}") for wrong in list(result.mismatches.items())[:1]]
    yield _facts([(name, fact) for name, fact in facts if fact])


def _unexplained(verdict: AlgorithmVerdict) -> Iterator[RenderableType]:
    bad, wrong = verdict.bad, [r for r in verdict.bad if r.verdict == "wrong"]
    if wrong:
        reason = f"{plural(len(wrong), 'case')} of {len(verdict.results)} wrong, and no known deviation explains all"
        yield _heading("UNKNOWN", f"{verdict.algorithm}: {reason}")
        if sentence := nearest(verdict):
            yield _facts([("nearest", sentence)])
        if dtypes := [result for result in wrong if result.is_dtype_alone]:
            yield _text("  only the dtype", "bold")
            yield _facts([(listing(ids, most=3), sentence) for sentence, ids in _by_dtype(dtypes).items()])
        others = [result for result in wrong if not result.is_dtype_alone]
        for result in others[:MOST_CASES]:
            yield _case_title(result)
            yield _facts(list(_wrong(result)))
        if len(others) > MOST_CASES:
            yield _text(f"  and {listing([r.id for r in others[MOST_CASES:]])}")
        yield _text(f"  to see one: refdet golden show {(others or wrong)[0].id} --picture case.png")
    errors = [r for r in bad if r.verdict == "error"]
    if errors:
        yield _heading("ERROR", f"{verdict.algorithm}: {plural(len(errors), 'case')} without an answer to compare")
        yield _facts([(listing([r.id for r in found], most=3), reason) for reason, found in by_reason(errors)])


def _by_dtype(results: list[CaseResult]) -> dict[str, list[str]]:
    """Return what is wrong with the dtypes of cases, each time with the ids."""
    found: dict[str, list[str]] = {}
    for result in results:
        sentence = "; ".join(wrong_element(tensor, mismatch) for tensor, mismatch in result.mismatches.items())
        found.setdefault(sentence, []).append(result.id)
    return found


def _wrong(result: CaseResult) -> Iterator[tuple[str, str]]:
    """Yield what a wrong case says of itself."""
    if result.why:
        yield "why", result.why
    for tensor, mismatch in result.mismatches.items():
        yield "differs", wrong_element(tensor, mismatch)
    if result.first_stage:
        yield "stage", f"{result.first_stage} is the first that differs"
    if sentence := given(result):
        yield "given", sentence
    if result.explained_by:
        yield "alone", f"this case would be explained by {explanations(result)}"


def _passes_with_notes(report: Report) -> Iterator[RenderableType]:
    """Yield what algorithms that pass differ in, where they need not agree."""
    differing = [result for verdict in report.of_kind("PASS") for result in verdict.bad]
    if differing:
        yield _heading("PASS", f"but {plural(len(differing), 'answer')} that need not agree")
    yield from _few(differing)


def _few(results: list[CaseResult]) -> Iterator[RenderableType]:
    """Yield the first of some bad cases in full, and count the others."""
    for result in results[: 2 * MOST_CASES]:
        yield _case_title(result)
        yield _facts(list(_wrong(result)) if result.verdict == "wrong" else [("error", result.reason)])
    if len(results) > 2 * MOST_CASES:
        yield _text(f"  and {plural(len(results) - 2 * MOST_CASES, 'other case')}")


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
