"""A roofline: how fast workloads ran beside what the machine can do at most, over how many operations a byte takes.

    attainable rate = min(peak of arithmetic, operations per byte · peak of memory)

Williams, Waterman & Patterson, "Roofline: an insightful visual performance model for multicore architectures",
CACM 52(4), 2009. A workload stands at one place across, and both sides on the same vertical line: the distance between
them is the ratio. Rates are effective, of the work that the definition asks for, so that a side that gets along with
less may stand above the roof.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refdet.pictures.slide import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    HEIGHT,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    SMALLEST,
    TITLE,
    VERMILLION,
    WIDTH,
    shortened,
    text_width,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
MARKERS = "osD^vPX"
PLOT = (0.075, 0.145, 0.455, 0.72)  # left, bottom, width, height, in parts of the slide
KEY_LEFT, KEY_TOP, KEY_BOTTOM, KEY_WIDTH, KEY_GAP, KEY_COLUMNS = 0.545, 0.86, 0.08, 0.214, 0.016, 2
LINE = 20.5  # points from one line of the key to the next
NAME_GAP = 10  # points at least between a name of the key and its ratio
LIFT = 18  # points from a number to the one above or below it


@dataclass(frozen=True)
class Measured:
    """One workload."""

    group: str  # the comparison that it belongs to
    name: str
    intensity: float  # operations per byte
    ours: float  # effective GFLOP/s
    theirs: float


@dataclass(frozen=True)
class Roofline:
    """The peaks of a machine, and what ran on it."""

    gflops: float
    gbytes: float  # per second
    measured: tuple[Measured, ...]  # those of a group follow each other
    sides: tuple[str, str]  # ours and theirs
    source: str  # the machine and the date, for the line below the picture

    @property
    def groups(self) -> list[str]:
        """The groups, in their order."""
        return list(dict.fromkeys(point.group for point in self.measured))


def message(roofline: Roofline) -> str:
    """Return in one sentence what the picture says."""
    n_faster = sum(point.ours > point.theirs for point in roofline.measured)
    ours, theirs = roofline.sides
    return f"{ours} is faster than {theirs} on {n_faster} of {len(roofline.measured)} workloads"


def draw_roofline(figure: Figure, roofline: Roofline) -> None:
    """Draw the roof, both sides of every workload by number, and the key to the numbers with the ratios of times."""
    write_title(figure, shortened(message(roofline), 0.94 * WIDTH, TITLE, weight="bold"), roofline.source)
    axes = figure.add_axes(PLOT)
    _draw_frame(axes, roofline)
    for point in roofline.measured:
        k = roofline.groups.index(point.group) % len(COLOURS)
        colour, marker = COLOURS[k], MARKERS[k]
        x = point.intensity
        axes.plot([x, x], [point.theirs, point.ours], color=colour, linewidth=1.5, alpha=0.6, zorder=2)
        axes.plot(x, point.theirs, marker, color=colour, markersize=8, markerfacecolor="white", zorder=3)
        axes.plot(x, point.ours, marker, color=colour, markersize=9, zorder=4)
    _draw_numbers(axes, roofline)
    _draw_key(figure, roofline)


def _draw_frame(axes: Axes, roofline: Roofline) -> None:
    """Draw the roof, and scale the axes to what there is."""
    points, ridge = roofline.measured, roofline.gflops / roofline.gbytes
    across = [ridge, *(point.intensity for point in points)]
    up = [roofline.gflops, *(rate for point in points for rate in (point.ours, point.theirs))]
    left, right = min(across) / 1.8, max(across) * 1.8
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(min(up) / 3, max(up) * 4)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("operations per byte that has to be moved")
    axes.set_ylabel("effective GFLOP/s")
    axes.grid(color=PALE, linewidth=1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.plot([left, ridge, right], [left * roofline.gbytes, roofline.gflops, roofline.gflops], BLACK, linewidth=3)
    axes.annotate(
        f"{roofline.gflops:.0f} GFLOP/s, {roofline.gbytes:.0f} GB/s",
        (left, roofline.gflops),
        (4, 6),
        textcoords="offset points",
        fontsize=SMALLEST,
    )


def _draw_numbers(axes: Axes, roofline: Roofline) -> None:
    """Write the number of each workload beyond its first side, further away or at the other where something is."""
    from matplotlib.patheffects import withStroke

    figure = axes.figure
    figure.canvas.draw()

    def place_of(point: Measured, rate: float) -> tuple[float, float]:
        x, y = axes.transData.transform((point.intensity, rate))
        return float(x) * 72 / figure.dpi, float(y) * 72 / figure.dpi

    bottom, top = (float(y) * 72 / figure.dpi for y in axes.bbox.intervaly)
    taken = [  # left, right, middle
        (x - 5, x + 5, y)
        for point in roofline.measured
        for x, y in (place_of(point, point.ours), place_of(point, point.theirs))
    ]
    for number, point in sorted(enumerate(roofline.measured, 1), key=lambda item: item[1].intensity):
        upwards = 1 if point.ours >= point.theirs else -1
        half = text_width(str(number), SMALLEST) / 2 + 1
        x, _ = place_of(point, point.ours)
        ends = [
            (point.ours, place_of(point, point.ours)[1], upwards),
            (point.theirs, place_of(point, point.theirs)[1], -upwards),
        ]
        near = _free_places(ends, (x - half, x + half), taken, range(15, int(top - bottom)))
        inside = (place for place in near if bottom + LIFT / 2 < place[2] < top - LIFT / 2)
        anywhere = _free_places(ends, (x - half, x + half), taken, itertools.count(15))
        rate, away, y = next(itertools.chain(inside, anywhere))
        taken.append((x - half, x + half, y))
        colour = COLOURS[roofline.groups.index(point.group) % len(COLOURS)]
        style = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
        axes.annotate(
            str(number),
            (point.intensity, rate),
            (0, away),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=SMALLEST,
            color=colour,
            arrowprops=style if abs(away) > 2 * LIFT else None,
            zorder=5,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


def _free_places(
    ends: Sequence[tuple[float, float, int]],
    width: tuple[float, float],
    taken: Sequence[tuple[float, float, float]],
    distances: Iterable[int],
) -> Iterator[tuple[float, int, float]]:
    """Yield places for a number on which nothing lies, nearest first: the rate it is written at, how far off, and y.

    `ends` are rates, their y, and in which direction from there; `width` is from where to where the number reaches.
    """
    near = [middle for left, right, middle in taken if left < width[1] and width[0] < right]
    for distance in distances:
        for rate, start, direction in ends:
            y = start + direction * distance
            if all(abs(y - middle) >= LIFT for middle in near):
                yield rate, direction * distance, y


def _draw_key(figure: Figure, roofline: Roofline) -> None:
    """Write what the numbers stand for, group by group, as far as there is room."""
    from matplotlib.lines import Line2D

    per_column = int((KEY_TOP - KEY_BOTTOM) * HEIGHT / LINE)
    lines = _key_lines(roofline)
    room = per_column * KEY_COLUMNS
    column_width = KEY_WIDTH if len(lines) > per_column else KEY_COLUMNS * KEY_WIDTH + KEY_GAP
    if len(lines) > room:
        rest = sum(number is not None for number, _, _ in lines[room - 1 :])
        lines = [*lines[: room - 1], (None, f"and {rest} more", None)]
    width = column_width * WIDTH
    for i, (number, text, ratio) in enumerate(lines):
        column, row = divmod(i, per_column)
        x, y = KEY_LEFT + column * (KEY_WIDTH + KEY_GAP), KEY_TOP - (row + 0.5) * LINE / HEIGHT
        if number is None:
            if text in roofline.groups:
                k = roofline.groups.index(text) % len(COLOURS)
                marker = Line2D(
                    [x + 0.008], [y], marker=MARKERS[k], color=COLOURS[k], markersize=9, transform=figure.transFigure
                )
                figure.add_artist(marker)
            name = shortened(text, width - 22, SMALLEST, weight="bold")
            figure.text(x + 0.019, y, name, fontsize=SMALLEST, fontweight="bold", va="center")
            continue
        end = f"{ratio:.2f}×" if ratio is not None else ""
        figure.text(x + 0.019, y, str(number), fontsize=SMALLEST, ha="right", va="center")
        figure.text(x + column_width, y, end, fontsize=SMALLEST, ha="right", va="center")
        name = _fitting(text, width - 0.024 * WIDTH - text_width(end, SMALLEST) - NAME_GAP)
        figure.text(x + 0.024, y, name, fontsize=SMALLEST, va="center")
    figure.text(
        KEY_LEFT,
        KEY_TOP + 0.012,
        shortened(
            "filled: {}; hollow: {}; ×: ratio".format(*roofline.sides),
            (KEY_COLUMNS * KEY_WIDTH + KEY_GAP) * WIDTH,
            SMALLEST,
        ),
        fontsize=SMALLEST,
        color=GREY,
        va="bottom",
    )


def _fitting(name: str, width: float) -> str:
    """Return a name in at most `width` points; what stands before its first slash gives way first."""
    family, slash, rest = name.partition("/")
    for n in range(len(family), 0, -1):
        text = name if n == len(family) else f"{family[:n]}…{slash}{rest}"
        if text_width(text, SMALLEST) <= width:
            return shortened(text, width, SMALLEST)
    return shortened(name, width, SMALLEST)


def _key_lines(roofline: Roofline) -> Sequence[tuple[int | None, str, float | None]]:
    """Return number, name and ratio of times of each workload; a group has neither number nor ratio."""
    lines: list[tuple[int | None, str, float | None]] = []
    group = None
    for number, point in enumerate(roofline.measured, 1):
        if point.group != group:
            group = point.group
            lines.append((None, group, None))
        lines.append((number, point.name, point.theirs / point.ours))
    return lines
