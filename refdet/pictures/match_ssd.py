"""Two rules that are both called SSD's, on one matrix of overlaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refdet.boxes.match_ssd import match_ssd
from refdet.core.check import Array
from refdet.pictures.slide import BLACK, BLUE, BODY, GREY, outline, panel, write_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IOU = np.array([[0.8, 0.6], [0.1, 0.3], [0.4, 0.2]])
RULES = {"caffe": "SSD’s own code", "torchvision": "torchvision, ssd.pytorch"}


def example_matches(convention: str) -> Array:
    """Return the object that each default box is matched with, −1 for none."""
    return match_ssd(IOU, convention=convention)


def draw_match_ssd(figure: Figure) -> None:
    """Draw the matrix of overlaps once for each rule, with its matches filled."""
    write_title(
        figure,
        "Of SSD’s two matching rules, one can leave an object out",
        "Liu et al., SSD (2016), §2.2 “Matching strategy”; threshold 0.5 · filled: the box is matched with the object",
    )
    for left, convention in zip((0.03, 0.54), RULES, strict=True):
        _draw_matrix(figure, left, convention)


def _draw_matrix(figure: Figure, left: float, convention: str) -> None:
    matches = example_matches(convention)
    axes = panel(figure, left, 0.26, 0.42, 0.56, heading=RULES[convention])
    n_boxes, n_objects = IOU.shape
    axes.set_xlim(-1.6, n_objects)
    axes.set_ylim(n_boxes, -0.6)
    axes.text(-0.1, -0.15, "IoU", ha="right", va="bottom")
    for j in range(n_objects):
        axes.text(j + 0.5, -0.15, f"object {j + 1}", ha="center", va="bottom", fontsize=BODY)
    for i in range(n_boxes):
        axes.text(-0.1, i + 0.5, f"default box {i + 1}", ha="right", va="center", fontsize=BODY)
        for j in range(n_objects):
            matched = matches[i] == j
            cell = (j, i, j + 1, i + 1)
            outline(axes, cell, fill=True, facecolor=BLUE if matched else "white", edgecolor=GREY, linewidth=2)
            weight, colour = ("bold", "white") if matched else ("normal", BLACK)
            axes.text(
                j + 0.5,
                i + 0.5,
                f"{IOU[i, j]:.1f}",
                ha="center",
                va="center",
                fontsize=28,
                color=colour,
                fontweight=weight,
            )
    without = [f"object {j + 1}" for j in range(n_objects) if j not in matches]
    verdict = f"{' and '.join(without)} has no default box" if without else "every object has a default box"
    figure.text(left, 0.20, verdict, fontsize=24, fontweight="bold", va="top")
    explanation = {
        "caffe": "best pair first, each object once;\nthen each box with IoU ≥ 0.5",
        "torchvision": "each box with IoU ≥ 0.5; then each object\ntakes its best box, from whoever has it",
    }
    figure.text(left, 0.145, explanation[convention], fontsize=18, va="top", color=GREY)
