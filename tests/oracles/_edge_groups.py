"""Pixels, neighbours and groups of an edge map, in the order in which Edge Boxes visits them: columns first.

A pixel is (x, y), its column and its row; the maps are indexed [y, x].
"""

from collections.abc import Iterator

from tests.oracles._sums import Array

Pixel = tuple[int, int]


def scan(shape: tuple[int, ...], border: int = 0) -> Iterator[Pixel]:
    """Yield the pixels at least `border` away from the rim of a map (H, W), x outer, y inner."""
    height, width = shape
    for x in range(border, width - border):
        for y in range(border, height - border):
            yield x, y


def neighbours(pixel: Pixel, radius: int) -> Iterator[Pixel]:
    """Yield the pixels of the square around `pixel`, without itself, dx outer, dy inner."""
    for dx in range(-radius, radius + 1):
        for dy in range(-radius, radius + 1):
            if (dx, dy) != (0, 0):
                yield pixel[0] + dx, pixel[1] + dy


def members(groups: Array) -> dict[int, list[Pixel]]:
    """Return the pixels of each group in scan order, by the group's number; -1 is no group."""
    pixels: dict[int, list[Pixel]] = {}
    for x, y in scan(groups.shape):
        if groups[y, x] >= 0:
            pixels.setdefault(int(groups[y, x]), []).append((x, y))
    return pixels
