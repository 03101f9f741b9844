"""A matrix as a heat map, with its numbers where there is room for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refdet.core.check import Array
from refdet.pictures.slide import BLUE, GREY, PALE, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALLEST_NUMBER, LARGEST_NUMBER = 7.0, 16.0  # points
LARGEST_ELEMENT = 44.0  # points, so that a single number does not fill a slide
MOST_ELONGATED = 20  # a matrix is stretched if it is this much longer than wide, or wider than long
LETTER = 0.62  # width of a letter, of its size


def draw_heat_map(axes: Axes, plane: Array, scale: float, *, ratio: float = 1.0) -> None:
    """Draw a matrix into at most the room of the axes; masked elements are left out.

    `scale` has the strongest colour; an element is `ratio` times as wide as high.
    """
    from matplotlib.colors import LinearSegmentedColormap

    values = np.ma.asarray(plane, dtype=np.float64)
    colours = LinearSegmentedColormap.from_list("signed", [VERMILLION, "white", BLUE]).with_extremes(bad="white")
    finite = np.ma.masked_invalid(values)
    H, W = plane.shape
    width, height = _element(axes, (H, W), ratio)
    axes.imshow(finite, cmap=colours, vmin=-(scale or 1), vmax=scale or 1, aspect="auto", interpolation="nearest")
    for h, w in np.argwhere(~np.isfinite(values.filled(0))):
        _fill(axes, h, w, GREY)
    _finish(axes, H, W)
    for digits in (3, 2):
        texts = {(h, w): number_text(plane[h, w], digits) for h, w in np.argwhere(~np.ma.getmaskarray(values))}
        longest = max(map(len, texts.values()), default=1)
        size = min(LARGEST_NUMBER, 0.9 * width / (LETTER * longest), 0.6 * height)
        if size >= SMALLEST_NUMBER:
            break
    else:
        return
    for (h, w), text in texts.items():
        value = float(values[h, w])
        dark = not np.isfinite(value) or abs(value) > 0.6 * (scale or 1)
        axes.text(w, h, text, fontsize=size, ha="center", va="center", color="white" if dark else "black")


def number_text(value: float | int | bool, digits: int = 3) -> str:
    """Return a number with so many digits.

    >>> [number_text(v) for v in (True, 12345, 0.5, 1 / 3, -0.0, float("nan"), float("-inf"))]
    ['1', '12345', '0.5', '0.333', '0', 'NaN', '−∞']
    """
    if isinstance(value, (int, bool, np.integer, np.bool_)):
        return str(int(value))
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value + 0.0:.{digits}g}".replace("-", "−")


def _element(axes: Axes, shape: tuple[int, int], ratio: float) -> tuple[float, float]:
    """Shrink the axes to the upper left part that the matrix needs; return width and height of an element in points."""
    H, W = shape
    bounds = axes.get_position(original=True)
    figure = axes.get_figure(root=True)
    slide_width, slide_height = 72 * figure.get_size_inches() if figure else (1.0, 1.0)
    width, height = bounds.width * slide_width / W, bounds.height * slide_height / H
    if max(H, W) <= MOST_ELONGATED * min(H, W) or min(H, W) == 1:
        height = min(height, width / ratio)
        width = height * ratio
    width, height = min(width, ratio * LARGEST_ELEMENT), min(height, LARGEST_ELEMENT)
    size = (width * W / slide_width, height * H / slide_height)
    axes.set_position((bounds.x0, bounds.y1 - size[1], *size))
    return width, height


def _fill(axes: Axes, h: int, w: int, colour: str) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((w - 0.5, h - 0.5), 1, 1, facecolor=colour, edgecolor="none"))


def _finish(axes: Axes, H: int, W: int) -> None:
    """Leave out ticks; draw lines between elements that are not many."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_edgecolor(GREY)
    if max(H, W) <= 20:
        axes.set_xticks(np.arange(W + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(H + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=PALE, linewidth=1.0)
        axes.tick_params(which="minor", length=0)
        axes.set_xlim(-0.5, W - 0.5)
        axes.set_ylim(H - 0.5, -0.5)
