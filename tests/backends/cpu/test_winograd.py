"""Winograd's 3×3 convolution against plain sums in float64, where blocks, rows and maps end at awkward places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from refdet_numba.cpu import winograd
from refdet_numba.cpu.register_tile import VECTOR_BYTES
from refdet_numba.cpu.winograd_products import GROUP, VECTORS, multiply
from refdet_numba.cpu.winograd_transforms import MAX_TILES, TILE

correlate_3x3: Any = winograd.correlate_3x3  # an array, or None
correlate_3x3_flipped: Any = winograd.correlate_3x3_flipped

ABS_A = np.array([[1, 1, 1, 1, 1, 0], [0, 1, 1, 2, 2, 0], [0, 1, 1, 4, 4, 0], [0, 1, 1, 8, 8, 1]], float)
ABS_B = np.array([[4, 0, 5, 0, 1, 0], *[[0, 4, 4, 1, 1, 0]] * 2, *[[0, 2, 1, 2, 1, 0]] * 2, [0, 4, 0, 5, 0, 1]], float)
ABS_G = np.array([[1.5, 0, 0], [1, 1, 1], [1, 1, 1], [0.25, 0.5, 1], [0.25, 0.5, 1], [0, 0, 6]]) / 6

SHAPES = {  # (N, C, H, W), K, padding
    "less than a tile": ((3, 5, 1, 1), 6, ((1, 1), (1, 1))),
    "no padding": ((2, 4, 6, 11), 4, ((0, 0), (0, 0))),
    "padding larger than the kernel": ((1, 9, 2, 3), 3, ((9, 0), (4, 7))),
    "a row of tiles without a pixel": ((1, 1, 1, 2), 1, ((2, 9), (1, 13))),
    "rows shorter than a register": ((2, 17, 9, 5), 8, ((1, 1), (1, 1))),
    "one block, parts of registers": ((1, 130, 14, 27), 33, ((1, 1), (1, 1))),
    "blocks that begin inside a row": ((2, 11, 30, 41), 70, ((0, 3), (5, 0))),
    "blocks within one row": ((1, 3, 7, 4 * MAX_TILES * 3 + 2), 5, ((1, 1), (1, 1))),
    "several images to a block": ((40, 3, 8, 8), 4, ((1, 1), (1, 1))),
    "shared out by tiles": ((1, 20, 66, 131), 70, ((1, 1), (1, 1))),
}
CASES = pytest.mark.parametrize(("x_shape", "K", "padding"), SHAPES.values(), ids=SHAPES)


def draw(x_shape: Any, K: int, dtype: Any) -> Any:
    """Return x, weight and bias; outputs have variance 1."""
    rng = np.random.default_rng(0)
    C = x_shape[1]
    weight = rng.standard_normal((K, C, 3, 3)) / np.sqrt(9 * C)
    return rng.standard_normal(x_shape).astype(dtype), weight.astype(dtype), rng.standard_normal(K).astype(dtype)


def correlate(x: Any, weight: Any, bias: Any, padding: Any) -> Any:
    """Sum in float64, tap by tap."""
    padded = np.pad(x.astype(float), ((0, 0), (0, 0), *padding))
    H, W = padded.shape[2] - 2, padded.shape[3] - 2
    y = np.zeros((len(x), len(weight), H, W)) + bias.astype(float)[:, None, None]
    for i, j in np.ndindex(3, 3):
        window = padded[:, :, i : i + H, j : j + W]
        y += np.einsum("kc,nchw->nkhw", weight[:, :, i, j].astype(float), window)
    return y


def error_bound(x: Any, weight: Any, bias: Any, padding: Any) -> Any:
    """Return what the transforms give with absolute values everywhere: to first order, errors are some ε of it.

    A product of |w| and |d| of one tile takes part in an output with the coefficient Σ_f |A| |G| |B|, along each axis.
    """
    (N, C, H, W), K = x.shape, len(weight)
    (top, bottom), (left, right) = padding
    Ho, Wo = H + top + bottom - 2, W + left + right - 2
    th, tw = -(-Ho // TILE), -(-Wo // TILE)
    padded = np.zeros((N, C, TILE * th + 2, TILE * tw + 2))
    padded[:, :, top : top + H, left : left + W] = np.abs(x)
    u = np.einsum("ai,kcij,bj->abkc", ABS_G, np.abs(weight), ABS_G)
    bound = np.zeros((N, K, TILE * th, TILE * tw))
    for i, j in np.ndindex(th, tw):
        tile = padded[:, :, TILE * i : TILE * i + 6, TILE * j : TILE * j + 6]
        m = np.einsum("abkc,abnc->abnk", u, np.einsum("ai,ncij,bj->abnc", ABS_B, tile, ABS_B))
        y = np.einsum("pa,abnk,qb->nkpq", ABS_A, m, ABS_A)
        bound[:, :, TILE * i : TILE * i + TILE, TILE * j : TILE * j + TILE] = y
    return bound[:, :, :Ho, :Wo] + np.abs(bias)[:, None, None]


@CASES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_errors_are_below_what_the_transforms_allow(x_shape: Any, K: int, padding: Any, dtype: Any) -> None:
    x, weight, bias = draw(x_shape, K, dtype)
    y = correlate_3x3(x, weight, bias, padding)
    assert y is not None
    assert y.dtype == dtype
    excess = np.abs(y - correlate(x, weight, bias, padding)) / error_bound(x, weight, bias, padding)
    assert np.max(excess) < np.finfo(dtype).eps


@CASES
def test_flipped_is_the_correlation_with_the_turned_kernel(x_shape: Any, K: int, padding: Any) -> None:
    x, weight, _ = draw(x_shape, K, np.float32)
    turned = np.ascontiguousarray(weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1])
    expected = correlate_3x3(x, weight, None, padding)
    np.testing.assert_array_equal(correlate_3x3_flipped(x, turned, padding), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("goes_on", [False, True])
def test_products_of_any_number_of_tiles_and_channels(dtype: Any, goes_on: bool) -> None:
    rng = np.random.default_rng(0)
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    for n_tiles in range(1, 2 * VECTORS * lanes + 2):
        C, K = int(rng.integers(1, 6)), int(rng.integers(1, 2 * GROUP + 1))
        u = rng.integers(-9, 10, (2, 4, C + 1, GROUP)).astype(dtype)
        v = rng.integers(-9, 10, (4, C + 1, n_tiles + lanes)).astype(dtype)
        m = np.full((4, 2 * GROUP, n_tiles + lanes), 5, dtype)
        multiply(u, v, m, C, K, n_tiles, goes_on)
        of_k = u.transpose(1, 2, 0, 3).reshape(4, C + 1, 2 * GROUP)
        expected = np.einsum("fck,fct->fkt", of_k[:, :C, :K], v[:, :C, :n_tiles]) + 5 * goes_on
        np.testing.assert_array_equal(m[:, :K, :n_tiles], expected)


def test_maps_that_are_too_large_to_be_transformed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, padding = draw((2, 20, 50, 61), 40, np.float32), ((1, 1), (1, 1))
    at_once = correlate_3x3(*inputs, padding)
    monkeypatch.setattr(winograd, "LARGE", 36 * 20 * 2 * MAX_TILES)
    in_parts = correlate_3x3(*inputs, padding)
    np.testing.assert_allclose(in_parts, at_once, rtol=0, atol=1e-4)


def test_error_at_unit_variance() -> None:
    x, weight, bias = draw((1, 256, 28, 28), 64, np.float32)
    y = correlate_3x3(x, weight, bias, ((1, 1), (1, 1)))
    assert np.max(np.abs(y - correlate(x, weight, bias, ((1, 1), (1, 1))))) < 1e-4


def test_small_integers_in_float64() -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.integers(-3, 4, (1, 4, 9, 9)).astype(float), 24.0 * rng.integers(-3, 4, (3, 4, 3, 3))
    expected = correlate(x, weight, np.zeros(3), ((1, 1), (1, 1)))
    np.testing.assert_allclose(correlate_3x3(x, weight, None, ((1, 1), (1, 1))), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["x", "weight", "bias"])
@pytest.mark.parametrize("x_shape", [(1, 10, 14, 15), (1, 9, 70, 140)])
def test_no_answer_where_one_is_not_finite(x_shape: Any, where: str, value: float) -> None:
    inputs = dict(zip(("x", "weight", "bias"), draw(x_shape, 9, np.float32), strict=True))
    inputs[where].flat[-1] = value
    assert correlate_3x3(*inputs.values(), ((1, 1), (1, 1))) is None


def test_no_answer_where_a_sum_overflows() -> None:
    x, weight, bias = draw((1, 16, 8, 8), 16, np.float32)
    assert correlate_3x3(x * np.float32(1e38), weight, bias, ((1, 1), (1, 1))) is None


@pytest.mark.parametrize(("x_shape", "K"), [((0, 3, 5, 5), 4), ((2, 0, 5, 5), 4), ((2, 3, 5, 5), 0), ((2, 3, 0, 5), 4)])
def test_nothing_to_multiply(x_shape: Any, K: int) -> None:
    x, weight, bias = np.zeros(x_shape), np.zeros((K, x_shape[1], 3, 3)), np.arange(float(K))
    y = correlate_3x3(x, weight, bias, ((1, 1), (1, 1)))
    np.testing.assert_array_equal(y, np.broadcast_to(bias[:, None, None], (len(x), K, *x_shape[2:])))


def test_pays_for_the_layers_of_vgg16_but_the_first() -> None:
    assert not winograd.pays((1, 3, 224, 224), (64, 3, 3, 3))
    for channels, K, size in [(64, 64, 224), (64, 128, 112), (256, 256, 56), (512, 512, 28), (512, 512, 14)]:
        assert winograd.pays((1, channels, size, size), (K, channels, 3, 3))
    assert not winograd.pays((1, 512, 3, 3), (512, 512, 3, 3))


def test_an_update_of_the_weights_in_place_is_seen() -> None:
    x, weight, _ = draw((1, 16, 8, 8), 16, np.float64)
    padding = ((1, 1), (1, 1))
    before = correlate_3x3(x, weight, None, padding)
    weight *= 2
    np.testing.assert_array_equal(correlate_3x3(x, weight, None, padding), 2 * before)
