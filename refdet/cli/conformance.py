"""`refdet conformance`: what every implementation answers to the golden suite, as a page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from refdet.cli.messages import UsageProblem, console, errors, on_a_line, write_text
from refdet.cli.output_files import OF_A_SUITE, Input, check_not_read
from refdet.cli.output_folder import check_folder

if TYPE_CHECKING:
    from refdet.cli.verify_sources import OnCase
    from refdet.verify.suite import StoredCase, Suite

PAGES = ("conformance.json", "conformance.md", "conformance.html")


def conformance(
    output: Annotated[Path, typer.Option(help="Folder of the three files; made if need be.", metavar="DIR")] = Path(
        "docs"
    ),
    adapter: Annotated[
        list[str] | None,
        typer.Option(help="Ask this one; may be repeated. All that refdet knows by default.", metavar="NAME"),
    ] = None,
    python: Annotated[
        list[str] | None,
        typer.Option(
            help="Ask an adapter in another interpreter: torchvision=/usr/bin/python3; may be repeated.",
            metavar="NAME=EXE",
        ),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(help="Cases, algorithms, or globs of them; may be repeated. All by default.", metavar="GLOB"),
    ] = None,
    explanations: Annotated[
        Path | None,
        typer.Option(help="Reasons of differences without a name; those of refdet by default.", metavar="FILE"),
    ] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds for one answer.", metavar="S")] = 30.0,
    suite: Annotated[
        Path | None, typer.Option(help="Folder of the golden suite; the installed one by default.", metavar="DIR")
    ] = None,
) -> None:
    """Ask every implementation that is installed all golden cases, and write what they answered.

    conformance.json    versions, verdicts, and every case that does not pass, for a program

    conformance.md      the same as a page: a table of algorithms and implementations, and what differs

    conformance.html    the same to look at; one file that loads nothing

    An implementation that is not installed is listed with the reason. A library
    of another interpreter is asked there; refdet must be on its path:

        PYTHONPATH=. refdet conformance --python torchvision=/usr/bin/python3

    A part of it, to try something out:

        refdet conformance --adapter torch --select "*pool*" --output /tmp

    Each difference has a name, which is a deviation of the suite, or a reason,
    which stands in the file of explanations (refdet/verify/explanations.py
    describes it), or is reported as unexplained.

    Exit status: 0 if no difference is unexplained; 1 if one is, the files being
    written all the same; 2 on wrong usage, or if nobody could be asked.
    """
    if not (math.isfinite(time_limit) and time_limit > 0):
        _refuse(f"--time-limit must be a number of seconds above 0, got {time_limit:g}")
    check_folder("conformance: --output", output)  # which is not made before it is needed
    read = (Input("--explanations", explanations), Input("--suite", suite, OF_A_SUITE))
    check_not_read("conformance: --output", [output / name for name in PAGES], read, "give another folder")
    _check_suite(suite)

    from datetime import UTC, datetime

    from refdet.cli.conformance_sources import interpreters, known_implementations, open_sources
    from refdet.verify.conformance import conformance_record, outdated, record_text, unexplained
    from refdet.verify.explanations import ExplanationsError, read_explanations
    from refdet.verify.report.conformance_html import conformance_html
    from refdet.verify.report.conformance_markdown import conformance_markdown
    from refdet.verify.suite import SuiteError, foreign_suite, load_suite

    try:
        opened = load_suite() if suite is None else foreign_suite(suite)
        cases = _select(opened, select or [])
    except SuiteError as error:
        _refuse(str(error))
    try:
        reasons = read_explanations(explanations) if explanations else read_explanations()
        elsewhere = interpreters(python or [])
        sources, not_run = open_sources(adapter or known_implementations(), elsewhere, opened, time_limit)
    except ExplanationsError as error:
        _refuse(f"--explanations: {error}")
    except LookupError as error:
        _refuse(str(error.args[0]))
    if not sources:
        _refuse("; ".join(f"{name} cannot be asked: {reason}" for name, reason in not_run.items()))
    with _progress(len(cases) * len(sources)) as on_case:
        reports = [source.report(cases, on_case) for source in sources]
    record = conformance_record(
        cases, reports, not_run, reasons, suite_version=opened.version, date=datetime.now(UTC).date().isoformat()
    )
    pages = (record_text(record), conformance_markdown(record), conformance_html(record))
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _refuse(f"--output: cannot write to {output}: {error.strerror}")
    for name, text in zip(PAGES, pages, strict=True):
        write_text("conformance: --output", str(output / name), text)
    for sentence in outdated(record, reasons) if not select else ():
        errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    missing = unexplained(record)
    for sentence in missing:
        errors.print(sentence, markup=False, highlight=False, soft_wrap=True)
    _summarise(len(sources), len(not_run), len(cases), len(missing), output)
    if missing:
        raise typer.Exit(1)


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong with the command line."""
    raise UsageProblem(f"conformance: {sentence}")


def _check_suite(root: Path | None) -> None:
    if root is not None and not root.is_dir():
        _refuse(f"--suite: there is no folder {root}")


def _select(suite: Suite, patterns: list[str]) -> list[StoredCase]:
    from refdet.verify.patterns import unmatched
    from refdet.verify.run import select_cases

    for pattern in unmatched(patterns, suite.ids):
        _refuse(f"--select: no case of the suite is named {pattern!r}; refdet list shows the algorithms")
    if not suite.ids:
        _refuse(f"--suite: {suite.root} has no cases")
    return select_cases(suite, patterns)


@contextmanager
def _progress(n_questions: int) -> Iterator[OnCase]:
    """Show a bar on standard error, if that is a terminal."""
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.file.isatty()) as bar:
        task = bar.add_task("asking", total=n_questions)
        yield lambda case_id: bar.update(task, description=escape(case_id), advance=1)


def _summarise(n_asked: int, n_not_run: int, n_cases: int, n_missing: int, output: Path) -> None:
    from refdet.verify.report.words import plural

    absent = f" ({n_not_run} could not be asked)" if n_not_run else ""
    unexplained = f"{plural(n_missing, 'difference')} {'is' if n_missing == 1 else 'are'} unexplained"
    verdict = unexplained if n_missing else "every difference has a name or a reason"
    asked = f"{plural(n_asked, 'implementation')}{absent}, {plural(n_cases, 'case')}"
    console.print(
        f"{asked}: {verdict}; written to {on_a_line(output / PAGES[0])}, .md and .html",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
