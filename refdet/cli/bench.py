"""`refdet bench`: compare the speed of two sides on the same workloads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from refdet.cli.messages import UsageProblem, write_text

if TYPE_CHECKING:
    from refdet.bench.report import Report
    from refdet.bench.runner import Settings
    from refdet.bench.workloads import Group


def bench(
    groups: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[GROUP]...",
            help="Groups of workloads: conv-vgg16, conv-other, conv-backward, coco, crf; all of them by default.",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="The side to compare with: torch, pycocotools, pydensecrf, a backend, or package.module:function."
        ),
    ] = None,
    side: Annotated[str, typer.Option(help="The side under test: reference, or as for --against.")] = "reference",
    threads: Annotated[int, typer.Option(help="Threads that each side may use.")] = 2,
    repeats: Annotated[int, typer.Option(help="Turns that each side takes; times are medians over them.")] = 7,
    time_limit: Annotated[float, typer.Option(help="Seconds that a side may take for one answer.")] = 120.0,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write the report as JSON; - is standard output.")
    ] = None,
    markdown: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the report as Markdown; - is standard output.")
    ] = None,
    require_targets: Annotated[
        bool, typer.Option("--require-targets", help="Exit with 1 if a target is missed or could not be measured.")
    ] = False,
    list_groups: Annotated[bool, typer.Option("--list", help="List groups, workloads and targets, and stop.")] = False,
) -> None:
    """Compare the speed of two sides, once they agree on the answers.

    Exit status: 0; 1 if the sides disagree, one crashes or hangs, or (with --require-targets) a target is missed; 2 on
    wrong usage.
    """
    from refdet.bench.groups import GROUPS
    from refdet.bench.runner import Settings

    chosen = {name: _group(name) for name in groups or GROUPS}
    if list_groups:
        _print_groups(list(chosen.values()))
        return
    if against is None:
        _refuse("name the side to compare with, for example --against torch")
    if side == against:
        _refuse(f"--side and --against are both {side!r}; name two different sides")
    for option, value in (("--threads", threads), ("--repeats", repeats), ("--time-limit", time_limit)):
        if not value > 0:
            _refuse(f"{option} must be greater than 0, got {value:g}")
    if json_file == markdown == "-":
        _refuse("--json and --markdown cannot both go to standard output")
    for option, file in (("--json", json_file), ("--markdown", markdown)):
        if file not in (None, "-") and not Path(file).absolute().parent.is_dir():
            _refuse(f"{option}: there is no folder {Path(file).absolute().parent}")
    _check_side("--side", side)
    _check_side("--against", against)
    settings = Settings(threads=threads, repeats=repeats, time_limit=time_limit)
    report = _run(chosen, side, against, settings)
    _show(report, json_file, markdown)
    if not report.agrees or (require_targets and not report.targets_met):
        raise typer.Exit(1)


def _refuse(sentence: str) -> NoReturn:
    """Say what is wrong with the command line."""
    raise UsageProblem(f"bench: {sentence}")


def _group(name: str) -> Group:
    from refdet.bench.groups import find_group

    try:
        return find_group(name)
    except LookupError as error:
        _refuse(str(error.args[0]))


def _check_side(option: str, name: str) -> None:
    from refdet.bench.sides import check_side

    try:
        check_side(name)
    except LookupError as error:
        _refuse(f"{option}: {error.args[0]}")


def _run(chosen: dict[str, Group], side: str, against: str, settings: Settings) -> Report:
    """Run the groups one after another under a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from refdet.bench.machine import describe_machine
    from refdet.bench.report import Report
    from refdet.bench.runner import run_group

    machine = describe_machine()
    results = []
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=sum(len(group.workloads) for group in chosen.values()))
        done_before = 0
        for name, group in chosen.items():

            def show(done: float, what: str, before: int = done_before) -> None:
                bar.update(task, completed=before + done, description=what)

            results.append(run_group(group, name, side, against, settings, progress=show))
            done_before += len(group.workloads)
    return Report(machine, settings, results)


def _show(report: Report, json_file: str | None, markdown: str | None) -> None:
    """Print the tables, to stderr where stdout carries a file, and write the files."""
    from rich.console import Console

    from refdet.bench.report import print_report, to_json, to_markdown

    print_report(report, Console(stderr="-" in (json_file, markdown)))
    if json_file is not None:
        write_text(
            "bench: --json",
            json_file,
            json.dumps(to_json(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        )
    if markdown is not None:
        write_text("bench: --markdown", markdown, to_markdown(report))


def _print_groups(groups: list[Group]) -> None:
    from refdet.bench.report import describe_target

    for group in groups:
        typer.echo(f"{group.name}: {group.title}")
        for workload in group.workloads:
            times = f" × {workload.count}" if workload.count > 1 else ""
            typer.echo(f"  {workload.name}{times}: {workload.kernel}, {workload.what}")
        for target in group.targets:
            typer.echo(f"  target: {describe_target(target)}")
