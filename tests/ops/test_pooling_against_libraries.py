"""Pooling against torch and onnxruntime, within what they accept and outside their known deviations.

- torch pads both sides of an axis alike, by at most half the kernel size.
- torch remembers the last NaN of a window, here it is the first. onnxruntime prefers any number to NaN.
- Where dilation keeps a window off every pixel, torch gives a switch outside x, and onnxruntime the lowest finite
  float32 for y.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdet.autograd import Tensor
from refdet.core.check import Array
from refdet.ops.avg_pool2d import avg_pool2d
from refdet.ops.global_pool import global_avg_pool2d, global_max_pool2d
from refdet.ops.max_pool2d import max_pool2d
from refdet.ops.max_unpool2d import max_unpool2d
from tests.agreement import seeds
from tests.onnx_node import run_in_onnxruntime

pytestmark = pytest.mark.oracle

Pair = tuple[int, int]


@st.composite
def geometries(draw: st.DrawFn, *, half_padding: bool, dilations: bool) -> dict[str, Any]:
    """Draw a pooling and the `size` of a plane on which it has a window; `half_padding`: what torch accepts."""
    ceil_mode = draw(st.booleans())
    axes = []
    for _ in range(2):
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        dilation = draw(st.integers(1, 2)) if dilations else 1
        before = draw(st.integers(0, kernel // 2 if half_padding else kernel - 1))
        after = before if half_padding else draw(st.integers(0, kernel - 1))
        extent = dilation * (kernel - 1) + 1
        size = max(1, extent - before - after) + draw(st.integers(0, 5))
        axes.append((kernel, stride, dilation, (before, after), size))
    kernel_size, strides, dilation_pair, padding, sizes = zip(*axes, strict=True)
    options = {"kernel_size": kernel_size, "stride": strides, "padding": padding, "ceil_mode": ceil_mode}
    return {**options, "dilation": dilation_pair, "size": sizes}


def integer_planes(rng: np.random.Generator, size: Pair) -> Array:
    """Return (2, 3, H, W) in which equal maxima are common and sums are exact."""
    return rng.integers(-3, 4, (2, 3, *size)).astype(np.float32)


def refdet_gradient(y: Tensor, x: Tensor, dy: Array) -> Array:
    """Return dx."""
    y.backward(dy)
    assert x.grad is not None
    return x.grad


@settings(max_examples=150)
@given(geometry=geometries(half_padding=True, dilations=True), seed=seeds)
def test_max_pool2d_against_torch(torch: Any, geometry: dict[str, Any], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = integer_planes(rng, geometry.pop("size"))
    symmetric = {**geometry, "padding": tuple(before for before, _ in geometry["padding"])}
    x_torch = torch.tensor(x, requires_grad=True)
    y_torch, switches_torch = torch.nn.functional.max_pool2d(x_torch, return_indices=True, **symmetric)

    x_tensor = Tensor(x, requires_grad=True)
    y, switches = max_pool2d(x_tensor, **geometry)
    np.testing.assert_array_equal(y.data, y_torch.detach().numpy())
    seen = switches >= 0
    np.testing.assert_array_equal(switches[seen], switches_torch.numpy()[seen])
    if seen.all():
        dy = rng.integers(-9, 9, y.shape).astype(np.float32)
        y_torch.backward(torch.tensor(dy))
        np.testing.assert_array_equal(refdet_gradient(y, x_tensor, dy), x_torch.grad.numpy())


def test_torch_remembers_the_last_nan(torch: Any) -> None:
    """The known deviation, so that a change of torch is noticed."""
    x = np.array([[[[1, np.nan, 2, np.nan]]]], np.float32)
    _, switches = max_pool2d(x, (1, 4))
    y_torch, switches_torch = torch.nn.functional.max_pool2d(torch.tensor(x), (1, 4), return_indices=True)
    assert torch.isnan(y_torch).item()
    assert (switches.item(), switches_torch.item()) == (1, 3)


@settings(max_examples=150)
@given(geometry=geometries(half_padding=True, dilations=False), count_include_pad=st.booleans(), seed=seeds)
def test_avg_pool2d_against_torch(torch: Any, geometry: dict[str, Any], count_include_pad: bool, seed: int) -> None:
    """Sums of integers are exact, so that only the division rounds, once."""
    rng = np.random.default_rng(seed)
    x = integer_planes(rng, geometry.pop("size"))
    del geometry["dilation"]
    symmetric = {**geometry, "padding": tuple(before for before, _ in geometry["padding"])}
    x_torch = torch.tensor(x, requires_grad=True)
    y_torch = torch.nn.functional.avg_pool2d(x_torch, count_include_pad=count_include_pad, **symmetric)

    x_tensor = Tensor(x, requires_grad=True)
    y = avg_pool2d(x_tensor, count_include_pad=count_include_pad, **geometry)
    np.testing.assert_array_equal(y.data, y_torch.detach().numpy())
    dy = rng.integers(-9, 9, y.shape).astype(np.float32)
    y_torch.backward(torch.tensor(dy))
    np.testing.assert_allclose(refdet_gradient(y, x_tensor, dy), x_torch.grad.numpy(), rtol=0, atol=2e-5)


@given(kernel=st.integers(1, 3), stride=st.integers(1, 3), seed=seeds)
def test_max_unpool2d_against_torch(torch: Any, kernel: int, stride: int, seed: int) -> None:
    """`overlap="last"` on switches of overlapping windows; equal values there, so "add" differs."""
    rng = np.random.default_rng(seed)
    x = integer_planes(rng, (7, 6))
    pooled, switches = max_pool2d(x, kernel, stride=stride)
    values = pooled.data + rng.integers(0, 5, pooled.shape).astype(np.float32)  # so that values that meet differ
    with torch.no_grad():
        y_torch = torch.nn.functional.max_unpool2d(
            torch.tensor(values), torch.tensor(switches), kernel, stride, output_size=(7, 6)
        )
    y = max_unpool2d(values, switches, output_size=(7, 6), overlap="last")
    np.testing.assert_array_equal(y.data, y_torch.numpy())


@given(size=st.tuples(st.integers(1, 5), st.integers(1, 5)), seed=seeds)
def test_global_pools_against_torch(torch: Any, size: Pair, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = integer_planes(rng, size)
    x_torch = torch.tensor(x)
    y_torch, switches_torch = torch.nn.functional.adaptive_max_pool2d(x_torch, 1, return_indices=True)
    y, switches = global_max_pool2d(x, keepdims=True)
    np.testing.assert_array_equal(y.data, y_torch.numpy())
    np.testing.assert_array_equal(switches, switches_torch.numpy())
    average_torch = torch.nn.functional.adaptive_avg_pool2d(x_torch, 1)
    np.testing.assert_allclose(global_avg_pool2d(x, keepdims=True).data, average_torch.numpy(), rtol=1e-6, atol=1e-6)


def onnx_attributes(geometry: dict[str, Any]) -> dict[str, Any]:
    """Return the geometry under ONNX's names."""
    (top, bottom), (left, right) = geometry["padding"]
    return {
        "kernel_shape": geometry["kernel_size"],
        "strides": geometry["stride"],
        "pads": (top, left, bottom, right),
        "dilations": geometry["dilation"],
        "ceil_mode": int(geometry["ceil_mode"]),
    }


@settings(max_examples=150)
@given(geometry=geometries(half_padding=False, dilations=True), seed=seeds)
def test_max_pool2d_against_onnxruntime(geometry: dict[str, Any], seed: int) -> None:
    """ONNX counts switches through the whole array, not within each plane."""
    x = integer_planes(np.random.default_rng(seed), geometry.pop("size"))
    y_onnx, switches_onnx = run_in_onnxruntime("MaxPool", x, n_outputs=2, **onnx_attributes(geometry))
    y, switches = max_pool2d(x, **geometry)
    seen = switches >= 0
    np.testing.assert_array_equal(y.data[seen], y_onnx[seen])
    plane_starts = np.arange(6).reshape(2, 3, 1, 1) * (x.shape[2] * x.shape[3])
    np.testing.assert_array_equal((switches + plane_starts)[seen], switches_onnx[seen])


@settings(max_examples=150)
@given(geometry=geometries(half_padding=False, dilations=False), count_include_pad=st.booleans(), seed=seeds)
def test_avg_pool2d_against_onnxruntime(geometry: dict[str, Any], count_include_pad: bool, seed: int) -> None:
    x = integer_planes(np.random.default_rng(seed), geometry.pop("size"))
    attributes = onnx_attributes(geometry)
    (y_onnx,) = run_in_onnxruntime("AveragePool", x, count_include_pad=int(count_include_pad), **attributes)
    del geometry["dilation"]
    y = avg_pool2d(x, count_include_pad=count_include_pad, **geometry)
    np.testing.assert_allclose(y.data, y_onnx, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("op", "pool"), [("GlobalAveragePool", global_avg_pool2d), ("GlobalMaxPool", None)])
def test_global_pools_against_onnxruntime(op: str, pool: Any) -> None:
    x = integer_planes(np.random.default_rng(0), (5, 4))
    (y_onnx,) = run_in_onnxruntime(op, x)
    y = pool(x, keepdims=True) if pool else global_max_pool2d(x, keepdims=True)[0]
    np.testing.assert_allclose(y.data, y_onnx, rtol=1e-6, atol=1e-6)
