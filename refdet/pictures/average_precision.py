"""A precision-recall curve of five detections, and three numbers that are all called its average precision."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.metrics.average_precision import average_precision
from refdet.metrics.precision_recall import precision_recall
from refdet.pictures.slide import BLACK, BLUE, GREY, SKY, VERMILLION, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICTS = np.array([1, 1, 0, 0, 1])  # by descending score; deck 001 leaves open which two of 2 to 4 are false
N_OBJECTS = 3
TICKS = ([0, 1 / 3, 2 / 3, 1], ["0", "1/3", "2/3", "1"])


class Point(NamedTuple):
    """One detection on the curve."""

    precision: float
    recall: float
    is_true: bool
    caption: str  # its number, precision and recall as fractions


def curve() -> list[Point]:
    """Return the points of the curve, in descending order of score."""
    precision, recall = precision_recall(VERDICTS, n_positive=N_OBJECTS)
    points = []
    for k, (p, r, verdict) in enumerate(zip(precision.tolist(), recall.tolist(), VERDICTS.tolist(), strict=True), 1):
        points.append(Point(p, r, verdict == 1, f"{k}: {round(p * k)}/{k}, {round(r * N_OBJECTS)}/{N_OBJECTS}"))
    return points


def area(convention: str) -> float:
    """Return the average precision of the curve."""
    return average_precision(*precision_recall(VERDICTS, n_positive=N_OBJECTS), convention=convention)


def envelope(levels: Array) -> Array:
    """Return the best precision at each level of recall, or beyond it; every object is found in the end."""
    precision, recall = precision_recall(VERDICTS, n_positive=N_OBJECTS)
    return np.array([precision[recall >= level].max() for level in levels])


def sum_of_means(n: int) -> str:
    """Return the mean of the envelope at n levels as a formula, such as (7 · 1 + 4 · 0.6) / 11."""
    values, counts = np.unique(envelope(np.linspace(0, 1, n)), return_counts=True)
    terms = [f"{count} · {value:g}" for value, count in zip(values[::-1], counts[::-1], strict=True)]
    return f"({' + '.join(terms)}) / {n}"


def sum_of_areas() -> str:
    """Return the area under the envelope as a formula, such as 2/3 · 1 + 1/3 · 0.6."""
    heights = envelope(np.arange(1, N_OBJECTS + 1) / N_OBJECTS)
    values, counts = np.unique(heights, return_counts=True)
    terms = zip(values[::-1], counts[::-1], strict=True)
    return " + ".join(f"{count}/{N_OBJECTS} · {value:g}" for value, count in terms)


def draw_average_precision(figure: Figure) -> None:
    """Draw the points as they are, and under the envelope what each convention adds up."""
    write_title(
        figure,
        "One curve, three values of average precision",
        "Deck 001, “Evaluating Object Detectors”; Everingham et al., PASCAL VOC (2010), §4.2; Lin et al., COCO (2014)",
    )
    columns, rows, size = (0.085, 0.575), (0.56, 0.14), (0.40, 0.26)
    all_axes = [figure.add_axes((left, bottom, *size)) for bottom in rows for left in columns]
    for axes in all_axes:
        axes.set_xlim(0, 1.06)
        axes.set_ylim(0, 1.12)
        axes.set_xticks(*TICKS)
        axes.set_yticks([0, 0.6, 1], ["0", "0.6", "1"])
        axes.spines[["top", "right"]].set_visible(False)
    for axes in all_axes[::2]:
        axes.set_ylabel("precision")
    for axes in all_axes[2:]:
        axes.set_xlabel("recall")
    points, under, at_11, at_101 = all_axes
    _draw_points(points)
    _draw_area(under)
    _draw_levels(at_11, f"VOC 2007, 11 recalls: {area('voc2007'):.6f}", 11, 8)
    _draw_levels(at_101, f"COCO, 101 recalls: {area('coco101'):.6f}", 101, 2.5)


def _draw_points(axes: Axes) -> None:
    points = curve()
    axes.set_title("Rank: precision, recall", loc="left")
    axes.plot([p.recall for p in points], [p.precision for p in points], color=GREY, linewidth=2)
    _mark_points(axes)
    right, left = (0.035, 0, "left", "center"), (-0.035, 0, "right", "center")
    places = ((0, -0.09, "center", "top"), right, right, left, (0.035, -0.09, "right", "top"))
    for point, (dx, dy, ha, va) in zip(points, places, strict=True):
        axes.text(point.recall + dx, point.precision + dy, point.caption, ha=ha, va=va, fontsize=18)
    axes.text(0.03, 0.06, f"{N_OBJECTS} objects", va="bottom", fontsize=18)
    for is_true, word, x in ((True, "true", 0.32), (False, "false", 0.52)):
        _mark(axes, x, 0.14, is_true)
        axes.text(x + 0.03, 0.06, word, va="bottom", fontsize=18)


def _mark_points(axes: Axes) -> None:
    for point in curve():
        _mark(axes, point.recall, point.precision, point.is_true)


def _mark(axes: Axes, x: float, y: float, is_true: bool) -> None:
    marker, colour = ("o", BLUE) if is_true else ("X", VERMILLION)
    axes.plot(x, y, marker, color=colour, markersize=14, clip_on=False, zorder=3)


def _draw_envelope(axes: Axes, formula: str) -> None:
    recalls = np.array([0, *(point.recall for point in curve())])
    axes.step(recalls, envelope(recalls), where="pre", color=BLACK, linewidth=3)
    _mark_points(axes)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 6}
    axes.text(0.5, 0.22, formula, ha="center", va="center", bbox=box)


def _draw_area(axes: Axes) -> None:
    axes.set_title(f"VOC 2010, the area: {area('area'):.6f}", loc="left")
    recalls = np.array([0, *(point.recall for point in curve())])
    axes.fill_between(recalls, envelope(recalls), step="pre", color=SKY, alpha=0.7, linewidth=0)
    _draw_envelope(axes, sum_of_areas())


def _draw_levels(axes: Axes, heading: str, n: int, thickness: float) -> None:
    axes.set_title(heading, loc="left")
    levels = np.linspace(0, 1, n)
    axes.vlines(levels, 0, envelope(levels), color=SKY, linewidth=thickness)
    _draw_envelope(axes, sum_of_means(n))
