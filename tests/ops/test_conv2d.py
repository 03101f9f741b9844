"""conv2d: the definition, its gradient, its conventions, its errors."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.ops.conv2d import conv2d, conv2d_forward
from refdet.ops.correlation import BLOCK_BYTES
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import conv2d as oracle


def test_hand_example() -> None:
    """Windows of 0…8 with weights [[1, 0], [0, −1]]: every difference along the diagonal is −4."""
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    weight = np.array([[[[1.0, 0.0], [0.0, -1.0]]]])
    y = conv2d(x, weight, np.array([10.0]))
    np.testing.assert_array_equal(y.data, np.full((1, 1, 2, 2), 6.0))


def test_no_flip() -> None:
    """Cross-correlation: an impulse returns the weights turned by 180°."""
    impulse = np.zeros((1, 1, 3, 3))
    impulse[0, 0, 1, 1] = 1
    y = conv2d(impulse, np.array([[[[1.0, 2.0], [3.0, 4.0]]]]))
    np.testing.assert_array_equal(y.data[0, 0], [[4, 3], [2, 1]])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rng = np.random.default_rng(seed)
    groups, kernel, stride, dilation = (
        draw(1, 3),
        (draw(1, 3), draw(1, 3)),
        (draw(1, 4), draw(1, 4)),
        (draw(1, 2), draw(1, 2)),
    )
    padding = ((draw(0, 2), draw(0, 2)), (draw(0, 2), draw(0, 2)))
    size = [max(1, d * (k - 1) + 1 - sum(p)) + draw(0, 4) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    C, O = groups * draw(1, 2), groups * draw(0, 2)
    x, weight = (
        in_layout(rng.standard_normal(shape).astype(dtype), layout)
        for shape in ((draw(0, 2), C, *size), (O, C // groups, *kernel))
    )
    bias = rng.standard_normal(O).astype(dtype) if draw(0, 1) else None
    params: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert_agrees("conv2d", oracle, [x, weight, bias], rng=rng, params=params)


def test_gradient() -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in ((2, 4, 7, 6), (6, 2, 3, 2), (6,))]
    gradcheck(
        lambda x, w, b: conv2d(x, w, b, stride=(2, 1), padding=((1, 0), (2, 1)), dilation=(1, 2), groups=2),
        inputs,
        rng=rng,
    )


def test_pixels_between_windows_get_gradient_zero() -> None:
    """Stride 3, kernel 1: rows 1, 2, 4, 5 are never read."""
    x = Tensor(np.ones((1, 1, 6, 1)), requires_grad=True)
    conv2d(x, np.full((1, 1, 1, 1), 2.0), stride=3).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad[0, 0, :, 0], [2, 0, 0, 2, 0, 0])


def test_same_padding_puts_the_odd_pixel_where_the_convention_says() -> None:
    x = np.arange(4.0).reshape(1, 1, 1, 4)
    weight = np.array([[[[1.0, 10.0]]]])
    np.testing.assert_array_equal(conv2d(x, weight, padding="same_upper").data.ravel(), [10, 21, 32, 3])
    np.testing.assert_array_equal(conv2d(x, weight, padding="same_lower").data.ravel(), [0, 10, 21, 32])


@pytest.mark.parametrize(
    ("x", "weight"),
    [
        ((1, 64, 64, 64), (64, 64, 3, 3)),  # rows of an image
        ((64, 8, 16, 16), (8, 8, 3, 3)),  # several images
        ((1, 4096, 4, 600), (2, 4096, 1, 3)),  # part of a row
        ((1, 1, 700, 700), (64, 1, 1, 1)),  # products larger than columns
    ],
)
def test_no_buffer_is_larger_than_a_block(x: tuple[int, ...], weight: tuple[int, ...]) -> None:
    """Peak memory beyond input and output: columns, products and their lay-out, a block each; 64 MB at most."""
    arrays = np.ones(x, np.float32), np.ones(weight, np.float32)
    tracemalloc.start()
    try:
        y = conv2d(*arrays)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - y.data.nbytes <= 4 * BLOCK_BYTES <= 64 << 20


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the block of columns, the sums are the same (dyadic input, so exactly)."""
    rng = np.random.default_rng(1)
    x = Tensor(rng.integers(-8, 8, (3, 2, 9, 8)) / 4, requires_grad=True)
    weight = Tensor(rng.integers(-8, 8, (4, 1, 3, 3)) / 4, requires_grad=True)
    results = []
    for block_bytes in (1, 1000, 4 << 20):
        monkeypatch.setattr("refdet.ops.correlation.BLOCK_BYTES", block_bytes)
        x.grad = weight.grad = None
        y = conv2d(x, weight, padding=1, stride=2, groups=2)
        y.backward(np.ones(y.shape))
        results.append((y.data, x.grad, weight.grad))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("x", "weight", "options", "message"),
    [
        ((4, 9, 9), (8, 4, 3, 3), {}, r"conv2d: x must have rank 4 \(N, C, H, W\), got rank 3"),
        (
            (2, 4, 9, 9),
            (8, 3, 3, 3),
            {},
            r"weight has 3 input channels, x has 4 \(shapes \(8, 3, 3, 3\), \(2, 4, 9, 9\)\)",
        ),
        ((2, 4, 9, 9), (8, 2, 3, 3), {"groups": 3}, "groups must divide the 4 channels"),
        ((1, 1, 2, 2), (1, 1, 3, 3), {}, "the output would be 0 × 0"),
        ((1, 1, 2, 2), (1, 1, 0, 3), {}, "kernel of at least 1 × 1"),
        ((1, 1, 4, 4), (1, 1, 3, 3), {"stride": 0}, "stride must be at least 1"),
        ((1, 1, 4, 4), (1, 1, 3, 3), {"padding": (1, 2, 3)}, "padding must be an integer or 2 of them"),
        ((1, 1, 4, 4), (1, 1, 3, 3), {"padding": -1}, "padding must be at least 0"),
        ((1, 1, 4, 4), (1, 1, 3, 3), {"padding": "same"}, "padding must be one of 'valid', 'same_upper', 'same_lower'"),
    ],
)
def test_bad_input(x: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conv2d(np.ones(x), np.ones(weight), **options)


def test_bad_dtypes() -> None:
    with pytest.raises(TypeError, match="conv2d: x must be float32 or float64, got int64"):
        conv2d(np.ones((1, 1, 3, 3), int), np.ones((1, 1, 3, 3)))
    with pytest.raises(TypeError, match="x is float64 but weight is float32"):
        conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3), np.float32))
    with pytest.raises(ValueError, match=r"conv2d: bias must have shape \(2,\)"):
        conv2d(np.ones((1, 1, 3, 3)), np.ones((2, 1, 3, 3)), np.ones(3))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"stride": (0, 0)}, "conv2d: stride must be at least 1"),
        ({"stride": 1}, r"conv2d: stride must be \(vertical, horizontal\), got 1"),
        ({"dilation": (0, 1)}, "conv2d: dilation must be at least 1"),
        ({"padding": 1}, r"conv2d: padding must be \(\(top, bottom\), \(left, right\)\), got 1"),
        ({"padding": ((-1, 0), (0, 0))}, "conv2d: padding must be at least 0"),
        ({"groups": 1.0}, "conv2d: groups must be an integer"),
    ],
)
def test_the_kernel_checks_its_params_itself(params: dict[str, Any], message: str) -> None:
    complete: dict[str, Any] = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    with pytest.raises((TypeError, ValueError), match=message):
        conv2d_forward(np.ones((1, 1, 3, 3)), np.ones((1, 1, 1, 1)), None, keep_residual=False, **complete | params)


def test_what_is_no_array_is_named() -> None:
    nothing: Any = None
    with pytest.raises(TypeError, match="conv2d: x: data must be numbers"):
        conv2d(nothing, np.ones((1, 1, 1, 1)))
    with pytest.raises(TypeError, match="conv2d: weight: data must be numbers"):
        conv2d(np.ones((1, 1, 1, 1)), nothing)
