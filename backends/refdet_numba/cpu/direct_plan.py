"""How a direct convolution is cut and laid out (`direct` says how it then goes).

A channel is laid out in planes, so that a tap (a, b) is a fixed distance in memory whatever the output (i, j). With
stride s and dilation d, output (i, j) reads padded pixel (i·s + a·d, j·s + b·d): among the rows of phase (a·d) mod s,
row i + ⌊a·d / s⌋. For the columns there are two ways:

| | planes for | columns of a plane | vectors | pays |
|---|---|---|---|---|
| by rows | each phase (b·d) mod s | Wo + ⌊(kw − 1)·d / s⌋ | lie within rows | with few outputs |
| by columns | each b | Wo | run from row to row | otherwise |

By rows, the last vector of a row is moved back to end with it. By columns, more is laid out, nothing multiplied twice
(Cho & Brand, "MEC: memory-efficient convolution", ICML 2017). A 1 × 1 convolution without stride and padding finds its
planes in x.

The blocks are those that an estimate of the time, in vectors to multiply, favours for 2 and 4 threads: it looks at
shapes alone, never at how many threads there are.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.register_tile import OUTPUTS, VECTOR_BYTES, VECTORS

TILE_BYTES = 24 << 10  # of planes, read by one tile: less than a first-level cache
PLANES_BYTES = 128 << 10  # of a thread, unless those of one channel for the shortest block are larger
SUMS_BYTES = 512 << 10  # of a thread, unless those of `OUTPUTS_AT_LEAST` channels are larger
OUTPUTS_AT_LEAST = 16  # in a block
UNITS = 4  # blocks of pixels and outputs, at least, where there is enough to do
LONGEST = 64  # rows or tiles in a block
# Times, in that of multiplying a vector once in a tile: to fetch a vector of x, to lay one out, to copy one from the
# sums, to multiply one outside a tile. A row that is laid out takes the time of one vector more than it has.
READ, MOVE, COPY, ALONE = 4.0, 10.0, 8.0, 1.25


class Plan(NamedTuple):
    """What `direct` needs to know."""

    parts: int  # of the output channels of a group
    outputs: int  # in a part, the last may have fewer
    channels: int  # of the input, in a block
    pitch: int  # columns of a plane
    plane: int  # numbers in a plane
    in_place: bool  # whether the planes are those of x
    sums: int  # numbers in the buffer of sums; 0: y holds them
    borders: Array  # (blocks + 1,) of the blocks, in output pixels
    vectors: Array  # (blocks,)
    starts: Array  # (2, planes of a channel): padded row and column where each begins
    offsets: Array  # (channels · kh · kw,) of the terms, in planes
    places: Array  # of vectors, in planes
    targets: Array  # of vectors, in y or in the sums


class Layout(NamedTuple):
    """How a channel is laid out in planes."""

    by_rows: bool
    in_place: bool
    row_starts: list[int]  # padded row where planes begin
    column_starts: list[int]
    pitch: int
    more_rows: int  # that a plane has beyond the rows of outputs
    channels: int  # whose planes a tile finds in the cache
    n_vectors: int  # of an output channel
    per_piece: int  # vectors of the pieces that a block is made of: a row, or a tile


@functools.lru_cache(maxsize=64)  # 16 bytes a block: 0.8 MB for a 1 × 1 convolution of a map of 2048²
def plan(
    n_images: int, input_size: Pair, weight_shape: tuple[int, ...], size: Pair, of: Geometry, n_bytes: int
) -> Plan:
    """Choose the blocks for the shapes; `n_bytes` are those of a number."""
    (O, _, kh, kw), (Ho, Wo), (sh, sw), (dh, dw) = weight_shape, size, of.stride, of.dilation
    lanes, n_outputs, n_pixels = VECTOR_BYTES // n_bytes, O // of.groups, Ho * Wo
    per_row = -(-Wo // lanes)
    layout = _layout(input_size, weight_shape, size, of, lanes, n_bytes)
    has_sums = not layout.by_rows and n_pixels % lanes != 0
    _, n_blocks, parts = min(_cuts(layout, n_images * of.groups, n_outputs, kh * kw, size, lanes, has_sums))

    borders = _borders(layout, n_blocks)
    largest, per_part = int(np.diff(borders).max()), -(-n_outputs // (parts * OUTPUTS)) * OUTPUTS
    plane = (
        input_size[0] * input_size[1] if layout.in_place else _plane_rows(layout, borders, size, lanes) * layout.pitch
    )
    n_planes = len(layout.row_starts) * len(layout.column_starts)

    def offset(a: int, b: int) -> int:
        (i, row), (j, column) = divmod(a * dh, sh), divmod(b * dw, sw) if layout.by_rows else (0, b * dw)
        of_plane = layout.row_starts.index(row) * len(layout.column_starts) + layout.column_starts.index(column)
        return of_plane * plane + i * layout.pitch + j

    of_taps = [offset(a, b) for a in range(kh) for b in range(kw)]
    v = np.arange(largest)
    row, column = v // per_row, np.minimum(v % per_row * lanes, Wo - lanes)  # where they begin, by rows
    return Plan(
        -(-n_outputs // per_part),
        per_part,
        layout.channels,
        layout.pitch,
        plane,
        layout.in_place,
        min(per_part, n_outputs) * largest * lanes if has_sums else 0,
        borders // per_row * Wo if layout.by_rows else np.minimum(borders * lanes, n_pixels),
        np.diff(borders),
        np.array([(r, c) for r in layout.row_starts for c in layout.column_starts], np.int64).T.copy(),
        np.add.outer(np.arange(layout.channels) * n_planes * plane, of_taps).ravel(),
        row * layout.pitch + column if layout.by_rows else v * lanes,
        row * Wo + column if layout.by_rows else v * lanes,
    )


def _layout(
    input_size: Pair, weight_shape: tuple[int, ...], size: Pair, of: Geometry, lanes: int, n_bytes: int
) -> Layout:
    """Choose between planes by rows and by columns."""
    (O, C, kh, kw), (Ho, Wo), (sh, sw), (dh, dw) = weight_shape, size, of.stride, of.dilation
    in_place = (kh, kw) == of.stride == (1, 1) and size == input_size and Ho * Wo % lanes == 0
    rows, phases = sorted({a * dh % sh for a in range(kh)}), sorted({b * dw % sw for b in range(kw)})
    more_rows, per_row, per_channel = (kh - 1) * dh // sh, -(-Wo // lanes), O // of.groups * kh * kw

    def channels(n_columns: int, pitch: int) -> int:
        of_tile = len(rows) * n_columns * (VECTORS * lanes + more_rows * pitch) * n_bytes
        return max(1, min(C, TILE_BYTES // of_tile))

    wide = Wo + (kw - 1) * dw // sw
    move, copied = MOVE * len(rows) * (1 + 1 / per_row), COPY * bool(Ho * Wo % lanes) * O / of.groups / C
    pays = per_row * lanes / Wo * per_channel + move * len(phases) < per_channel + move * kw + copied
    once = channels(len(phases), wide) == C  # nothing is added later to a vector that was moved back
    if Wo >= lanes and (Wo % lanes == 0 or once) and pays and not in_place:
        return Layout(True, False, rows, phases, wide, more_rows, channels(len(phases), wide), Ho * per_row, per_row)
    taps, n_vectors = [b * dw for b in range(kw)], -(-Ho * Wo // lanes)
    return Layout(False, in_place, rows, taps, Wo, more_rows, channels(kw, Wo), n_vectors, VECTORS)


def _borders(layout: Layout, n_blocks: int) -> Array:
    """Cut the vectors into blocks of pieces, as equal as can be."""
    n_pieces = -(-layout.n_vectors // layout.per_piece)
    borders: Array = np.minimum(np.arange(n_blocks + 1) * n_pieces // n_blocks * layout.per_piece, layout.n_vectors)
    return borders


def _plane_rows(layout: Layout, borders: Array, size: Pair, lanes: int) -> int:
    """Return the rows of a plane, for the block that needs most."""
    if layout.by_rows:
        return int(np.diff(borders).max()) // layout.per_piece + layout.more_rows
    pixels = np.minimum(borders * lanes, size[0] * size[1])
    return int(((pixels[1:] - 1) // size[1] - pixels[:-1] // size[1]).max()) + 1 + layout.more_rows


def _cuts(
    layout: Layout, n_maps: int, n_outputs: int, n_taps: int, size: Pair, lanes: int, has_sums: bool
) -> Iterator[tuple[float, int, int]]:
    """Yield ways to cut a map: the time it would take, the number of blocks of pixels, and of parts of the outputs."""
    n_pieces = -(-layout.n_vectors // layout.per_piece)
    n_planes = len(layout.row_starts) * len(layout.column_starts)
    possible = {-(-n_pieces // pieces) for pieces in range(1, LONGEST + 1)} | set(
        range(1, min(n_pieces, 4 * UNITS) + 1)
    )
    for n_blocks in sorted(possible, reverse=True):
        borders = _borders(layout, n_blocks)
        vectors = np.diff(borders)
        sums = int(vectors.max()) * VECTOR_BYTES if has_sums else 0  # bytes, of an output channel
        rows = n_planes * _plane_rows(layout, borders, size, lanes)
        planes = 0 if layout.in_place else rows * layout.pitch * layout.channels * (VECTOR_BYTES // lanes)
        if n_blocks < max(possible) and (planes > PLANES_BYTES or OUTPUTS_AT_LEAST * sums > SUMS_BYTES):
            break
        lay_out = READ * vectors.max() if layout.in_place else MOVE * rows * (1 + -(-layout.pitch // lanes))
        fewest = -(-n_outputs // max(OUTPUTS_AT_LEAST, SUMS_BYTES // sums)) if sums else 1
        enough = max(fewest, min(-(-UNITS // (n_maps * n_blocks)), n_outputs // OUTPUTS_AT_LEAST))
        for parts in {fewest, enough}:
            multiply = (vectors + (ALONE - 1) * (vectors % VECTORS)) * n_outputs * n_taps / parts
            times = np.repeat(multiply + lay_out, parts)
            n_units = n_maps * len(times)
            if n_units > 8 * UNITS:
                yield n_maps * float(times.sum()) * (1 + 1 / n_units), n_blocks, parts
            else:
                shares = [np.array_split(np.tile(times, n_maps), n_threads) for n_threads in (2, 4)]
                yield sum(len(of) * max(float(share.sum()) for share in of) for of in shares) / 2, n_blocks, parts
