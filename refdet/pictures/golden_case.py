"""A golden case as a picture: what is given on the left, what is expected on the right.

Boxes are drawn as boxes, on both sides in the same view; regions of interest over the map that they crop, with the
points at which RoIAlign samples it. Everything else is a heat map, with numbers in it where there is room: white is 0,
blue is positive, orange is negative; what is not finite is grey and says what it is. Long vectors are broken into rows.

It is looked at on a screen, beside the text of the case: numbers are smaller than on the slides of algorithms.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refdet.core.check import Array
from refdet.pictures.algorithms import write_slide
from refdet.pictures.golden_case_boxes import box_panels
from refdet.pictures.heat_maps import draw_heat_map
from refdet.pictures.slide import GREY, SMALLEST, WIDTH, shortened, write_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from refdet.verify.suite import StoredCase

TOP, BOTTOM, LEFT, MIDDLE, RIGHT = 0.74, 0.07, 0.03, 0.51, 0.98  # of the slide
HEADING_HEIGHT = 0.045
MOST_PANELS, MOST_PLANES, LONGEST_ROW = 6, 4, 16
TABLE_RATIO = 1.7  # elements of matrices and vectors are so much wider than high, those of maps are squares
SIDES = (("Given", ("input",), LEFT, MIDDLE - 0.02), ("Expected", ("expected", "grad"), MIDDLE, RIGHT))


@dataclass(frozen=True)
class Panel:
    """Something to draw, and what is written above it."""

    heading: str
    pictures: Sequence[Callable[[Axes], None]]  # side by side


def write_case_picture(case: StoredCase, path: Path) -> None:
    """Write the picture of a case, all or nothing; raises `PictureError`."""
    write_slide(lambda figure: draw_case(figure, case), path)


def draw_case(figure: Figure, case: StoredCase) -> None:
    """Draw a case onto a slide."""
    write_title(figure, shortened(case.id, 0.94 * WIDTH, 30, weight="bold"), case.entry["spec"][:140])
    why = textwrap.wrap(case.entry["why"], 125)
    lines = [*why[:3], f"{why[3]} …"] if len(why) > 4 else why
    figure.text(0.03, 0.895, "\n".join(lines), fontsize=SMALLEST, va="top", color=GREY, linespacing=1.15)
    for heading, roles, left, right in SIDES:
        figure.text(left, TOP + 0.005, heading, fontsize=20, fontweight="bold", va="bottom")
        _draw_panels(figure, _panels(case, roles), left, right)


def _panels(case: StoredCase, roles: Sequence[str]) -> list[Panel]:
    names = [tensor["name"] for tensor in case.entry["tensors"] if tensor["role"] in roles]
    drawn = [Panel(heading, pictures) for heading, pictures in box_panels(case, names)]
    return drawn + [_tensor_panel(name, case.tensors[name]) for name in names if not _is_drawn(case, name)]


def _is_drawn(case: StoredCase, name: str) -> bool:
    """Whether a tensor needs no panel of its own: the map and the regions are one."""
    return name == "x" and case.algorithm in ("roi_align", "roi_pool") and len(case.tensors["rois"]) > 0


def _tensor_panel(name: str, x: Array) -> Panel:
    heading = f"{name} {x.dtype.name} {x.shape}"
    planes = planes_of(x)
    scale = float(np.max(np.abs(x[np.isfinite(x)]), initial=0.0)) if x.size else 0.0
    if len(planes) > MOST_PLANES:
        heading += f", {MOST_PLANES} of {len(planes)}"
    ratio = 1.0 if x.ndim > 2 else TABLE_RATIO
    return Panel(heading, [_heat_map(plane, scale, ratio) for plane in planes[:MOST_PLANES]])


def _heat_map(plane: Array, scale: float, ratio: float) -> Callable[[Axes], None]:
    return lambda axes: draw_heat_map(axes, plane, scale, ratio=ratio)


def planes_of(x: Array) -> list[Array]:
    """Return a tensor as matrices: all but its last two axes are counted through; a long vector is broken into rows.

    >>> [p.shape for p in planes_of(np.zeros((2, 3, 4, 5)))][:2], [p.shape for p in planes_of(np.zeros(20))]
    ([(4, 5), (4, 5)], [(2, 16)])
    """
    if x.size == 0:
        return []
    if x.ndim >= 2:
        return list(x.reshape(-1, *x.shape[-2:]))
    row = x.reshape(-1).astype(np.float64) if x.size > LONGEST_ROW else x.reshape(1, -1)
    if x.size > LONGEST_ROW:
        n_columns = max(LONGEST_ROW, math.ceil(math.sqrt(2 * x.size)))
        missing = -x.size % n_columns
        row = np.ma.array(np.append(row, np.zeros(missing)), mask=np.arange(x.size + missing) >= x.size)
        row = row.reshape(-1, n_columns)
    return [row]


def _draw_panels(figure: Figure, panels: Sequence[Panel], left: float, right: float) -> None:
    """Draw panels in one column, or two if there are more than two of them."""
    shown = panels[:MOST_PANELS]
    n_columns = 1 if len(shown) <= 2 else 2
    n_rows = math.ceil(len(shown) / n_columns)
    for i, panel in enumerate(shown):
        row, column = divmod(i, n_columns)
        width, height = (right - left) / n_columns, (TOP - BOTTOM) / n_rows
        bounds = (left + column * width, TOP - (row + 1) * height, width - 0.015, height - 0.01)
        more = f"; and {len(panels) - MOST_PANELS} tensors more" if i + 1 == MOST_PANELS < len(panels) else ""
        _draw_panel(figure, panel, bounds, more)


def _draw_panel(figure: Figure, panel: Panel, bounds: tuple[float, float, float, float], more: str) -> None:
    left, bottom, width, height = bounds
    heading = shortened(panel.heading + more, width * WIDTH, SMALLEST)
    figure.text(left, bottom + height, heading, fontsize=SMALLEST, va="top")
    if not panel.pictures:
        text = "no elements"
        figure.text(left, bottom + height - HEADING_HEIGHT, text, fontsize=SMALLEST, va="top", color=GREY)
    each = width / max(1, len(panel.pictures))
    for i, draw in enumerate(panel.pictures):
        inner: Any = (left + i * each, bottom + 0.01, each - 0.01, height - HEADING_HEIGHT - 0.01)
        axes = figure.add_axes(inner)
        axes.set_anchor("NW")
        draw(axes)
