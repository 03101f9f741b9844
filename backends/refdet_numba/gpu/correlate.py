"""Convolution and its transpose as grids and terms of the implicit matrix product.

Forwards, position (i, j) is an output, based at the pixel (i·s − top, j·s − left); term (c, a, b) is the pixel of
channel c that lies (a·d, b·d) further on.

Backwards, dx[h, w] gathers dy[i, j] · w[o, c, a, b] from all i·s + a·d = h + top, and columns likewise. With
h + top = s·u + r, r the phase of the row,

    i = u + (r − a·d) / s    for those taps a that make it whole

so each of the s_h × s_w phases of the pixels is a product of its own, with its own taps and nothing to skip. A phase
without taps is 0.

Outside of dy the product reads zeros, where the reference's adjoint adds nothing. That makes a difference for weights
that are not finite: 0·∞ is NaN in every pixel that such a weight reaches from outside of dy. Forwards there is none, as
the reference multiplies its padding too.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np

from refdet.core.geometry import Pair
from refdet.ops.correlation import Geometry
from refdet_numba.gpu.device import contiguous, to_device
from refdet_numba.gpu.implicit_gemm import Grid, multiply_into, table


def correlate(x: Any, weight: Any, bias: Any, output_size: Pair, geometry: Geometry) -> Any:
    """Return y (N, O, Ho, Wo) from x (N, C, H, W) and weight (O, C/g, kh, kw)."""
    O, C_per_group, kh, kw = weight.shape
    y = np.empty_like(x, shape=(x.shape[0], O, *output_size), order="C")
    bias = np.zeros_like(x, shape=(O,), order="C") if bias is None else contiguous(bias)
    (top, _), (left, _) = geometry.padding
    grid = Grid(*output_size, (-top, -left), geometry.stride, (0, 0), (1, 1))
    steps = forward_steps(C_per_group, (kh, kw), geometry.dilation)
    matrix = contiguous(weight).reshape(O, C_per_group * kh * kw)
    multiply_into(y, contiguous(x), matrix, steps, bias, grid, geometry.groups)
    return y


def correlate_input_adjoint(dy: Any, weight: Any, bias: Any, input_size: Pair, geometry: Geometry) -> Any:
    """Return dx (N, C, H, W): every dy goes back, times its weight, to the pixels its window read; plus bias (C,)."""
    O, C_per_group = weight.shape[:2]
    G = geometry.groups
    C = C_per_group * G
    dx = np.empty_like(dy, shape=(dy.shape[0], C, *input_size), order="C")
    bias = np.zeros_like(dy, shape=(C,), order="C") if bias is None else contiguous(bias)
    by_group = weight.reshape(G, O // G, *weight.shape[1:]).swapaxes(1, 2)  # (G, C/g, O/g, kh, kw)
    axes = zip(input_size, geometry.kernel_size, geometry.stride, geometry.dilation, geometry.padding, strict=True)
    for rows, columns in itertools.product(*(_phases(*axis) for axis in axes)):
        matrix = contiguous(by_group[:, :, :, rows.taps, columns.taps])
        matrix = matrix.reshape(C, O // G * len(rows.steps) * len(columns.steps))
        steps = backward_steps(O // G, rows.steps, columns.steps)
        base, place = (rows.base, columns.base), (rows.first, columns.first)
        grid = Grid(rows.n_pixels, columns.n_pixels, base, (1, 1), place, geometry.stride)
        multiply_into(dx, contiguous(dy), matrix, steps, bias, grid, G)
    return dx


class _Phase(NamedTuple):
    """The pixels h = first, first + s, … of an axis, for all of which (h + before) mod s is the same r."""

    first: int
    n_pixels: int
    base: int  # u of the first
    taps: slice  # those that reach them
    steps: tuple[int, ...]  # (r − a·d) / s of each tap


def _phases(size: int, k: int, s: int, d: int, padding: Pair) -> list[_Phase]:
    """Return the s phases of an axis.

    Of two phases of five pixels, the middle one of three taps reaches every other pixel, the outer two the rest:

    >>> _phases(5, 3, 2, 1, (1, 1))[0]
    _Phase(first=1, n_pixels=2, base=1, taps=slice(0, 3, 2), steps=(0, -1))
    """
    phases = []
    for r in range(s):
        taps = [a for a in range(k) if (r - a * d) % s == 0]
        every = taps[1] - taps[0] if len(taps) > 1 else 1
        first = (r - padding[0]) % s
        phases.append(
            _Phase(
                first,
                n_pixels=max(0, -(-(size - first) // s)),
                base=(first + padding[0]) // s,
                taps=slice(taps[0], taps[-1] + 1, every) if taps else slice(0, 0),
                steps=tuple((r - a * d) // s for a in taps),
            )
        )
    return phases


@functools.lru_cache(maxsize=512)
def forward_steps(channels: int, kernel_size: Pair, dilation: Pair) -> Any:
    """Return channel, rows and columns of each term from the base, (channels·kh·kw, 3), on the device."""
    steps = np.indices((channels, *kernel_size)).reshape(3, -1).T * (1, *dilation)
    return to_device(table(steps))


@functools.lru_cache(maxsize=512)
def backward_steps(channels: int, h_steps: tuple[int, ...], w_steps: tuple[int, ...]) -> Any:
    """Return the same for the taps of one phase."""
    c, a, b = np.indices((channels, len(h_steps), len(w_steps))).reshape(3, -1)
    return to_device(table(np.stack([c, np.array(h_steps, int)[a], np.array(w_steps, int)[b]], axis=1)))
