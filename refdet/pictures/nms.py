"""Greedy non-maximum suppression: four boxes before, the overlaps that decide, and the two boxes after."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from refdet.boxes.iou import box_iou
from refdet.boxes.nms import nms
from refdet.core.check import Array
from refdet.pictures.slide import (
    BLACK,
    BLUE,
    BODY,
    GREEN,
    GREY,
    HEADING,
    PALE,
    PURPLE,
    VERMILLION,
    image_view,
    outline,
    panel,
    write_title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = "ABCD"
COLOURS = (VERMILLION, PURPLE, BLUE, GREEN)
SCORES = (0.9, 0.8, 0.75, 0.7)
THRESHOLD = 0.7
SIDE = 100  # of every box
DECK = {"AB": 0.8, "AC": 0.03, "AD": 0.05, "CD": 0.85}  # deck 001's overlaps; its boxes exist only as a drawing


class Comparison(NamedTuple):
    """What one kept box does to another."""

    kept: int
    other: int
    iou: float
    suppresses: bool


def example_boxes() -> Array:
    """Return four square boxes, (4, 4), two around each of two objects, with the overlaps of deck 001.

    Two squares of side 1 with IoU o share an area of 2 o / (1 + o). So B lies 1 − √(that of AB) above and left of A, D
    likewise of C; and C reaches into the lower right corner of A by w · h, D by (w + d) · (h + d).
    """
    shared = {pair: 2 * iou / (1 + iou) for pair, iou in DECK.items()}
    of_ab, d = (1 - math.sqrt(shared[pair]) for pair in ("AB", "CD"))
    half_sum = (shared["AD"] - shared["AC"] - d * d) / d / 2  # of w and h
    w = half_sum - math.sqrt(half_sum**2 - shared["AC"])
    h = shared["AC"] / w
    corners = SIDE * np.array([(0, 0), (-of_ab, -of_ab), (1 - w, 1 - h), (1 - w - d, 1 - h - d)])
    return np.concatenate([corners, corners + SIDE], axis=1)


def comparisons(boxes: Array, scores: Array, threshold: float) -> list[Comparison]:
    """Return whom each kept box is compared with, in order: the boxes below it that are still there."""
    iou = box_iou(boxes, boxes)
    remaining = np.argsort(-scores, kind="stable").tolist()
    made = []
    for kept in nms(boxes, scores, threshold).tolist():
        remaining.remove(kept)
        of_kept = [Comparison(kept, j, float(iou[kept, j]), bool(iou[kept, j] > threshold)) for j in remaining]
        remaining = [c.other for c in of_kept if not c.suppresses]
        made += of_kept
    return made


def draw_nms(figure: Figure) -> None:
    """Draw the boxes before and after, and between them the overlaps."""
    boxes, scores = example_boxes(), np.array(SCORES)
    kept = nms(boxes, scores, THRESHOLD).tolist()
    made = comparisons(boxes, scores, THRESHOLD)
    write_title(
        figure,
        "Non-maximum suppression keeps the best box of every heap",
        "Deck 001, “Overlapping Boxes: Non-Max Suppression”; Girshick et al., R-CNN (2014), §2.2",
    )
    scored = [f"{name}  {score:.2f}" for name, score in zip(NAMES, SCORES, strict=True)]
    before = panel(figure, 0.03, 0.28, 0.31, 0.52, heading=f"Before: {len(boxes)} boxes, scores")
    draw_boxes(before, boxes, scored)
    _draw_overlaps(figure, made)
    after = panel(figure, 0.68, 0.28, 0.31, 0.52, heading=f"After: {len(kept)} boxes")
    by = {c.other: f"{NAMES[c.other]}: IoU {c.iou:.2f}\nwith {NAMES[c.kept]}" for c in made if c.suppresses}
    draw_boxes(after, boxes, [by.get(i, scored[i]) for i in range(len(boxes))], kept=kept)
    steps = f"1. Select the highest score.    2. Eliminate what overlaps it by more than {THRESHOLD:g}.    3. Repeat."
    figure.text(0.5, 0.15, steps, ha="center", va="center", fontsize=HEADING)


def draw_boxes(axes: Axes, boxes: Array, captions: list[str], *, kept: list[int] | None = None) -> None:
    """Draw the four boxes over the two objects that they are about; those that are not kept, if any, dashed."""
    image_view(axes, -10, 200, -44, 142)
    _draw_objects(axes)
    a, b, c, d = boxes.tolist()
    places = (
        {"x": a[0], "y": a[3] + 4, "ha": "left", "va": "top"},
        {"x": b[0], "y": b[1] - 4, "ha": "left", "va": "bottom"},
        {"x": c[2], "y": c[3] + 4, "ha": "right", "va": "top"},
        {"x": d[2], "y": d[1] - 4, "ha": "right", "va": "bottom"},
    )
    for i in reversed(range(len(boxes))):
        stays = kept is None or i in kept
        outline(axes, boxes[i], edgecolor=COLOURS[i], linewidth=5 if stays else 2.5, linestyle="-" if stays else "--")
        axes.text(s=captions[i], color=COLOURS[i], fontweight="bold" if stays else "normal", **places[i])


def _draw_objects(axes: Axes) -> None:
    from matplotlib.patches import Circle, RegularPolygon

    axes.add_patch(Circle((48, 48), 40, facecolor=PALE, edgecolor="none"))
    axes.add_patch(RegularPolygon((140, 82), 3, radius=46, orientation=math.pi, facecolor=PALE, edgecolor="none"))


def _draw_overlaps(figure: Figure, made: list[Comparison]) -> None:
    """Draw each overlap as a bar that reaches the threshold or not."""
    axes = figure.add_axes((0.41, 0.33, 0.22, 0.47))
    for i, c in enumerate(made):
        axes.barh(i, c.iou, height=0.56, color=BLACK if c.suppresses else GREY)
        x, verb, colour = (0.03, "goes", "white") if c.suppresses else (c.iou + 0.03, "stays", BLACK)
        axes.text(x, i, f"{c.iou:.2f}: {NAMES[c.other]} {verb}", va="center", color=colour)
    axes.axvline(THRESHOLD, color=VERMILLION, linestyle="--", linewidth=3)
    axes.set_title("IoU with a selected box", loc="left")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(made) - 0.5, -0.5)
    axes.set_xticks([0, THRESHOLD, 1], ["0", f"{THRESHOLD:g}", "1"])
    axes.set_xlabel("IoU")
    axes.set_yticks(range(len(made)), [f"{NAMES[c.kept]}, {NAMES[c.other]}" for c in made])
    axes.tick_params(axis="y", length=0, labelsize=BODY)
    axes.spines[["top", "right"]].set_visible(False)
