"""A picture with the statistics of a photograph, drawn from a seed: the dead leaves model.

Discs of random colour lie on top of each other like fallen leaves, and their radii r have a density of 1/r³. Lee,
Mumford & Huang, "Occlusion models for natural images", IJCV 41, 2001: such pictures share with photographs what does
not change when one looks from closer by, such as the spectrum of 1/frequency and the sharp borders of objects.

Each leaf is shaded, the picture is blurred a little, as by a lens, and has the noise of a sensor. Number, size and
shades of the leaves are chosen so that region proposals have about as much to do as on photographs: a picture of
500 × 375 pixels has about 400 regions at k = 50 and 270 at k = 100, 700 groups of edges and 2500 distinct boxes of
Selective Search, where the medians of fourteen pictures of PASCAL VOC are 540, 230, 900 and 2200. EdgeBoxes finds 5500
boxes, and 4000 in those: an outline that closes is what it looks for.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array
from refdet.core.geometry import Pair

N_LEAVES = 700
RADII = (10.0, 200.0)  # pixels
SHADE = 40.0  # of 255: how much the lightness changes from one side of a leaf to the other
NOISE = 3.0  # of 255
BLUR = (0.25, 0.5, 0.25)


def draw_leaves(rng: np.random.Generator, size: Pair) -> Array:
    """Return a picture (H, W, 3) uint8; later leaves lie on top."""
    H, W = size
    picture = np.full((H, W, 3), 128.0)
    low, high = RADII
    radii = (low**-2 + rng.random(N_LEAVES) * (high**-2 - low**-2)) ** -0.5
    centres = rng.random((N_LEAVES, 2)) * (H, W)
    lightness = rng.uniform(20, 235, (N_LEAVES, 1))
    colours = lightness + rng.normal(0, 25, (N_LEAVES, 3))
    slopes = SHADE * rng.standard_normal((N_LEAVES, 2))
    for r, (y, x), colour, slope in zip(radii.tolist(), centres.tolist(), colours, slopes, strict=True):
        top, left = max(0, int(y - r)), max(0, int(x - r))
        rows, columns = np.ogrid[top : min(H, int(y + r) + 2), left : min(W, int(x + r) + 2)]
        down, across = (rows - y) / r, (columns - x) / r
        inside = down**2 + across**2 <= 1
        shaded = colour + (slope[0] * down + slope[1] * across)[:, :, None] / 2
        region = picture[rows[0, 0] : rows[-1, 0] + 1, columns[0, 0] : columns[0, -1] + 1]
        region[inside] = shaded[inside]
    noisy = _blurred(picture) + NOISE * rng.standard_normal(picture.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def _blurred(picture: Array) -> Array:
    """Average each pixel with its neighbours; beyond the border the last pixel is repeated."""
    for axis in (0, 1):
        padded = np.pad(picture, [(1, 1) if k == axis else (0, 0) for k in range(3)], mode="edge")
        n = picture.shape[axis]
        picture = np.sum([w * padded.take(np.arange(i, i + n), axis) for i, w in enumerate(BLUR)], axis=0)
    return picture
