"""The six shapes of the synthetic data set, as inequalities in their own frame.

Every shape lies in the unit disc u² + v² ≤ 1, v pointing down. Only sums, products and square roots are used, which
IEEE arithmetic rounds the same way everywhere (powers and trigonometry it does not).

| shape | inside where |
|---|---|
| disc | u² + v² ≤ 1 |
| square | max(|u|, |v|) ≤ √½ |
| triangle | every n_k · (u, v) ≤ ½, for three normals 120° apart |
| star | all but at most one n_k · (u, v) ≤ cos 72°, for five normals 72° apart: the pentagram |
| ring | 0.55² ≤ u² + v² ≤ 1 |
| cross | min(|u|, |v|) ≤ 0.28 and max(|u|, |v|) ≤ 0.95 |
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from refdet.core.check import Array

HALF_ROOT_3 = math.sqrt(3) / 2
COS_72, SIN_72 = (math.sqrt(5) - 1) / 4, math.sqrt(10 + 2 * math.sqrt(5)) / 4
COS_36, SIN_36 = (math.sqrt(5) + 1) / 4, math.sqrt(10 - 2 * math.sqrt(5)) / 4

TRIANGLE_NORMALS = ((0.0, 1.0), (HALF_ROOT_3, -0.5), (-HALF_ROOT_3, -0.5))
STAR_NORMALS = ((0.0, 1.0), (SIN_72, COS_72), (SIN_36, -COS_36), (-SIN_36, -COS_36), (-SIN_72, COS_72))
RING_HOLE = 0.55
CROSS_ARM, CROSS_REACH = 0.28, 0.95


def disc(u: Array, v: Array) -> Array:
    """A full disc."""
    return _bool(u * u + v * v <= 1)


def square(u: Array, v: Array) -> Array:
    """A square whose corners lie on the unit circle."""
    return _bool(np.maximum(np.abs(u), np.abs(v)) <= math.sqrt(0.5))


def triangle(u: Array, v: Array) -> Array:
    """An equilateral triangle whose corners lie on the unit circle."""
    return _bool(_n_half_planes(u, v, TRIANGLE_NORMALS, 0.5) == 3)


def star(u: Array, v: Array) -> Array:
    """A five-pointed star whose points lie on the unit circle: a pentagram, filled."""
    return _bool(_n_half_planes(u, v, STAR_NORMALS, COS_72) >= 4)


def ring(u: Array, v: Array) -> Array:
    """A disc with a round hole, through which the background shows."""
    distance = u * u + v * v
    return _bool((distance <= 1) & (distance >= RING_HOLE * RING_HOLE))


def cross(u: Array, v: Array) -> Array:
    """Two bars of equal length at right angles."""
    shorter, longer = np.minimum(np.abs(u), np.abs(v)), np.maximum(np.abs(u), np.abs(v))
    return _bool((shorter <= CROSS_ARM) & (longer <= CROSS_REACH))


OUTLINES: dict[str, Callable[[Array, Array], Array]] = {
    outline.__name__: outline for outline in (disc, square, triangle, star, ring, cross)
}


def _n_half_planes(u: Array, v: Array, normals: tuple[tuple[float, float], ...], distance: float) -> Array:
    """Return in how many of the half-planes n · (u, v) ≤ distance every point lies."""
    count = np.zeros(np.broadcast(u, v).shape, np.int64)
    for n_u, n_v in normals:
        count += n_u * u + n_v * v <= distance
    return count


def _bool(inside: Array) -> Array:
    return np.asarray(inside, np.bool_)
