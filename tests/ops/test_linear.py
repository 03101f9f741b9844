"""linear: the definition, its gradient, its identity with a convolution, its errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.ops.conv2d import conv2d
from refdet.ops.linear import conv_as_linear, linear, linear_as_conv
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import linear as oracle


def test_hand_example() -> None:
    """(1, 2)·(3, 4) = 11, (1, 2)·(5, 6) = 17; the bias is added once per row."""
    x = np.array([[1.0, 2.0], [0.0, 1.0]])
    y = linear(x, np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.0, 100.0]))
    np.testing.assert_array_equal(y.data, [[11, 117], [4, 106]])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    leading = data.draw(st.lists(st.integers(0, 3), max_size=3))
    F, O = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 4))
    x, weight, bias = (
        in_layout(rng.standard_normal(shape).astype(dtype), layout) for shape in ((*leading, F), (O, F), (O,))
    )
    has_bias = data.draw(st.booleans())
    assert_agrees("linear", oracle, [x, weight, bias if has_bias else None], rng=rng, params={})


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3)])
def test_gradient(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    gradcheck(linear, [rng.standard_normal(s) for s in (shape, (5, 3), (5,))], rng=rng)


def test_gradient_by_hand() -> None:
    """y = W x with x = (1, 2) and dy = (1, 10): dx = Wᵀ dy, dW = dy xᵀ, db = dy."""
    x, weight, bias = (
        Tensor(np.array(values), requires_grad=True) for values in ([1.0, 2.0], [[3.0, 4.0], [5.0, 6.0]], [0.0, 0.0])
    )
    linear(x, weight, bias).backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(x.grad, [53, 64])
    np.testing.assert_array_equal(weight.grad, [[1, 2], [10, 20]])
    np.testing.assert_array_equal(bias.grad, [1, 10])


def test_no_features_give_the_bias() -> None:
    y = linear(np.zeros((2, 0)), np.zeros((3, 0)), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(y.data, [[1, 2, 3], [1, 2, 3]])


def test_as_a_convolution_it_slides() -> None:
    """On the native size the convolution is the layer; on a larger map it is the layer at every window (exactly)."""
    rng = np.random.default_rng(0)
    C, H, W, O = 3, 4, 5, 7
    weight, bias = rng.integers(-8, 8, (O, C * H * W)) / 4, rng.integers(-8, 8, O) / 4
    x = rng.integers(-8, 8, (2, C, H + 2, W + 1)) / 4
    y = conv2d(x, linear_as_conv(weight, shape=(C, H, W)), bias)
    assert y.shape == (2, O, 3, 2)
    for i in range(3):
        for j in range(2):
            window = x[:, :, i : i + H, j : j + W].reshape(2, -1)
            np.testing.assert_array_equal(y.data[:, :, i, j], linear(window, weight, bias).data)


def test_flattening_is_row_major() -> None:
    """Feature f = (c·H + i)·W + j; the inverse restores the order, also from a transposed array."""
    weight = np.arange(12.0)[None]
    kernel = linear_as_conv(weight, shape=(2, 2, 3))
    assert kernel[0, 1, 0, 2] == (1 * 2 + 0) * 3 + 2
    np.testing.assert_array_equal(conv_as_linear(kernel), weight)
    np.testing.assert_array_equal(conv_as_linear(np.asfortranarray(kernel)), weight)


def test_gradient_passes_through_the_reshaped_weight() -> None:
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((1, 2, 3, 3)), rng.standard_normal((3, 8))
    gradcheck(lambda x, w: conv2d(x, linear_as_conv(w, shape=(2, 2, 2))), [x, weight], rng=rng)
    kernel = rng.standard_normal((3, 2, 2, 2))
    gradcheck(lambda w: linear(np.ones((1, 8)), conv_as_linear(w)), [kernel], rng=rng)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"linear: weight takes 3 features, x has 2 \(shapes \(4, 3\), \(5, 2\)\)"):
        linear(np.ones((5, 2)), np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"linear: x must have rank 1 or more \(..., F\), got rank 0"):
        linear(np.array(1.0), np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"linear: weight must have rank 2 \(O, F\), got rank 1"):
        linear(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"linear: bias must have shape \(4,\) \(one per output\), got \(3,\)"):
        linear(np.ones(3), np.ones((4, 3)), np.ones(3))
    with pytest.raises(TypeError, match="linear: x is float64 but weight is float32"):
        linear(np.ones(3), np.ones((4, 3), np.float32))
    with pytest.raises(TypeError, match="linear: x must be float32 or float64, got int64"):
        linear(np.ones(3, int), np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"linear: dy must have shape \(4,\)"):
        linear(Tensor(np.ones(3), requires_grad=True), np.ones((4, 3))).node.pullback(np.ones(3))  # type: ignore[union-attr, misc]


def test_bad_reshape() -> None:
    with pytest.raises(ValueError, match=r"linear_as_conv: weight takes 8 features .* \(2, 2, 3\) has 12"):
        linear_as_conv(np.ones((1, 8)), shape=(2, 2, 3))
    with pytest.raises(ValueError, match="linear_as_conv: shape must be an integer or 3 of them"):
        linear_as_conv(np.ones((1, 8)), shape=(2, 4))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="linear_as_conv: weight must have rank 2"):
        linear_as_conv(np.ones(8), shape=(2, 2, 2))
    with pytest.raises(ValueError, match="conv_as_linear: weight must have rank 4"):
        conv_as_linear(np.ones((1, 8)))
    with pytest.raises(TypeError, match="conv_as_linear: weight: data must be numbers"):
        conv_as_linear(None)  # type: ignore[type-var]


def test_the_bias_gradient_of_many_rows() -> None:
    bias = Tensor(np.zeros(2, np.float32), requires_grad=True)
    y = linear(np.zeros((200_000, 1), np.float32), np.zeros((2, 1), np.float32), bias)
    y.backward(np.full(y.shape, 0.1, np.float32))
    np.testing.assert_allclose(bias.grad, 20_000, rtol=1e-5)  # type: ignore[arg-type]
