"""SPP-net's projection of windows from the image onto the feature map, and the choice of the image's scale for each.

A window of the image, its first and last pixel being x₀ and x₁, becomes the window left … right of the feature map:

| convention | left | right | pixels and responses are counted from |
|---|---|---|---|
| `"paper"` | ⌊x₀/S⌋ + 1 | ⌈x₁/S⌉ − 1 | 0 |
| `"released"` | ⌊(x₀ − o₀ + o)/S + ½⌋ + 1 | ⌈(x₁ − o₀ − o)/S − ½⌉ + 1 | 1 |

Where left > right both become their mean, rounded towards zero. Then they are clamped to the map. He, Zhang, Ren & Sun,
"Spatial pyramid pooling in deep convolutional networks" (2014), appendix A, for the first rule, which supposes padding
⌊F/2⌋ in every layer; their released code for the second. Its constants for ZF-5 are S = 16, o₀ = 21 and o = 6.5: o₀ is
β of deck 000 (see `receptive_field`), the centre of the first response's receptive field.

refdet's boxes are continuous and half-open, so that the window of box (x1, y1, x2, y2) has the first pixel x1 and the
last x2 − 1, counted from 0. What comes out is a half-open interval of responses, counted from 0, ready for slicing:
map[:, y1:y2, x1:x2], never empty.

The paper resizes an image to several scales s, the length of the shorter side, and takes for each window the one at
which it is closest to 224 × 224. Conventions: `"paper"` minimises |area·(s/m)² − 224²| with m the shorter side of the
image; `"released"` minimises |s − round(13·16·m/√area)|, so that it aims at 208 × 208, rounding half up. Of equally
good scales the first is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.core.check import (
    Array,
    check_choice,
    check_floating,
    check_number,
    check_shape,
    integer,
    integers,
    shape_of,
)
from refdet.core.kernel import kernel

CONVENTIONS = ("paper", "released")
RELEASED_SIDE = 13 * 16  # thirteen responses of stride 16
PAPER_SIDE = 224


def _check(
    boxes: Array, *, stride: int, size: tuple[int, int], convention: str, first_centre: float, margin: float
) -> None:
    _check_boxes("project_windows", boxes)
    check_choice("project_windows", "convention", convention, CONVENTIONS)
    integer("project_windows", "stride", stride, low=1)
    integers("project_windows", "size", size, count=2, low=1)
    check_number("project_windows", "first_centre", first_centre)
    check_number("project_windows", "margin", margin)


def _check_boxes(op: str, boxes: Array) -> None:
    check_floating(op, boxes=boxes)
    check_shape(op, "boxes", boxes, (*shape_of(boxes)[:1], 4), "one box a row")


@kernel("project_windows", check=_check)
def project_windows_kernel(
    boxes: Array, *, stride: int, size: tuple[int, int], convention: str, first_centre: float, margin: float
) -> Array:
    """Return (R, 4) int64: the half-open interval of responses of every box."""
    S, (H, W) = stride, size
    first, last = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64) - 1
    if convention == "paper":
        left, right = np.floor(first / S) + 1, np.ceil(last / S) - 1
    else:
        first, last = first + 1, last + 1
        left = np.floor((first - first_centre + margin) / S + 0.5) + 1
        right = np.ceil((last - first_centre - margin) / S - 0.5) + 1
        left, right = left - 1, right - 1
    between = np.trunc(left / 2 + right / 2)  # halves are exact, and cannot overflow
    left, right = np.where(left > right, (between, between), (left, right))
    most = np.array([W - 1, H - 1])
    return np.concatenate([np.clip(left, 0, most), np.clip(right, 0, most) + 1], axis=1).astype(np.int64)


def project_windows(
    boxes: Array,
    *,
    stride: int,
    size: tuple[int, int],
    convention: str = "paper",
    first_centre: float = 21.0,
    margin: float = 6.5,
) -> Array:
    """Project boxes onto the feature map as SPP-net does.

    Args:
        boxes: (R, 4), continuous, in pixels of the image that the map was computed from.
        stride: S, pixels of the image between neighbouring responses.
        size: of the feature map, (height, width).
        convention: "paper" or "released" (see the module).
        first_centre: o₀, the centre of the first response's receptive field counted from 1; for "released" alone.
        margin: o, by which the window is narrowed at each side; for "released" alone. The defaults are ZF-5's.

    Returns:
        (R, 4) int64, (x1, y1, x2, y2) in responses: half-open, inside the map, at least one response wide and high.

    Pixels 32 to 95 of a map with stride 16: the responses centred at 48, 64 and 80 lie strictly inside.

    >>> project_windows(np.array([[32.0, 32.0, 97.0, 97.0]]), stride=16, size=(14, 14))
    array([[3, 3, 6, 6]])
    """
    _check_boxes("project_windows", boxes)
    if not np.isfinite(boxes).all():
        row = int(np.argwhere(~np.isfinite(boxes))[0, 0])
        raise ValueError(f"project_windows: box {row} is not finite: {np.asarray(boxes[row]).tolist()}")
    return project_windows_kernel(
        boxes, stride=stride, size=size, convention=convention, first_centre=first_centre, margin=margin
    )


def choose_scales(
    boxes: Array, *, image_size: tuple[int, int], scales: Sequence[int], convention: str = "paper"
) -> Array:
    """Return for every box the index of the scale at which it is closest to the size that the network was trained on.

    Args:
        boxes: (R, 4), continuous, in pixels of the original image, of positive area.
        image_size: of the original image, (height, width).
        scales: lengths of the shorter side, such as SPP-net's (480, 576, 688, 864, 1200).
        convention: "paper" or "released" (see the module).

    A box of 112 × 112 in an image whose shorter side is 240 becomes 224 × 224 at twice the size:

    >>> choose_scales(np.array([[0.0, 0.0, 112.0, 112.0]]), image_size=(240, 320), scales=(480, 576, 688, 864, 1200))
    array([0])
    """
    _check_boxes("choose_scales", boxes)
    check_choice("choose_scales", "convention", convention, CONVENTIONS)
    m = min(integers("choose_scales", "image_size", image_size, count=2, low=1))
    if not np.size(scales):
        raise ValueError("choose_scales: scales must hold at least one length")
    s = np.array(integers("choose_scales", "scales", scales, count=np.size(scales), low=1), np.float64)
    width, height = (boxes[:, 2:].astype(np.float64) - boxes[:, :2]).T
    area = width * height
    usable = np.isfinite(area) & (width > 0) & (height > 0)
    if not usable.all():
        row = int(np.argmin(usable))
        raise ValueError(f"choose_scales: box {row} must have a positive area, got {np.asarray(boxes[row]).tolist()}")
    if convention == "paper":
        distance = np.abs(area[:, None] * (s / m) ** 2 - PAPER_SIDE**2)
    else:
        distance = np.abs(s - np.floor(RELEASED_SIDE * m / np.sqrt(area) + 0.5)[:, None])
    nearest: Array = np.argmin(distance, axis=1)
    return nearest
