"""spatial_pyramid_pool: the definition, its switches, its gradient, its conventions, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.ops.bins import bin_slices
from refdet.ops.max_pool2d import max_pool2d
from refdet.ops.spatial_pyramid_pool import spatial_pyramid_pool
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import spatial_pyramid_pool as oracle

NAN, INF = np.nan, np.inf


def test_hand_example() -> None:
    """All of 0 … 8, then four quarters that share the middle row and column."""
    x = Tensor(np.arange(9.0).reshape(1, 1, 3, 3), requires_grad=True)
    y, switches = spatial_pyramid_pool(x, (1, 2))
    np.testing.assert_array_equal(y.data, [[8, 4, 5, 7, 8]])
    np.testing.assert_array_equal(switches, [[8, 4, 5, 7, 8]])
    y.backward(np.array([[1.0, 2, 3, 4, 5]]))
    np.testing.assert_array_equal(x.grad, [[[[0, 0, 0], [0, 2, 3], [0, 4, 6]]]])


def test_switches_cannot_be_changed_under_the_gradient() -> None:
    x = Tensor(np.arange(4.0).reshape(1, 1, 2, 2), requires_grad=True)
    _, switches = spatial_pyramid_pool(x, (1, 2))
    with pytest.raises(ValueError, match="read-only"):
        switches[...] = 0


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    shape = [data.draw(st.integers(0, high)) for high in (2, 2, 6, 6)]
    values = [-1.0, 0.0, 1.0, 2.0, *data.draw(st.sampled_from([[], [-INF], [NAN], [INF, NAN]]))]
    x = in_layout(rng.choice(values, shape).astype(dtype), layout)
    levels = tuple(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    assert_agrees("spatial_pyramid_pool", oracle, [x], rng=rng, params={"levels": levels})


def test_gradient() -> None:
    """Pixels at least 1 apart, so that no step of the check changes a winner."""
    rng = np.random.default_rng(0)
    x = rng.permutation(2 * 2 * 7 * 5).astype(np.float64).reshape(2, 2, 7, 5)
    gradcheck(lambda t: spatial_pyramid_pool(t, (3, 1, 2))[0], [x], rng=rng)


@given(size=st.integers(1, 40), n_bins=st.integers(1, 40))
def test_bins_cover_the_axis_and_are_never_empty(size: int, n_bins: int) -> None:
    """They begin in order, overlap by at most one pixel, and leave none out."""
    bins = bin_slices(0, size, n_bins, size, convention="exact")
    assert (bins[0].start, bins[-1].stop) == (0, size)
    for b, following in zip(bins, [*bins[1:], slice(size, size)], strict=True):
        assert b.start < b.stop
        assert following.start <= b.stop <= following.start + 1


def test_the_length_of_a_row_does_not_depend_on_the_size_of_the_map() -> None:
    """SPP-net's 12 800 features: 256 channels, 50 bins."""
    for size in [(13, 13), (1, 1), (10, 14)]:
        assert spatial_pyramid_pool(np.zeros((1, 256, *size)))[0].shape == (1, 12800)


@pytest.mark.parametrize("k", [2, 3, 6])
def test_a_level_that_divides_the_map_is_max_pooling(k: int) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 12, 18))
    y, switches = spatial_pyramid_pool(x, (k,))
    y_pool, switches_pool = max_pool2d(x, (12 // k, 18 // k))
    np.testing.assert_array_equal(y.data, y_pool.data.reshape(2, -1))
    np.testing.assert_array_equal(switches, switches_pool.reshape(2, -1))


@pytest.mark.parametrize(("k", "window", "stride"), [(3, 5, 4), (2, 7, 6), (1, 13, 13)])
def test_the_sliding_windows_of_training(k: int, window: int, stride: int) -> None:
    """He et al. (2014), §2.3, for conv5's 13 × 13: windows of ⌈13/k⌉ pixels, ⌊13/k⌋ apart, are the same bins."""
    x = np.random.default_rng(0).standard_normal((1, 2, 13, 13))
    pooled = spatial_pyramid_pool(x, (k,))[0].data.reshape(1, 2, k, k)
    np.testing.assert_array_equal(pooled, max_pool2d(x, window, stride=stride)[0].data)


def test_levels_keep_their_order_and_may_repeat() -> None:
    y, _ = spatial_pyramid_pool(np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), [2, 1, 1])
    np.testing.assert_array_equal(y.data, [[1, 2, 3, 4, 4, 4]])


def test_the_first_of_equal_pixels_wins() -> None:
    x = Tensor(np.array([[[[0.0, 5.0], [5.0, 5.0]]]]), requires_grad=True)
    y, switches = spatial_pyramid_pool(x, (1,))
    assert switches.item() == 1
    y.backward(np.array([[3.0]]))
    np.testing.assert_array_equal(x.grad, [[[[0, 3], [0, 0]]]])


def test_gradients_add_up_level_by_level_and_in_the_dtype() -> None:
    """float32: (2²⁴ + 1) + 1 = 2²⁴, since each 1 is rounded away; the other order gives 2²⁴ + 2."""
    for dy, expected in [((2**24, 1, 1), 2**24), ((1, 1, 2**24), 2**24 + 2)]:
        x = Tensor(np.ones((1, 1, 1, 1), np.float32), requires_grad=True)
        y, _ = spatial_pyramid_pool(x, (1, 1, 1))
        y.backward(np.array([dy], np.float32))
        assert x.grad is not None
        assert x.grad.item() == expected


def test_the_first_nan_wins_and_stays_in_its_bins() -> None:
    y, switches = spatial_pyramid_pool(np.array([[[[INF, NAN], [NAN, 1.0]]]]), (1, 2))
    np.testing.assert_array_equal(y.data, [[NAN, INF, NAN, NAN, 1]])
    np.testing.assert_array_equal(switches, [[1, 0, 1, 2, 3]])


def test_negative_features_do_not_become_zero() -> None:
    np.testing.assert_array_equal(spatial_pyramid_pool(np.full((1, 1, 2, 2), -3.0), (1,))[0].data, [[-3]])


def test_an_empty_map() -> None:
    y, switches = spatial_pyramid_pool(np.zeros((1, 2, 0, 3)), (1, 2))
    np.testing.assert_array_equal(y.data, np.full((1, 10), -INF))
    np.testing.assert_array_equal(switches, np.full((1, 10), -1))


@pytest.mark.parametrize(
    ("shape", "levels", "message"),
    [
        ((4, 9, 9), (1, 2), r"spatial_pyramid_pool: x must have rank 4 \(N, C, H, W\), got rank 3"),
        ((1, 1, 4, 4), (), "levels must be a tuple of at least one level, got"),
        ((1, 1, 4, 4), (1, 0), "levels must be at least 1"),
    ],
)
def test_bad_input(shape: tuple[int, ...], levels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spatial_pyramid_pool(np.ones(shape), levels)


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="spatial_pyramid_pool: x must be float32 or float64, got int64"):
        spatial_pyramid_pool(np.ones((1, 1, 3, 3), int))
    with pytest.raises(TypeError, match="spatial_pyramid_pool: levels must hold integers"):
        spatial_pyramid_pool(np.ones((1, 1, 3, 3)), (1, 2.5))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="spatial_pyramid_pool: levels must be a sequence of integers, got 3"):
        spatial_pyramid_pool(np.ones((1, 1, 3, 3)), 3)  # type: ignore[arg-type]


def test_bad_gradient() -> None:
    y, _ = spatial_pyramid_pool(Tensor(np.ones((1, 1, 4, 4)), requires_grad=True), (2,))
    with pytest.raises(ValueError, match=r"must have shape \(1, 4\)"):
        y.backward(np.ones((1, 1, 2, 2)))
