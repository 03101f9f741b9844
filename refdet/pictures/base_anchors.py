"""The nine anchors around one point, and what three programs make of one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from refdet.boxes.anchors import base_anchors
from refdet.core.check import Array
from refdet.pictures.slide import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    SKY,
    VERMILLION,
    image_view,
    outline,
    panel,
    table,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES, RATIOS = (128, 256, 512), (0.5, 1.0, 2.0)
SHOWN = (128, 0.5)  # the anchor that is compared
STRIDE = 16  # the base_size of py-faster-rcnn, whose sizes are multiples of it
COLOURS = (ORANGE, BLUE, BLACK)  # of the sizes
LINES = ("--", "-", ":")  # of the ratios
PROGRAMS = {
    "py-faster": ("py-faster-rcnn", VERMILLION, "-", 3.0),
    "detectron2": ("Detectron2", SKY, "-", 7.0),
    "torchvision": ("torchvision", BLACK, "--", 2.5),
}  # in the order of drawing: name, colour, line, width


def nine_anchors(convention: str) -> Array:
    """Return the anchors of every size and ratio, (3, 3, 4), whatever the order of the convention."""
    if convention == "detectron2":
        return base_anchors(SIZES, RATIOS).reshape(3, 3, 4)
    sizes = [size / STRIDE for size in SIZES] if convention == "py-faster" else SIZES
    return base_anchors(sizes, RATIOS, convention=convention).reshape(3, 3, 4).transpose(1, 0, 2)


def compared_anchor(convention: str) -> tuple[Array, float, float]:
    """Return one anchor as it is stored, its width and its height."""
    anchor = nine_anchors(convention)[SIZES.index(SHOWN[0]), RATIOS.index(SHOWN[1])]
    last_pixel_inside = 1 if convention == "py-faster" else 0
    width, height = anchor[2:] - anchor[:2] + last_pixel_inside
    return anchor, float(width), float(height)


def draw_base_anchors(figure: Figure) -> None:
    """Draw the nine anchors of the definition, and one of them as each program has it."""
    write_title(
        figure,
        "Three programs make different boxes of the same anchors",
        "Ren et al., Faster R-CNN (2015), §3.1.1; decks 000 and 001 · coordinates in pixels from the position (+)",
    )
    _draw_nine(figure)
    _draw_compared(figure)
    _write_table(figure)


def _draw_nine(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    axes = panel(figure, 0.03, 0.20, 0.36, 0.60, heading="3 sizes × 3 ratios = 9 anchors")
    image_view(axes, -370, 370, -370, 370)
    for anchors, colour in zip(nine_anchors("detectron2"), COLOURS, strict=True):
        for anchor, line in zip(anchors, LINES, strict=True):
            outline(axes, anchor, edgecolor=colour, linestyle=line)
    axes.plot(0, 0, "+", color=GREY, markersize=16, markeredgewidth=3)
    of_sizes = {f"s = {size}": Line2D([], [], color=c, lw=6) for size, c in zip(SIZES, COLOURS, strict=True)}
    of_ratios = {
        f"h/w = {ratio:g}": Line2D([], [], color=GREY, lw=3, ls=line) for ratio, line in zip(RATIOS, LINES, strict=True)
    }
    for keys, left in ((of_sizes, 0.03), (of_ratios, 0.21)):
        figure.legend(keys.values(), keys.keys(), loc="lower left", bbox_to_anchor=(left, 0.055), frameon=False)


def _draw_compared(figure: Figure) -> None:
    axes = panel(figure, 0.46, 0.44, 0.51, 0.36, heading=f"One of them: s = {SHOWN[0]}, h/w = {SHOWN[1]}")
    image_view(axes, -112, 112, -50, 60)
    for convention, (name, colour, line, thickness) in PROGRAMS.items():
        (x1, y1, *_), width, height = compared_anchor(convention)
        outline(axes, (x1, y1, x1 + width, y1 + height), edgecolor=colour, linestyle=line, linewidth=thickness)
        x, y = x1 + width / 2, y1 + height / 2
        axes.plot(x, y, "+", color=colour, markersize=24, markeredgewidth=thickness)
        if convention == "py-faster":
            axes.text(x + 7, y, f"{name}:\ncentre ({x:g}, {y:g})", va="center", color=colour, fontsize=18)
        elif convention == "torchvision":  # whose centre is that of Detectron2
            axes.text(x - 7, y, f"both others:\ncentre ({x:g}, {y:g})", ha="right", va="center", fontsize=18)


def _write_table(figure: Figure) -> None:
    axes = panel(figure, 0.49, 0.085, 0.48, 0.31)
    rows = [["program", "x1", "y1", "x2", "y2", "w × h"]]
    for i, (convention, (name, colour, line, thickness)) in enumerate(PROGRAMS.items(), start=1):
        anchor, width, height = compared_anchor(convention)
        rows.append([name, *(_number(v) for v in anchor), f"{_number(width)} × {_number(height)}"])
        y = 1 - (i + 0.5) / (len(PROGRAMS) + 1)
        axes.plot([-0.065, -0.02], [y, y], color=colour, linestyle=line, linewidth=thickness, clip_on=False)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    table(axes, rows, (0, 0.355, 0.485, 0.61, 0.73, 1.0), align="lrrrrr", size=17)


def _number(v: float) -> str:
    """Return up to two decimals, with a minus sign."""
    return f"{round(float(v), 2):g}".replace("-", "−")
