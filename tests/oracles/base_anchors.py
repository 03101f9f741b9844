"""The anchors of one position, for every ratio r = h/w and every size s.

py-faster: within the square 0 ... b - 1, b = base_size, whose corners are inclusive and whose centre is c = (b - 1)/2,
           w = round(sqrt(b^2 / r)), h = round(w r); then the sizes, which here are factors, multiply w and h; the
           anchor is c - (w s - 1)/2 ... c + (w s - 1)/2. Ratio by ratio, all sizes of each.
torchvision: round(-w/2) ... round(w/2) with w = s / sqrt(r), h = s sqrt(r). Ratio by ratio, all sizes of each.
detectron2: -w/2 ... w/2 with the same w and h, unrounded. Size by size, all ratios of each.

round takes halves to the even neighbour. base_size is read by py-faster alone. Its code counts pixels from 0, so the
first anchor of scales 8, 16, 32 is (-84, -40, 99, 55); the table in its comments, (-83, -39, 100, 56), counts from 1.

Source: Ren et al., "Faster R-CNN", section 3.1.1; py-faster-rcnn's generate_anchors.py.
"""

import math

import numpy as np

from tests.oracles._sums import Float64Array


def forward(
    *, sizes: tuple[float, ...], ratios: tuple[float, ...], base_size: int | None, convention: str
) -> Float64Array:
    """Return the anchors, shape (A, 4)."""
    if convention == "detectron2":
        pairs = [(size, ratio) for size in sizes for ratio in ratios]
    else:
        pairs = [(size, ratio) for ratio in ratios for size in sizes]

    anchors = np.zeros((len(pairs), 4))
    for a, (size, ratio) in enumerate(pairs):
        if convention == "py-faster":
            assert base_size is not None
            width = round(math.sqrt(base_size * base_size / ratio))
            height = round(width * ratio)
            centre = (base_size - 1) / 2
            half_x, half_y = (width * size - 1) / 2, (height * size - 1) / 2
            anchors[a] = centre - half_x, centre - half_y, centre + half_x, centre + half_y
        else:
            half_x, half_y = size / math.sqrt(ratio) / 2, size * math.sqrt(ratio) / 2
            if convention == "torchvision":
                half_x, half_y = round(half_x), round(half_y)
            anchors[a] = -half_x, -half_y, half_x, half_y
    return anchors
