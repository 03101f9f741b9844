"""Correlation's transpose with respect to its input: every dy goes back to the pixels that its window read.

    dx[n, c, h, v] = Σ_{o, a, b} w[o, c, a, b] · dyz[n, o, h + top − a·d, v + left − b·d]

where dyz holds dy at every s-th pixel, and zero in between and outside: it is the correlation of dyz with the weights
turned by 180°, C and O exchanged, and padding d(k − 1) − p. Which algorithm computes it depends on shapes alone:

- few channels in each of many groups, on the way of such a correlation, with the zeros in between;
- many small maps without stride and dilation, images in the lanes (`small_maps`);
- 3 × 3 without stride, by Winograd's; with dilation d the pixels fall into d × d maps that do not see each other;
- 5 × 5 without stride and dilation, by Winograd's, in groups or not;
- everything else as matrix products.

All but the last multiply values that the definition does not bring together; where that made a result that is not
finite, the matrix products decide.

Workspace of the third with d > 1, beside Winograd's: dy and dx once more.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.correlate import correlate
from refdet_numba.cpu.input_adjoint_by_gemm import input_adjoint_by_gemm
from refdet_numba.cpu.small_maps import correlate_small_maps_turned, small_maps_pay
from refdet_numba.cpu.weight_adjoint_directly import directly_pays
from refdet_numba.cpu.winograd import correlate_3x3_flipped, pays
from refdet_numba.cpu.winograd_5x5 import correlate_5x5_flipped
from refdet_numba.cpu.winograd_5x5 import pays as pays_5x5


def correlate_input_adjoint(dy: Array, weight: Array, input_size: Pair, geometry: Geometry) -> Array:
    """Return dx (N, C, H, W) from dy (N, O, Ho, Wo) and weight (O, C/g, kh, kw)."""
    dx, x_shape = None, (dy.shape[0], weight.shape[1] * geometry.groups, *input_size)
    if min(x_shape) > 0 and directly_pays(x_shape, dy.shape, geometry):
        dx = _as_correlation(dy, weight, input_size, geometry)
    elif small_maps_pay(dy.shape[0], (dy.shape[1], x_shape[1]), input_size, geometry):
        dx = _of_small_maps(dy, weight, input_size, geometry)
    elif _winograd_pays(dy.shape, weight.shape, geometry):
        dx = _by_winograd(dy, weight, input_size, geometry)
    elif pays_5x5(dy.shape, x_shape[1], input_size, geometry):
        dx = _by_winograd_5x5(dy, weight, input_size, geometry)
    return input_adjoint_by_gemm(dy, weight, input_size, geometry) if dx is None else dx


def _as_correlation(dy: Array, weight: Array, input_size: Pair, geometry: Geometry) -> Array | None:
    """Correlate dyz with the turned weights; None if that is not possible or not all of it finite."""
    (N, O, Ho, Wo), (_, C, kh, kw), G = dy.shape, weight.shape, geometry.groups
    (sh, sw), kernel_size, dilation = geometry.stride, geometry.kernel_size, geometry.dilation
    size = (Ho - 1) * sh + 1, (Wo - 1) * sw + 1
    padding = _padding(size, input_size, geometry, dilation)
    if min(min(sides) for sides in padding) < 0:
        return None
    dyz = dy
    if (sh, sw) != (1, 1):
        dyz = np.zeros((N, O, *size), dy.dtype.newbyteorder("="))
        dyz[:, :, ::sh, ::sw] = dy
    turned = weight.reshape(G, O // G, C, kh * kw)[..., ::-1].swapaxes(1, 2).reshape(G * C, O // G, kh, kw)
    dx = correlate(dyz, turned, None, input_size, Geometry(kernel_size, (1, 1), padding, dilation, G))
    return dx if np.isfinite(weight).all() else None


def _winograd_pays(dy_shape: tuple[int, ...], weight_shape: tuple[int, ...], geometry: Geometry) -> bool:
    (N, O, Ho, Wo), (dh, dw) = dy_shape, geometry.dilation
    if weight_shape[2:] != (3, 3) or geometry.stride != (1, 1) or geometry.groups != 1 or min(dy_shape) == 0:
        return False
    return pays((N * dh * dw, O, -(-Ho // dh), -(-Wo // dw)), (weight_shape[1], O, 3, 3))


def _by_winograd(dy: Array, weight: Array, input_size: Pair, geometry: Geometry) -> Array | None:
    """Correlate the maps of dy, one for each phase of its pixels, with the turned weights."""
    (N, O, Ho, Wo), C, (dh, dw), (H, W) = dy.shape, weight.shape[1], geometry.dilation, input_size
    (top, _), (left, _) = geometry.padding
    if (dh, dw) == (1, 1):
        padding = _padding((Ho, Wo), input_size, geometry, (1, 1))
        return correlate_3x3_flipped(dy, weight, padding) if min(min(sides) for sides in padding) >= 0 else None
    high, wide = -(-Ho // dh), -(-Wo // dw)
    maps = np.zeros((N, dh, dw, O, high, wide), dy.dtype.newbyteorder("="))
    for i in range(dh):
        for j in range(dw):
            part = dy[:, :, i::dh, j::dw]
            maps[:, i, j, :, : part.shape[2], : part.shape[3]] = part
    spread = correlate_3x3_flipped(maps.reshape(N * dh * dw, O, high, wide), weight, ((2, 2), (2, 2)))
    if spread is None:
        return None
    spread = spread.reshape(N, dh, dw, C, high + 2, wide + 2)
    dx = np.zeros((N, C, H, W), spread.dtype)
    for i in range(dh):
        for j in range(dw):  # pixel (u, v) of a map is pixel (u·d + i − top, v·d + j − left) of dx
            u, v = max(0, -((i - top) // dh)), max(0, -((j - left) // dw))
            target = dx[:, :, u * dh + i - top :: dh, v * dw + j - left :: dw]
            source = spread[:, i, j, :, u : u + target.shape[2], v : v + target.shape[3]]
            target[:, :, : source.shape[2], : source.shape[3]] = source
    return dx


def _of_small_maps(dy: Array, weight: Array, input_size: Pair, geometry: Geometry) -> Array | None:
    padding = _padding((dy.shape[2], dy.shape[3]), input_size, geometry, (1, 1))
    return correlate_small_maps_turned(dy, weight, padding) if min(map(min, padding)) >= 0 else None


def _by_winograd_5x5(dy: Array, weight: Array, input_size: Pair, geometry: Geometry) -> Array | None:
    padding = _padding((dy.shape[2], dy.shape[3]), input_size, geometry, (1, 1))
    return correlate_5x5_flipped(dy, weight, padding, geometry.groups) if min(map(min, padding)) >= 0 else None


def _padding(size: Pair, input_size: Pair, geometry: Geometry, dilation: Pair) -> Padding:
    """Return the padding with which a correlation without stride makes `input_size` of `size`."""
    before = [d * (k - 1) - p[0] for d, k, p in zip(dilation, geometry.kernel_size, geometry.padding, strict=True)]
    after = [
        n_x - n_dy + d * (k - 1) - b
        for n_x, n_dy, d, k, b in zip(input_size, size, dilation, geometry.kernel_size, before, strict=True)
    ]
    return (before[0], after[0]), (before[1], after[1])
