"""The gradient of a convolution's weights where a group has few channels: one sum of products for each weight.

    dw[o, c, a, b] = Σ_e dyz[o, e] · xp[c, e + a·d·pitch + b·d]

xp is x with its padding, row after row; dyz holds dy at the first pixel of its windows, (i·s)·pitch + j·s, and zero in
between. A tap is then a shift, and a sum runs over one stretch of memory whatever the geometry.

    for each group (in parallel):
        for each image, for each band of rows:
            lay out xp and dyz of the group's channels
            for each o, c and nine taps: dw += the nine sums

A group belongs to one thread and bands depend on shapes alone, so the result does not depend on the number of threads.
A zero between the windows would meet an infinite x, which no window asks for: then the result is not used.

Workspace, for each thread: (C + O)/g planes of a band, at most WORK values or one row of windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import REORDERED, compiled, compiled_parallel
from refdet_numba.cpu.threads import per_thread
from refdet_numba.cpu.vector_moves import copy

WORK = 1 << 16
TAPS = 9  # summed at a time: all of 3 × 3


def directly_pays(x_shape: tuple[int, ...], dy_shape: tuple[int, ...], geometry: Geometry) -> bool:
    """Return whether there are many groups of few channels; single taps are faster as matrix products."""
    G = geometry.groups
    if geometry.kernel_size == (1, 1):
        return False
    return min(dy_shape) > 0 and G >= 4 and 0 < (x_shape[1] // G) * (dy_shape[1] // G) <= 64


def weight_adjoint_directly(x: Array, dy: Array, geometry: Geometry) -> Array | None:
    """Return dweight (O, C/g, kh, kw) from x (N, C, H, W) and dy (N, O, Ho, Wo); None if not all of it is finite."""
    (_, C, _, W), (_, O, Ho, _), G = x.shape, dy.shape, geometry.groups
    (kh, kw), (sh, sw), (dh, dw) = geometry.kernel_size, geometry.stride, geometry.dilation
    (top, _), (left, right) = geometry.padding
    pitch, extent = W + left + right, (kh - 1) * dh + 1
    n_planes = (C + O) // G
    rows = max(1, min(Ho, (WORK // (n_planes * pitch) - extent) // sh + 1))  # of windows in a band
    n_pixels = ((rows - 1) * sh + extent) * pitch + (kw - 1) * dw
    dweight = np.zeros((O, C // G, kh * kw), dy.dtype.newbyteorder("="))
    taps = [a * dh * pitch + b * dw for a in range(kh) for b in range(kw)]
    finite = _sum(
        native(x),
        native(dy),
        dweight,
        np.array([*taps, *[taps[-1]] * (-len(taps) % TAPS)], np.int64),
        per_thread((n_planes, n_pixels), dweight.dtype),
        (int(G), int(sh), int(sw), int(top), int(left), int(pitch), rows, (rows - 1) * sh + extent),
    )
    return dweight.reshape(O, C // G, kh, kw) if finite.all() else None


@compiled_parallel
def _sum(x: Any, dy: Any, dweight: Any, taps: Any, work: Any, sizes: Any) -> Any:
    G, sh, sw, top, left, pitch, rows, plane_rows = sizes
    N, C, _, _ = x.shape
    _, O, Ho, Wo = dy.shape
    n_channels, n_outputs, n_taps = C // G, O // G, dweight.shape[2]
    finite = np.ones(G, np.bool_)
    for g in prange(G):
        planes = work[get_thread_id()]
        for n in range(N):
            for i0 in range(0, Ho, rows):
                n_rows = min(rows, Ho - i0)
                for c in range(n_channels):
                    _lay_out(x[n, g * n_channels + c], planes[n_outputs + c], i0 * sh - top, left, pitch, plane_rows)
                for o in range(n_outputs):
                    _spread(dy[n, g * n_outputs + o], planes[o], i0, n_rows, sh, sw, pitch)
                length = ((n_rows - 1) * sh) * pitch + (Wo - 1) * sw + 1
                for o in range(n_outputs):
                    dy_plane = planes[o, :length]
                    for c in range(n_channels):
                        x_plane = planes[n_outputs + c]
                        sums = dweight[g * n_outputs + o, c]
                        for t in range(0, n_taps, TAPS):
                            nine = _nine_sums(dy_plane, x_plane, taps[t : t + TAPS])
                            for k in range(min(TAPS, n_taps - t)):
                                sums[t + k] += nine[k]
        for o in range(n_outputs):
            for c in range(n_channels):
                for t in range(n_taps):
                    if not np.isfinite(dweight[g * n_outputs + o, c, t]):
                        finite[g] = False
    return finite


@compiled
def _lay_out(x: Any, plane: Any, h0: Any, left: Any, pitch: Any, n_rows: Any) -> None:
    """Write the padded rows from h0 on of x (H, W) to plane."""
    H, W = x.shape
    plane[n_rows * pitch :] = 0
    for i in range(n_rows):
        row = plane[i * pitch : (i + 1) * pitch]
        if h0 + i < 0 or h0 + i >= H:
            row[:] = 0
        else:
            row[:left] = 0
            row[left + W :] = 0
            copy(x[h0 + i], 0, 1, row, left, W)


@compiled
def _spread(dy: Any, plane: Any, i0: Any, n_rows: Any, sh: Any, sw: Any, pitch: Any) -> None:
    """Write rows i0 … of dy (Ho, Wo) to plane, sh rows and sw columns apart, zero in between."""
    Wo = dy.shape[1]
    plane[: n_rows * sh * pitch] = 0  # a slice ends where the plane does
    for i in range(n_rows):
        row = plane[i * sh * pitch :]
        source = dy[i0 + i]
        if sw == 1:
            copy(source, 0, 1, row, 0, Wo)
        else:
            for j in range(Wo):
                row[j * sw] = source[j]


@compiled(fastmath=REORDERED)
def _nine_sums(dy: Any, x: Any, taps: Any) -> Any:
    a, b, c = x[taps[0] :], x[taps[1] :], x[taps[2] :]
    d, e, f = x[taps[3] :], x[taps[4] :], x[taps[5] :]
    g, h, i = x[taps[6] :], x[taps[7] :], x[taps[8] :]
    sa = sb = sc = sd = se = sf = sg = sh = si = dy.dtype.type(0)
    for k in range(dy.shape[0]):
        value = dy[k]
        sa += value * a[k]
        sb += value * b[k]
        sc += value * c[k]
        sd += value * d[k]
        se += value * e[k]
        sf += value * f[k]
        sg += value * g[k]
        sh += value * h[k]
        si += value * i[k]
    return sa, sb, sc, sd, se, sf, sg, sh, si
