"""grid_edges: the order, the literal neighbourhood, counts, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.crf.grid import grid_edges


def test_the_order_of_the_edges() -> None:
    """Two rows of two pixels, 0 1 above 2 3: pixel by pixel, right, down, down right, up right."""
    edges, lengths = grid_edges((2, 2), 8)
    assert edges.tolist() == [[0, 1], [0, 2], [0, 3], [1, 3], [2, 3], [1, 2]]
    assert lengths.tolist() == [1.0, 1.0, math.sqrt(2), 1.0, 1.0, math.sqrt(2)]
    assert grid_edges((2, 2))[0].tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]
    assert edges.dtype == np.int64


@given(H=st.integers(0, 5), W=st.integers(0, 5), neighbourhood=st.sampled_from([4, 8]))
def test_each_neighbour_once(H: int, W: int, neighbourhood: int) -> None:
    """Pixels are neighbours where rows and columns differ by at most 1, and with 4 neighbours in one of them only."""
    expected = {}
    for p in range(H * W):
        for q in range(p + 1, H * W):
            down, right = abs(p // W - q // W), abs(p % W - q % W)
            if max(down, right) == 1 and (neighbourhood == 8 or down + right == 1):
                expected[p, q] = math.hypot(down, right)
    edges, lengths = grid_edges((H, W), neighbourhood)
    found = dict(zip(map(tuple, edges.tolist()), lengths.tolist(), strict=True))
    assert found == expected
    assert len(edges) == len(expected)


@pytest.mark.parametrize(
    ("shape", "neighbourhood", "error", "message"),
    [
        ((2, 2), 6, ValueError, "grid_edges: neighbourhood must be 4 or 8, got 6"),
        ((2, 2), "4", ValueError, "grid_edges: neighbourhood must be 4 or 8, got '4'"),
        ((2, 2), [4], ValueError, "grid_edges: neighbourhood must be 4 or 8, got .4"),
        ((2, 2, 3), 4, ValueError, "grid_edges: shape must be an integer or 2 of them"),
        ((2, -1), 4, ValueError, "grid_edges: shape must be at least 0"),
        ((2, 2.5), 4, TypeError, "grid_edges: shape must hold integers"),
    ],
)
def test_bad_input(shape: Any, neighbourhood: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        grid_edges(shape, neighbourhood)
