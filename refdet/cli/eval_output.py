"""What `refdet eval` prints and writes: tables, JSON, pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from refdet.cli.eval_report import Report, to_json
from refdet.cli.messages import UsageProblem, complain, on_a_line, write_text
from refdet.nn.checkpoint.atomic_file import write_bytes_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE_WIDTH = 80  # columns; room for every number of the tables
PICTURES = ("precision_recall.png", "class_confusion.png", "error_types.png")


def warn(remarks: Iterable[str]) -> None:
    """Print what should be known to standard error."""
    for remark in remarks:
        complain(f"warning: {remark}")


def show(report: Report, output: Console, *, is_guess: bool, per_class: bool) -> None:
    """Print the warnings and what was compared to standard error, and the figures to `output`."""
    files = report.files
    warn(files.remarks)
    guessed = ", as the first result has it" if is_guess and len(files.detections) else ""
    n_objects = sum(c.n_objects for c in report.classes)
    typer.echo(
        f"{files.kind}{guessed}: detections {len(files.detections)}, objects {n_objects}, "
        f"images {len(files.task.image_ids)}, classes {len(report.classes)}",
        err=True,
    )
    output.print("\n".join(map(on_a_line, report.lines)), markup=False, highlight=False, emoji=False, soft_wrap=True)
    if per_class and report.convention == "coco":
        _show_classes(report, output)


def _show_classes(report: Report, output: Console) -> None:
    names = [
        name for name in report.stats if "-" not in name and (name.startswith("AP") or name == _last_recall(report))
    ]
    table = Table(title="Every class")
    table.add_column("class", overflow="fold")
    for heading in ("objects", "detections", *names):
        table.add_column(heading, justify="right")
    for c in report.classes:
        table.add_row(
            Text(on_a_line(c.name)), str(c.n_objects), str(c.n_detections), *(_cell(c.stats[name]) for name in names)
        )
    _print_table(table, output)


def _print_table(table: Table, output: Console) -> None:
    """Print a table; where the terminal is too narrow for it, lines wrap, as the others do, but no number is cut."""
    if output.width < TABLE_WIDTH:
        table.width = TABLE_WIDTH
    output.print(table, crop=False)


def _last_recall(report: Report) -> str:
    """Return the name of the average recall of as many detections as there may be, over all areas and overlaps."""
    recalls = [name for name in report.stats if name.startswith("AR") and "-" not in name]
    return "AR" if "AR" in recalls else recalls[-1]


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _points(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.2f}"


def show_errors(report: Report, output: Console) -> None:
    """Print what each type of error is, how often it occurs, and what it costs."""
    from refdet.pictures.error_types import definitions

    found = report.errors
    if found is None:
        return
    ap = _points(found.average_precision)
    table = Table(
        title=f"Errors at overlap {found.threshold:g}, and the points of AP that they cost",
        caption=f"AP is {ap} there, matched as by COCO; types of TIDE (Bolya et al., 2020)",
    )
    table.add_column("type", no_wrap=True)
    table.add_column("what it is")
    table.add_column("errors", justify="right")
    table.add_column("cost", justify="right")
    for name, meaning in definitions(found).items():
        table.add_row(name, meaning, str(found.counts.get(name, "")), _points(found.costs[name]))
    _print_table(table, output)


def write_json(report: Report, json_file: str) -> None:
    """Write the report in ASCII, which every program and every standard output takes; a file all or nothing."""
    write_text("eval: --json", json_file, json.dumps(to_json(report), indent=2, allow_nan=False) + "\n")


def draw(report: Report, folder: Path) -> list[str]:
    """Draw all pictures, then write them, each all or nothing; return what a reader of them should know."""
    from refdet.pictures.class_confusion import draw_class_confusion
    from refdet.pictures.error_types import draw_error_types
    from refdet.pictures.precision_recall_curves import draw_precision_recall_curves
    from refdet.pictures.slide import NO_LETTER, empty_slide, lacking_letters, settings

    found, confusion = report.errors, report.confusion
    if found is None or confusion is None:
        raise TypeError("draw: the report has no errors")
    names = tuple(c.name for c in report.classes)
    options: dict[str, Any] = {"threshold": found.threshold, "min_score": report.min_score}
    drawings: tuple[Callable[[Figure], None], ...] = (
        lambda figure: draw_precision_recall_curves(figure, report.curves),
        lambda figure: draw_class_confusion(figure, confusion, ("background", *names), **options),
        lambda figure: draw_error_types(figure, found, report.files.detections.scores),
    )
    pictures = []
    with settings():
        for fill in drawings:
            figure, picture = empty_slide(), BytesIO()
            fill(figure)
            figure.savefig(picture, format="png")
            pictures.append(picture.getvalue())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in zip(PICTURES, pictures, strict=True):
            write_bytes_atomically(folder / name, content)
    except OSError as error:
        raise UsageProblem(f"eval: --plot: cannot write to {folder}: {error.strerror}") from None
    lacking = lacking_letters(names)
    if not lacking:
        return []
    return [f"the pictures have {NO_LETTER} for letters that their font lacks, such as {lacking[0]!a}"]
