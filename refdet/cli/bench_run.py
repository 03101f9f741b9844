"""What `refdet bench` does once its command line is understood: compare, save after every comparison, show."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from refdet.cli.messages import UsageProblem, errors, on_a_line, write_text

if TYPE_CHECKING:
    from refdet.bench.report import Report
    from refdet.bench.results import GroupResult
    from refdet.bench.runner import Progress, Settings
    from refdet.bench.workloads import Group


class Comparison(NamedTuple):
    """A group and two sides; `why_not` is why it cannot take place, or empty."""

    name: str  # of the group, as a process finds it
    group: Group
    side: str
    against: str
    why_not: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others in a report."""
        return self.group.name, self.side, self.against


Plan = Sequence[Comparison]


class Outputs(NamedTuple):
    """Files to write, or - for standard output."""

    json_file: str | None
    markdown: str | None
    plot: str | None


def plan_of(groups: Sequence[tuple[str, Group]], side: str, against: str) -> Plan:
    """Return the comparisons of two sides."""
    return [Comparison(name, group, side, against) for name, group in groups]


def plan_all(settings: Settings) -> Plan:
    """Return every hot path of the device; of those whose sides are not installed, why."""
    from refdet.bench.groups import find_group
    from refdet.bench.hot_paths import hot_paths
    from refdet.bench.sides import check_side

    @functools.cache
    def problem(name: str) -> str:
        try:
            check_side(name, executable=settings.interpreters.get(name))
        except LookupError as error:
            return str(error.args[0])
        return ""

    plan = []
    for path in hot_paths(settings.device):
        why_not = problem(path.side) or problem(path.against)
        plan.append(Comparison(path.group, find_group(path.group), path.side, path.against, why_not))
    return plan


def run(
    plan: Plan, settings: Settings, outputs: Outputs, *, resume: bool, include: Sequence[str], is_all: bool
) -> Report:
    """Make the comparisons, and write and show what they found."""
    from rich.console import Console

    from refdet.bench.machine import describe_machine
    from refdet.bench.peaks import measure_peaks
    from refdet.bench.report import Report, is_busy
    from refdet.bench.report_terminal import print_report

    others = [_read("--include", file) for file in include]
    machine = describe_machine()
    before = _stored(outputs, settings, machine) if resume else None
    done = _done(before, plan)
    if before is not None:
        machine = _of_both(before.machine, machine)
        if done:
            errors.print(
                f"{on_a_line(outputs.json_file)} already has {len(done)} of {len(plan)} comparisons",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
    if is_busy(machine) and len(done) < len(plan):
        errors.print(
            f"warning: the machine is busy (load average {machine['load_average']:.2f}); ratios may be far from those "
            "of a quiet one",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
    with _progress(sum(len(c.group.workloads) for c in plan if c.key not in done)) as on_progress:
        on_progress(0, "measuring the peaks of the machine")
        peaks = (
            before.peaks if before is not None and before.peaks else measure_peaks(settings.threads, settings.device)
        )
        report = Report(machine, settings, [], peaks)
        try:
            for grown in _reports(plan, done, report, on_progress):
                report = grown
                _save(report, outputs)
        except KeyboardInterrupt:
            _say_what_is_kept(report, plan, outputs)
            raise
    print_report(report, Console(stderr="-" in outputs[:2]))
    _write(report, others, outputs, is_all=is_all)
    return report


def _of_both(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the machine as it was when the first part of a run began, with the higher load of both."""
    loads = [load for load in (before["load_average"], now["load_average"]) if load is not None]
    return {**before, "load_average": max(loads, default=None)}


def _say_what_is_kept(report: Report, plan: Plan, outputs: Outputs) -> None:
    made = f"{len(report.results)} of {len(plan)} comparisons were made"
    kept = outputs.json_file not in (None, "-") and report.results
    then = (
        f"{on_a_line(outputs.json_file)} has them, and the same command with --resume goes on"
        if kept
        else "none is kept"
    )
    errors.print(f"interrupted: {made}; {then}", markup=False, highlight=False, soft_wrap=True)


def _reports(
    plan: Plan, done: dict[tuple[str, str, str], GroupResult], empty: Report, on_progress: Progress
) -> Iterator[Report]:
    """Yield the report as it grows, comparison by comparison, in the order of the plan."""
    from refdet.bench.results import not_run
    from refdet.bench.runner import run_group

    finished, n_before = dict(done), 0
    for comparison in plan:
        if comparison.key in done:
            continue
        group, side, against = comparison.group, comparison.side, comparison.against
        if comparison.why_not:
            finished[comparison.key] = not_run(group, side, against, comparison.why_not, group_name=comparison.name)
        else:

            def show(share: float, what: str, before: int = n_before) -> None:
                on_progress(before + share, what)

            finished[comparison.key] = run_group(group, comparison.name, side, against, empty.settings, progress=show)
        n_before += len(group.workloads)
        yield dataclasses.replace(empty, results=[finished[c.key] for c in plan if c.key in finished])
    if len(done) == len(plan):
        yield dataclasses.replace(empty, results=[finished[c.key] for c in plan])


def _read(option: str, file: str) -> Report:
    """Return a stored report."""
    from refdet.bench.report_json import StoredReportError, from_json

    try:
        return from_json(json.loads(Path(file).read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageProblem(f"bench: {option}: cannot read {file}: {error.strerror}") from None
    except StoredReportError as error:
        raise UsageProblem(f"bench: {option}: {file}: {error}") from None
    except ValueError:
        raise UsageProblem(f"bench: {option}: {file} is not JSON") from None


def _stored(outputs: Outputs, settings: Settings, machine: dict[str, Any]) -> Report | None:
    """Return the report that the file of --json has, if it is there; refuse one that does not go with this run."""
    file = outputs.json_file
    if file is None or not Path(file).exists():
        return None
    report = _read("--resume", file)
    for what, then, now in (
        ("processor", report.machine["cpu"], machine["cpu"]),
        ("number of cores", report.machine["cores"], machine["cores"]),
        ("--device", report.settings.device, settings.device),
        ("--threads", report.settings.threads, settings.threads),
        ("--repeats", report.settings.repeats, settings.repeats),
    ):
        if then != now:
            raise UsageProblem(f"bench: --resume: {file} was made with another {what}, {then}, where this is {now}")
    return report


def _done(before: Report | None, plan: Plan) -> dict[tuple[str, str, str], GroupResult]:
    """Return the comparisons of the plan that are made already; one that nobody took part in is made again."""
    if before is None:
        return {}
    known = {(r.group.name, r.side, r.against): r for r in before.results if any(r.greetings)}
    return {c.key: known[c.key] for c in plan if c.key in known}


@contextmanager
def _progress(n_workloads: int) -> Iterator[Progress]:
    """Show a bar on standard error; where that is no terminal, a line for every workload."""
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    is_terminal = errors.is_terminal
    told: list[str] = [""]
    with Progress(*columns, console=errors, transient=True, disable=not is_terminal) as bar:
        task = bar.add_task("", total=n_workloads)

        def show(done: float, what: str) -> None:
            bar.update(task, completed=done, description=escape(what))
            workload, is_one, _ = what.partition("  ")
            if is_one and not is_terminal and workload != told[0]:
                told[0] = workload
                errors.print(workload, markup=False, highlight=False, soft_wrap=True)

        yield show


def _save(report: Report, outputs: Outputs) -> None:
    """Write what there is, so that an interruption loses no comparison."""
    from refdet.bench.report_json import to_json

    if outputs.json_file not in (None, "-"):
        write_text("bench: --json", outputs.json_file, _json_text(to_json(report)))


def _json_text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _write(report: Report, others: Sequence[Report], outputs: Outputs, *, is_all: bool) -> None:
    """Write the picture, the Markdown, and the JSON where it goes to standard output."""
    from refdet.bench.page import page
    from refdet.bench.report_json import to_json
    from refdet.bench.report_markdown import to_markdown

    has_picture = outputs.plot is not None and _draw(report, outputs.plot)
    if outputs.json_file == "-":
        write_text("bench: --json", "-", _json_text(to_json(report)))
    if outputs.markdown is not None:
        picture = _relative(outputs.plot, outputs.markdown) if outputs.plot is not None and has_picture else None
        text = page([report, *others], picture=picture) if is_all else to_markdown(report)
        write_text("bench: --markdown", outputs.markdown, text)


def _relative(file: str, to: str) -> str:
    """Return where a page finds a file: relative to the page, if that is a file itself."""
    folder = "." if to == "-" else os.path.dirname(os.path.abspath(to))
    return Path(os.path.relpath(file, folder)).as_posix()


def _draw(report: Report, file: str) -> bool:
    """Draw the roofline; say so if there is nothing to draw."""
    from refdet.bench.roofline import roofline_of
    from refdet.pictures.algorithms import PictureError, write_slide
    from refdet.pictures.roofline import draw_roofline

    roofline = roofline_of(report)
    if roofline is None:
        why = "the peaks could not be measured" if report.peaks is None else "no row with a time states its work"
        errors.print(f"--plot: there is nothing to draw, as {why}", highlight=False, soft_wrap=True)
        return False
    try:
        write_slide(lambda figure: draw_roofline(figure, roofline), Path(file))
    except PictureError as problem:
        raise UsageProblem(f"bench: --plot: {problem}") from None
    return True
