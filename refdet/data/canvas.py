"""A picture in the making: a cluttered background, things painted over it back to front, and what a camera adds.

Colours are float64 in [0, 255] until the end. Objects and background draw from one small palette and one set of
textures, so that neither colour nor texture tells them apart; an object only contrasts with what is right behind it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refdet.core.check import Array
from refdet.data.random_stream import RandomStream
from refdet.data.textures import PATTERNS, coloured, pixel_centres, value_noise

PALETTE_SIZE = 5
CONTRAST = 90  # least sum of absolute differences, over the three channels, between a thing and what is behind it
SUBSAMPLES = (0.25, 0.75)  # an edge pixel is covered by the share of its 2 × 2 sample points that lie inside

Inside = Callable[[Array, Array], Array]  # says of points (y, x) in pixels whether they lie in a region


class Canvas:
    """The picture, and the stream that everything random about it is drawn from."""

    def __init__(self, stream: RandomStream, height: int, width: int) -> None:
        self.stream, self.height, self.width = stream, height, width
        self.palette = np.floor(stream.uniforms(PALETTE_SIZE, 3) * 216) + 20
        self.colours = coloured(value_noise(stream, height, width), *self._two_colours())
        for _ in range(stream.integer(2, 4)):
            self._paint_patch()
        for _ in range(stream.integer(2, 7)):
            self._paint_line()

    def coverage(self, inside: Inside, top: int, left: int, height: int, width: int) -> Array:
        """Return which share of each pixel of a window lies inside, in quarters; the window may leave the picture."""
        y, x = np.arange(top, top + height)[:, None], np.arange(left, left + width)[None, :]
        count = np.zeros((height, width))
        for dy in SUBSAMPLES:
            for dx in SUBSAMPLES:
                count += inside(y + dy, x + dx)
        return count / len(SUBSAMPLES) ** 2

    def paint(self, coverage: Array, texture: Array) -> None:
        """Lay a texture (H, W, 3) over the picture where there is coverage (H, W)."""
        self.colours = self.colours + (texture - self.colours) * coverage[:, :, None]

    def texture(self, first: Array, second: Array) -> Array:
        """Return a random texture of two colours, as large as the picture."""
        return coloured(self.stream.choice(PATTERNS)(self.stream, self.height, self.width), first, second)

    def contrasting_texture(self, mask: Array) -> Array:
        """Return a texture that differs, in its first colour, from what now shows inside the mask (not empty)."""
        behind = np.floor(self.colours[mask]).astype(np.int64).sum(axis=0) / np.count_nonzero(mask)
        start = self.stream.integer(0, PALETTE_SIZE - 1)
        order = [self.palette[(start + i) % PALETTE_SIZE] for i in range(PALETTE_SIZE)]
        first = next((c for c in order if _distance(c, behind) >= CONTRAST), 255 - np.floor(behind))
        second = first + (self.stream.choice(order) - first) * 0.5  # half-way, so that the contrast is kept
        return self.texture(first, second)

    def finished(self) -> Array:
        """Return the picture (H, W, 3) uint8 under uneven light, sometimes out of focus, and with noise."""
        y, x = pixel_centres(self.height, self.width)
        (c, s), strength = self.stream.rotation(), self.stream.uniform(0, 0.35)
        light = 1 + strength * (c * (x / self.width - 0.5) + s * (y / self.height - 0.5))
        colours = self.colours * light[:, :, None]
        if self.stream.chance(0.5):
            colours = _blurred(_blurred(colours, 0), 1)
        noise = (self.stream.uniforms(self.height, self.width, 3) - 0.5) * self.stream.uniform(4, 36)
        return np.clip(np.floor(colours + noise + 0.5), 0, 255).astype(np.uint8)

    def _two_colours(self) -> tuple[Array, Array]:
        i = self.stream.integer(0, PALETTE_SIZE - 1)
        j = (i + self.stream.integer(1, PALETTE_SIZE - 1)) % PALETTE_SIZE
        return self.palette[i], self.palette[j]

    def _paint_patch(self) -> None:
        """A corner of the plane: what lies on one side of two lines."""
        y0, x0 = self.stream.uniform(0, self.height), self.stream.uniform(0, self.width)
        (c1, s1), (c2, s2) = self.stream.rotation(), self.stream.rotation()

        def inside(y: Array, x: Array) -> Array:
            first, second = (x - x0) * c1 + (y - y0) * s1, (x - x0) * c2 + (y - y0) * s2
            return np.asarray((first > 0) & (second > 0))

        whole = (0, 0, self.height, self.width)
        self.paint(self.coverage(inside, *whole), self.texture(*self._two_colours()))

    def _paint_line(self) -> None:
        """A thin bar from border to border."""
        y0, x0 = self.stream.uniform(0, self.height), self.stream.uniform(0, self.width)
        (c, s), half = self.stream.rotation(), self.stream.uniform(0.5, 2)
        whole = (0, 0, self.height, self.width)
        bar = self.coverage(lambda y, x: np.abs((x - x0) * c + (y - y0) * s) <= half, *whole)
        self.paint(bar, np.zeros((self.height, self.width, 1)) + self.stream.choice(list(self.palette)))


def _distance(first: Array, second: Array) -> float:
    r, g, b = (abs(float(p) - float(q)) for p, q in zip(first, second, strict=True))
    return r + g + b


def _blurred(x: Array, axis: int) -> Array:
    """Return x filtered with (1, 2, 1)/4 along one axis; the border pixel repeats."""
    moved = np.moveaxis(x, axis, 0)
    before = np.concatenate([moved[:1], moved[:-1]])
    after = np.concatenate([moved[1:], moved[-1:]])
    return np.moveaxis((before + 2 * moved + after) / 4, 0, axis)
