"""max_pool2d: the definition, its switches, its gradient, its conventions, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck, no_grad
from refdet.core.check import Array
from refdet.ops.max_pool2d import max_pool2d, max_pool2d_forward
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import max_pool2d as oracle

NAN, INF = np.nan, np.inf


def plane(rows: list[list[float]]) -> Array:
    """Return (1, 1, H, W)."""
    return np.array(rows, np.float64)[None, None]


def gradient(x: Array, kernel_size: Any, **options: Any) -> Array:
    """Return dx of plane 0 where dy is 1, 2, 3, … in row-major order."""
    leaf = Tensor(x, requires_grad=True)
    y, _ = max_pool2d(leaf, kernel_size, **options)
    y.backward(np.arange(1.0, y.size + 1).reshape(y.shape))
    assert leaf.grad is not None
    dx: Array = leaf.grad[0, 0]
    return dx


def test_hand_example() -> None:
    """Windows of 3 × 3, 2 apart, over 0 … 24 turned around: the first pixel of each window wins."""
    x = np.arange(24.0, -1, -1).reshape(1, 1, 5, 5)
    y, switches = max_pool2d(x, 3, stride=2)
    np.testing.assert_array_equal(y.data[0, 0], [[24, 22], [14, 12]])
    np.testing.assert_array_equal(switches[0, 0], [[0, 2], [10, 12]])
    assert switches.dtype == np.int64
    dx = np.zeros(25)
    dx[[0, 2, 10, 12]] = [1, 2, 3, 4]
    np.testing.assert_array_equal(gradient(x, 3, stride=2), dx.reshape(5, 5))


def test_windows_lie_side_by_side_unless_a_stride_is_given() -> None:
    x = plane([[1, 2, 3, 4, 5, 6]])
    np.testing.assert_array_equal(max_pool2d(x, (1, 3))[0].data[0, 0], [[3, 6]])
    np.testing.assert_array_equal(max_pool2d(x, (1, 3), stride=1)[0].data[0, 0], [[3, 4, 5, 6]])


def test_switches_count_within_each_plane() -> None:
    x = np.arange(2 * 3 * 4.0).reshape(2, 3, 2, 2)
    np.testing.assert_array_equal(max_pool2d(x, 2)[1], np.full((2, 3, 1, 1), 3))


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rng = np.random.default_rng(seed)
    ceil_mode = data.draw(st.booleans())
    kernel, stride, dilation = ((draw(1, 3), draw(1, 3)), (draw(1, 4), draw(1, 4)), (draw(1, 3), draw(1, 3)))
    extent = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple((draw(0, min(2, e - 1)), draw(0, min(2, e - 1))) for e in extent)
    least = [e - sum(p) - (s - 1) * ceil_mode for e, p, s in zip(extent, padding, stride, strict=True)]
    size = [max(1, n) + draw(0, 4) for n in least]
    values = np.array([-1.0, 0.0, 1.0, 2.0, *([-INF] * draw(0, 2)), *([NAN] * draw(0, 1)), *([INF] * draw(0, 1))])
    x = in_layout(rng.choice(values, (draw(0, 2), draw(0, 2), *size)).astype(dtype), layout)
    params: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
        "convention": data.draw(st.sampled_from(["torch", "caffe"])),
    }
    assert_agrees("max_pool2d", oracle, [x], rng=rng, params=params)


def test_gradient() -> None:
    """Pixels at least 1 apart, so that no step of the check changes a winner."""
    rng = np.random.default_rng(0)
    x = rng.permutation(2 * 3 * 7 * 6).astype(np.float64).reshape(2, 3, 7, 6)

    def pool(t: Tensor) -> Tensor:
        return max_pool2d(
            t, (3, 2), stride=(2, 1), padding=((1, 2), (0, 1)), dilation=(1, 2), ceil_mode=True, convention="caffe"
        )[0]

    gradcheck(pool, [x], rng=rng)


def test_the_first_of_equal_maxima_wins() -> None:
    """Row-major order of the window, which is not that of the columns: (0, 1) comes before (1, 0)."""
    x = plane([[0, 5], [5, 5]])
    assert max_pool2d(x, 2)[1].item() == 1
    np.testing.assert_array_equal(gradient(x, 2), [[0, 1], [0, 0]])


def test_zeros_of_either_sign_are_a_tie() -> None:
    y, switches = max_pool2d(plane([[-0.0, 0.0]]), (1, 2))
    assert switches.item() == 0
    assert np.signbit(y.data.item())


def test_a_pixel_that_wins_twice_adds_up() -> None:
    """9 wins both windows; their gradients are 1 and 2."""
    x = plane([[0, 9, 0]])
    np.testing.assert_array_equal(max_pool2d(x, (1, 2), stride=1)[1].ravel(), [1, 1])
    np.testing.assert_array_equal(gradient(x, (1, 2), stride=1), [[0, 3, 0]])


def test_gradients_add_up_in_row_major_order_and_in_the_dtype() -> None:
    """float32: (2²⁴ + 1) + 1 = 2²⁴, since each 1 is rounded away; float64 sums would give 2²⁴ + 2."""
    x = Tensor(np.array([[[[0, 0, 9, 0, 0]]]], np.float32), requires_grad=True)
    y, _ = max_pool2d(x, (1, 3), stride=1)
    y.backward(np.array([[[[2**24, 1, 1]]]], np.float32))
    assert x.grad is not None
    assert x.grad.dtype == np.float32
    assert x.grad[0, 0, 0, 2] == 2**24


def test_the_first_nan_wins() -> None:
    x = plane([[1, NAN, INF, NAN]])
    y, switches = max_pool2d(x, (1, 4))
    assert np.isnan(y.data.item())
    assert switches.item() == 1
    np.testing.assert_array_equal(gradient(x, (1, 4)), [[0, 1, 0, 0]])


def test_a_nan_stays_in_its_windows() -> None:
    y, switches = max_pool2d(plane([[1, NAN, 0, 3]]), (1, 2))
    np.testing.assert_array_equal(y.data.ravel(), [NAN, 3])
    np.testing.assert_array_equal(switches.ravel(), [1, 3])


def test_padding_never_wins() -> None:
    y, switches = max_pool2d(np.full((1, 1, 2, 2), -7.0), 2, stride=1, padding=1)
    np.testing.assert_array_equal(y.data[0, 0], np.full((3, 3), -7.0))
    np.testing.assert_array_equal(switches[0, 0], [[0, 0, 1], [0, 0, 1], [2, 2, 3]])


def test_padding_does_not_win_from_minus_infinity_either() -> None:
    """The switch is that of the first real pixel, not of padding: every window has one."""
    x = np.full((1, 1, 1, 2), -INF)
    y, switches = max_pool2d(x, (1, 2), stride=1, padding=(0, 1))
    np.testing.assert_array_equal(y.data.ravel(), [-INF] * 3)
    np.testing.assert_array_equal(switches.ravel(), [0, 0, 1])


def test_an_empty_window_of_the_caffe_rule() -> None:
    """Stride 4 over 4 pixels without padding: ⌈3/4⌉ + 1 = 2 windows, the second of which starts beyond them."""
    x = plane([[1, 2, 3, 4]])
    y, switches = max_pool2d(x, 1, stride=(1, 4), ceil_mode=True, convention="caffe")
    np.testing.assert_array_equal(y.data.ravel(), [1, -INF])
    np.testing.assert_array_equal(switches.ravel(), [0, -1])
    np.testing.assert_array_equal(gradient(x, 1, stride=(1, 4), ceil_mode=True, convention="caffe"), [[1, 0, 0, 0]])


def test_dilation_can_step_over_every_pixel() -> None:
    """Taps at −1 and 1 around a single pixel."""
    x = plane([[5]])
    y, switches = max_pool2d(x, (1, 2), padding=(0, 1), dilation=(1, 2))
    assert (y.data.item(), switches.item()) == (-INF, -1)
    np.testing.assert_array_equal(gradient(x, (1, 2), padding=(0, 1), dilation=(1, 2)), [[0]])


def test_an_empty_plane() -> None:
    y, switches = max_pool2d(np.zeros((1, 2, 0, 3)), 2, stride=1, padding=((1, 1), (0, 0)))
    np.testing.assert_array_equal(y.data, np.full((1, 2, 1, 2), -INF))
    np.testing.assert_array_equal(switches, np.full((1, 2, 1, 2), -1))


@pytest.mark.parametrize(
    ("size", "stride", "padding", "n_floor", "n_torch", "n_caffe"),
    [
        (6, 2, (0, 0), 2, 3, 3),  # the third window starts at 4 and overhangs by one
        (5, 2, (0, 0), 2, 2, 2),  # nothing to round
        (7, 4, (0, 0), 2, 2, 2),
        (8, 8, (0, 0), 1, 1, 2),  # the second starts at 8, beyond the 8 pixels: only Caffe, unpadded, keeps it
        (8, 8, (1, 0), 1, 2, 2),  # it starts at 8 < 8 + 1
        (7, 8, (1, 1), 1, 1, 1),  # ⌈6/8⌉ + 1 = 2, but it starts at 8 = 7 + 1, and the layer pads
        (8, 8, (0, 1), 1, 1, 1),  # padding after x counts as padding of the layer, but does not keep the window
    ],
)
def test_number_of_windows(
    size: int, stride: int, padding: tuple[int, int], n_floor: int, n_torch: int, n_caffe: int
) -> None:
    """Three pixels per window, along the second axis."""

    def count(**options: Any) -> int:
        y, _ = max_pool2d(np.zeros((1, 1, 1, size)), (1, 3), stride=(1, stride), padding=((0, 0), padding), **options)
        return y.shape[3]

    assert (count(), count(convention="caffe")) == (n_floor, n_floor)
    assert count(ceil_mode=True) == n_torch
    assert count(ceil_mode=True, convention="caffe") == n_caffe


def test_caffe_drops_on_both_axes_if_one_of_them_pads() -> None:
    """Stride 4 over 4 × 4: the second row and column of windows are empty, and stay only without any padding."""
    x = np.zeros((1, 1, 4, 4))
    options: dict[str, Any] = {"stride": 4, "ceil_mode": True}
    assert max_pool2d(x, 2, convention="caffe", **options)[0].shape == (1, 1, 2, 2)
    for padding in (((1, 0), (0, 0)), ((0, 0), (0, 1))):
        expected = (1, 1, 2, 1) if padding[0][0] else (1, 1, 1, 1)
        assert max_pool2d(x, 2, padding=padding, convention="caffe", **options)[0].shape == expected
    assert max_pool2d(x, 2, convention="torch", **options)[0].shape == (1, 1, 1, 1)


def test_a_ceil_window_may_be_larger_than_the_plane() -> None:
    y, switches = max_pool2d(plane([[1, 2]]), (1, 3), stride=2, ceil_mode=True)
    assert (y.data.item(), switches.item()) == (2, 1)


def test_switches_cannot_be_changed_under_the_gradient() -> None:
    x = Tensor(np.arange(4.0).reshape(1, 1, 2, 2), requires_grad=True)
    _, switches = max_pool2d(x, 2)
    with pytest.raises(ValueError, match="read-only"):
        switches[...] = 0


def test_without_gradients_nothing_is_kept() -> None:
    with no_grad():
        y, switches = max_pool2d(Tensor(np.zeros((1, 1, 2, 2)), requires_grad=True), 2)
    assert not y.requires_grad
    assert switches.item() == 0


@pytest.mark.parametrize(
    ("x", "kernel_size", "options", "message"),
    [
        ((4, 9, 9), 2, {}, r"max_pool2d: x must have rank 4 \(N, C, H, W\), got rank 3"),
        ((1, 1, 2, 2), 3, {}, r"max_pool2d: the output would be 0 × 0: the kernel 3 × 3 with dilation \(1, 1\)"),
        ((1, 1, 0, 4), 1, {}, "max_pool2d: the output would be 0 × 4"),
        ((1, 1, 4, 4), 0, {}, "max_pool2d: kernel_size must be at least 1"),
        ((1, 1, 4, 4), (2, 2, 2), {}, "kernel_size must be an integer or 2 of them"),
        ((1, 1, 4, 4), 2, {"stride": 0}, "stride must be at least 1"),
        ((1, 1, 4, 4), 2, {"dilation": 0}, "dilation must be at least 1"),
        ((1, 1, 4, 4), 2, {"padding": -1}, "padding must be at least 0"),
        ((1, 1, 4, 4), 2, {"padding": 2}, r"padding must be smaller than the extent of the window, .* = 2, got"),
        ((1, 1, 4, 4), (3, 2), {"padding": ((0, 0), (0, 2))}, "smaller than the extent of the window"),
        ((1, 1, 4, 4), 2, {"convention": "onnx"}, "convention must be one of 'torch', 'caffe', got 'onnx'"),
    ],
)
def test_bad_input(x: tuple[int, ...], kernel_size: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        max_pool2d(np.ones(x), kernel_size, **options)


def test_padding_up_to_the_extent_of_a_dilated_window() -> None:
    """Extent 3·1 + 1 = 4: padding 3 is allowed."""
    assert max_pool2d(np.zeros((1, 1, 4, 4)), 2, stride=1, padding=3, dilation=3)[0].shape == (1, 1, 7, 7)


def test_bad_dtypes() -> None:
    with pytest.raises(TypeError, match="max_pool2d: x must be float32 or float64, got int64"):
        max_pool2d(np.ones((1, 1, 3, 3), int), 2)
    with pytest.raises(TypeError, match="max_pool2d: kernel_size must hold integers"):
        max_pool2d(np.ones((1, 1, 3, 3)), 2.0)  # type: ignore[arg-type]


def test_bad_gradient() -> None:
    y, _ = max_pool2d(Tensor(np.ones((1, 1, 4, 4)), requires_grad=True), 2)
    with pytest.raises(ValueError, match=r"must have shape \(1, 1, 2, 2\)"):
        y.backward(np.ones((1, 1, 4, 4)))


def test_the_kernel_refuses_what_the_op_refuses() -> None:
    with pytest.raises(ValueError, match="max_pool2d: padding must be smaller"):
        max_pool2d_forward(
            np.ones((1, 1, 4, 4)),
            kernel_size=(2, 2),
            stride=(2, 2),
            padding=((2, 0), (0, 0)),
            dilation=(1, 1),
            ceil_mode=False,
            convention="torch",
            keep_residual=False,
        )
