"""What a detector takes each class for: the matrix of shares, and the confusions that occur most often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.pictures.slide import (
    BLACK,
    GREY,
    HEADING,
    HEIGHT,
    SMALLEST,
    WIDTH,
    panel,
    percent,
    shortened,
    table,
    text_width,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SHOWN = 20  # classes beside the background
MOST_LISTED = 12  # confusions
SMALL = 12  # points, of the names and numbers of a large matrix, and nowhere else: so that VOC's 20 classes fit
GAP = 8  # points between a name and what is beside it


class Confusion(NamedTuple):
    """Objects of one class that are taken for another."""

    true: int
    predicted: int
    n_objects: int
    share: float  # of the objects of the true class


def confusions(matrix: Array) -> list[Confusion]:
    """Return the confusions of a class with another, background apart: the most frequent first, then by share.

    >>> confusions(np.array([[0, 9, 9], [9, 7, 4], [9, 0, 1]]))
    [Confusion(true=1, predicted=2, n_objects=4, share=0.2)]
    """
    between = matrix[1:, 1:] * ~np.eye(len(matrix) - 1, dtype=bool)
    true, predicted = np.nonzero(between)
    totals = matrix.sum(axis=1)
    order = np.lexsort((totals[true + 1], -between[true, predicted]))  # stable; of equal counts the fewer objects
    return [
        Confusion(i, j, int(matrix[i, j]), float(matrix[i, j] / totals[i]))
        for i, j in zip((true[order] + 1).tolist(), (predicted[order] + 1).tolist(), strict=True)
    ]


def shown_classes(matrix: Array) -> Array:
    """Return the classes of the picture, ascending: all, or those that are confused most often, either way."""
    n_classes = len(matrix) - 1
    between = matrix[1:, 1:] * ~np.eye(n_classes, dtype=bool)
    involved = between.sum(axis=0) + between.sum(axis=1)
    order = np.lexsort((-matrix[1:].sum(axis=1), -involved))  # of equals the class with more objects
    return 1 + np.sort(order[:MOST_SHOWN])


def message(matrix: Array, min_score: float) -> str:
    """Return in one sentence what the matrix says of the detections from some score on."""
    n_objects, n_missed = int(matrix[1:].sum()), int(matrix[1:, 0].sum())
    if not n_objects:
        return f"There are no objects, and {int(matrix[0].sum())} false alarms"
    n_confused = sum(c.n_objects for c in confusions(matrix))
    return (
        f"From score {min_score:g}: {percent(n_missed / n_objects)} of {n_objects} objects missed, "
        f"{percent(n_confused / n_objects)} misnamed"
    )


def draw_class_confusion(
    figure: Figure, matrix: Array, names: tuple[str, ...], *, threshold: float, min_score: float
) -> None:
    """Draw a matrix, (K + 1, K + 1), rows true, columns predicted; class 0, the first of `names`, is the background."""
    write_title(
        figure,
        message(matrix, min_score),
        f"Matched by overlap ≥ {threshold:g} whatever the class, the highest score first; scores from {min_score:g}. "
        "A row adds up to 100 % over all classes.",
    )
    shown = np.concatenate([shown_classes(matrix), [0]])  # the background last
    _draw_matrix(figure, matrix, shown, names)
    _draw_list(figure, matrix, names)


def _draw_matrix(figure: Figure, matrix: Array, shown: Array, names: tuple[str, ...]) -> None:
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.full(matrix.shape, np.nan), where=totals > 0)[np.ix_(shown, shown)]
    shares[-1, -1] = np.nan  # nobody can count where nothing is and nothing was seen
    n = len(shown)
    left, bottom, width, height = 0.14, 0.24, 0.41, 0.58
    axes = figure.add_axes((left, bottom, width, height))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    size = SMALLEST if n <= 14 else SMALL
    is_upright = n > 5  # names below the matrix, between it and the source of the picture
    room = (bottom - 0.055) * HEIGHT if is_upright else width * WIDTH / n
    columns = [shortened(names[k], room - GAP, size) for k in shown[:-1]]
    rows = [shortened(names[k], left * WIDTH - 2 * GAP, size) for k in shown[:-1]]
    axes.set_xticks(range(n), [*columns, "missed"], rotation=90 if is_upright else 0, fontsize=size)
    axes.set_yticks(range(n), [*rows, "false alarm"], fontsize=size)
    below: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "top"}
    axes.text(-0.009, -0.012, f"({totals[0, 0]:,} in all)", fontsize=size, **below)
    axes.tick_params(length=0)
    axes.set_title("taken for", fontsize=HEADING, loc="left")
    axes.axhline(n - 1.5, color=BLACK, linewidth=1.5)
    axes.axvline(n - 1.5, color=BLACK, linewidth=1.5)
    for i, j in np.argwhere(shares > 0.005).tolist():
        colour = "white" if shares[i, j] > 0.55 else BLACK
        axes.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=size, color=colour)
    _blank(axes, n - 1)


def _blank(axes: Axes, corner: int) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(
        Rectangle((corner - 0.5, corner - 0.5), 1, 1, facecolor="white", hatch="///", edgecolor=GREY, linewidth=0)
    )


def _draw_list(figure: Figure, matrix: Array, names: tuple[str, ...]) -> None:
    found = confusions(matrix)
    heading = "No class is taken for another" if not found else "Most frequent confusions"
    left, width, columns = 0.60, 0.385, (0, 0.34, 0.83, 1)
    axes = panel(figure, left, 0.12, width, 0.70, heading=heading)
    if found:
        rooms = width * WIDTH * np.diff(columns)[:2] - (GAP, GAP + text_width("objects", 18, weight="bold"))
        rows = [["of class", "taken for", "objects", "share"]]
        rows += [
            [
                *(shortened(names[k], room, 18) for k, room in zip((c.true, c.predicted), rooms, strict=True)),
                f"{c.n_objects:,}",
                percent(c.share),
            ]
            for c in found[:MOST_LISTED]
        ]
        rows += [[""] * 4] * (MOST_LISTED + 1 - len(rows))  # so that rows are as high as in a full list
        table(axes, rows, columns, align="llrr")
