"""roi_align and its sampling points: the definition, the borders, the gradient, the conventions, the errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.ops.roi_align import roi_align
from refdet.ops.roi_sampling import point_taps, roi_sampling_points
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import roi_align as oracle

NAN, INF = np.nan, np.inf
PLANE = np.arange(16.0).reshape(1, 1, 4, 4)  # 4·y + x
ROW = np.array([[[[4.0, 8.0, 16.0, 32.0]]]])


def roi(*box: float, image: float = 0) -> Array:
    """Return (1, 5)."""
    return np.array([[image, *box]], np.float64)


def aligned(x: Array, rois: Array, output_size: Any, **options: Any) -> Array:
    """Return the bins of channel 0 of the first region."""
    y: Array = roi_align(x, rois, output_size, **options).data[0, 0]
    return y


def gradient(x: Array, rois: Array, output_size: Any, **options: Any) -> Array:
    """Return dx where dy is 1, 2, 3, … in row-major order."""
    leaf = Tensor(x, requires_grad=True)
    y = roi_align(leaf, rois, output_size, **options)
    y.backward(np.arange(1.0, y.size + 1).reshape(y.shape).astype(x.dtype))
    assert leaf.grad is not None
    return leaf.grad


def at_points(x: Array, first: float, step: float, n: int, **options: Any) -> Array:
    """Return the features at n points, `step` apart, of the only row of x."""
    box = roi(first - step / 2, -0.5, first - step / 2 + n * step, 0.5)
    features: Array = aligned(x, box, (1, n), sampling_ratio=1, aligned=False, **options)[0]
    return features


def test_deck_example() -> None:
    """Deck 001: f at x = 6.5, y = 5.8 is 0.1 f(6, 5) + 0.1 f(7, 5) + 0.4 f(6, 6) + 0.4 f(7, 6)."""
    x, point = np.arange(1.0, 101.0).reshape(1, 1, 10, 10), roi(6, 5.3, 7, 6.3)
    for border in ("kernel", "zero_decay"):
        options: dict[str, Any] = {"sampling_ratio": 1, "aligned": False, "border": border}
        assert aligned(x, point, 1, **options).item() == pytest.approx(65.5, rel=1e-15)
        dx = gradient(x, point, 1, **options)[0, 0]
        np.testing.assert_allclose(dx[5:7, 6:8], [[0.1, 0.1], [0.4, 0.4]], rtol=1e-14)
        assert np.count_nonzero(dx) == 4


def test_hand_example() -> None:
    """Points at ¾ and 2¼ of both axes: their mean is the middle of the box, 4 · 1½ + 1½."""
    box = roi(0.5, 0.5, 3.5, 3.5)
    assert aligned(PLANE, box, 1).item() == 7.5
    weights = np.array([1, 3, 3, 1]) / 8
    np.testing.assert_array_equal(gradient(PLANE, box, 1)[0, 0], np.outer(weights, weights))
    assert aligned(PLANE, box, 1, aligned=False).item() == 10  # half a pixel down and to the right


def test_old_and_new_convention_side_by_side() -> None:
    """4 × 4 bins over the 4 × 4 pixels around the middle of 0 … 24: aligned hits their centres."""
    x, box = np.arange(25.0).reshape(1, 1, 5, 5), roi(1, 1, 3, 3)
    np.testing.assert_array_equal(aligned(x, box, 4), [[4.5 + 2.5 * i + 0.5 * j for j in range(4)] for i in range(4)])
    np.testing.assert_array_equal(
        aligned(x, box, 4, aligned=False), [[7.5 + 2.5 * i + 0.5 * j for j in range(4)] for i in range(4)]
    )
    np.testing.assert_array_equal(aligned(x, roi(0, 0, 5, 5), 5, sampling_ratio=1), x[0, 0])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Features and coordinates are dyadic, so that equal points are equal, and border and counts are hit exactly."""

    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rng = np.random.default_rng(seed)
    N, R = draw(1, 2), draw(0, 3)
    values = [-1.0, 0.0, 1.0, 2.0, *([NAN] * draw(0, 1))]
    x = in_layout(rng.choice(values, (N, draw(0, 2), draw(0, 5), draw(0, 5))).astype(dtype), layout)
    scale = data.draw(st.sampled_from([0.5, 1.0, 2.0]))
    corners = rng.integers(-8, 32, (R, 4)) / 4 / scale
    rois = np.concatenate([rng.integers(0, N, (R, 1)), corners], axis=1)
    reduction = data.draw(st.sampled_from(["mean", "max"]))
    params = {
        "output_size": (draw(1, 3), draw(1, 3)) if reduction == "mean" else (2 ** draw(0, 2), 2 ** draw(0, 1)),
        "scale": scale,
        "sampling_ratio": data.draw(st.sampled_from([0, 1, 2, 3] if reduction == "mean" else [1, 2, 4])),
        "aligned": data.draw(st.booleans()),
        "border": data.draw(st.sampled_from(["kernel", "zero_decay"])),
        "reduction": reduction,
    }
    inputs = [x, in_layout(rois.astype(dtype), layout)]
    assert_agrees("roi_align", oracle, inputs, rng=rng, params=params, differentiable=(True, False))


@pytest.mark.parametrize("border", ["kernel", "zero_decay"])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 3])
@pytest.mark.parametrize("is_aligned", [True, False])
def test_the_gradient_of_the_mean(border: str, sampling_ratio: int, is_aligned: bool) -> None:
    """The mean is linear in x: no kinks. Overlapping regions, of two images, beyond the map, backwards."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 2, 6, 5))
    rois = np.array([[1, 3.1, 2.2, 17.3, 9.9], [0, -7.4, 8.1, 31.7, 30.2], [1, 9.9, 2.2, 3.3, 8.8]])
    gradcheck(
        lambda t: roi_align(
            t, rois, (3, 2), scale=0.3, sampling_ratio=sampling_ratio, aligned=is_aligned, border=border
        ),
        [x],
        rng=rng,
    )


def test_the_gradient_of_the_largest() -> None:
    """Points of random features are at least 1e-3 apart, so that no step of the check changes a winner."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 2, 6, 5))
    rois = np.array([[0, 3.1, 2.2, 17.3, 14.9], [0, 1.4, 4.1, 11.7, 18.2]])
    gradcheck(lambda t: roi_align(t, rois, 2, scale=0.3, reduction="max"), [x], rng=rng)


@given(seed=seeds, n=st.integers(2, 9))
def test_a_plane_is_reproduced(seed: int, n: int) -> None:
    """Bilinear interpolation is exact on a + b·y + c·x, and the mean of a grid is at its middle."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.standard_normal(3)
    rows, columns = np.mgrid[:10, :12]
    x = (a + b * rows + c * columns)[None, None]
    x1, y1 = rng.uniform(0.5, 4, 2)
    w, h = rng.uniform(0, 5, 2)
    y = aligned(x, roi(x1, y1, x1 + w, y1 + h), n, sampling_ratio=0 if w * h else 1)
    middle = (np.arange(n) + 0.5) / n
    expected = a + b * (y1 - 0.5 + h * middle[:, None]) + c * (x1 - 0.5 + w * middle)
    np.testing.assert_allclose(y, expected, atol=1e-12)


def test_border_of_kernels() -> None:
    """Points from −1½ to 4½, half a pixel apart: up to a pixel beyond, the outermost feature; then 0."""
    between = [4, 6, 8, 12, 16, 24, 32]
    np.testing.assert_array_equal(at_points(ROW, -1.5, 0.5, 13), [0, 4, 4, *between, 32, 32, 0])


def test_border_of_the_equation() -> None:
    """The same points, under the deck's sum over the pixels there are."""
    between = [4, 6, 8, 12, 16, 24, 32]
    np.testing.assert_array_equal(at_points(ROW, -1.5, 0.5, 13, border="zero_decay"), [0, 0, 2, *between, 16, 0, 0])


@given(seed=seeds)
def test_the_equation_of_the_deck(seed: int) -> None:
    """Zero decay is Σ_ij f_ij max(0, 1 − |x − x_i|) max(0, 1 − |y − y_j|) at any point."""
    rng = np.random.default_rng(seed)
    f, (x, y) = rng.standard_normal((5, 4)), rng.uniform(-2, 6, 2)
    expected = sum(f[j, i] * max(0, 1 - abs(x - i)) * max(0, 1 - abs(y - j)) for j, i in np.ndindex(5, 4))
    point = roi(x - 0.5, y - 0.5, x + 0.5, y + 0.5)
    options: dict[str, Any] = {"sampling_ratio": 1, "aligned": False, "border": "zero_decay"}
    assert aligned(f[None, None], point, 1, **options).item() == pytest.approx(expected, abs=1e-13)


def test_kernels_jump_at_the_edge_and_the_equation_does_not() -> None:
    """On a map of ten, as 10.01 lies beyond 10, where kernels still repeat the last pixel."""
    x = np.full((1, 1, 1, 10), 3.0)
    np.testing.assert_array_equal(at_points(x, -1, 1, 1), [3])
    np.testing.assert_array_equal(at_points(x, 10, 1, 1), [3])
    np.testing.assert_array_equal(at_points(x, 10.01, 1, 1), [0])
    np.testing.assert_array_equal(at_points(x, -1.01, 1, 1), [0])
    decayed = [at_points(x, p, 1, 1, border="zero_decay").item() for p in (-1, -0.5, 9.5, 10)]
    np.testing.assert_allclose(decayed, [0, 1.5, 1.5, 0])


def test_the_gradient_stays_where_the_kernels_clamp() -> None:
    """A point at −¾ reads pixel 0 alone: all of the gradient goes there, a quarter of it under the equation."""
    box = roi(-1.25, -0.5, -0.25, 0.5)
    options: dict[str, Any] = {"sampling_ratio": 1, "aligned": False}
    np.testing.assert_array_equal(gradient(ROW, box, 1, **options), [[[[1, 0, 0, 0]]]])
    np.testing.assert_array_equal(gradient(ROW, box, 1, border="zero_decay", **options), [[[[0.25, 0, 0, 0]]]])


def test_a_point_outside_counts() -> None:
    """Points −2 and −½: the mean of 0 and 4; among negative features the 0 is the largest, without a gradient."""
    box = roi(-2.75, -0.5, 0.25, 0.5)
    assert aligned(ROW, box, 1, aligned=False).item() == 2
    assert aligned(-ROW, box, 1, aligned=False, reduction="max").item() == 0
    np.testing.assert_array_equal(gradient(-ROW, box, 1, aligned=False, reduction="max"), np.zeros_like(ROW))


def test_a_region_outside_the_map_is_zero() -> None:
    for box in [(6, 0, 9, 4), (-9, 0, -2, 4), (1e9, 1e9, 1.1e9, 1.1e9)]:
        for reduction in ("mean", "max"):
            np.testing.assert_array_equal(aligned(PLANE + 1, roi(*box), 2, reduction=reduction), np.zeros((2, 2)))
            np.testing.assert_array_equal(gradient(PLANE, roi(*box), 2, reduction=reduction), np.zeros_like(PLANE))


def test_adaptive_counts() -> None:
    """⌈3/2⌉ = 2 points per bin across, ⌈3/4⌉ = 1 down."""
    y, x = roi_sampling_points((0.5, 0.5, 3.5, 3.5), output_size=(4, 2), sampling_ratio=0)
    np.testing.assert_array_equal(y, [[0.375], [1.125], [1.875], [2.625]])
    np.testing.assert_array_equal(x, [[0.375, 1.125], [1.875, 2.625]])


@pytest.mark.parametrize(("length", "n_points"), [(14, 2), (14 + 2**-20, 3), (13, 2), (7, 1), (0.25, 1), (0, 0)])
def test_the_number_of_adaptive_points(length: float, n_points: int) -> None:
    """⌈length / 7⌉."""
    y, _ = roi_sampling_points((0, 0, 1, length), output_size=7, sampling_ratio=0)
    assert y.shape == (7, n_points)


def test_degenerate_regions() -> None:
    """A point, and a box turned round, under all conventions."""
    point, backwards = roi(1.5, 2.5, 1.5, 2.5), roi(3.5, 0.5, 1.5, 3.5)
    np.testing.assert_array_equal(aligned(PLANE, point, (1, 2)), [[9, 9]])  # all samples at (1, 2)
    np.testing.assert_array_equal(aligned(PLANE, point, (1, 2), sampling_ratio=0), [[0, 0]])  # no samples
    assert aligned(PLANE, roi(1, 2, 1, 2), 1, aligned=False).item() == 4 * 2.5 + 1.5  # a pixel from (1, 2)
    np.testing.assert_array_equal(aligned(PLANE, backwards, (1, 2), sampling_ratio=1), [[8.5, 7.5]])  # at 2½, then 1½
    np.testing.assert_array_equal(aligned(PLANE, backwards, (1, 2), sampling_ratio=0), [[0, 0]])
    for reduction in ("mean", "max"):
        options: dict[str, Any] = {"sampling_ratio": 0, "reduction": reduction}
        np.testing.assert_array_equal(gradient(PLANE, backwards, 2, **options), np.zeros_like(PLANE))
        np.testing.assert_array_equal(aligned(PLANE + 1, backwards, 2, **options), np.zeros((2, 2)))


def test_the_largest_is_that_of_points() -> None:
    """Points (½, ½), (½, 2½), (2½, ½), (2½, 2½) are 2, 2, 4, 1; the largest weighted pixel would be 2."""
    x = np.array([[[[0.0, 8, 0, 0], [0, 0, 0, 8], [8, 0, 0, 0], [8, 0, 4, 0]]]])
    assert aligned(x, roi(0, 0, 4, 4), 1, reduction="max").item() == 4
    dx = np.zeros((4, 4))
    dx[2:, :2] = 0.25
    np.testing.assert_array_equal(gradient(x, roi(0, 0, 4, 4), 1, reduction="max")[0, 0], dx)


def test_the_first_of_equal_points_wins() -> None:
    """Points (½, ½) and (½, 2½) are both 2."""
    x = np.array([[[[0.0, 8, 0, 0], [0, 0, 0, 8]]]])
    dx = gradient(x, roi(0, 1, 4, 1), 1, reduction="max")
    np.testing.assert_array_equal(dx, [[[[0.25, 0.25, 0, 0], [0.25, 0.25, 0, 0]]]])


def test_the_first_nan_point_wins() -> None:
    x = np.array([[[[1.0, 1.0, NAN, 1.0, NAN, NAN]]]])
    box = roi(0, -0.5, 6, 0.5)  # points ½, 1½ … 5½, of which 1½ is the first to see a NaN
    assert math.isnan(aligned(x, box, 1, sampling_ratio=6, aligned=False, reduction="max").item())
    dx = gradient(x, box, 1, sampling_ratio=6, aligned=False, reduction="max")
    np.testing.assert_array_equal(dx, [[[[0, 0.5, 0.5, 0, 0, 0]]]])


@pytest.mark.parametrize("reduction", ["mean", "max"])
def test_a_nan_reaches_the_points_next_to_it(reduction: str) -> None:
    """Column 2 is NaN: points at 1 (with weight 0), 1½ and 2½ see it; ½, 3 and, beyond the edge, −½ do not."""
    x = np.array([[[[1.0, 2.0, NAN, 4.0, 5.0]]]])
    np.testing.assert_array_equal(at_points(x, -0.5, 0.5, 8, reduction=reduction), [1, 1, 1.5, NAN, NAN, NAN, NAN, 4])


def test_an_infinite_pixel() -> None:
    """At ½ it is met with weight ½, at 0 with weight 0: by itself 0 · ∞ is NaN."""
    x = np.array([[[[1.0, INF]]]])
    np.testing.assert_array_equal(at_points(x, 0, 0.5, 2), [NAN, INF])
    box = roi(-0.25, -0.5, 0.75, 0.5)  # both points in one bin
    assert aligned(x, box, 1, sampling_ratio=2, aligned=False).item() == INF
    assert math.isnan(aligned(x, box, 1, sampling_ratio=2, aligned=False, reduction="max").item())


def test_gradients_of_regions_add_up_in_their_order_and_in_the_dtype() -> None:
    """float32: (2²⁴ + 1) + 1 = 2²⁴, since each 1 is rounded away; the other order gives 2²⁴ + 2."""
    rois = np.repeat(roi(0, 0, 1, 1), 3, axis=0).astype(np.float32)
    for reduction in ("mean", "max"):
        for dy, expected in [((2**24, 1, 1), 2**24), ((1, 1, 2**24), 2**24 + 2)]:
            x = Tensor(np.ones((1, 1, 1, 1), np.float32), requires_grad=True)
            y = roi_align(x, rois, 1, sampling_ratio=1, reduction=reduction)
            y.backward(np.array(dy, np.float32).reshape(3, 1, 1, 1))
            assert x.grad is not None
            assert x.grad.dtype == np.float32
            assert x.grad.item() == expected


def test_each_region_reads_its_image() -> None:
    x = np.arange(3.0).reshape(3, 1, 1, 1)
    rois = np.concatenate([roi(0, 0, 1, 1, image=n) for n in (2, 0, 2, 1)])
    np.testing.assert_array_equal(roi_align(x, rois, 1).data.ravel(), [2, 0, 2, 1])
    np.testing.assert_array_equal(gradient(x, rois, 1).ravel(), [2, 4, 1 + 3])


def test_no_regions() -> None:
    for reduction in ("mean", "max"):
        assert roi_align(PLANE, np.zeros((0, 5)), (2, 3), reduction=reduction).shape == (0, 1, 2, 3)
        np.testing.assert_array_equal(gradient(PLANE, np.zeros((0, 5)), 2, reduction=reduction), np.zeros_like(PLANE))


def test_regions_receive_no_gradient() -> None:
    rois, x = Tensor(roi(0, 0, 2, 2), requires_grad=True), Tensor(PLANE, requires_grad=True)
    y = roi_align(x, rois * 1.0, 1)
    y.backward(np.ones(y.shape))
    assert rois.grad is None


@pytest.mark.parametrize("options", [{}, {"aligned": False}, {"sampling_ratio": 0}, {"sampling_ratio": 3}])
def test_sampling_points_are_those_of_the_op(options: dict[str, Any]) -> None:
    """On the planes y and x the mean of a bin is the mean of its points."""
    rows, columns = np.mgrid[:20, :30].astype(np.float64)
    box = (13.3, 21.7, 87.1, 63.2)
    y, x = roi_sampling_points(box, output_size=(3, 4), scale=0.25, **options)
    crop = roi_align(np.stack([rows, columns])[None], roi(*box), (3, 4), scale=0.25, **options).data[0]
    np.testing.assert_allclose(crop[0], np.repeat(y.mean(1)[:, None], 4, axis=1), rtol=1e-13)
    np.testing.assert_allclose(crop[1], np.repeat(x.mean(1)[None], 3, axis=0), rtol=1e-13)


@pytest.mark.parametrize("border", ["kernel", "zero_decay"])
def test_taps(border: str) -> None:
    """Weights of the pixels that exist add up to 1 inside the map."""
    points = np.linspace(0, 4, 33)
    taps = point_taps(points, 5, border=border)
    np.testing.assert_array_equal(np.where(taps.exist, taps.weights, 0).sum(-1), np.ones(33))
    np.testing.assert_array_equal((taps.weights * taps.pixels * taps.exist).sum(-1), points)


def test_many_points_take_little_memory() -> None:
    """A megapixel averaged in one bin, 1000 × 1000 points; and the largest number of them."""
    x = np.ones((1, 1, 1000, 1000), np.float32)
    for side, expected in [(1000, 1.0), (4096, (1001 / 4096) ** 2)]:  # of 4096, the last that counts is at 1000
        y = roi_align(x, roi(0, 0, side, side).astype(np.float32), 1, sampling_ratio=0)
        assert y.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("box", "options", "message"),
    [
        ((0, 0, 1e9, 1e9), {"sampling_ratio": 0}, r"rois\[0\] covers 1e\+09 × 1e\+09 pixels .* asks for 500000000 ×"),
        ((0, 0, 8194, 2), {"sampling_ratio": 0}, r"asks for 1 × 4097 points in each bin, where 4096 along an axis"),
        ((0, 0, 2, 2), {"sampling_ratio": 4097}, "roi_align: sampling_ratio must be at most 4096, got 4097"),
        ((0, 0, 2, 2), {"sampling_ratio": -1}, "sampling_ratio must be at least 0"),
        ((0, 0, 2, 2), {"border": "zeros"}, "border must be one of 'kernel', 'zero_decay', got 'zeros'"),
        ((0, 0, 2, 2), {"reduction": "avg"}, "reduction must be one of 'mean', 'max', got 'avg'"),
        ((0, 0, 2, 2), {"scale": -1.0}, r"scale must lie in \(0, inf\)"),
        ((0, NAN, 2, 2), {}, r"roi_align: rois\[0\]: times scale 1, coordinates must be finite and less than 2³¹"),
        ((0, 0, 2**31, 2), {}, "less than 2³¹"),
    ],
)
def test_bad_input(box: tuple[float, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        roi_align(PLANE, roi(*box), 2, **options)


def test_bad_regions() -> None:
    with pytest.raises(
        ValueError, match=r"roi_align: rois\[1\]: the first number, the image, must be whole, got \(0.5,"
    ):
        roi_align(PLANE, np.array([[0, 0, 0, 2, 2], [0.5, 0, 0, 2, 2]]), 2)
    with pytest.raises(ValueError, match=r"rois\[0\]: the first number, the image, must be one of the 1 of x from 0"):
        roi_align(PLANE, roi(0, 0, 2, 2, image=1), 2)
    with pytest.raises(ValueError, match=r"so shape \(R, 5\), got \(1, 4\)"):
        roi_align(PLANE, np.ones((1, 4)), 2)


def test_bad_types() -> None:
    with pytest.raises(TypeError, match="roi_align: x is float64 but rois is float32"):
        roi_align(PLANE, roi(0, 0, 2, 2).astype(np.float32), 2)
    with pytest.raises(TypeError, match=r"roi_align: sampling_ratio must be an integer, got 2\.0"):
        roi_align(PLANE, roi(0, 0, 2, 2), 2, sampling_ratio=2.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="roi_align: aligned must be True or False, got 1"):
        roi_align(PLANE, roi(0, 0, 2, 2), 2, aligned=1)  # type: ignore[arg-type]


def test_bad_sampling_points() -> None:
    with pytest.raises(ValueError, match=r"roi_sampling_points: roi must be \(x1, y1, x2, y2\), got shape \(5,\)"):
        roi_sampling_points((0, 0, 0, 2, 2), output_size=2)
    with pytest.raises(ValueError, match=r"roi_sampling_points: rois\[0\]: .* finite"):
        roi_sampling_points((0, 0, NAN, 2), output_size=2)


def test_bad_gradient() -> None:
    y = roi_align(Tensor(PLANE, requires_grad=True), roi(0, 0, 2, 2), 2)
    with pytest.raises(ValueError, match=r"must have shape \(1, 1, 2, 2\)"):
        y.backward(np.ones((1, 1, 4, 4)))
