"""What `refdet eval` prints and writes: tables, JSON, pictures."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer
from rich.console import Console
from rich.table import Table

from refdet.cli.eval_report import Report, to_json
from refdet.cli.messages import UsageProblem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = ("precision_recall.png", "class_confusion.png", "error_types.png")


def show(report: Report, output: Console, *, is_guess: bool, per_class: bool) -> None:
    """Print the warnings and what was compared to standard error, and the tables."""
    files = report.files
    for remark in files.remarks:
        typer.echo(f"refdet: warning: {remark}", err=True)
    guessed = ", as the first result has it" if is_guess and len(files.detections) else ""
    n_objects = sum(c.n_objects for c in report.classes)
    typer.echo(
        f"{files.kind}{guessed}: detections {len(files.detections)}, objects {n_objects}, "
        f"images {len(files.task.image_ids)}, classes {len(report.classes)}",
        err=True,
    )
    output.print("\n".join(report.lines), markup=False, highlight=False, soft_wrap=True)
    if per_class and report.convention == "coco":
        _show_classes(report, output)


def _show_classes(report: Report, output: Console) -> None:
    names = [
        name for name in report.stats if "-" not in name and (name.startswith("AP") or name == _last_recall(report))
    ]
    table = Table(title="Every class")
    table.add_column("class")
    for heading in ("objects", "detections", *names):
        table.add_column(heading, justify="right")
    for c in report.classes:
        table.add_row(c.name, str(c.n_objects), str(c.n_detections), *(_cell(c.stats[name]) for name in names))
    output.print(table, markup=False)


def _last_recall(report: Report) -> str:
    """Return the name of the average recall of as many detections as there may be, over all areas and overlaps."""
    recalls = [name for name in report.stats if name.startswith("AR") and "-" not in name]
    return "AR" if "AR" in recalls else recalls[-1]


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _points(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.2f}"


def show_errors(report: Report, output: Console) -> None:
    from refdet.pictures.error_types import definitions

    found = report.errors
    if found is None:
        return
    table = Table(
        title=f"Errors at overlap {found.threshold:g}, and the points of AP that they cost",
        caption=f"AP is {_points(found.average_precision)} there; types and oracles of TIDE (Bolya et al., 2020)",
    )
    table.add_column("type", no_wrap=True)
    table.add_column("what it is")
    table.add_column("errors", justify="right")
    table.add_column("cost", justify="right")
    for name, meaning in definitions(found).items():
        table.add_row(name, meaning, str(found.counts.get(name, "")), _points(found.costs[name]))
    output.print(table)


def write_json(report: Report, json_file: str) -> None:
    text = json.dumps(to_json(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    if json_file == "-":
        typer.echo(text, nl=False)
        return
    try:
        Path(json_file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageProblem(f"eval: --json: cannot write {json_file}: {error.strerror}") from None


def draw(report: Report, folder: Path) -> None:
    """Write the pictures, each all or nothing."""
    from refdet.nn.checkpoint.atomic_file import write_atomically
    from refdet.pictures.class_confusion import draw_class_confusion
    from refdet.pictures.error_types import draw_error_types
    from refdet.pictures.precision_recall_curves import draw_precision_recall_curves
    from refdet.pictures.slide import empty_slide, settings

    found, confusion = report.errors, report.confusion
    if found is None or confusion is None:
        raise TypeError("draw: the report has no errors")
    names = ("background", *(c.name for c in report.classes))
    scores = report.files.detections.scores

    def fill(name: str, figure: Figure) -> None:
        if name == "precision_recall.png":
            draw_precision_recall_curves(figure, report.curves)
        elif name == "class_confusion.png":
            draw_class_confusion(figure, confusion, names, threshold=found.threshold, min_score=report.min_score)
        else:
            draw_error_types(figure, found, scores)

    with settings():
        for name in PICTURES:
            figure = empty_slide()
            fill(name, figure)

            def save(file: BinaryIO, figure: Figure = figure) -> None:
                figure.savefig(file, format="png")

            try:
                write_atomically(folder / name, save)
            except OSError as error:
                raise UsageProblem(f"eval: --plot: cannot write to {folder}: {error.strerror}") from None
