"""Separable interpolation: where an output pixel reads its axis, and with which weights.

Along one axis, output i has a source coordinate c(i), in which the centre of input pixel j is at j:

| coordinates | c(i) |
|---|---|
| `"half_pixel"` | (i + ½)·r − ½: the outer edges of the first and last pixels stay where they are |
| `"asymmetric"` | i·r: the centre of the first pixel stays |
| `"align_corners"` | i·(n_in − 1)/(n_out − 1), or 0 where n_out = 1: the centres of the first and last pixels stay |

r is the ratio of sizes, input over output; align_corners does not use it. Where r is n_in/n_out, the product comes
first, i·n_in/n_out, so that a coordinate that is a whole number is met exactly: with i·r, 49·(2/98) is less than 1. The
taps of i are the pixels around c, with these weights:

| kernel | taps | weights |
|---|---|---|
| nearest | one: ⌊c⌋, ⌈c⌉, ⌈c − ½⌉ ("round_prefer_floor": a half goes down) or ⌊c + ½⌋ ("round_prefer_ceil") | 1 |
| linear | ⌊c⌋, ⌊c⌋ + 1; with t = c − ⌊c⌋ | 1 − t, t |
| cubic | ⌊c⌋ − 1 … ⌊c⌋ + 2 | k(1 + t), k(t), k(1 − t), k(2 − t) |

    k(d) = (a + 2)d³ − (a + 3)d² + 1 for d ≤ 1,     a·d³ − 5a·d² + 8a·d − 4a for 1 < d < 2

Keys, "Cubic convolution interpolation for digital image processing" (1981); his own choice is a = −½.

Conventions: a tap outside the image reads the border pixel, with its weight unchanged. Coordinates and weights are
computed in float64; weights are rounded once to the dtype of the image, in which the sums accumulate, rows first. A tap
of weight 0 is read all the same: 0 · NaN and 0 · ∞ are NaN. Size reductions do not widen the kernel (no antialiasing).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_number, check_rank, shape_of
from refdet.core.geometry import Pair, pair

Ratio = tuple[float, float]

COORDINATES = ("half_pixel", "asymmetric", "align_corners")
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")


class Taps(NamedTuple):
    """What each output of one axis reads."""

    indices: Array  # (n_out, n_taps), int64, inside the input
    weights: Array  # (n_out, n_taps), of the image's dtype


def source_coordinates(n_in: int, n_out: int, *, ratio: float, coordinates: str) -> Array:
    """Return c(i) for every output i, float64.

    >>> source_coordinates(2, 4, ratio=0.5, coordinates="half_pixel")
    array([-0.25,  0.25,  0.75,  1.25])
    """
    i = np.arange(n_out, dtype=np.float64)
    if coordinates == "align_corners":
        return i * (n_in - 1) / max(n_out - 1, 1)  # the product first here too: the last corner is met exactly
    offset = 0.5 if coordinates == "half_pixel" else 0.0
    scaled = (i + offset) * n_in / n_out if ratio == n_in / n_out else (i + offset) * ratio
    return scaled - offset


def nearest_taps(c: Array, n_in: int, dtype: np.dtype[np.floating], *, rounding: str) -> Taps:
    """Return the one pixel that each coordinate rounds to."""
    nearest = {
        "floor": np.floor(c),
        "ceil": np.ceil(c),
        "round_prefer_floor": np.ceil(c - 0.5),
        "round_prefer_ceil": np.floor(c + 0.5),
    }[rounding]
    return Taps(_inside(nearest[:, None], n_in), np.ones((c.size, 1), dtype))


def linear_taps(c: Array, n_in: int, dtype: np.dtype[np.floating]) -> Taps:
    """Return the two pixels around each coordinate."""
    floor = np.floor(c)
    t = c - floor
    return Taps(_inside(floor[:, None] + [0, 1], n_in), np.stack([1 - t, t], axis=1).astype(dtype))


def cubic_taps(c: Array, n_in: int, dtype: np.dtype[np.floating], *, a: float) -> Taps:
    """Return the four pixels around each coordinate, with the weights of Keys."""
    floor = np.floor(c)
    t = c - floor
    near, far = np.stack([t, 1 - t], axis=1), np.stack([1 + t, 2 - t], axis=1)  # (n_out, 2)
    k_near = ((a + 2) * near - (a + 3)) * near * near + 1
    k_far = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    weights = np.stack([k_far[:, 0], k_near[:, 0], k_near[:, 1], k_far[:, 1]], axis=1)
    return Taps(_inside(floor[:, None] + [-1, 0, 1, 2], n_in), weights.astype(dtype))


def _inside(indices: Array, n_in: int) -> Array:
    """Move what lies outside the axis to its nearest end."""
    inside: Array = np.clip(indices, 0, n_in - 1).astype(np.int64)
    return inside


def interpolate(x: Array, rows: Taps, columns: Taps) -> Array:
    """Return Σ_k Σ_l w_row[i, k] · w_column[j, l] · x[..., row[i, k], column[j, l]]."""
    return _gather(_gather(x, rows, axis=2), columns, axis=3)


def interpolate_adjoint(dy: Array, rows: Taps, columns: Taps, size: tuple[int, int]) -> Array:
    """Add every gradient back to the pixels, of an image of `size`, that it was read from."""
    return _scatter(_scatter(dy, columns, axis=3, n_in=size[1]), rows, axis=2, n_in=size[0])


def _gather(x: Array, taps: Taps, *, axis: int) -> Array:
    with np.errstate(invalid="ignore"):  # 0 · ∞
        terms = (
            np.take(x, indices, axis=axis) * _along(weights, axis)
            for indices, weights in zip(taps.indices.T, taps.weights.T, strict=True)
        )
        y: Array = next(terms)
        for term in terms:
            y += term
    return y


def _scatter(dy: Array, taps: Taps, *, axis: int, n_in: int) -> Array:
    dx = np.zeros((*dy.shape[:axis], n_in, *dy.shape[axis + 1 :]), taps.weights.dtype)
    before = (slice(None),) * axis
    for indices, weights in zip(taps.indices.T, taps.weights.T, strict=True):
        np.add.at(dx, (*before, indices), dy * _along(weights, axis))
    return dx


def _along(weights: Array, axis: int) -> Array:
    """Shape the weights of one axis of an NCHW array to broadcast over the others."""
    return np.reshape(weights, (-1,) + (1,) * (3 - axis))


def size_and_ratio(
    op: str, x: Tensor | Array, size: int | Pair | None, scale: float | Ratio | None
) -> tuple[Pair, Ratio]:
    """Return the output's size and the ratio per axis: in/out where the size is given, 1/scale where the scale is.

    With a scale the output has ⌊in · scale⌋ pixels, the product being taken in float64, where 49 · (1/49) is less than
    1: give the size where it must be exact.

    >>> size_and_ratio("resize_bilinear", np.zeros((1, 1, 5, 4)), None, (1.5, 2))
    ((7, 8), (0.6666666666666666, 0.5))
    """
    array = x.data if isinstance(x, Tensor) else x
    check_rank(op, "x", array, "N, C, H, W")
    height, width = shape_of(array)[2:]
    if size is not None and scale is None:
        out = pair(op, "size", size, low=1)
        return out, (height / out[0], width / out[1])
    if scale is None or size is not None:
        raise ValueError(f"{op}: give exactly one of size and scale, got size={size!r} and scale={scale!r}")
    scales = tuple(scale) if isinstance(scale, Sequence) else (scale, scale)
    if len(scales) != 2:
        raise ValueError(f"{op}: scale must be a number or (vertical, horizontal), got {scale!r}")
    for s in scales:
        check_number(op, "scale", s, low=0, open_low=True)
    vertical, horizontal = float(scales[0]), float(scales[1])
    out = (math.floor(height * vertical), math.floor(width * horizontal))
    if 0 in out or max(out) >= 2**31:
        raise ValueError(
            f"{op}: scale {scale!r} turns {height} × {width} pixels into {out[0]} × {out[1]}; "
            "give size= where it must be exact"
        )
    return out, (1 / vertical, 1 / horizontal)
