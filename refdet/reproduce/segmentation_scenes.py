"""Scenes for the experiment on segmentation: coloured shapes, simple enough for a small network and a few minutes.

They are the scenes of `refdet.data.shapes` made easier. On those, where neither colour nor texture tells a class, no
network of this size left the background in the minutes at hand. Here an object's colours lie around one that belongs
to its class, but so widely that the classes overlap and that the background may have any of them: the colour of a
pixel is a hint, the outline around it decides.

Outlines, textures, light, blur and noise are those of `refdet.data`, and so is the way in which every scene follows
from a seed and a number, the same bits on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refdet.core.check import Array
from refdet.data.canvas import PALETTE_SIZE, Canvas
from refdet.data.random_stream import RandomStream
from refdet.data.shapes import CLASS_NAMES, make_outline
from refdet.data.textures import coloured, value_noise

# One colour for each class but the background: bright and far from each other, no pair a shade of one another.
CLASS_COLOURS = (
    (200, 60, 60),
    (60, 180, 60),
    (70, 80, 210),
    (200, 190, 50),
    (180, 70, 190),
    (60, 190, 190),
)
EXPERIMENT = 1  # tells these streams from those of `Shapes`, which have four seeds
LEAST_INSIDE = 0.5  # of an outline that must lie inside the picture
MOST_HIDING = 0.3  # of an outline that may lie over other objects
SOFTENED = 0.6  # of the way from the first colour of the background to the second
ATTEMPTS = 20  # to place one object, before the scene does without it


@dataclass(frozen=True)
class LabelledScene:
    """A picture and its truth."""

    image: Array  # (H, W, 3) uint8
    label_map: Array  # (H, W) int64, 0 … 6, indices into `refdet.data.shapes.CLASS_NAMES`


def coloured_scene(
    seed: int, number: int, *, side: int, diameters: tuple[float, float], n_objects: tuple[int, int], spread: float
) -> LabelledScene:
    """Return scene `number` of a seed.

    Args:
        seed: of the set of scenes.
        number: of the scene in the set.
        side: pixels of the square picture.
        diameters: the smallest and the largest circle around an object, in pixels, evenly drawn.
        n_objects: the fewest and the most.
        spread: by how much each channel of an object's colours may differ from the class's, of 255.
    """
    stream = RandomStream(seed, number, side, side, EXPERIMENT)
    canvas = _Background(stream, side, side)
    label_map = np.zeros((side, side), np.int64)
    for _ in range(stream.integer(*n_objects)):
        for _ in range(ATTEMPTS):
            radius = stream.uniform(*diameters) / 2
            y, x = (stream.uniform(0.4 * radius, side - 0.4 * radius) for _ in range(2))
            name = stream.choice(CLASS_NAMES[1:])
            coverage, n_outline = make_outline(canvas, (y, x), radius, name)
            mask = coverage >= 0.5
            n_inside, n_hiding = np.count_nonzero(mask), np.count_nonzero(label_map[mask])
            if n_inside < LEAST_INSIDE * n_outline or n_hiding > MOST_HIDING * n_inside:
                continue
            label = CLASS_NAMES.index(name)
            first, second = (_near(stream, CLASS_COLOURS[label - 1], spread) for _ in range(2))
            canvas.paint(coverage, canvas.texture(first, (first + second) / 2))
            label_map[mask] = label
            break
    return LabelledScene(canvas.finished(), label_map)


class _Background(Canvas):
    """Clouds of two colours, with at most two patches and two lines: less clutter than `Canvas` has."""

    def __init__(self, stream: RandomStream, height: int, width: int) -> None:
        self.stream, self.height, self.width = stream, height, width
        self.palette = np.floor(stream.uniforms(PALETTE_SIZE, 3) * 216) + 20
        first, second = self._two_colours()
        self.colours = coloured(value_noise(stream, height, width), first, first + (second - first) * SOFTENED)
        for _ in range(stream.integer(0, 2)):
            self._paint_patch()
        for _ in range(stream.integer(0, 2)):
            self._paint_line()


def _near(stream: RandomStream, colour: tuple[int, int, int], spread: float) -> Array:
    """Return a random colour around another."""
    return np.clip(np.array(colour) + (2 * stream.uniforms(3) - 1) * spread, 0, 255)
