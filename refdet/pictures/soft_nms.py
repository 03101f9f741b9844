"""Soft non-maximum suppression: what each rule leaves of the scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from refdet.boxes.soft_nms import soft_nms
from refdet.pictures.nms import DECK, NAMES, SCORES, draw_boxes, example_boxes
from refdet.pictures.slide import BLACK, BLUE, GREY, ORANGE, SKY, panel, write_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BARS = {"before": GREY, "linear": BLUE, "gaussian": SKY, "hard": ORANGE}
WORDS = {
    "before": "before",
    "linear": "linear: × (1 − IoU)",
    "gaussian": "Gaussian: × exp(−IoU²/0.5)",
    "hard": "hard, as NMS: × 0",
}


def scores_after(method: str) -> dict[int, float]:
    """Return the score that each remaining box has in the end, by its number."""
    indices, scores = soft_nms(example_boxes(), np.array(SCORES), method=method)
    return dict(zip(indices.tolist(), scores.tolist(), strict=True))


def draw_soft_nms(figure: Figure) -> None:
    """Draw the boxes, and their scores before and after."""
    write_title(
        figure,
        "Soft-NMS lowers scores where NMS eliminates boxes",
        "Bodla et al., Soft-NMS (2017), §3; linear and hard where IoU > 0.3; the boxes have the overlaps of deck 001",
    )
    heading = f"IoU of A and B {DECK['AB']:.2f}, of C and D {DECK['CD']:.2f}"
    boxes = panel(figure, 0.03, 0.14, 0.40, 0.66, heading=heading)
    draw_boxes(boxes, example_boxes(), list(NAMES))
    axes = figure.add_axes((0.50, 0.17, 0.46, 0.58))
    scores = {"before": dict(enumerate(SCORES)), **{method: scores_after(method) for method in list(BARS)[1:]}}
    for i in range(len(NAMES)):
        for j, (method, colour) in enumerate(BARS.items()):
            y, score = i + (j - 1.5) * 0.2, scores[method].get(i)
            axes.barh(y, score or 0, height=0.18, color=colour, label=WORDS[method] if i == 0 else None)
            axes.text(
                (score or 0) + 0.01, y, "eliminated" if score is None else f"{score:.3f}", va="center", fontsize=16
            )
    axes.set_xlim(0, 1)
    axes.set_ylim(len(NAMES) - 0.5, -0.5)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel("score", color=BLACK)
    axes.set_yticks(range(len(NAMES)), NAMES)
    axes.tick_params(axis="y", length=0, labelsize=22)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False, columnspacing=1.2)
