"""The linear map inside convolution, and its two transposes.

With stride s, padding p (zeros), dilation d and g groups, weights of shape (O, C/g, kh, kw):

    y[n, o, i, j] = Σ_{c < C/g, a, b} w[o, c, a, b] · xp[n, g(o)·C/g + c, i·s + a·d, j·s + b·d],     g(o) = ⌊o / (O/g)⌋

which is linear in x and in w. `correlate` computes y; `correlate_input_adjoint` the map from dy to dx (which is also
transposed convolution) and `correlate_weight_adjoint` the one from dy to dw. There is no flip: deck 003 writes it so.

All three read the windows of xp as the columns of a matrix, one block of positions at a time, so that the sums are
matrix products: W·columns, Wᵀ·dy and dy·columnsᵀ. A block depends on shapes and dtype alone; neither its columns nor
its products exceed `BLOCK_BYTES` (unless those of a single position do). Sums accumulate in the dtype of x.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair, window_extent

BLOCK_BYTES = 4 << 20  # about a second-level cache; larger blocks were slower on every layer of VGG-16


class Geometry(NamedTuple):
    """How windows lie on the input."""

    kernel_size: Pair
    stride: Pair
    padding: Padding
    dilation: Pair
    groups: int


def correlate(x: Array, weight: Array, output_size: Pair, geometry: Geometry) -> Array:
    """Return y (N, O, Ho, Wo) from x (N, C, H, W) and weight (O, C/g, kh, kw)."""
    N, O, G = x.shape[0], weight.shape[0], geometry.groups
    W = weight.reshape(G, O // G, math.prod(weight.shape[1:]))  # (G, O/g, C/g·kh·kw)
    windows = window_view(pad_plane(x, geometry.padding), geometry, output_size)
    y = np.empty((N, O, *output_size), np.result_type(x, weight))
    for images, rows, columns in _blocks(windows, O):
        block = y[images, :, rows, columns]  # a view
        products = W @ _columns(windows[images, :, rows, columns], G)  # (G, O/g, n·r·c)
        block[...] = _planes(products, block.shape)
    return y


def correlate_input_adjoint(dy: Array, weight: Array, input_size: Pair, geometry: Geometry) -> Array:
    """Return dx (N, C, H, W): every dy goes back, times its weight, to the pixels its window read."""
    N, G = dy.shape[0], geometry.groups
    O, C_per_group, kh, kw = weight.shape
    C = C_per_group * G
    W = weight.reshape(G, O // G, C_per_group * kh * kw)
    (top, bottom), (left, right) = geometry.padding
    dxp = np.zeros((N, C, input_size[0] + top + bottom, input_size[1] + left + right), np.result_type(dy, weight))
    dwindows = window_view(dxp, geometry, dy.shape[2:], writeable=True)  # (N, C, Ho, Wo, kh, kw), overlapping in memory
    for images, rows, columns in _blocks(dwindows, O):
        block = dy[images, :, rows, columns]
        n, _, r, c = block.shape
        dcolumns = W.transpose(0, 2, 1) @ _matrix(block, G)  # (G, C/g·kh·kw, n·r·c)
        taps = dcolumns.reshape(C, kh, kw, n, r, c)
        for a in range(kh):
            for b in range(kw):  # within one tap no two windows touch the same pixel
                dwindows[images, :, rows, columns, a, b] += taps[:, a, b].transpose(1, 0, 2, 3)
    return np.ascontiguousarray(dxp[:, :, top : top + input_size[0], left : left + input_size[1]])


def correlate_weight_adjoint(x: Array, dy: Array, geometry: Geometry) -> Array:
    """Return dweight (O, C/g, kh, kw): Σ over images and positions of dy times the pixel that the tap read."""
    O, C, G = dy.shape[1], x.shape[1], geometry.groups
    kh, kw = geometry.kernel_size
    windows = window_view(pad_plane(x, geometry.padding), geometry, dy.shape[2:])
    dW = np.zeros((G, O // G, (C // G) * kh * kw), np.result_type(x, dy))
    for images, rows, columns in _blocks(windows, O):
        read = _columns(windows[images, :, rows, columns], G)
        dW += _matrix(dy[images, :, rows, columns], G) @ read.transpose(0, 2, 1)
    return dW.reshape(O, C // G, kh, kw)


def pad_plane(x: Array, padding: Padding, value: float = 0.0) -> Array:
    """Return x (N, C, H, W) with `value` around each plane."""
    if padding == ((0, 0), (0, 0)):
        return x
    (top, bottom), (left, right) = padding
    N, C, H, W = x.shape
    xp = np.full((N, C, H + top + bottom, W + left + right), value, np.result_type(x))
    xp[:, :, top : top + H, left : left + W] = x
    return xp


def window_view(xp: Array, geometry: Geometry, output_size: Pair, *, writeable: bool = False) -> Array:
    """Return the first Ho × Wo windows of a padded plane, (N, C, Ho, Wo, kh, kw), without copying."""
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel_size, geometry.stride, geometry.dilation
    extent = (window_extent(kh, dh), window_extent(kw, dw))
    windows = sliding_window_view(xp, extent, axis=(2, 3), writeable=writeable)
    Ho, Wo = output_size
    return windows[:, :, ::sh, ::sw, ::dh, ::dw][:, :, :Ho, :Wo]


def _blocks(windows: Array, n_outputs: int) -> Iterator[tuple[slice, slice, slice]]:
    """Cut images × output rows × output columns into blocks: whole images, else rows of one, else part of a row."""
    N, C, Ho, Wo, kh, kw = windows.shape
    position_bytes = max(1, C * kh * kw, n_outputs) * windows.itemsize
    n_positions = max(1, BLOCK_BYTES // position_bytes)
    n_columns = min(Wo, n_positions)
    n_rows = min(Ho, max(1, n_positions // Wo))
    n_images = max(1, n_positions // (Ho * Wo))
    for n in range(0, N, n_images):
        for i in range(0, Ho, n_rows):
            for j in range(0, Wo, n_columns):
                yield slice(n, n + n_images), slice(i, i + n_rows), slice(j, j + n_columns)


def _columns(windows: Array, groups: int) -> Array:
    """Copy windows (n, C, r, c, kh, kw) into one column each: (G, C/g·kh·kw, n·r·c)."""
    n, C, r, c, kh, kw = windows.shape
    return windows.transpose(1, 4, 5, 0, 2, 3).reshape(groups, (C // groups) * kh * kw, n * r * c)


def _matrix(planes: Array, groups: int) -> Array:
    """Lay planes (n, O, r, c) out as (G, O/g, n·r·c)."""
    n, O, r, c = planes.shape
    return planes.transpose(1, 0, 2, 3).reshape(groups, O // groups, n * r * c)


def _planes(matrix: Array, shape: tuple[int, ...]) -> Array:
    """Undo `_matrix`."""
    n, O, r, c = shape
    return matrix.reshape(O, n, r, c).transpose(1, 0, 2, 3)
