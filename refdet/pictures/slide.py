"""What every picture of an algorithm has in common: a slide that can be read from the back row.

- 16 × 9 inches at 120 dots per inch: 1920 × 1080 pixels in a PNG. A sentence as the title, the source below.
- No text is smaller than `SMALLEST` points, on a slide of this size.
- Colours are those of Okabe & Ito, "Color universal design" (2008), which colour-blind people can tell apart; a meaning
  is never told by colour alone, but by a line style, a sign or a word as well.
- matplotlib's settings, those of the user included, neither influence a picture nor are changed by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from refdet.core.check import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INCHES = (16.0, 9.0)
DOTS_PER_INCH = 120
TITLE, HEADING, BODY, SMALLEST = 30, 22, 20, 16  # points

BLACK, GREY, PALE = "#000000", "#6E6E6E", "#E4E4E4"
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE = "#56B4E9", "#A8508A"  # purple is darker than Okabe and Ito's, so that thin lines of it show

SETTINGS = {
    "font.size": BODY,
    "axes.titlesize": HEADING,
    "axes.titlepad": 12,
    "axes.labelsize": BODY,
    "axes.linewidth": 1.2,
    "xtick.labelsize": 18,
    "ytick.labelsize": 18,
    "legend.fontsize": 18,
    "svg.hashsalt": "refdet",  # the names inside an SVG, and so its bytes, are the same every time
}


@contextmanager
def settings() -> Iterator[None]:
    """Draw with matplotlib's defaults and `SETTINGS`, and put back what was set before."""
    from matplotlib import style

    with style.context(["default", SETTINGS]):  # leaves the backend alone
        yield


def empty_slide() -> Figure:
    """Return a white slide."""
    from matplotlib.figure import Figure

    return Figure(figsize=INCHES, dpi=DOTS_PER_INCH, facecolor="white")


def write_title(figure: Figure, message: str, source: str) -> None:
    """Write what the picture says above it, and where that comes from below."""
    figure.text(0.03, 0.965, message, fontsize=TITLE, fontweight="bold", va="top")
    figure.text(0.03, 0.02, source, fontsize=SMALLEST, color=GREY, va="bottom")


def panel(figure: Figure, left: float, bottom: float, width: float, height: float, *, heading: str = "") -> Axes:
    """Return axes without ticks or frame, in fractions of the slide, under a heading."""
    axes = figure.add_axes((left, bottom, width, height))
    axes.set_title(heading, loc="left")
    axes.set_anchor("NW")  # an image keeps its top, so that headings stand on one line
    axes.set_axis_off()
    return axes


def image_view(axes: Axes, left: float, right: float, top: float, bottom: float) -> None:
    """Look at a part of an image: y grows downwards, and pixels are square."""
    axes.set_aspect("equal")
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)


def outline(axes: Axes, box: Sequence[float] | Array, **style: Any) -> None:
    """Draw a box (x1, y1, x2, y2), by default as an outline."""
    from matplotlib.patches import Rectangle

    x1, y1, x2, y2 = (float(v) for v in box)
    axes.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, **{"fill": False, "linewidth": 3.0, "clip_on": False, **style})
    )


def table(
    axes: Axes,
    rows: Sequence[Sequence[str]],
    columns: Sequence[float],
    *,
    align: str,
    size: float = 18,
    row: float = 1,
) -> None:
    """Write rows of text, the first of them bold, from the top of the axes downwards.

    `columns` are positions from 0 to 1, and `align` has a letter for each: l, c or r. All rows together take `row` of
    the height of the axes.
    """
    sides = {"l": "left", "c": "center", "r": "right"}
    for i, cells in enumerate(rows):
        y, weight = 1 - (i + 0.5) * row / len(rows), "bold" if i == 0 else "normal"
        for x, letter, cell in zip(columns, align, cells, strict=True):
            text = axes.text(x, y, cell, ha=sides[letter], va="center", fontsize=size, transform=axes.transAxes)
            text.set_fontweight(weight)
