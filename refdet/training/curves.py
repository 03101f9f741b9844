"""curves.png: a run in one picture, the losses on the left, evaluation and learning rate on the right.

A thin line is what the steps gave, a thick one its running mean over a window around each step, cut off at the ends of
the run. Of more than `MOST_POINTS` steps it is means of several, one after the other, that are drawn so. Where the
losses spread over more than a factor of `LOG_FROM` the axis is logarithmic. Names that do not fit are shortened, and of
more than seven curves seven are drawn, as the heading says.

The picture is drawn on a Figure of its own, so that nothing of pyplot's is touched, and replaces the file whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from refdet.core.check import Array
from refdet.nn.checkpoint.atomic_file import write_bytes_atomically
from refdet.pictures import slide
from refdet.training.metrics_log import History, StepLine

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (slide.BLUE, slide.VERMILLION, slide.GREEN, slide.ORANGE, slide.PURPLE, slide.SKY, slide.GREY)
MARKERS = "osD^vPX"
WINDOW = 1 / 40  # of the steps, in the running mean
LOG_FROM = 30.0
LOWEST_NAME = 0.02  # of the axes' height: above the number of the last step
MOST_POINTS = 2000  # a line has: more than one for every pixel
LOSSES = (0.065, 0.13, 0.40, 0.70)  # left, bottom, width, height of the axes, in fractions of the slide
EVALUATION, RATES, RATES_ALONE = (0.68, 0.43, 0.16, 0.40), (0.68, 0.13, 0.16, 0.20), (0.68, 0.13, 0.29, 0.70)
LABEL_WIDTH = {"losses": 164.0, "evaluation": 168.0}  # points, right of the axes


def running_mean(values: Array, half: int) -> Array:
    """Return the mean of the values from i − `half` to i + `half`, as far as there are any.

    >>> running_mean(np.array([4.0, 2.0, 0.0, 4.0]), half=1)
    array([3., 2., 2., 2.])
    """
    n = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    first, end = np.maximum(np.arange(n) - half, 0), np.minimum(np.arange(n) + half + 1, n)
    means: Array = (sums[end] - sums[first]) / (end - first)
    return means


def message(history: History, n_steps: int) -> str:
    """Return in one sentence how far the run is and what became of the loss.

    >>> message(History(), 100)
    'No step of 100 is finished'
    """
    if not history.steps:
        return f"No step of {n_steps} is finished"
    few = max(len(history.steps) // 20, 1)
    first, last = (float(np.mean([line.loss for line in part])) for part in (history.steps[:few], history.steps[-few:]))
    done = history.steps[-1].step
    begun = f"{done} steps" if done == n_steps else f"Step {done} of {n_steps}"
    if len(history.steps) == 1:
        return f"{begun}: loss {_number(last)}"
    return f"{begun}: loss {_number(first)} → {_number(last)}"


@dataclass(frozen=True, eq=False)
class Points:
    """What is drawn of the steps: P points, each the mean of `size` steps one after the other, the last of the rest.

    Attributes:
        size: 1 where every step is drawn.
        steps: (P,) where they are.
        rates: (P,) of learning.
        losses: by name, (P,); NaN where no step had such a loss. With several the first is the "total".
    """

    size: int
    steps: Array
    rates: Array
    losses: Mapping[str, Array]


def points_of(lines: Sequence[StepLine], *, most: int = MOST_POINTS) -> Points:
    """Return at most `most` points that stand for the steps, at least one.

    >>> lines = [StepLine(i, i / 8, 0.1, i, {"class": i}, 1.0, i) for i in range(1, 6)]
    >>> points_of(lines, most=2).steps, points_of(lines, most=2).losses
    (array([2. , 4.5]), {'class': array([2. , 4.5])})
    """
    size = -(-len(lines) // most)

    def means(values: Iterable[float]) -> Array:
        return part_means(np.fromiter(values, np.float64, len(lines)), size)

    names = list(dict.fromkeys(name for given in dict.fromkeys(tuple(line.losses) for line in lines) for name in given))
    losses = {"total": means(line.loss for line in lines)} if len(names) > 1 else {}
    losses |= {name: means(line.losses.get(name, math.nan) for line in lines) for name in names}
    return Points(size, means(line.step for line in lines), means(line.lr for line in lines), losses)


def part_means(values: Array, size: int) -> Array:
    """Return the mean of each `size` values one after the other, of what is finite among them; the last of the rest.

    >>> part_means(np.array([4.0, 2.0, math.nan, 1.0, math.nan]), 2)
    array([ 3.,  1., nan])
    """
    if size == 1:
        return values
    there, first = np.isfinite(values), np.arange(0, len(values), size)
    n = np.add.reduceat(there, first, dtype=np.int64)
    sums = np.add.reduceat(np.where(there, values, 0.0), first)
    means: Array = np.divide(sums, n, out=np.full(len(n), math.nan), where=n > 0)
    return means


def draw_curves(history: History, path: Path, *, n_steps: int) -> None:
    """Draw all steps and evaluations into `path`, a PNG."""
    with slide.settings():
        figure = slide.empty_slide()
        points = points_of(history.steps) if history.steps else None
        slide.write_title(figure, message(history, n_steps), "" if points is None else _source(history, points.size))
        if points is not None:
            evaluated, last_step = bool(history.evaluations), history.steps[-1].step
            _draw_losses(figure.add_axes(LOSSES), points, last_step)
            _draw_rates(figure.add_axes(RATES if evaluated else RATES_ALONE), points, last_step)
            if evaluated:
                _draw_evaluations(figure.add_axes(EVALUATION), history)
        content = BytesIO()
        figure.savefig(content, format="png")
    write_bytes_atomically(path, content.getvalue())


def _source(history: History, size: int) -> str:
    last = history.steps[-1]
    speed = np.median([line.images_per_second for line in history.steps[-100:]])
    return (
        f"{last.epoch:.3g} epochs in {duration(last.seconds)}, {_number(speed)} images/s; "
        f"thin: {'every step' if size == 1 else f'means of {size} steps'}, thick: running mean"
    )


def _draw_losses(axes: Axes, points: Points, last_step: int) -> None:
    steps, curves = points.steps, points.losses
    half = max(int(len(steps) * WINDOW / 2), 1) if len(steps) > 2 else 0
    shown = list(curves)[: len(COLOURS)]
    axes.set_title(_heading("Losses" if len(curves) > 1 else "Loss", len(shown), len(curves)), loc="left")
    smooth = {name: _smoothed(curves[name], half) for name in shown}
    colours = dict(zip(shown, [slide.BLACK, *COLOURS], strict=False))
    for z, (name, colour) in enumerate(colours.items()):
        axes.plot(steps, curves[name], color=colour, linewidth=0.8, alpha=0.2 if z else 0.3, zorder=2)
        axes.plot(steps, smooth[name], color=colour, linewidth=2.5 if z else 3.5, zorder=4 - z / 100)
        if len(steps) == 1:
            axes.plot(steps, smooth[name], "o", color=colour, markersize=9, clip_on=False)
    _scale_losses(axes, curves, smooth)
    _frame(axes, last_step)
    _name_curves(axes, [(name, colour, smooth[name], "") for name, colour in colours.items()], LABEL_WIDTH["losses"])


def _scale_losses(axes: Axes, curves: Mapping[str, Array], smooth: Mapping[str, Array]) -> None:
    """Show all that is smoothed, and of what is raw all but the highest spikes."""
    from matplotlib.ticker import LogLocator, NullLocator

    means = np.concatenate([values[np.isfinite(values)] for values in smooth.values()])
    raw = np.concatenate([curves[name] for name in smooth])
    high = 1.05 * max(np.nanquantile(raw, 0.998), means.max())
    if means.min() > 0 and means.max() > LOG_FROM * means.min():
        axes.set_yscale("log")
        axes.set_ylim(means.min() / 1.5, high)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3) if high > 1000 * means.min() else (1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
    elif means.min() >= 0:
        axes.set_ylim(0, high or 1)


def _draw_evaluations(axes: Axes, history: History) -> None:
    steps = np.array([line.step for line in history.evaluations])
    names = list(dict.fromkeys(name for line in history.evaluations for name in line.evaluation))
    shown = names[: len(COLOURS)]
    axes.set_title(_heading("Evaluation", len(shown), len(names)), loc="left")
    curves, lowest, highest = [], 0.0, 0.0
    for name, colour, marker in zip(shown, COLOURS, MARKERS, strict=False):
        values = np.array([line.evaluation.get(name, math.nan) for line in history.evaluations])
        size = 8 if len(steps) <= 15 else 0
        axes.plot(*_thinned(steps, values), marker=marker, color=colour, linewidth=2.5, markersize=size, clip_on=False)
        finite = values[np.isfinite(values)]
        lowest, highest = min([lowest, *finite]), max([highest, *finite])
        curves.append((name, colour, values, f"{values[-1]:.4g}" if abs(values[-1]) >= 10 else f"{values[-1]:.3f}"))
    if lowest == 0:
        axes.set_ylim(0, 1 if 0.2 < highest <= 1 else 1.05 * highest or 1)
    _frame(axes, history.steps[-1].step)
    axes.set_xlabel("")
    axes.tick_params(labelbottom=False)
    _name_curves(axes, curves, LABEL_WIDTH["evaluation"])


def _draw_rates(axes: Axes, points: Points, last_step: int) -> None:
    axes.set_title("Learning rate", loc="left")
    marker = "o" if len(points.steps) == 1 else ""
    axes.plot(points.steps, points.rates, color=slide.BLACK, linewidth=2.5, marker=marker, clip_on=False)
    axes.set_ylim(0, 1.1 * points.rates.max() or 1)
    axes.locator_params(axis="y", nbins=3)
    _frame(axes, last_step)


def _heading(what: str, n_shown: int, n: int) -> str:
    return what if n_shown == n else f"{what}: {n_shown} of {n}"


def _frame(axes: Axes, last_step: int) -> None:
    """Number the steps from 0 to the last, and draw a light grid."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlim(0, max(last_step, 1))
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6 if axes.get_position().width > 0.2 else 2, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}".replace("-", "−")))
    axes.grid(color=slide.GREY, alpha=0.25, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _name_curves(axes: Axes, curves: Sequence[tuple[str, str, Array, str]], width: float) -> None:
    """Write a number and the name of each curve beside its last value, apart where they would lie on one another."""
    low, high = axes.get_ylim()
    to_axis = math.log if axes.get_yscale() == "log" else float
    ends = []
    for name, colour, values, number in curves:
        finite = values[np.isfinite(values)]
        value = float(np.clip(finite[-1], low, high)) if len(finite) else low
        ends.append(((to_axis(value) - to_axis(low)) / (to_axis(high) - to_axis(low)), name, colour, number))
    ends.sort(key=lambda end: -end[0])
    places = spread([end[0] for end in ends], 1.35 * slide.SMALLEST / (axes.get_position().height * slide.HEIGHT))
    for place, (_, name, colour, number) in zip(places, ends, strict=True):
        room = width - slide.text_width(f"{number}  ", slide.SMALLEST, weight="bold")
        text = f"{number} {slide.shortened(name, room, slide.SMALLEST, weight='bold')}".strip()
        axes.annotate(
            text, (1, place), xycoords="axes fraction", xytext=(9, 0), textcoords="offset points",
            color=colour, fontsize=slide.SMALLEST, fontweight="bold", va="center", annotation_clip=False,
        )  # fmt: skip


def spread(places: Sequence[float], apart: float) -> list[float]:
    """Return places, descending, moved as little as needed to lie `apart`: down, then up from `LOWEST_NAME`.

    >>> spread([0.625, 0.625, 0.1], 0.25)
    [0.625, 0.375, 0.1]
    >>> spread([0.5, 0.1], 0.5)
    [0.52, 0.02]
    """
    moved: list[float] = []
    for place in places:
        moved.append(min(place, moved[-1] - apart) if moved else place)
    floor = LOWEST_NAME
    for i in reversed(range(len(moved))):
        moved[i] = max(moved[i], floor)
        floor = moved[i] + apart
    return moved


def _smoothed(values: Array, half: int) -> Array:
    """Return the running mean of what is finite, where it is."""
    smooth = np.full(len(values), math.nan)
    there = np.isfinite(values)
    smooth[there] = running_mean(values[there], half)
    return smooth


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    """Return at most `MOST_POINTS` of the points, evenly, the last one included."""
    if len(x) <= MOST_POINTS:
        return x, y
    i = np.linspace(0, len(x) - 1, MOST_POINTS).round().astype(np.int64)
    return x[i], y[i]


def _number(value: float) -> str:
    """Return a number in three digits.

    >>> _number(0.12345), _number(1234.5), _number(12.0)
    ('0.123', '1234', '12')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return a time span in words.

    >>> duration(8.25), duration(125), duration(3 * 3600 + 120)
    ('8 s', '2 min 5 s', '3 h 2 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
