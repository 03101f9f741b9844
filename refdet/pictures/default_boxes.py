"""The default boxes of SSD: those of one cell of two maps, and how many all maps have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refdet.boxes.default_boxes import default_boxes, ssd300
from refdet.core.check import Array
from refdet.pictures.slide import BLACK, BLUE, BODY, GREY, ORANGE, PALE, image_view, outline, panel, table, write_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import LineStyleType

SHOWN = (4, 3)  # maps of SSD300: one with 4 boxes per cell, one with 6


def boxes_of_map(k: int) -> Array:
    """Return the default boxes of map k of SSD300, (n, n, A, 4) in pixels."""
    maps = ssd300()
    n = maps["map_sizes"][k]
    boxes = default_boxes(
        image_size=maps["image_size"],
        map_sizes=[n],
        min_sizes=[maps["min_sizes"][k]],
        max_sizes=[maps["max_sizes"][k]],
        steps=[maps["steps"][k]],
        ratios=[maps["ratios"][k]],
    )
    return boxes.reshape(n, n, -1, 4) * maps["image_size"]


def counts() -> list[tuple[int, int, int]]:
    """Return for each map its side, the boxes per cell, and the boxes of the map."""
    return [(b.shape[0], b.shape[2], b.shape[0] ** 2 * b.shape[2]) for b in map(boxes_of_map, range(6))]


def draw_default_boxes(figure: Figure) -> None:
    """Draw the boxes of the middle cell of two maps, and the table of all six."""
    rows = counts()
    total = sum(n for *_, n in rows)
    write_title(
        figure,
        f"SSD300 looks at an image through {total} default boxes",
        "Liu et al., SSD (2016), §2.2, and the released network; sizes in pixels of the 300 × 300 image",
    )
    for k, left in zip(SHOWN, (0.03, 0.36), strict=True):
        _draw_cell(figure, k, left)
    axes = panel(figure, 0.70, 0.22, 0.27, 0.58, heading="All six maps")
    cells = [["map", "per cell", "boxes"], *([f"{n} × {n}", str(per), str(of_map)] for n, per, of_map in rows)]
    table(axes, [*cells, ["", "", str(total)]], (0.0, 0.62, 1.0), align="lrr", size=BODY)
    axes.plot([0.7, 1], [0.125, 0.125], color=BLACK, linewidth=1.5, transform=axes.transAxes)
    _draw_legend(figure)


def _draw_cell(figure: Figure, k: int, left: float) -> None:
    size, boxes, maps = ssd300()["image_size"], boxes_of_map(k), ssd300()
    n, _, per_cell, _ = boxes.shape
    axes = panel(figure, left, 0.22, 0.30, 0.58, heading=f"{n} × {n} cells, {per_cell} boxes in each")
    image_view(axes, 0, size, 0, size)
    for i in range(n + 1):
        edge = min(i * maps["steps"][k], size)
        axes.plot([edge, edge], [0, size], color=PALE, linewidth=2, zorder=0)
        axes.plot([0, size], [edge, edge], color=PALE, linewidth=2, zorder=0)
    axes.text(0, size + 12, f"s = {maps['min_sizes'][k]:g}, s′ = {maps['max_sizes'][k]:g} pixels", va="top")
    centres = (boxes[..., 0, :2] + boxes[..., 0, 2:]) / 2
    axes.plot(centres[..., 0].ravel(), centres[..., 1].ravel(), ".", color=GREY, markersize=8)
    outline(axes, (0, 0, size, size), edgecolor=BLACK, linewidth=2)
    for box, (colour, line) in zip(boxes[n // 2, n // 2], _styles(per_cell), strict=True):
        outline(axes, box, edgecolor=colour, linestyle=line, linewidth=4)


def _styles(per_cell: int) -> list[tuple[str, LineStyleType]]:
    """Return colour and line style of the boxes of a cell, in the order of Caffe."""
    styles: list[tuple[str, LineStyleType]] = [(c, line) for c in (BLACK, BLUE, ORANGE) for line in ("-", "--")]
    return styles[:per_cell]


def _draw_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    names = ("square of s", "square of √(s·s′)", "w/h = 2", "1/2", "3", "1/3")
    keys = [Line2D([], [], color=colour, linestyle=line, linewidth=4) for colour, line in _styles(6)]
    figure.legend(
        keys, names, loc="lower left", bbox_to_anchor=(0.02, 0.065), ncols=6, frameon=False, columnspacing=1.4
    )
