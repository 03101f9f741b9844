"""Anchors: the reference boxes of a region proposal network, around one point and over a whole feature map.

An anchor of size s and ratio r = h/w has area s² and sides w = s/√r, h = s√r.
Ren, He, Girshick & Sun, "Faster R-CNN" (2015), §3.1.1; decks 000 and 001. 3 sizes × 3 ratios are the usual nine.

What the widely used programs make of that:

| convention | a base anchor | order |
|---|---|---|
| detectron2 | (−w/2, −h/2, w/2, h/2), not rounded | sizes, then ratios |
| torchvision | the same corners, each rounded | ratios, then sizes |
| py-faster | w₀ = round(√(base²/r)), h₀ = round(w₀ r), both times s; centred on (base − 1)/2 | ratios, then sizes |

- "py-faster" is the code of Faster R-CNN, and Detectron: sizes s are multiples of `base_size`, the stride of the
  features, and x2, y2 the last pixel inside, so that the width is x2 − x1 + 1. The table in a comment of that code,
  beginning with [-83, -39, 100, 56], is that of the MATLAB version, which counts pixels from 1. What the code computes
  is smaller by 1 throughout, and so is the result here.
- Rounding is half to even. Everything is computed in float64; torchvision computes in float32 by default, which matters
  only for a corner that lies within rounding errors of a half.

Over a feature map of H × W positions, A anchors at each, a fastest:

    anchors[(y·W + x)·A + a] = base[a] + (x', y', x', y'),    x' = (x + offset)·stride,  y' likewise

`offset` is 0 (Faster R-CNN, torchvision, Detectron2's configurations) or 0.5, the middle of the cell (the default
argument of Detectron2's generator). A map without positions has no anchors. An image of 600 × 1000 with stride 16 has
37 × 62 × 9 = 20,646; the paper says roughly 20,000.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.boxes.check import Four, check_boxes
from refdet.core.check import Array, Numbers, check_choice, check_number, integer, integers, positive_numbers
from refdet.core.kernel import kernel

Pair = tuple[int, int]

CONVENTIONS = ("py-faster", "torchvision", "detectron2")


def _check_base(*, sizes: tuple[float, ...], ratios: tuple[float, ...], base_size: int | None, convention: str) -> None:
    check_choice("base_anchors", "convention", convention, CONVENTIONS)
    positive_numbers("base_anchors", "sizes", sizes)
    positive_numbers("base_anchors", "ratios", ratios)
    if convention == "py-faster":
        integer("base_anchors", "base_size", base_size, low=1, int64=True)
    elif base_size is not None:
        raise ValueError(
            f"base_anchors: base_size must be None with convention {convention!r}, whose sizes are in pixels, "
            f"got {base_size!r}"
        )


@kernel("base_anchors", check=_check_base)
def base_anchors_kernel(
    *, sizes: tuple[float, ...], ratios: tuple[float, ...], base_size: int | None, convention: str
) -> Array:
    """Return the anchors around one point, (A, 4) in float64."""
    if convention == "detectron2":
        boxes = [_centred(s, r) for s in sizes for r in ratios]
    elif convention == "torchvision":
        boxes = [_rounded(_centred(s, r)) for r in ratios for s in sizes]
    else:
        base = integer("base_anchors", "base_size", base_size, low=1)
        boxes = [_legacy(s, r, base) for r in ratios for s in sizes]
    return np.array(boxes, np.float64).reshape(-1, 4)


def _centred(size: float, ratio: float) -> Four:
    w, h = size / math.sqrt(ratio), size * math.sqrt(ratio)
    return -w / 2, -h / 2, w / 2, h / 2


def _rounded(box: Four) -> Four:
    x1, y1, x2, y2 = (float(np.round(corner)) for corner in box)
    return x1, y1, x2, y2


def _legacy(scale: float, ratio: float, base_size: int) -> Four:
    """Return the inclusive corners; the sides are rounded before they are scaled."""
    rounded_w = float(np.round(math.sqrt(base_size**2 / ratio)))
    w, h = rounded_w * scale, float(np.round(rounded_w * ratio)) * scale
    centre = (base_size - 1) / 2
    return centre - (w - 1) / 2, centre - (h - 1) / 2, centre + (w - 1) / 2, centre + (h - 1) / 2


def _check_grid(base: Array, *, size: Pair, stride: Pair, offset: float) -> None:
    check_boxes("anchor_grid", base=base)
    integers("anchor_grid", "size", size, count=2, low=0)
    integers("anchor_grid", "stride", stride, count=2, low=1)
    check_number("anchor_grid", "offset", offset)


@kernel("anchor_grid", check=_check_grid)
def anchor_grid_kernel(base: Array, *, size: Pair, stride: Pair, offset: float) -> Array:
    """Return the anchors of a whole map, (H·W·A, 4)."""
    H, W = size
    y, x = np.meshgrid((np.arange(H) + offset) * stride[0], (np.arange(W) + offset) * stride[1], indexing="ij")
    shifts = np.stack([x, y, x, y], axis=-1).astype(np.result_type(base))  # (H, W, 4)
    return np.reshape(shifts[:, :, None] + base, (H * W * len(base), 4))


def base_anchors(
    sizes: Numbers,
    ratios: Numbers = (0.5, 1.0, 2.0),
    *,
    base_size: int | None = None,
    convention: str = "detectron2",
) -> Array:
    """Make the anchors of every size and ratio around one point.

    Args:
        sizes: square roots of the areas, in pixels; for "py-faster" multiples of `base_size`, such as (8, 16, 32).
        ratios: height over width.
        base_size: for "py-faster" alone, where None is 16.
        convention: "detectron2", the definition as it is; "torchvision"; or "py-faster" (see the module).

    Returns:
        (A, 4), rows (x1, y1, x2, y2), float64.

    >>> base_anchors([8], [1.0, 4.0])
    array([[-4., -4.,  4.,  4.],
           [-2., -8.,  2.,  8.]])
    """
    if convention == "py-faster" and base_size is None:
        base_size = 16
    if base_size is not None:
        base_size = integer("base_anchors", "base_size", base_size, low=1, int64=True)
    return base_anchors_kernel(
        sizes=positive_numbers("base_anchors", "sizes", sizes),
        ratios=positive_numbers("base_anchors", "ratios", ratios),
        base_size=base_size,
        convention=convention,
    )


def anchor_grid(base: Array, size: int | Pair, stride: int | Pair, *, offset: float = 0.0) -> Array:
    """Repeat the anchors of one point at every position of a feature map.

    Args:
        base: (A, 4), float32 or float64, as `base_anchors` makes them.
        size: (H, W) of the feature map, or one integer for both.
        stride: image pixels between positions, likewise.
        offset: of the points from the corners of their cells, in strides; 0 or 0.5.

    Returns:
        (H·W·A, 4) in the dtype of `base`, position by position in row-major order.

    >>> anchor_grid(np.array([[-1.0, -1, 1, 1]]), (1, 2), 16)
    array([[-1., -1.,  1.,  1.],
           [15., -1., 17.,  1.]])
    """
    height, width = integers("anchor_grid", "size", size, count=2, low=0)
    vertical, horizontal = integers("anchor_grid", "stride", stride, count=2, low=1)
    return anchor_grid_kernel(
        base,
        size=(height, width),
        stride=(vertical, horizontal),
        offset=check_number("anchor_grid", "offset", offset),
    )
