"""What every picture of an algorithm has in common: a slide that can be read from the back row.

- 16 × 9 inches at 120 dots per inch: 1920 × 1080 pixels in a PNG. A sentence as the title, the source below.
- No text is smaller than `SMALLEST` points, on a slide of this size.
- Colours are those of Okabe & Ito, "Color universal design" (2008), which colour-blind people can tell apart; a meaning
  is never told by colour alone, but by a line style, a sign or a word as well.
- matplotlib's settings, those of the user included, neither influence a picture nor are changed by it.
- Names come from a user's files: they are written as they are, never as formulas, as far as the font and the room go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from refdet.core.check import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

INCHES = (16.0, 9.0)
WIDTH, HEIGHT = 72 * INCHES[0], 72 * INCHES[1]  # in points
DOTS_PER_INCH = 120
TITLE, HEADING, BODY, SMALLEST = 30, 22, 20, 16  # points

NO_LETTER = "□"  # stands for what the font does not have

BLACK, GREY, PALE = "#000000", "#6E6E6E", "#E4E4E4"
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE = "#56B4E9", "#A8508A"  # purple is darker than Okabe and Ito's, so that thin lines of it show

SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": BODY,
    "axes.titlesize": HEADING,
    "axes.titlepad": 12,
    "axes.labelsize": BODY,
    "axes.linewidth": 1.2,
    "xtick.labelsize": 18,
    "ytick.labelsize": 18,
    "legend.fontsize": 18,
    "text.parse_math": False,  # a dollar in a name is a dollar
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


def shortened(name: str, width: float, size: float, *, weight: str = "normal") -> str:
    """Return a name in one line of at most `width` points: all of it, or its beginning and its end.

    A letter that the font lacks becomes `NO_LETTER`.
    """
    lacking = set(lacking_letters([name]))
    name = "".join(NO_LETTER if letter in lacking else letter for letter in " ".join(name.split()))

    def of_length(n: int) -> str:
        return f"{name[: n - n // 2]}…{name[len(name) - n // 2 :]}"

    if text_width(name, size, weight=weight) <= width:
        return name
    lengths = range(len(name))
    return of_length(bisect_right(lengths, width, key=lambda n: text_width(of_length(n), size, weight=weight)) - 1)


def text_width(text: str, size: float, *, weight: str = "normal") -> float:
    """Return how wide a line of text is, in points."""
    from matplotlib.textpath import text_to_path

    properties = _font(weight).copy()
    properties.set_size(size)
    return float(text_to_path.get_text_width_height_descent(text, properties, ismath=False)[0])


def lacking_letters(names: Iterable[str]) -> list[str]:
    """Return the letters that the font of the slides lacks, in the order in which they appear."""
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont(_font("normal")))
    letters = dict.fromkeys("".join("".join(name.split()) for name in names))
    return [letter for letter in letters if not font.get_char_index(ord(letter))]


@cache
def _font(weight: str) -> FontProperties:
    from matplotlib.font_manager import FontProperties

    return FontProperties(family="DejaVu Sans", weight=weight)


def percent(share: float) -> str:
    """Return a share in whole per cent, but 0 and 100 only of none and of all.

    >>> percent(0), percent(1 / 200), percent(1 / 3), percent(999 / 1000), percent(1)
    ('0 %', '< 1 %', '33 %', '> 99 %', '100 %')
    """
    rounded = f"{100 * share:.0f} %"
    if rounded == "0 %" and share > 0:
        return "< 1 %"
    return "> 99 %" if rounded == "100 %" and share < 1 else rounded


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
