"""The products behind the gradients of strided and 1 × 1 convolutions, at the borders of their tiles and chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba")

from refdet_numba.cpu.compiling import compiled
from refdet_numba.cpu.conv2d_backward import backward
from refdet_numba.cpu.inner_products import inner_products
from refdet_numba.cpu.weight_adjoint_by_gemm import LONG

from refdet.core.check import Array
from refdet.ops.conv2d import Conv2dResidual, conv2d_backward


@compiled
def multiply(a: Any, b: Any, c: Any, goes_on: bool) -> None:
    inner_products(a, b, c, goes_on)


def integers(*shape: int, dtype: str) -> Array:
    return np.random.default_rng(0).integers(-4, 5, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("terms", [0, 1, 8, 15, 16, 37])
def test_every_tile_and_every_last_vector(dtype: str, terms: int) -> None:
    """Small integers are exact. 11 × 15 leaves rows, a pair and a single one beside the tiles."""
    a, b = integers(11, terms + 3, dtype=dtype)[:, 2 : 2 + terms], integers(15, terms, dtype=dtype)
    c = np.full((11, 17), np.nan, dtype)
    multiply(a, b, c[:, 1:16], False)
    np.testing.assert_array_equal(c[:, 1:16], a @ b.T)
    assert np.isnan(c[:, [0, 16]]).all()
    multiply(a, b, c[:, 1:16], True)
    np.testing.assert_array_equal(c[:, 1:16], 2 * (a @ b.T))


def test_what_lies_beyond_a_row_is_not_read() -> None:
    a, b, c = np.full((4, 40), np.nan), np.full((6, 40), np.inf), np.empty((4, 6))
    a[:, :19], b[:, :19] = 1, 2
    multiply(a[:, :19], b[:, :19], c, False)
    np.testing.assert_array_equal(c, np.full((4, 6), 38.0))


CASES = {
    "1 × 1, parts": (1, 9, 5, (40, 41), (1, 1), (1, 1)),
    "1 × 1, blocks, chunks": (2, 200, 6, (50, 49), (1, 1), (1, 1)),
    "1 × 1, stride 2": (2, 50, 6, (41, 46), (1, 1), (2, 2)),
    "3 × 3, stride 2, long rows": (1, 25, 10, (47, 44), (3, 3), (2, 2)),
    "3 × 3, stride 2, one row longer than a chunk": (1, 2, 5, (5, 3400), (3, 3), (2, 2)),
    "3 × 3, strides 1 and 3, a short last chunk": (1, 60, 9, (67, 78), (3, 2), (1, 3)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_long_rows_are_exact_for_small_integers(name: str, dtype: str) -> None:
    N, C, O, (H, W), kernel, stride = CASES[name]
    padding = tuple((k // 2, k // 2) for k in kernel)
    n_rows, n_columns = ((n + 2 * (k // 2) - k) // s + 1 for n, k, s in zip((H, W), kernel, stride, strict=True))
    assert n_rows * n_columns >= LONG
    x, weight = integers(N, C, H, W, dtype=dtype), integers(O, C, *kernel, dtype=dtype)
    dy = integers(N, O, n_rows, n_columns, dtype=dtype)
    params: Any = {"stride": stride, "padding": padding, "dilation": (1, 1), "groups": 1, "needs": (True, True, False)}
    found = backward(Conv2dResidual(x, weight, None), dy, **params)
    expected = conv2d_backward.reference(Conv2dResidual(x, weight, None), dy, **params)
    for actual, exact in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(actual, exact)
