"""The default boxes of SSD: boxes of several sizes and ratios at every position of several feature maps.

    s_k = s_min + (s_max − s_min)(k − 1)/(m − 1),  k = 1 … m        w = s_k √a,  h = s_k / √a,  a ∈ {1, 2, 1/2, 3, 1/3}
    s'_k = √(s_k s_{k+1}), one more square                          centre ((j + ½)·step, (i + ½)·step) of cell (i, j)

Liu et al., "SSD: Single shot multibox detector" (2016), §2.2. The released networks do not follow the first equation to
the letter: `ssd300` and `ssd512` give the sizes that they have, in pixels, with s_k as `min_sizes` and s_{k+1} as
`max_sizes`, and steps that are not always image_size / map_size.

Conventions:

- Maps in order; positions in row-major order; per position, by `order`:
  "caffe": the square of min, the square of √(min · max), then for each ratio a the boxes of a and 1/a;
  "paddle": the square of √(min · max) last. (Paddle's `min_max_aspect_ratios_order` is True for the former.)
  torchvision orders like Caffe.
- Ratios are w/h, unlike those of anchors. Each stands for itself and its reciprocal; 1, which is there already, is
  refused. (Caffe leaves out silently what is there already, also the 1/2 that follows a 2. Here that makes more boxes.)
- Coordinates are divided by the size of the image, so that most of them lie in [0, 1]. What does not is, by `clip`:
  "none": left as it is (Caffe, as released); "corners": clamped; "size": width and height clamped to 1, the centre and
  hence the corners not (torchvision). (A third way, to clamp centre and size to [0, 1], is that of ssd.pytorch.)
- Computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from refdet.core.check import Array, Numbers, check_choice, check_number, integer, integers, positive_numbers, sequence
from refdet.core.kernel import kernel

Ratios = tuple[tuple[float, ...], ...]

ORDERS = ("caffe", "paddle")
CLIPS = ("none", "corners", "size")


class DefaultBoxMaps(TypedDict):
    """The maps of one network, as arguments of `default_boxes`."""

    image_size: int
    map_sizes: tuple[int, ...]
    min_sizes: tuple[float, ...]
    max_sizes: tuple[float, ...]
    steps: tuple[float, ...]
    ratios: Ratios


def ssd300() -> DefaultBoxMaps:
    """Return the maps of the released SSD300 (PASCAL VOC), which has 8732 default boxes.

    The sizes grow by 17 % of the image, except for the first:

    >>> ssd300()["min_sizes"]
    (30.0, 60.0, 111.0, 162.0, 213.0, 264.0)
    """
    return {
        "image_size": 300,
        "map_sizes": (38, 19, 10, 5, 3, 1),
        "min_sizes": (30.0, 60.0, 111.0, 162.0, 213.0, 264.0),
        "max_sizes": (60.0, 111.0, 162.0, 213.0, 264.0, 315.0),
        "steps": (8.0, 16.0, 32.0, 64.0, 100.0, 300.0),
        "ratios": ((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,)),
    }


def ssd512() -> DefaultBoxMaps:
    """Return the maps of the released SSD512 (PASCAL VOC), which has 24564 default boxes.

    The sizes are 7 % of the image, 15 %, and 15 % more each:

    >>> ssd512()["min_sizes"]
    (35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8)
    """
    return {
        "image_size": 512,
        "map_sizes": (64, 32, 16, 8, 4, 2, 1),
        "min_sizes": (35.84, 76.8, 153.6, 230.4, 307.2, 384.0, 460.8),
        "max_sizes": (76.8, 153.6, 230.4, 307.2, 384.0, 460.8, 537.6),
        "steps": (8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0),
        "ratios": ((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,)),
    }


def default_box_scales(n_maps: int, s_min: float = 0.2, s_max: float = 0.9) -> tuple[float, ...]:
    """Return s_1 … s_m of the paper, as fractions of the image; a single map has s_min.

    >>> default_box_scales(3, 0.25, 0.75)
    (0.25, 0.5, 0.75)
    """
    m = integer("default_box_scales", "n_maps", n_maps, low=1)
    low = check_number("default_box_scales", "s_min", s_min, low=0, open_low=True)
    high = check_number("default_box_scales", "s_max", s_max, low=0, open_low=True)
    return tuple(low + (high - low) * k / max(1, m - 1) for k in range(m))


def _check(
    *,
    image_size: int,
    map_sizes: tuple[int, ...],
    min_sizes: tuple[float, ...],
    max_sizes: tuple[float, ...],
    steps: tuple[float, ...],
    ratios: Ratios,
    order: str,
    clip: str,
) -> None:
    op = "default_boxes"
    integer(op, "image_size", image_size, low=1, int64=True)
    per_map = {"map_sizes": map_sizes, "min_sizes": min_sizes, "max_sizes": max_sizes, "steps": steps, "ratios": ratios}
    if len({len(values) for values in per_map.values()}) != 1:
        lengths = ", ".join(f"{name} {len(values)}" for name, values in per_map.items())
        raise ValueError(f"{op}: every argument must have one entry per map, got {lengths}")
    integers(op, "map_sizes", map_sizes, count=len(map_sizes), low=0)
    for name, values in {"min_sizes": min_sizes, "max_sizes": max_sizes, "steps": steps}.items():
        positive_numbers(op, name, values)
    if any(1 in positive_numbers(op, "ratios", of_map) for of_map in ratios):
        raise ValueError(f"{op}: ratios must not contain 1, whose two boxes are always there, got {ratios!r}")
    check_choice(op, "order", order, ORDERS)
    check_choice(op, "clip", clip, CLIPS)


@kernel("default_boxes", check=_check)
def default_boxes_kernel(
    *,
    image_size: int,
    map_sizes: tuple[int, ...],
    min_sizes: tuple[float, ...],
    max_sizes: tuple[float, ...],
    steps: tuple[float, ...],
    ratios: Ratios,
    order: str,
    clip: str,
) -> Array:
    """Return the boxes of all maps, (P, 4) in float64."""
    boxes = [np.zeros((0, 4))]
    for n, smallest, largest, step, of_map in zip(map_sizes, min_sizes, max_sizes, steps, ratios, strict=True):
        sizes = np.array(_sizes(smallest, largest, of_map, order)) / image_size  # (A, 2): w, h
        if clip == "size":
            sizes = np.minimum(sizes, 1)
        middles = (np.arange(n) + 0.5) * step / image_size
        y, x = np.meshgrid(middles, middles, indexing="ij")
        centres = np.stack([x, y], axis=-1)[:, :, None]  # (n, n, 1, 2)
        corners = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=-1)  # (n, n, A, 4)
        boxes.append(np.reshape(corners, (-1, 4)))
    together = np.concatenate(boxes)
    return np.clip(together, 0, 1) if clip == "corners" else together


def _sizes(smallest: float, largest: float, ratios: tuple[float, ...], order: str) -> list[tuple[float, float]]:
    """Return (w, h) in pixels of the boxes of one position, in order."""
    between = math.sqrt(smallest * largest)
    roots = [root for a in ratios for root in (math.sqrt(a), 1 / math.sqrt(a))]
    elongated = [(smallest * root, smallest / root) for root in roots]
    if order == "caffe":
        return [(smallest, smallest), (between, between), *elongated]
    return [(smallest, smallest), *elongated, (between, between)]


def default_boxes(
    *,
    image_size: int,
    map_sizes: Sequence[int] | Array,
    min_sizes: Numbers,
    max_sizes: Numbers,
    steps: Numbers,
    ratios: Sequence[Numbers],
    order: str = "caffe",
    clip: str = "none",
) -> Array:
    """Make the default boxes of SSD; `ssd300()` and `ssd512()` are arguments of released networks.

    Args:
        image_size: side of the square image, in pixels.
        map_sizes: side of each square feature map, in positions.
        min_sizes: s_k of each map, in pixels.
        max_sizes: s_{k+1} of each map, in pixels.
        steps: distance between the positions of each map, in pixels.
        ratios: w/h of the elongated boxes of each map; each number stands for itself and its reciprocal.
        order: "caffe" or "paddle": of the boxes of one position (see the module).
        clip: "none", "corners" or "size": what happens to boxes that leave the image (see the module).

    Returns:
        (P, 4), rows (x1, y1, x2, y2) in units of the image, float64.

    One position in the middle, squares of 2 and √(2 · 8) = 4 in 8 pixels, and no other ratios:

    >>> default_boxes(image_size=8, map_sizes=[1], min_sizes=[2], max_sizes=[8], steps=[8], ratios=[()])
    array([[0.375, 0.375, 0.625, 0.625],
           [0.25 , 0.25 , 0.75 , 0.75 ]])
    """
    op = "default_boxes"
    size = integer(op, "image_size", image_size, low=1, int64=True)
    positions = sequence(op, "map_sizes", map_sizes)
    return default_boxes_kernel(
        image_size=size,
        map_sizes=integers(op, "map_sizes", positions, count=len(positions), low=0),
        min_sizes=positive_numbers(op, "min_sizes", min_sizes),
        max_sizes=positive_numbers(op, "max_sizes", max_sizes),
        steps=positive_numbers(op, "steps", steps),
        ratios=tuple(positive_numbers(op, "ratios", of_map) for of_map in sequence(op, "ratios", ratios)),
        order=order,
        clip=clip,
    )
