"""Where an answer differs from the golden one, as a picture: boxes, a map, or bars, whatever the tensor is.

    boxes that are kept or not    the boxes: what should stay, and what does
    corners of boxes              the boxes on top of the right ones, and how far each corner is off
    a map                         expected, got, and the difference in tolerances; for RoI pooling the region as well
    a vector, a number            bars

Pictures are made for a page, 960 pixels wide there, at half again as many dots; slides are another matter.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from refdet.core.check import Array
from refdet.pictures.difference_bars import draw_bars
from refdet.pictures.difference_boxes import draw_corners, draw_kept
from refdet.pictures.difference_maps import draw_maps, title_of
from refdet.pictures.measured_difference import Difference
from refdet.pictures.slide import settings
from refdet.verify.verdict import CaseResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INCHES = (9.6, 3.6)
DOTS_PER_INCH = 150
SETTINGS = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlepad": 6,
    "axes.labelsize": 10,
    "axes.linewidth": 0.8,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 10,
    "hatch.linewidth": 0.6,
}
KEPT = frozenset({"kept", "indices"})  # outputs that say which of the input `boxes` stay
BOXES = frozenset({"anchors", "boxes", "clipped", "merged_boxes", "windows"})  # outputs that are corners
NOT_CORNERS = frozenset({"default_boxes"})  # centres and sizes


def difference_picture(result: CaseResult, tensor: str) -> bytes | None:
    """Return the picture of one wrong tensor of a case, as PNG; None where there is nothing to see."""
    difference = _difference(result, tensor)
    if difference is None:
        return None
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with settings(), rc_context(SETTINGS), np.errstate(all="ignore"):  # type: ignore[arg-type]
        figure = Figure(figsize=INCHES, dpi=DOTS_PER_INCH, facecolor="white", layout="constrained")
        title = _draw(figure, difference, result)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        picture = BytesIO()
        figure.savefig(picture, format="png")
    return picture.getvalue()


def _difference(result: CaseResult, tensor: str) -> Difference | None:
    """Return what is to be drawn, both sides with as many axes where that can be."""
    if tensor not in result.got or tensor not in result.expected:
        return None
    expected, got = result.expected[tensor], np.asarray(result.got[tensor])
    if got.dtype.kind not in "biuf" or not expected.size + got.size:
        return None
    allowed = result.allowed.get(tensor)
    return Difference(
        tensor, expected, got, allowed if allowed is not None and allowed.shape == expected.shape else None
    )


def _draw(figure: Figure, difference: Difference, result: CaseResult) -> str:
    """Fill the figure; return its title."""
    if difference.tensor in KEPT and _are_boxes(result.inputs.get("boxes")):
        draw_kept(figure, difference, result.inputs)
        return difference.tensor
    is_boxes = difference.tensor in BOXES and result.algorithm not in NOT_CORNERS
    if is_boxes and difference.has_form and _are_boxes(difference.expected):
        draw_corners(figure, difference)
        return difference.tensor
    if _is_map(difference.expected) and _is_map(difference.got) and difference.expected.ndim == difference.got.ndim:
        draw_maps(figure, difference, algorithm=result.algorithm, inputs=result.inputs, params=result.params)
        return title_of(difference) + _shapes(difference)
    draw_bars(figure, difference)
    order = ", in row-major order" if difference.expected.ndim > 1 else ""
    return difference.tensor + order + _shapes(difference)


def _are_boxes(x: Array | None) -> bool:
    return x is not None and x.ndim == 2 and x.shape[1] == 4 and len(x) > 0


def _is_map(x: Array) -> bool:
    """Whether there is more than one row and column to show."""
    return x.ndim >= 2 and x.size > 0 and min(x.shape[-2:]) > 1


def _shapes(difference: Difference) -> str:
    if difference.has_form:
        return ""
    return f": shape {difference.got.shape}, expected {difference.expected.shape}"
