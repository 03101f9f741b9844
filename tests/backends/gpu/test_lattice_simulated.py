"""What the golden cases of the lattice do not reach, in Numba's simulator: see `test_simulated`."""

from __future__ import annotations

import os

import numpy as np
import pytest

from refdet.core.kernel import ROUND_TRIPS
from refdet.crf.lattice_index import lattice_index_kernel
from refdet.crf.lattice_splat import spread as reference_spread

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip(
        "needs NUMBA_ENABLE_CUDASIM=1 before Numba is imported; `make test` runs it so", allow_module_level=True
    )

from refdet_numba.gpu.lattice_index import lattice_index
from refdet_numba.gpu.lattice_splat import PIECE, by_vertex, spread


def test_pieces_cover_the_corners_of_every_vertex_once() -> None:
    counts = np.array([0, 1, PIECE, 0, PIECE + 1, 3 * PIECE, 0])
    ids = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts)).reshape(-1, 2)
    corners = by_vertex(ids, len(counts))
    np.testing.assert_array_equal(np.diff(corners.starts), counts)
    np.testing.assert_array_equal(np.diff(corners.pieces), -(-counts // PIECE))
    n_pieces = corners.pieces[-1]
    np.testing.assert_array_equal(corners.vertex_of[:n_pieces], np.repeat(np.arange(len(counts)), -(-counts // PIECE)))
    assert np.all(corners.vertex_of[n_pieces:] == len(counts))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_vertex_of_one_piece_has_the_bits_of_the_reference(dtype: str) -> None:
    rng = np.random.default_rng(1)
    ids = rng.permutation(np.repeat(np.arange(6), PIECE)).reshape(-1, 3)
    values, weights = rng.standard_normal((len(ids), 2)).astype(dtype), rng.random(ids.shape).astype(dtype)
    expected = reference_spread(values, weights, ids, 7)
    np.testing.assert_array_equal(spread(values, weights, by_vertex(ids, 7)), expected)


def test_no_vertices_and_no_values() -> None:
    none = np.zeros((0, 3), np.int64)
    assert spread(np.zeros((0, 2)), np.zeros((0, 3)), by_vertex(none, 0)).shape == (0, 2)
    assert spread(np.zeros((1, 0)), np.ones((1, 3)), by_vertex(np.zeros((1, 3), np.int64), 1)).shape == (1, 0)


def test_keys_too_wide_for_a_number_make_a_counted_round_trip() -> None:
    keys = np.array([[[-(2**40), 2**40], [2**40, 0]]])
    before = ROUND_TRIPS["lattice_index"]
    for found, expected in zip(lattice_index(keys), lattice_index_kernel.reference(keys), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert ROUND_TRIPS["lattice_index"] == before + 1


def test_keys_whose_neighbours_are_no_int64_are_refused() -> None:
    with pytest.raises(ValueError, match="overflow"):
        lattice_index(np.array([[[2**63 - 1]]]))
