"""Shapes: a synthetic data set for detection and segmentation, the same bits on every machine.

A scene has 1 to 8 objects of six classes on a cluttered background, painted back to front: later objects hide earlier
ones. Objects are 8 to 96 pixels large, turned by any angle, and coloured from the palette of the background; some stick
out of the picture.

| class | 0 | 1 | 2 | 3 | 4 | 5 | 6 |
|---|---|---|---|---|---|---|---|
| | background | disc | square | triangle | star | ring | cross |

Conventions:

- A pixel belongs to an outline if at least half of its 2 × 2 sample points lie inside. The mask of an object is what of
  it can be seen: its outline without what lies in front, and without what is outside the picture.
- The box is the smallest one around the mask, (x1, y1, x2, y2), half-open.
- `visible` is the number of pixels of the mask over that of the whole outline. At least 40 % of every object can be
  seen. An object is `difficult` where it is less than half, or where a side of its box is shorter than 8 pixels.
- Size: the diameter of the circle around an outline is drawn from low + (high − low)·u² with u uniform, low = 10 (so
  that the outlines are at least 8 pixels wide), high = 96 or three quarters of the picture's shorter side.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from refdet.core.check import Array, check_floating, check_shape, integer, integers, shape_of
from refdet.data.canvas import Canvas
from refdet.data.lazy_sequence import LazySequence
from refdet.data.random_stream import RandomStream
from refdet.data.sample import Sample
from refdet.data.shape_outlines import OUTLINES

CLASS_NAMES = ("background", *OUTLINES)
DEFAULT_SIZE = (128, 128)
SMALLEST_PICTURE = 32
DIAMETERS = (10.0, 96.0)
MOST_OBJECTS = 8
LEAST_VISIBLE = 0.4
ATTEMPTS = 40  # to place one object, before the scene does without it


@dataclass(frozen=True, eq=False)
class Scene(Sample):
    """A `Sample` whose masks and label map are known: a picture and what is on it, objects from back to front.

    Attributes:
        name: "shapes SEED/NUMBER".
        image: (H, W, 3) uint8, red, green and blue; floats in 0 … 255 after some transforms.
        boxes: (R, 4) float32, (x1, y1, x2, y2) in pixels, half-open.
        classes: (R,) int64, 1 … 6, indices into `CLASS_NAMES`.
        difficult: (R,) bool, of the scene as it was painted.
        masks: (R, H, W) bool, what can be seen of each object; no pixel belongs to two.
        label_map: (H, W) int64, the class of each pixel, 0 … 6; 0 is the background.
        joints: None.
        joints_visible: None.
        visible: (R,) float64, the share in 0.4 … 1 of each object that can be seen in the scene as it was painted.
    """

    masks: Array = field()  # no default here, unlike in Sample
    label_map: Array = field()
    visible: Array = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shape(f"sample {self.name!r}", "visible", self.visible, shape_of(self.classes), "one share per object")
        check_floating(f"sample {self.name!r}", visible=self.visible)


class Shapes(LazySequence[Scene]):
    """`n` scenes, each made when it is asked for, from the seed and its number alone.

    >>> scenes = Shapes(1000, seed=0)
    >>> scene = scenes[999]
    >>> scene.name, scene.image.shape, [CLASS_NAMES[label] for label in scene.classes][:2]
    ('shapes 0/999', (128, 128, 3), ['ring', 'triangle'])
    """

    def __init__(self, n: int, *, seed: int, size: tuple[int, int] = DEFAULT_SIZE) -> None:
        super().__init__(integer("Shapes", "n", n, low=0))
        self._seed = integer("Shapes", "seed", seed, low=0)
        self._size = checked_size("Shapes", size)

    def _item(self, i: int) -> Scene:
        return make_scene(self._seed, i, size=self._size)


def make_scene(seed: int, number: int, *, size: tuple[int, int] = DEFAULT_SIZE) -> Scene:
    """Return scene `number` of the data set with this seed, (height, width) = `size`, at least 32 × 32."""
    H, W = checked_size("make_scene", size)
    seeds = integers("make_scene", "seed and number", (seed, number), count=2, low=0, int64=False)
    stream = RandomStream(*seeds, H, W)
    canvas = Canvas(stream, H, W)
    placed: list[_Placed] = []
    for _ in range(stream.integer(1, MOST_OBJECTS)):
        placed = _with_one_more(canvas, placed)
    masks = np.array([p.mask for p in placed], np.bool_).reshape(-1, H, W)
    classes = np.array([CLASS_NAMES.index(p.name) for p in placed], np.int64)
    boxes = np.array([tight_box(mask) for mask in masks], np.float32).reshape(-1, 4)
    visible = np.array([np.count_nonzero(p.mask) / p.n_outline for p in placed])
    sides = boxes[:, 2:] - boxes[:, :2]
    return Scene(
        name=f"shapes {seeds[0]}/{seeds[1]}",
        image=canvas.finished(),
        boxes=boxes,
        classes=classes,
        difficult=(visible < 0.5) | (sides.min(axis=1) < 8),
        masks=masks,
        label_map=(masks * classes[:, None, None]).sum(axis=0),  # no pixel belongs to two masks
        visible=visible,
    )


def tight_box(mask: Array) -> tuple[int, int, int, int]:
    """Return the smallest half-open box (x1, y1, x2, y2) around a mask that has a pixel.

    >>> tight_box(np.array([[False, False, False], [False, True, True]]))
    (1, 1, 3, 2)
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True, eq=False)
class _Placed:
    name: str
    centre: tuple[float, float]  # (y, x)
    radius: float
    mask: Array
    n_outline: int  # pixels, hidden ones included


def _with_one_more(canvas: Canvas, placed: list[_Placed]) -> list[_Placed]:
    """Paint one more object in front, if a place is found that leaves enough of all others; return all of them."""
    stream = canvas.stream
    for _ in range(ATTEMPTS):
        low, high = DIAMETERS[0], min(DIAMETERS[1], 0.75 * min(canvas.height, canvas.width))
        share = stream.uniform()
        radius = (low + (high - low) * share * share) / 2
        y, x = _centre(stream, canvas, placed, radius)
        name = stream.choice(CLASS_NAMES[1:])
        coverage, n_outline = make_outline(canvas, (y, x), radius, name)
        mask = coverage >= 0.5
        n_mask = np.count_nonzero(mask)
        others = [
            _Placed(p.name, p.centre, p.radius, p.mask & ~mask, p.n_outline) if (p.mask & mask).any() else p
            for p in placed
        ]
        everything = [*others, _Placed(name, (y, x), radius, mask, n_outline)]
        if n_mask and all(np.count_nonzero(p.mask) >= LEAST_VISIBLE * p.n_outline for p in everything):
            canvas.paint(coverage, canvas.contrasting_texture(mask))
            return everything
    return placed


def _centre(stream: RandomStream, canvas: Canvas, placed: list[_Placed], radius: float) -> tuple[float, float]:
    """Draw a place: mostly at the edge of another object, so that they overlap; else anywhere in the picture."""
    if placed and stream.chance(0.7):
        other = stream.choice(placed)
        c, s = stream.rotation()
        distance = max(other.radius, radius) + stream.uniform(-0.3, 0.6) * min(other.radius, radius)
        return other.centre[0] + distance * s, other.centre[1] + distance * c
    margin = 0.6 * radius
    return stream.uniform(margin, canvas.height - margin), stream.uniform(margin, canvas.width - margin)


def make_outline(
    canvas: Canvas, centre: tuple[float, float], radius: float, name: str | None = None
) -> tuple[Array, int]:
    """Turn a shape by a random angle, a random one unless it is named.

    Returns its coverage of the picture, and its number of pixels, those outside the picture included.
    """
    inside_unit_disc = OUTLINES[name or canvas.stream.choice(CLASS_NAMES[1:])]
    (y0, x0), (c, s) = centre, canvas.stream.rotation()

    def inside(y: Array, x: Array) -> Array:
        u, v = ((x - x0) * c + (y - y0) * s) / radius, ((y - y0) * c - (x - x0) * s) / radius
        return inside_unit_disc(u, v)

    top, left = int(np.floor(y0 - radius)), int(np.floor(x0 - radius))
    bottom, right = int(np.ceil(y0 + radius)), int(np.ceil(x0 + radius))
    window = canvas.coverage(inside, top, left, bottom - top, right - left)
    coverage = np.zeros((canvas.height, canvas.width))
    rows = slice(max(top, 0), max(min(bottom, canvas.height), 0))
    columns = slice(max(left, 0), max(min(right, canvas.width), 0))
    coverage[rows, columns] = window[
        rows.start - top : max(rows.stop - top, 0), columns.start - left : max(columns.stop - left, 0)
    ]
    return coverage, int(np.count_nonzero(window >= 0.5))


def checked_size(op: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of a picture; refuse one too small to hold anything."""
    height, width = integers(op, "size", size, count=2, low=SMALLEST_PICTURE)
    return height, width
