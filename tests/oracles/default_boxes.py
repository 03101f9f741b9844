"""SSD's default boxes of all maps, as normalised corners.

For map number m with f = map_sizes[m], and every cell (i, j) in row-major order, boxes centred at

    ((j + 1/2) step / image, (i + 1/2) step / image)

with the widths and heights, divided by the image's size,

    (min, min),  (s, s) with s = sqrt(min max),  then for every ratio a (min sqrt(a), min / sqrt(a)) and the same of 1/a

Order "caffe" is the one above; "paddle" puts s last. A ratio of 1 is not special: it gives its two equal boxes.

clip="corners" moves the four corners into 0 ... 1; "size" moves the width and the height into 0 ... 1 before the
corners are taken; "none" lets boxes leave the image.

Source: Liu et al., "SSD: Single Shot MultiBox Detector", section 2.2; the sizes' order: Caffe's prior_box_layer.cpp.
"""

import math

import numpy as np

from tests.oracles._sums import Float64Array


def forward(
    *,
    image_size: int,
    map_sizes: tuple[int, ...],
    min_sizes: tuple[float, ...],
    max_sizes: tuple[float, ...],
    steps: tuple[float, ...],
    ratios: tuple[tuple[float, ...], ...],
    order: str,
    clip: str,
) -> Float64Array:
    """Return the boxes, shape (P, 4)."""
    boxes = []
    for f, smallest, largest, step, map_ratios in zip(map_sizes, min_sizes, max_sizes, steps, ratios, strict=True):
        sizes = _sizes(smallest, largest, map_ratios, order)
        for i, j in np.ndindex(f, f):
            centre_x, centre_y = (j + 0.5) * step / image_size, (i + 0.5) * step / image_size
            for pixels_wide, pixels_high in sizes:
                width, height = pixels_wide / image_size, pixels_high / image_size
                if clip == "size":
                    width, height = min(max(width, 0.0), 1.0), min(max(height, 0.0), 1.0)
                box = (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)
                boxes.append([min(max(corner, 0.0), 1.0) for corner in box] if clip == "corners" else list(box))
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _sizes(smallest: float, largest: float, ratios: tuple[float, ...], order: str) -> list[tuple[float, float]]:
    """Return the (width, height) of the boxes of one cell, in pixels."""
    between = math.sqrt(smallest * largest)
    oblong = [(smallest * math.sqrt(a), smallest / math.sqrt(a)) for ratio in ratios for a in (ratio, 1 / ratio)]
    squares = [(smallest, smallest), (between, between)]
    return squares + oblong if order == "caffe" else [squares[0], *oblong, squares[1]]
