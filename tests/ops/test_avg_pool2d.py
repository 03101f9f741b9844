"""avg_pool2d: the definition, its divisors, its gradient, its conventions, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.ops.avg_pool2d import avg_pool2d
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import avg_pool2d as oracle

NAN = np.nan


def row(*values: float) -> Array:
    """Return (1, 1, 1, W)."""
    return np.array(values, np.float64).reshape(1, 1, 1, -1)


def pool_and_gradient(x: Array, kernel_size: Any, **options: Any) -> tuple[Array, Array]:
    """Return y, and dx where dy is 1 everywhere, of plane 0."""
    leaf = Tensor(x, requires_grad=True)
    y = avg_pool2d(leaf, kernel_size, **options)
    y.backward(np.ones(y.shape))
    assert leaf.grad is not None
    return y.data[0, 0], leaf.grad[0, 0]


def test_hand_example() -> None:
    """Windows of 2 × 2 over 0 … 15: the mean of the first is (0 + 1 + 4 + 5) / 4."""
    y, dx = pool_and_gradient(np.arange(16.0).reshape(1, 1, 4, 4), 2)
    np.testing.assert_array_equal(y, [[2.5, 4.5], [10.5, 12.5]])
    np.testing.assert_array_equal(dx, np.full((4, 4), 0.25))


def test_windows_lie_side_by_side_unless_a_stride_is_given() -> None:
    x = row(1, 2, 3, 4)
    np.testing.assert_array_equal(avg_pool2d(x, (1, 2)).data.ravel(), [1.5, 3.5])
    np.testing.assert_array_equal(avg_pool2d(x, (1, 2), stride=1).data.ravel(), [1.5, 2.5, 3.5])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rng = np.random.default_rng(seed)
    ceil_mode = data.draw(st.booleans())
    kernel, stride = (draw(1, 4), draw(1, 3)), (draw(1, 4), draw(1, 4))
    padding = ((draw(0, 3), draw(0, 3)), (draw(0, 2), draw(0, 4)))
    least = [k - sum(p) - (s - 1) * ceil_mode for k, p, s in zip(kernel, padding, stride, strict=True)]
    size = [max(1, n) + draw(0, 4) for n in least]
    x = in_layout(rng.standard_normal((draw(0, 2), draw(0, 2), *size)).astype(dtype), layout)
    params: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": stride,
        "padding": padding,
        "ceil_mode": ceil_mode,
        "count_include_pad": data.draw(st.booleans()),
        "convention": data.draw(st.sampled_from(["torch", "caffe"])),
    }
    assert_agrees("avg_pool2d", oracle, [x], rng=rng, params=params)


@pytest.mark.parametrize("count_include_pad", [True, False])
def test_gradient(count_include_pad: bool) -> None:
    rng = np.random.default_rng(0)

    def pool(t: Tensor) -> Tensor:
        return avg_pool2d(
            t, (3, 2), stride=(2, 1), padding=((1, 2), (0, 1)), ceil_mode=True, count_include_pad=count_include_pad
        )

    gradcheck(pool, [rng.standard_normal((2, 3, 7, 6))], rng=rng)


@pytest.mark.parametrize(
    ("ceil_mode", "count_include_pad", "row_divisors", "column_divisors"),
    [
        (False, True, [3, 3, 3], [3, 3, 3]),
        (False, False, [2, 3, 2], [2, 3, 3]),
        (True, True, [3, 3, 3], [3, 3, 3, 2]),
        (True, False, [2, 3, 2], [2, 3, 3, 1]),
    ],
)
def test_divisors(
    ceil_mode: bool, count_include_pad: bool, row_divisors: list[int], column_divisors: list[int]
) -> None:
    """5 × 6 pixels, kernel 3, stride 2, padding 1.

    Rows −1 … 5 of the padded extent: windows at −1, 1, 3 hold 3 positions each, of which 2, 3, 2 are pixels.
    Columns −1 … 6: windows at −1, 1, 3 likewise hold 3, of which 2, 3, 3 are pixels. Rounding up adds one at 5, which
    overhangs: of 5, 6, 7 the extent holds the first two, and the first is a pixel.
    """
    x = np.ones((1, 1, 5, 6))
    y, _ = pool_and_gradient(x, 3, stride=2, padding=1, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
    n_pixels = np.outer([2, 3, 2], [2, 3, 3, 1][: len(column_divisors)])
    np.testing.assert_array_equal(y, n_pixels / np.outer(row_divisors, column_divisors))


def test_overhang_is_not_counted() -> None:
    """The second window of two holds one pixel; a divisor of 2 would give 2.5 and half the gradient."""
    y, dx = pool_and_gradient(row(1, 3, 5), (1, 2), ceil_mode=True)
    np.testing.assert_array_equal(y, [[2, 5]])
    np.testing.assert_array_equal(dx, [[0.5, 0.5, 1]])


@pytest.mark.parametrize(("count_include_pad", "first"), [(True, 0), (False, NAN)])
def test_a_window_of_padding_alone(count_include_pad: bool, first: float) -> None:
    """Padding 2, kernel 2, stride 3: the windows start at −2 and 1."""
    y, dx = pool_and_gradient(
        row(4, 6, 8), (1, 2), stride=3, padding=((0, 0), (2, 0)), count_include_pad=count_include_pad
    )
    np.testing.assert_array_equal(y, [[first, 7]])
    np.testing.assert_array_equal(dx, [[0, 0.5, 0.5]])


@pytest.mark.parametrize("count_include_pad", [True, False])
def test_a_window_beyond_everything(count_include_pad: bool) -> None:
    """Stride 4 over 4 pixels without padding: Caffe keeps the second window, which lies beyond them."""
    y, dx = pool_and_gradient(
        row(1, 2, 3, 4),
        (1, 2),
        stride=(1, 4),
        ceil_mode=True,
        count_include_pad=count_include_pad,
        convention="caffe",
    )
    np.testing.assert_array_equal(y, [[1.5, 0]])
    np.testing.assert_array_equal(dx, [[0.5, 0.5, 0, 0]])


@pytest.mark.parametrize(("count_include_pad", "value"), [(True, 0), (False, NAN)])
def test_an_empty_plane(count_include_pad: bool, value: float) -> None:
    y = avg_pool2d(np.zeros((1, 2, 0, 3)), 1, padding=((1, 0), (0, 0)), count_include_pad=count_include_pad)
    np.testing.assert_array_equal(y.data, np.full((1, 2, 1, 3), value))


def test_empties() -> None:
    assert avg_pool2d(np.zeros((0, 2, 4, 4)), 2).shape == (0, 2, 2, 2)
    assert avg_pool2d(np.zeros((2, 0, 4, 4)), 2).shape == (2, 0, 2, 2)


def test_number_of_windows() -> None:
    """Kernel 3: the conventions part where an unpadded last window starts beyond x (8 pixels, stride 8)."""

    def count(size: int, stride: int, padding: int, **options: Any) -> int:
        x = np.zeros((1, 1, 1, size))
        return avg_pool2d(x, (1, 3), stride=(1, stride), padding=(0, padding), **options).shape[3]

    for convention, n_unpadded in (("torch", 1), ("caffe", 2)):
        assert count(6, 2, 0, ceil_mode=True, convention=convention) == 3
        assert count(8, 8, 0, ceil_mode=True, convention=convention) == n_unpadded
        assert count(7, 8, 1, ceil_mode=True, convention=convention) == 1
        assert count(8, 8, 0, convention=convention) == 1


def test_nan_and_infinity_stay_in_their_windows() -> None:
    y = avg_pool2d(row(NAN, 1, 2, 4, np.inf, 1), (1, 2))
    np.testing.assert_array_equal(y.data.ravel(), [NAN, 3, np.inf])


def test_pixels_between_windows_get_gradient_zero() -> None:
    _, dx = pool_and_gradient(np.ones((1, 1, 1, 5)), (1, 1), stride=(1, 3))
    np.testing.assert_array_equal(dx, [[1, 0, 0, 1, 0]])


def test_sums_accumulate_in_the_dtype() -> None:
    """float32: (2²⁴ + 1) + 1 = 2²⁴ from left to right."""
    y = avg_pool2d(row(2**24, 1, 1, 0).astype(np.float32), (1, 4))
    assert y.dtype == np.float32
    assert y.data.item() == 2**22


@pytest.mark.parametrize(
    ("x", "kernel_size", "options", "message"),
    [
        ((4, 9, 9), 2, {}, r"avg_pool2d: x must have rank 4 \(N, C, H, W\), got rank 3"),
        ((1, 1, 2, 2), 3, {}, r"avg_pool2d: the output would be 0 × 0: the kernel 3 × 3 with dilation \(1, 1\)"),
        ((1, 1, 4, 4), 0, {}, "avg_pool2d: kernel_size must be at least 1"),
        ((1, 1, 4, 4), (2, 2, 2), {}, "kernel_size must be an integer or 2 of them"),
        ((1, 1, 4, 4), 2, {"stride": 0}, "stride must be at least 1"),
        ((1, 1, 4, 4), 2, {"padding": -1}, "padding must be at least 0"),
        ((1, 1, 4, 4), 2, {"padding": "same"}, "padding must be one of 'valid', 'same_upper', 'same_lower'"),
        ((1, 1, 4, 4), 2, {"convention": "onnx"}, "convention must be one of 'torch', 'caffe', got 'onnx'"),
    ],
)
def test_bad_input(x: tuple[int, ...], kernel_size: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        avg_pool2d(np.ones(x), kernel_size, **options)


def test_bad_dtypes() -> None:
    with pytest.raises(TypeError, match="avg_pool2d: x must be float32 or float64, got int64"):
        avg_pool2d(np.ones((1, 1, 3, 3), int), 2)


def test_bad_gradient() -> None:
    y = avg_pool2d(Tensor(np.ones((1, 1, 4, 4)), requires_grad=True), 2)
    with pytest.raises(ValueError, match=r"must have shape \(1, 1, 2, 2\)"):
        y.backward(np.ones((1, 1, 4, 4)))
