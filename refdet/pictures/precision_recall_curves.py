"""Precision over recall: the mean of all classes for every IoU threshold, and the classes one by one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from refdet.core.check import Array
from refdet.pictures.slide import BLACK, BLUE, GREY, HEADING, SMALLEST, TITLE, WIDTH, shortened, text_width, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, ROWS = 3, 4  # of the panels of classes
TITLE_WIDTH = 0.94 * WIDTH  # points


@dataclass(frozen=True)
class PrecisionRecallCurves:
    """Precision at R recalls, for T thresholds and K classes; NaN where a class has no objects."""

    recalls: Array  # (R,)
    precision: Array  # (T, R, K)
    thresholds: tuple[float, ...]  # T, on the IoU or keypoint similarity
    names: tuple[str, ...]  # K, of the classes
    n_objects: Array  # (K,)
    average_precision: Array  # (K,), mean of the thresholds, by the convention of the evaluation
    convention: str  # of the evaluation, for the line below the picture
    overlap: str = "IoU"

    @property
    def classes(self) -> Array:
        """The classes that have objects, the highest average precision first; equals in their order."""
        there = np.flatnonzero(~np.isnan(self.average_precision))
        return there[np.argsort(-self.average_precision[there], kind="stable")]

    @property
    def mean(self) -> float:
        """The mean average precision of the classes that have objects; NaN without any."""
        return float(self.average_precision[self.classes].mean()) if self.classes.size else math.nan


def message(curves: PrecisionRecallCurves) -> str:
    """Return in one sentence what the curves say."""
    classes = curves.classes
    if not classes.size:
        return "There is nothing to find, and so no precision over recall"
    if len(curves.thresholds) > 1:
        loosest, strictest = (
            f"{curves.precision[t][:, classes].mean():.3f} at {curves.overlap} {curves.thresholds[t]:.2f}"
            for t in (0, -1)
        )
        return f"AP is {curves.mean:.3f}: {loosest}, {strictest}"
    if len(classes) == 1:
        return _with_names("AP of {} is {:.3f}", curves, classes, curves.mean)
    values = curves.average_precision[classes[[-1, 0]]].tolist()
    return _with_names(
        "Mean AP is {2:.3f}: from {3:.3f} ({0}) to {4:.3f} ({1})", curves, classes[[-1, 0]], curves.mean, *values
    )


def _with_names(sentence: str, curves: PrecisionRecallCurves, classes: Array, *numbers: float) -> str:
    """Fill in the names of classes, as far as there is room for them in the title, and then the numbers."""
    room = TITLE_WIDTH - text_width(sentence.format(*[""] * len(classes), *numbers), TITLE, weight="bold")
    whole = [shortened(curves.names[k], math.inf, TITLE) for k in classes]
    widths = [text_width(name, TITLE, weight="bold") for name in whole]
    rooms = [max(room / len(widths), room - sum(widths) + width) for width in widths]  # what the other name leaves
    names = (shortened(name, width, TITLE, weight="bold") for name, width in zip(whole, rooms, strict=True))
    return sentence.format(*names, *numbers)


def draw_precision_recall_curves(figure: Figure, curves: PrecisionRecallCurves) -> None:
    """Draw the mean on the left, and up to twelve classes on the right: all, or the six best and the six worst."""
    n_classes = len(curves.classes)
    write_title(figure, message(curves), f"{curves.convention}. Precision: the highest at this recall or beyond.")
    if n_classes:
        _draw_mean(figure, curves)
        _draw_classes(figure, curves)


def _colours(n_thresholds: int) -> list[Any]:
    from matplotlib import colormaps

    return [BLUE] if n_thresholds == 1 else list(colormaps["viridis"](np.linspace(0, 0.9, n_thresholds)))


def _draw_mean(figure: Figure, curves: PrecisionRecallCurves) -> None:
    n_classes = len(curves.classes)
    width = 0.33
    axes = figure.add_axes((0.065, 0.15, width, 0.68))
    only = shortened(curves.names[curves.classes[0]], width * WIDTH, HEADING)
    axes.set_title(f"Mean of {n_classes} classes" if n_classes > 1 else only, loc="left")
    _unit_square(axes, np.linspace(0, 1, 6))
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    means = curves.precision[:, :, curves.classes].mean(axis=2)  # (T, R)
    for mean, threshold, colour in zip(means, curves.thresholds, _colours(len(means)), strict=True):
        label = f"{threshold:.2f}   {mean.mean():.3f}" if len(means) > 1 else None
        axes.plot(curves.recalls, mean, color=colour, linewidth=3, label=label)
    if len(means) > 1:
        axes.legend(
            title=f"{curves.overlap}    AP", loc="upper left", fontsize=SMALLEST, title_fontsize=SMALLEST,
            bbox_to_anchor=(0.97, 1.04), frameon=False, handlelength=1.4, labelspacing=0.5,
        )  # fmt: skip


def _draw_classes(figure: Figure, curves: PrecisionRecallCurves) -> None:
    left, bottom, width, height = 0.555, 0.10, 0.435, 0.70
    from matplotlib.patheffects import withStroke

    halo = withStroke(linewidth=4, foreground="white")
    classes, half = curves.classes, COLUMNS * ROWS // 2
    is_choice = len(classes) > 2 * half
    shown = np.concatenate([classes[:half], classes[-half:]]) if is_choice else classes
    heading = f"{half} best, {half} worst classes" if is_choice else "Every class"
    figure.text(left, 0.843, f"{heading} (number of objects)", fontsize=HEADING, va="bottom")
    for i, k in enumerate(shown):
        row, column = divmod(i, COLUMNS)
        x, y = left + column * width / COLUMNS, bottom + (ROWS - 1 - row) * height / ROWS
        axes = figure.add_axes((x, y + 0.02, 0.85 * width / COLUMNS, 0.63 * height / ROWS))
        count = f" ({curves.n_objects[k]})"
        name = shortened(curves.names[k], 0.93 * width * WIDTH / COLUMNS - text_width(count, SMALLEST), SMALLEST)
        axes.set_title(name + count, loc="left", fontsize=SMALLEST, pad=5)
        _unit_square(axes, np.array([0, 1]))
        for precision, colour in zip(curves.precision[:, :, k], _colours(len(curves.thresholds)), strict=True):
            axes.plot(curves.recalls, precision, color=colour, linewidth=2)
        axes.tick_params(labelbottom=i + COLUMNS >= len(shown), labelleft=column == 0, labelsize=SMALLEST)
        ap = curves.average_precision[k]
        x, y, side, end = (0.03, 0.06, "left", "bottom") if ap > 0.4 else (1, 0.96, "right", "top")  # where no curve is
        axes.text(x, y, f"{ap:.2f}", ha=side, va=end, fontsize=SMALLEST, fontweight="bold", path_effects=[halo])


def _unit_square(axes: Axes, ticks: Array) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.04)
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks.round(3)])
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks.round(3)])
    axes.grid(color=GREY, alpha=0.25, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(BLACK)
