"""roi_pool: the definition, its rounding, its switches, its gradient, its conventions, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.ops.bins import bin_slices
from refdet.ops.roi_pool import roi_pool, round_half_away
from refdet.ops.spatial_pyramid_pool import spatial_pyramid_pool
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import roi_pool as oracle

NAN, INF = np.nan, np.inf
MAP = np.arange(30.0).reshape(1, 1, 5, 6)


def roi(*box: float, image: float = 0) -> Array:
    """Return (1, 5)."""
    return np.array([[image, *box]], np.float64)


def pooled(x: Array, rois: Array, output_size: Any, **options: Any) -> tuple[Array, Array]:
    """Return the bins of channel 0 of the first region, and their switches."""
    y, switches = roi_pool(x, rois, output_size, **options)
    return y.data[0, 0], switches[0, 0]


def gradient(x: Array, rois: Array, output_size: Any, **options: Any) -> Array:
    """Return dx where dy is 1, 2, 3, … in row-major order."""
    leaf = Tensor(x, requires_grad=True)
    y, _ = roi_pool(leaf, rois, output_size, **options)
    y.backward(np.arange(1.0, y.size + 1).reshape(y.shape).astype(x.dtype))
    assert leaf.grad is not None
    return leaf.grad


def test_hand_example() -> None:
    """Scale ½: corners (1, ½, 4½, 3½) are rounded to columns 1 … 5 and rows 1 … 4; two bins share column 3."""
    y, switches = pooled(MAP, roi(2, 1, 9, 7), 2, scale=0.5)
    np.testing.assert_array_equal(y, [[15, 17], [27, 29]])
    np.testing.assert_array_equal(switches, [[15, 17], [27, 29]])
    dx = np.zeros(30)
    dx[[15, 17, 27, 29]] = [1, 2, 3, 4]
    np.testing.assert_array_equal(gradient(MAP, roi(2, 1, 9, 7), 2, scale=0.5).ravel(), dx)


def test_deck_sizes() -> None:
    """Deck 001: a 3 × 640 × 480 image, 512 × 20 × 15 features (stride 32), a crop of 2 × 2."""
    x = np.random.default_rng(0).standard_normal((1, 512, 20, 15)).astype(np.float32)
    y, _ = roi_pool(x, roi(32, 64, 300, 500).astype(np.float32), 2, scale=1 / 32)
    rows, columns = (slice(2, 10), slice(9, 17)), (slice(1, 6), slice(5, 10))  # of rows 2 … 15.6 and columns 1 … 9.4
    for p, q in np.ndindex(2, 2):
        np.testing.assert_array_equal(y.data[0, :, p, q], x[0, :, rows[p], columns[q]].max((1, 2)))


def test_switches_cannot_be_changed_under_the_gradient() -> None:
    x = Tensor(np.arange(4.0).reshape(1, 1, 2, 2), requires_grad=True)
    _, switches = roi_pool(x, roi(0, 0, 1, 1), 2)
    with pytest.raises(ValueError, match="read-only"):
        switches[...] = 0


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Corners in quarters of a pixel around the map, malformed ones and ties of the rounding among them."""

    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rng = np.random.default_rng(seed)
    N, R = draw(1, 2), draw(0, 3)
    values = [-1.0, 0.0, 1.0, 2.0, *data.draw(st.sampled_from([[], [-INF], [NAN], [INF, NAN]]))]
    x = in_layout(rng.choice(values, (N, draw(0, 2), draw(0, 6), draw(0, 6))).astype(dtype), layout)
    scale = data.draw(st.sampled_from([0.5, 1.0, 2.0]))
    corners = rng.integers(-8, 32, (R, 4)) / 4 / scale
    rois = np.concatenate([rng.integers(0, N, (R, 1)), corners], axis=1)
    params = {
        "output_size": (draw(1, 4), draw(1, 4)),
        "scale": scale,
        "convention": data.draw(st.sampled_from(["exact", "float32-bins"])),
    }
    inputs = [x, in_layout(rois.astype(dtype), layout)]
    assert_agrees("roi_pool", oracle, inputs, rng=rng, params=params, differentiable=(True, False))


def test_gradient() -> None:
    """Pixels at least 1 apart, so that no step of the check changes a winner; overlapping regions of two images."""
    rng = np.random.default_rng(0)
    x = rng.permutation(2 * 2 * 7 * 6).astype(np.float64).reshape(2, 2, 7, 6)
    rois = np.array([[1, 0, 0, 5, 6], [0, 2, 1, 9, 4], [1, 3, 3, 4, 5.0]])
    gradcheck(lambda t: roi_pool(t, rois, (3, 2))[0], [x], rng=rng)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.5, 1), (1.5, 2), (2.5, 3), (-0.5, -1), (-2.5, -3), (0.49999999999999994, 0), (2.4, 2), (-2.6, -3)],
)
def test_halves_are_rounded_away_from_zero(value: float, expected: int) -> None:
    assert round_half_away(np.array([value])).item() == expected


def test_a_half_moves_the_corner_of_the_region() -> None:
    """½ … 2½ is columns 1 … 3, and not 0 … 2 as halves to even give."""
    row = np.arange(6.0).reshape(1, 1, 1, 6)
    np.testing.assert_array_equal(pooled(row, roi(0.5, 0, 2.5, 0), (1, 3))[0], [[1, 2, 3]])


@pytest.mark.parametrize(
    ("box", "pixel"),
    [
        ((3, 2, 3, 2), 2 * 6 + 3),  # no area
        ((4, 2, 1, 2), 2 * 6 + 4),  # x2 < x1: one column, at x1
        ((4, 3, 1, 0), 3 * 6 + 4),  # both: one pixel
    ],
)
def test_degenerate_regions_have_one_pixel(box: tuple[float, ...], pixel: int) -> None:
    np.testing.assert_array_equal(pooled(MAP, roi(*box), 2)[1], np.full((2, 2), pixel))


def test_both_corners_belong_to_the_region() -> None:
    assert pooled(MAP, roi(1, 1, 2, 3), 1)[0].item() == 3 * 6 + 2


def test_a_region_outside_the_map_is_zero() -> None:
    for box in [(6, 0, 9, 4), (-9, 0, -1, 4), (0, 5, 3, 8), (1e9, 1e9, 1.5e9, 1.5e9)]:
        y, switches = pooled(MAP - 100, roi(*box), 2)
        np.testing.assert_array_equal(y, np.zeros((2, 2)))
        np.testing.assert_array_equal(switches, np.full((2, 2), -1))
        np.testing.assert_array_equal(gradient(MAP, roi(*box), 2), np.zeros_like(MAP))


def test_bins_are_clipped_to_the_map() -> None:
    """Columns 4 … 7 of six in two bins: 4 … 5, then none."""
    y, switches = pooled(MAP - 100, roi(4, 0, 7, 0), (1, 2))
    np.testing.assert_array_equal(y, [[-95, 0]])
    np.testing.assert_array_equal(switches, [[5, -1]])


def test_a_huge_region_has_the_map_in_one_bin() -> None:
    """From −10⁹ to 10⁹: all of the map lies in the middle one of three bins."""
    y, switches = pooled(MAP, roi(-1e9, -1e9, 1e9, 1e9), 3)
    np.testing.assert_array_equal(y, [[0, 0, 0], [0, 29, 0], [0, 0, 0]])
    np.testing.assert_array_equal(switches, [[-1, -1, -1], [-1, 29, -1], [-1, -1, -1]])


@pytest.mark.parametrize(("extent", "n_bins", "last"), [(57, 7, 58), (57, 14, 58)])
def test_bounds_of_bins_in_float32_may_overshoot(extent: int, n_bins: int, last: int) -> None:
    exact = bin_slices(0, extent, n_bins, 100, convention="exact")
    kernels = bin_slices(0, extent, n_bins, 100, convention="float32-bins")
    assert (exact[-1].stop, kernels[-1].stop) == (extent, last)
    assert exact[:-1] == kernels[:-1]


@given(extent=st.integers(1, 40), n_bins=st.integers(1, 7))
def test_bounds_of_small_bins_agree(extent: int, n_bins: int) -> None:
    """The maps of this scale's detectors hide the difference."""
    bins = [bin_slices(3, extent, n_bins, 100, convention=c) for c in ("exact", "float32-bins")]
    assert bins[0] == bins[1]


def test_the_convention_reaches_the_pooling() -> None:
    x, box = np.arange(58.0).reshape(1, 1, 58, 1), roi(0, 0, 0, 56)
    assert pooled(x, box, (7, 1))[0][-1, 0] == 56
    assert pooled(x, box, (7, 1), convention="float32-bins")[0][-1, 0] == 57


@given(seed=seeds, k=st.integers(1, 5))
def test_the_whole_map_is_a_level_of_the_pyramid(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (1, 2, *rng.integers(1, 7, 2))).astype(np.float64)
    y, switches = roi_pool(x, roi(0, 0, x.shape[3] - 1, x.shape[2] - 1), k)
    y_level, switches_level = spatial_pyramid_pool(x, (k,))
    np.testing.assert_array_equal(y.data.reshape(1, -1), y_level.data)
    np.testing.assert_array_equal(switches.reshape(1, -1), switches_level)


def test_the_first_of_equal_pixels_wins() -> None:
    x = np.array([[[[7.0, 9.0, 9.0], [7.0, 9.0, 7.0]]]])
    np.testing.assert_array_equal(pooled(x, roi(0, 0, 2, 1), (1, 2))[1], [[1, 1]])
    np.testing.assert_array_equal(gradient(x, roi(0, 0, 2, 1), (1, 2)), [[[[0, 3, 0], [0, 0, 0]]]])  # 1 + 2


def test_gradients_of_regions_add_up_in_their_order_and_in_the_dtype() -> None:
    """float32: (2²⁴ + 1) + 1 = 2²⁴, since each 1 is rounded away; the other order gives 2²⁴ + 2."""
    rois = np.repeat(roi(0, 0, 0, 0), 3, axis=0).astype(np.float32)
    for dy, expected in [((2**24, 1, 1), 2**24), ((1, 1, 2**24), 2**24 + 2)]:
        x = Tensor(np.ones((1, 1, 1, 1), np.float32), requires_grad=True)
        y, _ = roi_pool(x, rois, 1)
        y.backward(np.array(dy, np.float32).reshape(3, 1, 1, 1))
        assert x.grad is not None
        assert x.grad.item() == expected


def test_the_first_nan_wins_and_minus_infinity_is_a_pixel() -> None:
    x = np.array([[[[INF, NAN, NAN], [-INF, -INF, 1.0]]]])
    y, switches = roi_pool(x, np.array([[0, 0, 0, 2, 0], [0, 0, 1, 1, 1.0]]), 1)
    np.testing.assert_array_equal(y.data.ravel(), [NAN, -INF])
    np.testing.assert_array_equal(switches.ravel(), [1, 3])


def test_each_region_reads_its_image() -> None:
    x = np.arange(3.0).reshape(3, 1, 1, 1)
    rois = np.concatenate([roi(0, 0, 0, 0, image=n) for n in (2, 0, 2, 1)])
    np.testing.assert_array_equal(roi_pool(x, rois, 1)[0].data.ravel(), [2, 0, 2, 1])
    np.testing.assert_array_equal(gradient(x, rois, 1).ravel(), [2, 4, 1 + 3])


def test_no_regions() -> None:
    y, switches = roi_pool(MAP, np.zeros((0, 5)), (2, 3))
    assert y.shape == switches.shape == (0, 1, 2, 3)
    np.testing.assert_array_equal(gradient(MAP, np.zeros((0, 5)), 2), np.zeros_like(MAP))


def test_regions_receive_no_gradient() -> None:
    """Also where they come from a computation that has one."""
    rois = Tensor(roi(0, 0, 2, 2), requires_grad=True)
    x = Tensor(MAP, requires_grad=True)
    y, _ = roi_pool(x, rois * 1.0, 1)
    y.backward(np.ones(y.shape))
    assert rois.grad is None
    y, _ = roi_pool(MAP, rois, 1)
    assert not y.requires_grad


@pytest.mark.parametrize(
    ("rois", "message"),
    [
        (
            [[0, 0, 0, 2, 2], [0, 0, NAN, 2, 2]],
            r"roi_pool: rois\[1\]: .* must be finite .*, got \(0.0, 0.0, nan, 2.0, 2.0\)",
        ),
        ([[0, -INF, 0, 2, 2]], r"roi_pool: rois\[0\]: .* must be finite"),
        ([[0, 0, 0, 2, 1e10]], r"roi_pool: rois\[0\]: times scale 1, coordinates must be .* less than 2³¹"),
        ([[0, 0, 0, 2, 1.7e308]], "less than 2³¹"),
        ([[0.5, 0, 0, 2, 2]], r"roi_pool: rois\[0\]: the first number, the image, must be whole, got \(0.5,"),
        ([[NAN, 0, 0, 2, 2]], "the first number, the image, must be whole"),
        ([[0, 0, 0, 2, 2], [2, 0, 0, 2, 2]], r"rois\[1\]: .* image, must be one of the 2 of x from 0, got \(2.0,"),
        ([[-1, 0, 0, 2, 2]], "must be one of the 2 of x"),
        ([[INF, 0, 0, 2, 2]], "must be one of the 2 of x"),
        ([[0, 0, 0, 2]], r"rois must have rows \(image, x1, y1, x2, y2\), so shape \(R, 5\), got \(1, 4\)"),
        ([0, 0, 0, 2, 2], r"rois must have rank 2 \(R, 5\), got rank 1"),
    ],
)
def test_bad_regions(rois: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        roi_pool(np.ones((2, 1, 4, 4)), np.array(rois, np.float64), 2)


@pytest.mark.parametrize(
    ("shape", "output_size", "options", "message"),
    [
        ((4, 9, 9), 2, {}, r"roi_pool: x must have rank 4 \(N, C, H, W\), got rank 3"),
        ((1, 1, 4, 4), 0, {}, "roi_pool: output_size must be at least 1"),
        ((1, 1, 4, 4), (2, 2, 2), {}, "output_size must be an integer or 2 of them"),
        ((1, 1, 4, 4), 2, {"scale": 0}, r"scale must lie in \(0, inf\)"),
        ((1, 1, 4, 4), 2, {"scale": NAN}, "scale must be a finite number"),
        ((1, 1, 4, 4), 2, {"convention": "caffe"}, "convention must be one of 'exact', 'float32-bins', got 'caffe'"),
        ((0, 1, 4, 4), 2, {}, r"rois\[0\]: the first number, the image, must be one of the 0 of x"),
    ],
)
def test_bad_input(shape: tuple[int, ...], output_size: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        roi_pool(np.ones(shape), roi(0, 0, 2, 2), output_size, **options)


def test_bad_dtypes() -> None:
    with pytest.raises(TypeError, match="roi_pool: x must be float32 or float64, got int64"):
        roi_pool(np.ones((1, 1, 3, 3), int), roi(0, 0, 2, 2), 2)
    with pytest.raises(TypeError, match="roi_pool: rois must be float32 or float64, got int64"):
        roi_pool(np.ones((1, 1, 3, 3)), roi(0, 0, 2, 2).astype(int), 2)
    with pytest.raises(TypeError, match="roi_pool: x is float32 but rois is float64"):
        roi_pool(np.ones((1, 1, 3, 3), np.float32), roi(0, 0, 2, 2), 2)


def test_bad_gradient() -> None:
    y, _ = roi_pool(Tensor(np.ones((1, 1, 4, 4)), requires_grad=True), roi(0, 0, 2, 2), 2)
    with pytest.raises(ValueError, match=r"must have shape \(1, 1, 2, 2\)"):
        y.backward(np.ones((1, 1, 4, 4)))
