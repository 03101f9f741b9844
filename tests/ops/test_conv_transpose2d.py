"""conv_transpose2d: the definition, the adjoint of conv2d, its conventions, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck, gradients
from refdet.nn.init import bilinear
from refdet.ops.conv2d import conv2d
from refdet.ops.conv_transpose2d import conv_transpose2d
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import conv_transpose2d as oracle


def test_hand_example() -> None:
    """Two pixels, 1 and 10, two apart, each spread over three: they meet in the middle, where 3·1 + 1·10 = 13."""
    y = conv_transpose2d(np.array([[[[1.0, 10.0]]]]), np.array([[[[1.0, 2.0, 3.0]]]]), stride=2)
    np.testing.assert_array_equal(y.data[0, 0], [[1, 2, 13, 20, 30]])


def test_padding_crops_and_output_padding_restores() -> None:
    x, weight = np.array([[[[1.0, 10.0]]]]), np.array([[[[1.0, 2.0, 3.0]]]])
    cropped = conv_transpose2d(x, weight, stride=2, padding=((0, 0), (1, 1)))
    np.testing.assert_array_equal(cropped.data[0, 0], [[2, 13, 20]])
    restored = conv_transpose2d(x, weight, stride=2, padding=((0, 0), (1, 1)), output_padding=(0, 1))
    np.testing.assert_array_equal(restored.data[0, 0], [[2, 13, 20, 30]])
    beyond = conv_transpose2d(x, weight, stride=2, output_padding=(0, 1))
    np.testing.assert_array_equal(beyond.data[0, 0], [[1, 2, 13, 20, 30, 0]])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rng = np.random.default_rng(seed)
    groups, kernel = draw(1, 3), (draw(1, 3), draw(1, 3))
    stride, dilation = (draw(1, 4), draw(1, 4)), (draw(1, 3), draw(1, 3))
    extra = tuple(draw(0, max(s, d) - 1) for s, d in zip(stride, dilation, strict=True))
    size = (draw(1, 4), draw(1, 4))
    largest = [
        (n - 1) * s + d * (k - 1) + e for n, s, d, k, e in zip(size, stride, dilation, kernel, extra, strict=True)
    ]
    before = [draw(0, min(2, n)) for n in largest]
    padding = tuple((b, draw(0, min(2, n - b))) for n, b in zip(largest, before, strict=True))
    Cin, Cout = groups * draw(1, 2), groups * draw(0, 2)
    x, weight = (
        in_layout(rng.standard_normal(shape).astype(dtype), layout)
        for shape in ((draw(0, 2), Cin, *size), (Cin, Cout // groups, *kernel))
    )
    bias = rng.standard_normal(Cout).astype(dtype) if draw(0, 1) else None
    params: dict[str, Any] = {
        "stride": stride,
        "padding": padding,
        "output_padding": extra,
        "dilation": dilation,
        "groups": groups,
    }
    assert_agrees("conv_transpose2d", oracle, [x, weight, bias], rng=rng, params=params)


@given(data=st.data(), seed=seeds)
def test_is_the_adjoint_of_conv2d(data: st.DataObject, seed: int) -> None:
    """⟨conv2d(x, w), y⟩ = ⟨x, conv_transpose2d(y, w)⟩ where output_padding makes up for conv2d's floor."""

    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {
        "stride": (draw(1, 3), draw(1, 3)),
        "padding": ((draw(0, 2), draw(0, 2)), (draw(0, 2), draw(0, 2))),
        "dilation": draw(1, 2),
        "groups": draw(1, 2),
    }
    weight = rng.standard_normal((2 * options["groups"], 3, draw(1, 3), draw(1, 3)))
    x = Tensor(rng.standard_normal((2, 3 * options["groups"], draw(6, 9), draw(6, 9))), requires_grad=True)
    y = conv2d(x, weight, **options)
    dy = rng.standard_normal(y.shape)
    back = conv_transpose2d(dy, weight, **options)
    missing = (x.shape[2] - back.shape[2], x.shape[3] - back.shape[3])
    back = conv_transpose2d(dy, weight, output_padding=missing, **options)
    assert np.sum(y.data * dy) == pytest.approx(np.sum(x.data * back.data), rel=1e-10, abs=1e-10)
    np.testing.assert_allclose(gradients(y, [x], dy)[0], back.data, rtol=0, atol=1e-12)


def test_gradient() -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(shape) for shape in ((2, 4, 3, 4), (4, 3, 3, 2), (6,))]
    options: dict[str, Any] = {
        "stride": (2, 3),
        "padding": ((1, 0), (0, 2)),
        "output_padding": (1, 2),
        "dilation": (1, 2),
        "groups": 2,
    }
    gradcheck(lambda x, w, b: conv_transpose2d(x, w, b, **options), inputs, rng=rng)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bilinear_weights_interpolate(scale: int) -> None:
    """Upsampling a ramp by s with the bilinear kernel (size 2s − s mod 2) gives slope 1/s away from the borders."""
    k, pad = 2 * scale - scale % 2, -(-(scale - 1) // 2)
    ramp = np.arange(8.0)[None, None, None].repeat(8, axis=2)
    y = conv_transpose2d(ramp, bilinear(k, dtype=np.float64)[None, None], stride=scale, padding=pad).data[0, 0]
    assert y.shape == (8 * scale, 8 * scale)
    inner = y[scale:-scale, scale:-scale]
    np.testing.assert_allclose(np.diff(inner, axis=1), 1 / scale, atol=1e-12)
    np.testing.assert_allclose(np.diff(inner, axis=0), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("x", "weight", "options", "message"),
    [
        ((4, 9, 9), (4, 8, 3, 3), {}, r"x must have rank 4 \(N, Cin, H, W\), got rank 3"),
        ((2, 4, 9, 9), (3, 8, 3, 3), {}, r"weight has 3 input channels, x has 4 \(shapes"),
        ((2, 4, 9, 9), (4, 8, 3, 3), {"groups": 3}, "groups must divide the 4 channels of x, got 3"),
        (
            (1, 1, 2, 2),
            (1, 1, 3, 3),
            {"stride": 2, "output_padding": 2},
            "output_padding must be smaller than the larger",
        ),
        ((1, 1, 1, 1), (1, 1, 3, 3), {"padding": 2}, "the output would be -1 × -1"),
        ((1, 1, 0, 1), (1, 1, 3, 3), {}, "neither x nor the kernel may have a side of 0"),
        ((1, 1, 2, 2), (1, 1, 3, 3), {"padding": "same_upper"}, "padding must be given in pixels, got 'same_upper'"),
    ],
)
def test_bad_input(x: tuple[int, ...], weight: tuple[int, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"conv_transpose2d: {message}"):
        conv_transpose2d(np.ones(x), np.ones(weight), **options)
