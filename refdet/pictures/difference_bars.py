"""Where a vector differs from the right one: both as bars, and the distance of each element below.

Of a long vector the part around the worst element is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refdet.core.check import Array
from refdet.pictures.difference_maps import LEAST
from refdet.pictures.measured_difference import Difference, drawable, short, window
from refdet.pictures.slide import BLUE, GREY, ORANGE, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_BARS = 24
LEAST_PLACES = 8


def draw_bars(figure: Figure, difference: Difference) -> None:
    """Draw the part with the worst element."""
    flat = [x.ravel() for x in (difference.expected, difference.got)]
    if difference.has_form:
        distance = difference.measured().ravel()
        part = window(int(np.argmax(distance)), distance.size, MOST_BARS)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        _draw_distance(below, difference, distance[part], part.start)
        below.set_xlabel("element")
    else:
        shorter = min(x.size for x in flat)
        part = window(shorter, max(x.size for x in flat), MOST_BARS)
        above = figure.subplots()
        above.set_xlabel("element")
    _draw_pairs(above, flat[0], flat[1], part)


def _draw_pairs(axes: Axes, expected: Array, got: Array, part: slice) -> None:
    """Draw bars side by side; what is no number is written."""
    looks = (("expected", expected, -0.2, BLUE, ""), ("got", got, 0.2, ORANGE, "///"))
    for word, x, shift, colour, hatch in looks:
        values = x[part]
        places = np.arange(part.start, part.start + values.size) + shift
        heights = np.nan_to_num(drawable(values))
        axes.bar(places, heights, 0.4, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=word)
        for place, value in zip(places.tolist(), values.tolist(), strict=True):
            if not np.isfinite(float(value)):
                axes.text(place, 0, short(float(value)), ha="center", va="bottom", fontsize=9)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.margins(y=0.08)
    room = max(0.6, (LEAST_PLACES - (part.stop - part.start)) / 2)  # a single bar need not fill the picture
    axes.set_xlim(part.start - room, part.stop - 1 + room)
    axes.set_xticks(range(part.start, part.stop, 1 + (part.stop - part.start) // 13))
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2)


def _draw_distance(axes: Axes, difference: Difference, distance: Array, first: int) -> None:
    """Draw distances on a logarithmic scale, with a line where they begin to be wrong."""
    wrong = distance > difference.limit
    finite = distance[np.isfinite(distance) & (distance > 0)]
    top = 10 * max(float(finite.max(initial=0.0)), difference.limit or 1.0)
    bottom = min(float(finite.min(initial=top)), difference.limit or top) / 10
    axes.set_yscale("log")
    axes.set_ylim(max(bottom, LEAST), top)
    places = np.arange(first, first + distance.size)
    for is_wrong, colour in ((True, VERMILLION), (False, GREY)):
        chosen = wrong == is_wrong
        heights = np.where(np.isinf(distance), top, distance)[chosen]
        axes.bar(places[chosen], heights, 0.6, color=colour)
    for place in places[np.isinf(distance)].tolist():
        axes.text(place, top, "×", ha="center", va="top", fontsize=11, color="white")
    if difference.limit:
        axes.axhline(difference.limit, color=GREY, linestyle="--", linewidth=1.2)
        axes.text(1, difference.limit, " passes below", transform=axes.get_yaxis_transform(), va="center", fontsize=8)
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.minorticks_off()
    axes.set_ylabel(difference.unit)
    axes.spines[["top", "right"]].set_visible(False)
