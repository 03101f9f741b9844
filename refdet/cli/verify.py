"""`refdet verify`: does an implementation answer as the golden suite does, and if not, whose conventions has it?"""

from __future__ import annotations

import difflib
import math
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from refdet.cli.messages import UsageProblem, console, errors, write_text
from refdet.cli.output_files import OF_A_SUITE, OF_ANSWERS, STANDARD_OUTPUT, Input, check_files

if TYPE_CHECKING:
    from refdet.cli.verify_sources import OnCase
    from refdet.verify.suite import StoredCase, Suite
    from refdet.verify.verdict import Report

TIERS = ("core", "all")


def verify_implementation(
    adapter: Annotated[
        str | None,
        typer.Option(
            help="A library or a function in Python: torch, torchvision, onnxruntime, opencv, refdet, "
            "refdet:numba-cpu, package.module:function. refdet by default.",
            metavar="NAME",
        ),
    ] = None,
    command: Annotated[
        str | None,
        typer.Option(help="A program that is asked over its standard input and output.", metavar='"CMD"'),
    ] = None,
    outputs: Annotated[
        Path | None,
        typer.Option(help="A folder of answers: DIR/ALGORITHM/CASE.safetensors, or .npz.", metavar="DIR"),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option(help="Cases, algorithms, or globs of them; may be repeated. All by default.", metavar="GLOB"),
    ] = None,
    tier: Annotated[
        str, typer.Option(help="core: the cases that tell the most in the least time; all.", metavar="core|all")
    ] = "all",
    known_failures: Annotated[
        Path | None,
        typer.Option(
            help="Cases that are known to be wrong: an id, an algorithm or a glob a line, and # a reason. Every case "
            "that a line matches must fail.",
            metavar="FILE",
        ),
    ] = None,
    time_limit: Annotated[
        float, typer.Option(help="Seconds for one answer; a program has 60 for its hello.", metavar="S")
    ] = 30.0,
    json_file: Annotated[
        str | None, typer.Option("--json", help="Everything, for a program; - is standard output.", metavar="FILE")
    ] = None,
    junit: Annotated[str | None, typer.Option(help="JUnit XML, for continuous integration.", metavar="FILE")] = None,
    markdown: Annotated[str | None, typer.Option(help="Markdown, as GitHub shows it.", metavar="FILE")] = None,
    badge: Annotated[str | None, typer.Option(help="A badge: .svg, or .json for shields.io.", metavar="FILE")] = None,
    html: Annotated[
        str | None, typer.Option(help="A page with pictures of where the answers differ.", metavar="FILE")
    ] = None,
    suite: Annotated[
        Path | None, typer.Option(help="Folder of the golden suite; the installed one by default.", metavar="DIR")
    ] = None,
) -> None:
    """Compare an implementation with the golden suite, and name the conventions in which it differs.

    Each algorithm gets a verdict. PASS. VARIANT: wrong, but exactly as a named
    convention has it; what it does, who else does it, and what to change are
    said. UNKNOWN: wrong otherwise; the first wrong element is shown. ERROR: no
    answer that could be compared. SKIP: not implemented.

    There are three ways in. A library that refdet knows, or a function of
    yours in Python, that takes a question and returns arrays by name (the
    section "A function in Python" of golden/README.md says how):

        refdet verify --adapter torchvision

        refdet verify --adapter mypackage.module:answer --select roi_align

    A program in any language, which reads questions and writes answers as
    lines of JSON (python -m pydoc refdet.verify.protocol shows them):

        refdet verify --command "./mine --quiet" --html report.html

    Or files that were written somewhere else, such as on a chip:

        refdet verify --outputs answers --select "nms/*" --select "roi_*"

    In continuous integration, with what is known to be wrong in a file:

        refdet verify --adapter torch --known-failures known.txt --junit out.xml

    Exit status: 0 if every required case that was answered is right; 1 if one
    is not, if none was answered, or if a known failure passes; 2 on wrong usage.
    """
    _check_way_in(adapter, command, outputs)
    if tier not in TIERS:
        _refuse(f"--tier must be core or all, got {tier!r}")
    if not (math.isfinite(time_limit) and time_limit > 0):
        _refuse(f"--time-limit must be a number of seconds above 0, got {time_limit:g}")
    files = {"--json": json_file, "--junit": junit, "--markdown": markdown, "--badge": badge, "--html": html}
    written = {option: file for option, file in files.items() if file is not None}
    if badge is not None and not badge.lower().endswith((".svg", ".json")):
        _refuse(f"--badge: the name of the file must end in .svg or .json, got {badge}")
    read = (
        Input("--known-failures", known_failures),
        Input("--outputs", outputs, OF_ANSWERS),
        Input("--suite", suite, OF_A_SUITE),
    )
    check_files("verify", written, read)

    from refdet.cli import verify_sources
    from refdet.verify.known_failures import KnownFailuresError, read_known_failures, with_known_failures
    from refdet.verify.question import Unavailable

    opened = _open_suite(suite)
    cases = _select(opened, select or [], tier)
    try:
        known = read_known_failures(known_failures, opened.ids) if known_failures else ()
        source = verify_sources.open_source(adapter, command, outputs, opened, time_limit)
    except KnownFailuresError as error:
        _refuse(f"--known-failures: {error}")
    except (LookupError, Unavailable) as error:
        _refuse(str(error.args[0] if error.args else error))
    with _progress(len(cases)) as on_case:
        report = with_known_failures(source.report(cases, on_case), known)
    texts = {option: _text(option, file, report) for option, file in written.items()}

    from refdet.verify.report.terminal import print_report

    print_report(report, errors if STANDARD_OUTPUT in written.values() else console)
    for option, text in texts.items():
        write_text(f"verify: {option}", written[option], text)
    if report.failed:
        raise typer.Exit(1)


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong with the command line."""
    raise UsageProblem(f"verify: {sentence}")


def _check_way_in(adapter: str | None, command: str | None, outputs: Path | None) -> None:
    given = [name for name, value in (("--adapter", adapter), ("--command", command), ("--outputs", outputs)) if value]
    if len(given) > 1:
        _refuse(f"{' and '.join(given)} exclude each other; give one of them")
    if "" in (adapter, command):
        _refuse(f"{'--adapter' if adapter == '' else '--command'} must not be empty")
    if outputs is not None and not outputs.is_dir():
        _refuse(f"--outputs: there is no folder {outputs}")
    if command is not None:
        try:
            words = shlex.split(command)
        except ValueError as error:
            _refuse(f"--command: {command!r} cannot be split into words: {error}")
        if not words:
            _refuse("--command must not be empty")


def _open_suite(root: Path | None) -> Suite:
    from refdet.verify.suite import SuiteError, foreign_suite, load_suite

    if root is not None and not root.is_dir():
        _refuse(f"--suite: there is no folder {root}")
    try:
        return load_suite() if root is None else foreign_suite(root)
    except SuiteError as error:
        _refuse(str(error))


def _select(suite: Suite, patterns: list[str], tier: str) -> list[StoredCase]:
    from refdet.verify.patterns import unmatched
    from refdet.verify.run import select_cases
    from refdet.verify.suite import SuiteError

    for pattern in unmatched(patterns, suite.ids):
        _refuse(f"--select: no case of the suite is named {pattern!r}; {_meant(pattern, suite.ids)}")
    in_tier = [e["id"] for e in suite.manifest["cases"] if tier == "all" or e["tier"] == tier]
    if not in_tier:
        _refuse(f"--suite: {suite.root} has no cases{f' of the tier {tier}' if suite.ids else ''}")
    for pattern in unmatched(patterns, in_tier):
        _refuse(f"--select: no case that {pattern!r} names is in the tier {tier}")
    try:
        return select_cases(suite, patterns, tier=tier)
    except SuiteError as error:
        _refuse(str(error))


def _meant(pattern: str, ids: list[str]) -> str:
    """Return what a pattern that names nothing was perhaps meant to be."""
    parts = pattern.replace(",", " ").split()
    if len(parts) > 1:
        return f"repeat the option: {' '.join(f'--select {shlex.quote(part)}' for part in parts)}"
    known = {*ids, *(case_id.partition("/")[0] for case_id in ids)}
    close = difflib.get_close_matches(pattern, sorted(known), n=2, cutoff=0.7)
    return f"did you mean {' or '.join(close)}?" if close else "refdet list shows the algorithms"


@contextmanager
def _progress(n_cases: int) -> Iterator[OnCase]:
    """Show a bar on standard error, if that is a terminal."""
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.file.isatty()) as bar:
        task = bar.add_task("asking", total=n_cases)
        yield lambda case_id: bar.update(task, description=escape(case_id), advance=1)


def _text(option: str, file: str, report: Report) -> str:
    """Return what an option asks for."""
    from refdet.verify.report.badge import badge_json, badge_svg
    from refdet.verify.report.html import html_page
    from refdet.verify.report.json_report import json_text
    from refdet.verify.report.junit import junit_xml
    from refdet.verify.report.markdown import markdown

    if option == "--html":
        with _drawing() as progress:
            return html_page(report, progress)
    if option == "--badge":
        return badge_svg(report) if file.lower().endswith(".svg") else badge_json(report)
    return {"--json": json_text, "--junit": junit_xml, "--markdown": markdown}[option](report)


@contextmanager
def _drawing() -> Iterator[Callable[[int, int], object]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("drawing"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.file.isatty()) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
