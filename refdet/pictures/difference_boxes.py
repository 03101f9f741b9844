"""Where boxes differ from the right ones: which of them are kept, or where their corners are.

What is right is a solid line in blue, what is wrong a dashed one in vermillion, with a word beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from refdet.core.check import Array
from refdet.pictures.difference_maps import MOST_CELLS, heat_map
from refdet.pictures.measured_difference import Difference, short
from refdet.pictures.slide import BLUE, GREY, VERMILLION, image_view, outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 24  # boxes; beyond, only the wrong ones are named
MOST_WRONG = 8  # of them that are named where there are so many boxes
MOST_BOXES = 12  # boxes whose corners are compared in one picture
CORNERS = ("x1", "y1", "x2", "y2")


def draw_kept(figure: Figure, difference: Difference, inputs: Mapping[str, Array]) -> None:
    """Draw which boxes should be kept, and which are."""
    boxes, scores = inputs["boxes"].astype(np.float64), inputs.get("scores")
    expected, got = (_chosen(x, len(boxes)) for x in (difference.expected, difference.got))
    panels = figure.subplots(1, 2)
    for axes, word, kept, wrong, remark in (
        (panels[0], "expected", expected, set(expected) - set(got), "missing"),
        (panels[1], "got", got, set(got) - set(expected), "should go"),
    ):
        _draw_choice(axes, boxes, scores, kept, wrong, remark)
        axes.set_title(f"{word}: keeps {_short_list(kept)}", loc="left")
        if len(boxes) > MOST_NAMED and len(wrong) > MOST_WRONG:
            axes.set_xlabel(f"dashed: {len(wrong)} of them {'are missing' if remark == 'missing' else remark}")
    strangers = [i for i in got if not 0 <= i < len(boxes)]
    if strangers:
        panels[1].set_xlabel(f"there is no box {_short_list(strangers)}", color=VERMILLION)
    elif sorted(expected) == sorted(got):
        panels[1].set_xlabel("the same boxes in another order", color=VERMILLION)


def _chosen(x: Array, n_boxes: int) -> list[int]:
    """Return the indices of what is kept, of a list of indices or of a mask."""
    flat = x.ravel()
    if flat.dtype.kind == "b":
        return [int(i) for i in np.flatnonzero(flat)]
    return [int(i) for i in flat[: 4 * n_boxes + 4] if np.isfinite(i)]


def _draw_choice(
    axes: Axes, boxes: Array, scores: Array | None, kept: Sequence[int], wrong: Collection[int], remark: str
) -> None:
    for i, box in enumerate(boxes):
        if not np.isfinite(box).all():
            continue
        is_wrong, is_kept = i in wrong, i in kept
        colour = VERMILLION if is_wrong else BLUE if is_kept else GREY
        style = "--" if is_wrong else "-" if is_kept else ":"
        width = 2.4 if is_wrong or (is_kept and len(boxes) <= MOST_NAMED) else 1.2
        outline(axes, box, edgecolor=colour, linestyle=style, linewidth=width, zorder=2.5 if is_wrong else 1)
        if len(boxes) <= MOST_NAMED or (is_wrong and len(wrong) <= MOST_WRONG):
            score = f"  {short(float(scores[i]))}" if scores is not None and i < len(scores) else ""
            words = f"{i}{score}{f'  {remark}' if is_wrong else ''}"
            _name(axes, box, words, colour, i)
    _look_at(axes, boxes)


def _name(axes: Axes, box: Array, words: str, colour: str, i: int) -> None:
    """Write beside a box's corner; neighbours of one corner do not cover each other."""
    offset = (3, -3 - 11 * (i % 4))
    axes.annotate(
        words, (min(box[0], box[2]), min(box[1], box[3])), offset, textcoords="offset points",
        va="top", fontsize=9, color=colour, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.8},
    )  # fmt: skip


def draw_corners(figure: Figure, difference: Difference) -> None:
    """Draw the boxes that are furthest off on top of the right ones, and what each of their corners is off."""
    distance = difference.measured().max(axis=1)
    worst = np.argsort(-distance, kind="stable")[:MOST_BOXES]
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    for i in worst.tolist():
        expected, got = difference.expected[i].astype(float), difference.got[i].astype(float)
        if np.isfinite(expected).all():
            outline(left, expected, edgecolor=BLUE, linewidth=2)
        if np.isfinite(got).all() and distance[i] > difference.limit:
            outline(left, got, edgecolor=VERMILLION, linestyle="--", linewidth=2)
        if np.isfinite(expected).all():
            _name(left, expected, str(i), BLUE, i)
    _look_at(left, np.concatenate([difference.expected[worst], difference.got[worst]]).astype(float))
    left.set_title("expected, and got dashed", loc="left")
    first = max(0, min(int(worst[0]) - MOST_CELLS // 2, len(distance) - MOST_CELLS))
    part = (slice(first, min(len(distance), first + MOST_CELLS)), slice(0, 4))
    heat_map(figure, right, difference, part)
    right.set_xticks(range(4), CORNERS)
    right.set_ylabel("box")


def _look_at(axes: Axes, boxes: Array) -> None:
    """Look at all boxes, with a margin."""
    finite = boxes[np.isfinite(boxes).all(axis=1)].reshape(-1, 4)
    if not len(finite):
        return
    low, high = finite.reshape(-1, 2).min(axis=0), finite.reshape(-1, 2).max(axis=0)
    margin = 0.06 * max(float((high - low).max()), 1e-6)
    image_view(axes, low[0] - margin, high[0] + margin, low[1] - margin, high[1] + margin)
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.xaxis.set_major_formatter(lambda value, _: short(value))


def _short_list(numbers: Sequence[int]) -> str:
    words = ", ".join(map(str, numbers[:8])) or "none"
    return f"{words} … ({len(numbers)})" if len(numbers) > 8 else words
