"""The vertices of a permutohedral lattice that are in use: numbered, and each with its neighbours.

Only corners of simplices that hold a point are stored, so that memory grows with the points and not with the volume.
Vertex v has two neighbours along each axis j = 0 … d of the lattice; of the d + 1 coordinates

    neighbours[j, 0, v]: all one less, but the j-th d more;     neighbours[j, 1, v]: all one more, but the j-th d less

and a neighbour that is not in use is −1. Only the first d coordinates are stored, so that along axis d all of them
change by 1. Adams, Baek & Davis (2010), who look vertices up in a hash table; deck 004.

Conventions:

- Vertices are in ascending lexicographic order of their keys, column 0 first. (A hash table numbers them as they come.)
- Exact for every d and all 64-bit keys whose neighbours have 64-bit keys; others are an error, not another vertex.

Each key becomes a code, a single value that sorts as the keys do; the rest is sorting and bisection. The code is a
number of mixed radix where 63 bits are enough for the range of the keys and their neighbours, else a string of bytes.

Vertices are named by their numbers, 0 … M − 1, in all that follows: the ids of splatting and slicing, the neighbours of
the blur, the taps of a learned filter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, check_integer, check_rank, shape_of
from refdet.core.kernel import kernel

MISSING = -1  # in place of a neighbour that is not in use


class Code(NamedTuple):
    """A way to write rows of integers as single values in the same order, and to read them back."""

    encode: Callable[[Array], Array]
    decode: Callable[[Array], Array]


def check_keys(op: str, name: str, keys: Array, layout: str) -> None:
    """Refuse what is not an array of keys, whose last axis are their coordinates."""
    check_rank(op, name, keys, layout)
    check_integer(op, **{name: keys})
    if (keys.dtype.kind, keys.dtype.itemsize) != ("i", 8):
        raise TypeError(f"{op}: {name} must be int64, got {keys.dtype.name}; convert them with astype")
    if keys.shape[-1] == 0:
        raise ValueError(f"{op}: {name} must have at least one coordinate, got shape {shape_of(keys)}")


def check_numbers(op: str, name: str, numbers: Array, n_vertices: int, *, low: int = 0) -> None:
    """Refuse numbers of vertices that do not exist, naming the first; `low` is MISSING where one may be missing."""
    outside = (numbers < low) | (numbers >= n_vertices)
    if np.any(outside):
        place = np.argwhere(outside)[0].tolist()
        raise ValueError(
            f"{op}: {name} must lie in [{low}, {n_vertices}) for {n_vertices} vertices, got {name}{place} = "
            f"{numbers[tuple(place)]}"
        )


def _check(keys: Array) -> None:
    check_keys("lattice_index", "keys", keys, "N, K, d")


@kernel("lattice_index", check=_check)
def lattice_index_kernel(keys: Array) -> tuple[Array, Array, Array]:
    """Return the vertices (M, d), the ids (N, K) of the keys among them, and the neighbours (d + 1, 2, M)."""
    N, K, d = keys.shape
    rows = keys.reshape(N * K, d).astype(np.int64, copy=False)
    vertices, ids, neighbours = index_rows(rows, code_of("lattice_index", rows, reach=d))
    return vertices, ids.reshape(N, K), neighbours


def code_of(op: str, rows: Array, *, reach: int) -> Code:
    """Return a code for these keys and all whose coordinates differ from theirs by at most `reach`.

    Refuse keys so large that such a coordinate is no int64.
    """
    low, high = rows.min(axis=0, initial=0).tolist(), rows.max(axis=0, initial=0).tolist()
    least, largest = -(2**63) + reach, 2**63 - 1 - reach
    for key in (min(low), max(high)):
        if not least <= key <= largest:
            raise ValueError(
                f"{op}: lattice keys overflow: they must lie in [{least}, {largest}], so that their neighbours are "
                f"int64 too, got {key}"
            )
    widths = [b - a + 1 + 2 * reach for a, b in zip(low, high, strict=True)]  # Python's integers do not wrap around
    return mixed_radix([a - reach for a in low], widths) if math.prod(widths) < 2**63 else byte_strings(rows.shape[1])


def mixed_radix(low: list[int], widths: list[int]) -> Code:
    """Return the code Σ_j (key_j − low_j) · Π_{i > j} widths_i, for keys with low_j ≤ key_j < low_j + widths_j."""
    return Code(
        lambda rows: np.ravel_multi_index(tuple((rows - np.array(low)).T), tuple(widths)),
        lambda codes: np.stack(np.unravel_index(codes, tuple(widths)), axis=1) + np.array(low),
    )


def byte_strings(d: int) -> Code:
    """Return the code of 8 d bytes, the most significant first, with the sign bits flipped so that −1 sorts before 0.

    Exact for all keys; slower than numbers.
    """
    sign = np.int64(-(2**63))
    return Code(
        lambda rows: np.ascontiguousarray((rows ^ sign).astype(">i8")).view(f"V{8 * d}")[:, 0],
        lambda codes: codes.view(">i8").reshape(-1, d).astype(np.int64) ^ sign,
    )


def neighbour_offsets(d: int) -> Array:
    """Return the steps to the first neighbour along each axis, (d + 1, d).

    >>> neighbour_offsets(2)
    array([[ 2, -1],
           [-1,  2],
           [-1, -1]])
    """
    return (d + 1) * np.eye(d + 1, d, dtype=np.int64) - 1


def index_rows(rows: Array, code: Code) -> tuple[Array, Array, Array]:
    """Return the distinct rows in order, (M, d), the id of each row among them, and the neighbours, (d + 1, 2, M)."""
    d = rows.shape[1]
    codes, ids = np.unique(code.encode(rows), return_inverse=True)
    vertices = code.decode(codes)
    neighbours = np.full((d + 1, 2, len(vertices)), MISSING, np.int64)
    neighbours[:, 0] = find(vertices, neighbour_offsets(d), code)
    for first, second in neighbours:
        v = np.flatnonzero(first != MISSING)
        second[first[v]] = v  # whoever is my first neighbour has me for its second
    return vertices, ids, neighbours


def find(vertices: Array, offsets: Array, code: Code) -> Array:
    """Return, for every offset, the number of the vertex that far from each vertex, −1 where there is none: (T, M)."""
    codes = code.encode(vertices)
    found = np.full((len(offsets), len(vertices)), MISSING, np.int64)
    for row, offset in zip(found, offsets, strict=True):
        wanted = code.encode(vertices + offset)
        v = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
        np.copyto(row, v, where=codes[v] == wanted)
    return found


def lattice_index(keys: Array) -> tuple[Array, Array, Array]:
    """Number the vertices that are in use, and find their neighbours.

    Args:
        keys: (N, K, d) int64, those of `lattice_embed`.

    Returns:
        The vertices, (M, d) int64, distinct and in ascending lexicographic order; the ids, (N, K) int64, of the keys
        among them; and the neighbours, (d + 1, 2, M) int64, −1 where they are not in use.

    In one dimension the first neighbour along axis 0 is one more, along axis 1 one less. Key 1 is missing between 0 and
    2, so that only 2 and 3 are neighbours:

    >>> vertices, ids, neighbours = lattice_index(np.array([[[2], [3]], [[0], [3]]]))
    >>> vertices[:, 0], ids.tolist()
    (array([0, 2, 3]), [[1, 2], [0, 2]])
    >>> neighbours[0].tolist(), neighbours[1].tolist()
    ([[-1, 2, -1], [-1, -1, 1]], [[-1, -1, 1], [-1, 2, -1]])
    """
    return lattice_index_kernel(keys)
