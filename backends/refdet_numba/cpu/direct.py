"""Direct convolution: sums of products held in registers, over rows laid out so that every tap is a shift.

    for each image, group, part of its output channels and block of output pixels (in parallel):
        for each block of input channels:
            planes ← the padded pixels that the block reads, laid out as `direct_plan` says
            for each tile of vectors of outputs, for each four output channels:
                y += Σ_k weight[·, k] · planes[place + offset[k]]        (`register_tile`)

Where the last vector of the outputs would reach beyond them, a buffer holds the sums, and y is copied from it.

The blocks depend on shapes alone and each output is the sum of its terms in their order, in one iteration: the result
does not depend on the number of threads.

Workspace, for each thread: planes, `PLANES_BYTES` (or those of one block of channels for the shortest block of
rows: kh · W · min(kw, stride) numbers a channel by phases, kh · W · kw by columns), and sums, `SUMS_BYTES` (or those of
16 channels).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.direct_plan import plan
from refdet_numba.cpu.register_tile import VECTOR_BYTES, sums_of_products
from refdet_numba.cpu.threads import per_thread
from refdet_numba.cpu.vector_moves import clear, copy


def correlate_directly(x: Array, weight: Array, bias: Array | None, output_size: Pair, geometry: Geometry) -> Array:
    """Return y (N, O, Ho, Wo) from native arrays."""
    N, O = x.shape[0], weight.shape[0]
    start = np.zeros(O, x.dtype) if bias is None else bias
    y = np.empty((N, O, *output_size), x.dtype)
    if y.size == 0:
        return y
    if weight.size == 0:
        y[:] = start[:, None, None]
        return y
    of = plan(N, x.shape[2:], weight.shape, output_size, geometry, x.itemsize)
    n_planes = of.starts.shape[1]
    slack = VECTOR_BYTES // x.itemsize  # the last vector of the outputs may read beyond the last plane
    (top, _), (left, _) = geometry.padding
    _correlate(
        x,
        weight.reshape(O, -1),
        start,
        y.reshape(N, O, -1),
        (*geometry.stride, top, left, geometry.groups, math.prod(geometry.kernel_size), output_size[1]),
        (of.parts, of.outputs, of.channels, of.pitch, of.plane, int(of.in_place)),
        (of.borders, of.vectors, of.offsets, of.places, of.targets),
        of.starts,
        per_thread((0 if of.in_place else of.channels * n_planes * of.plane + slack,), x.dtype),
        per_thread((of.sums,), x.dtype),
    )
    return y


@compiled_parallel
def _correlate(
    x: Any, weight: Any, bias: Any, y: Any, geometry: Any, cut: Any, tables: Any, starts: Any, planes: Any, sums: Any
) -> None:
    groups, parts, n_blocks = geometry[4], cut[0], tables[1].size
    for unit in prange(y.shape[0] * groups * parts * n_blocks):
        thread = get_thread_id()
        _unit(np.int64(unit), x, weight, bias, y, geometry, cut, tables, starts, planes[thread], sums[thread])


@compiled
def _unit(
    unit: int, x: Any, weight: Any, bias: Any, y: Any, geometry: Any, cut: Any, tables: Any, starts: Any, planes: Any,
    sums: Any,
) -> None:  # fmt: skip
    """Compute one block of the pixels of one part of the outputs of a group and an image."""
    sh, sw, top, left, groups, n_taps, Wo = geometry
    parts, per_part, block_channels, pitch, plane, in_place = cut
    borders, vectors, offsets, places, targets = tables
    rest, block = divmod(unit, vectors.size)
    rest, part = divmod(rest, parts)
    n, group = divmod(rest, groups)

    (_, C, H, W), (_, O, n_pixels) = x.shape, y.shape
    n_channels, n_outputs = C // groups, O // groups
    outputs = group * n_outputs + part * per_part, group * n_outputs + min((part + 1) * per_part, n_outputs)
    first, n_vectors = borders[block], vectors[block]
    row, skip = first // Wo, first % Wo  # by rows, skip is 0
    pixels, results, n_planes = x.reshape(x.size), y.reshape(y.size), starts.shape[1]
    at = (n * O + outputs[0]) * n_pixels + first
    for c in range(0, n_channels, block_channels):
        c_after, term = min(c + block_channels, n_channels), c * n_taps
        channel = n * C + group * n_channels + c  # counted through the batch
        of_terms = offsets[: (c_after - c) * n_taps]
        if in_place:
            begin = channel * plane + first
            sums_of_products(
                pixels,
                begin,
                places,
                n_vectors,
                of_terms,
                weight,
                outputs,
                term,
                bias,
                c > 0,
                results,
                at,
                targets,
                n_pixels,
            )
            continue
        for i in range(c_after - c):
            for p in range(n_planes):
                lay_out(
                    pixels, (channel + i) * H * W, (H, W), row * sh - top + starts[0, p], starts[1, p] - left, (sh, sw),
                    plane // pitch, pitch, planes, (i * n_planes + p) * plane, c > 0,
                )  # fmt: skip
        if sums.size:
            step = targets.size * (VECTOR_BYTES // x.itemsize)
            sums_of_products(
                planes, skip, places, n_vectors, of_terms, weight, outputs, term, bias, c > 0, sums, 0, targets, step
            )
        else:
            sums_of_products(
                planes,
                skip,
                places,
                n_vectors,
                of_terms,
                weight,
                outputs,
                term,
                bias,
                c > 0,
                results,
                at,
                targets,
                n_pixels,
            )
    if sums.size:
        step = targets.size * (VECTOR_BYTES // x.itemsize)
        for o in range(outputs[1] - outputs[0]):
            copy(sums, o * step, 1, results, at + o * n_pixels, borders[block + 1] - first)


@compiled
def lay_out(
    pixels: Any, image: int, size: Any, row: int, column: int, stride: Any, n_rows: int, pitch: int, planes: Any,
    at: int, has_zeros: bool,
) -> None:  # fmt: skip
    """Write a plane at planes[at]: (i, j) is pixel (row + i·sh, column + j·sw) of the map (H, W) at pixels[image].

    Outside the map it is 0; `has_zeros` says that this is so already, as when another map was laid out there before.
    """
    (H, W), (sh, sw) = size, stride
    i_first, i_after = max(0, -(row // sh)), min(n_rows, (H - 1 - row) // sh + 1)
    j_first = min(max(0, -(column // sw)), pitch)
    j_after = max(min(pitch, (W - 1 - column) // sw + 1), j_first)
    if not has_zeros and (i_after - i_first < n_rows or j_after - j_first < pitch):
        clear(planes, at, n_rows * pitch)
    for i in range(i_first, i_after):
        begin = image + (row + i * sh) * W + column + j_first * sw
        copy(pixels, begin, sw, planes, at + i * pitch + j_first, j_after - j_first)
