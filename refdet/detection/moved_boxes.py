"""Boxes as a detector might give them: those of the objects, stretched and moved at random.

    (w', h') = ((1 + a) w, (1 + b) h),        a, b uniform in ±stretch
    (x', y') = (x + c w', y + d h')           c, d uniform in ±shift; (x, y) the centre

What is learned from crops of true boxes alone knows only objects that fill their crop exactly.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array


def moved_boxes(boxes: Array, *, stretch: float, shift: float, square: bool = False, rng: np.random.Generator) -> Array:
    """Return boxes (B, 4) stretched and moved, float32; with `square` the squares of their longer sides (a = b).

    >>> moved_boxes(np.array([[0.0, 0, 4, 2]]), stretch=0, shift=0, square=True, rng=np.random.default_rng(0))
    array([[ 0., -1.,  4.,  3.]], dtype=float32)
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    if square:
        sides = np.repeat(sides.max(axis=1, initial=0)[:, None], 2, axis=1)
    sides = sides * (1 + stretch * rng.uniform(-1, 1, (len(boxes), 1 if square else 2)))
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + shift * sides * rng.uniform(-1, 1, (len(boxes), 2))
    return boxes_around(centres, sides)


def boxes_around(centres: Array, sides: Array) -> Array:
    """Return boxes (B, 4), float32, from their centres (B, 2) and sides (B, 2)."""
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype(np.float32)
