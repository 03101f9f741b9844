"""Cropping by regions and pyramids against torch and onnxruntime, within what they have.

- onnxruntime's RoiAlign in mode "max" takes the largest weighted pixel, as it says itself, and is left out. Aligned and
  adaptive it refuses a region turned round, where refdet has 0.
- onnxruntime computes in float32: MaxRoiPool the bounds of its bins, RoiAlign the coordinates of its points.
- torch remembers the last NaN of a bin of an adaptive pooling, here it is the first; equal pixels are alike.
- torch has no RoIAlign; grid_sample interpolates at the points of `roi_sampling_points`, with coordinates in −1 … 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdet.autograd import Tensor
from refdet.core.check import Array
from refdet.ops.roi_align import roi_align
from refdet.ops.roi_pool import roi_pool
from refdet.ops.roi_sampling import roi_sampling_points
from refdet.ops.spatial_pyramid_pool import spatial_pyramid_pool
from tests.agreement import seeds
from tests.onnx_node import run_in_onnxruntime
from tests.torch_agreement import assert_same_as_torch

pytestmark = pytest.mark.oracle

SCALE = 1 / 16


def regions(rng: np.random.Generator, n_images: int, size: tuple[int, int]) -> Array:
    """Return float32 regions of a map of (H, W): inside, beyond it, turned round, and without area."""
    low, high = -4.0, max(size) + 4.0
    corners = rng.uniform(low, high, (12, 4))
    corners[:6] = np.sort(corners[:6].reshape(6, 2, 2), axis=1).reshape(6, 4)  # the first six are not turned round
    corners[5:7, 2:] = corners[5:7, :2]  # without area
    return np.concatenate([rng.integers(0, n_images, (12, 1)), corners / SCALE], axis=1).astype(np.float32)


@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 9)),
    bins=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    seed=seeds,
)
def test_roi_pool_against_onnxruntime(size: tuple[int, int], bins: tuple[int, int], seed: int) -> None:
    """Regions of up to 78 rows, among them those whose last bin is too long in float32."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-9, 10, (2, 3, *size)).astype(np.float32)
    rois = regions(rng, 2, size)
    (y_onnx,) = run_in_onnxruntime("MaxRoiPool", x, rois, pooled_shape=bins, spatial_scale=SCALE)
    y, _ = roi_pool(x, rois, bins, scale=SCALE, convention="float32-bins")
    np.testing.assert_array_equal(y.data, y_onnx)


@pytest.mark.parametrize("is_aligned", [True, False])
@pytest.mark.parametrize("sampling_ratio", [0, 1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_roi_align_against_onnxruntime(is_aligned: bool, sampling_ratio: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    size, (PH, PW) = (int(rng.integers(1, 20)), int(rng.integers(1, 20))), rng.integers(1, 8, 2).tolist()
    x, rois = rng.standard_normal((2, 3, *size)).astype(np.float32), regions(rng, 2, size)
    if is_aligned and sampling_ratio == 0:
        rois = rois[:7]
    (y_onnx,) = run_in_onnxruntime(
        "RoiAlign",
        x,
        rois[:, 1:],
        rois[:, 0].astype(np.int64),
        mode="avg",
        output_height=PH,
        output_width=PW,
        sampling_ratio=sampling_ratio,
        spatial_scale=SCALE,
        coordinate_transformation_mode="half_pixel" if is_aligned else "output_half_pixel",
    )
    y = roi_align(x, rois, (PH, PW), scale=SCALE, sampling_ratio=sampling_ratio, aligned=is_aligned)
    np.testing.assert_allclose(y.data, y_onnx, rtol=0, atol=2e-5)


@settings(max_examples=30)
@given(size=st.tuples(st.integers(1, 14), st.integers(1, 14)), k=st.integers(1, 8), seed=seeds)
def test_a_pyramid_against_torch(torch: Any, size: tuple[int, int], k: int, seed: int) -> None:
    """Values, switches and gradients, where equal pixels are common."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (2, 3, *size)).astype(np.float64)
    x_torch = torch.tensor(x, requires_grad=True)
    y_torch, switches_torch = torch.nn.functional.adaptive_max_pool2d(x_torch, k, return_indices=True)
    leaf = Tensor(x, requires_grad=True)
    y, switches = spatial_pyramid_pool(leaf, (k,))
    np.testing.assert_array_equal(y.data, y_torch.detach().numpy().reshape(2, -1))
    np.testing.assert_array_equal(switches, switches_torch.numpy().reshape(2, -1))
    dy = rng.integers(-9, 10, y.shape).astype(np.float64)
    y.backward(dy)
    y_torch.backward(torch.tensor(dy.reshape(y_torch.shape)))
    np.testing.assert_array_equal(leaf.grad, x_torch.grad.numpy())


def test_torch_remembers_the_last_nan_of_a_bin(torch: Any) -> None:
    """The known deviation, so that a change of torch is noticed."""
    x = np.array([[[[1, np.nan, 2, np.nan]]]])
    _, switches = spatial_pyramid_pool(x, (1,))
    _, switches_torch = torch.nn.functional.adaptive_max_pool2d(torch.tensor(x), 1, return_indices=True)
    assert (switches.item(), switches_torch.item()) == (1, 3)


def crop_by_grid_sample(torch: Any, x: Any, rois: Array, border: str, reduction: str, options: dict[str, Any]) -> Any:
    """Return RoIAlign of regions none of whose points is further than a pixel from the map."""
    H, W = x.shape[2:]
    crops = []
    for n, *box in rois.tolist():
        rows, columns = roi_sampling_points(box, **options)
        (PH, g_h), (PW, g_w) = rows.shape, columns.shape
        v, u = np.meshgrid(2 * rows.ravel() / (H - 1) - 1, 2 * columns.ravel() / (W - 1) - 1, indexing="ij")
        points = torch.nn.functional.grid_sample(
            x[int(n)][None],
            torch.tensor(np.stack([u, v], axis=-1))[None],
            padding_mode="border" if border == "kernel" else "zeros",
            align_corners=True,
        )
        points = points.reshape(-1, PH, g_h, PW, g_w)
        crops.append(points.mean((2, 4)) if reduction == "mean" else points.amax((2, 4)))
    return torch.stack(crops)


@pytest.mark.parametrize("border", ["kernel", "zero_decay"])
@pytest.mark.parametrize("reduction", ["mean", "max"])
@pytest.mark.parametrize("sampling_ratio", [0, 2, 3])
def test_roi_align_against_grid_sample(torch: Any, border: str, reduction: str, sampling_ratio: int) -> None:
    """Values and gradients in float64; some points lie beyond the outermost centres."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 9, 7))
    corners = np.sort(rng.uniform([-0.5, -0.5], [7.5, 9.5], (8, 2, 2)), axis=1).reshape(8, 4)
    rois = np.concatenate([rng.integers(0, 2, (8, 1)), 4 * corners], axis=1)
    options: dict[str, Any] = {"output_size": (3, 2), "scale": 0.25, "sampling_ratio": sampling_ratio}
    assert_same_as_torch(
        lambda t: roi_align(t, rois, border=border, reduction=reduction, **options),
        lambda t: crop_by_grid_sample(torch, t, rois, border, reduction, options),
        [x],
    )
