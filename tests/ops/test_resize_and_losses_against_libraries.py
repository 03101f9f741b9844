"""Resizing, padding and losses against PyTorch and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor
from refdet.ops.binary_cross_entropy import binary_cross_entropy_with_logits
from refdet.ops.regression_losses import l1, smooth_l1, squared_error
from refdet.ops.resize import resize_bicubic, resize_bilinear, resize_nearest
from refdet.ops.shaping import concat, pad, transpose
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy
from tests.agreement import Array
from tests.onnx_node import run_in_onnxruntime
from tests.torch_agreement import assert_same_as_torch

pytestmark = pytest.mark.oracle


# PyTorch: resizing

SIZES = [(5, 7, 8, 3), (4, 6, 8, 12), (8, 6, 4, 3), (3, 1, 1, 5), (7, 7, 7, 7), (2, 9, 11, 4)]  # (H, W, Ho, Wo)
TORCH_RESIZE: list[tuple[str, Callable[..., Tensor], dict[str, Any], dict[str, Any]]] = [
    ("nearest", resize_nearest, {}, {}),
    ("nearest-exact", resize_nearest, {"coordinates": "half_pixel", "rounding": "round_prefer_ceil"}, {}),
    ("bilinear", resize_bilinear, {}, {"align_corners": False}),
    ("bilinear", resize_bilinear, {"coordinates": "align_corners"}, {"align_corners": True}),
    ("bicubic", resize_bicubic, {}, {"align_corners": False}),
    ("bicubic", resize_bicubic, {"coordinates": "align_corners"}, {"align_corners": True}),
]
every_resize = pytest.mark.parametrize(
    ("mode", "op", "options", "torch_options"), TORCH_RESIZE, ids=lambda v: v if isinstance(v, str) else None
)


@every_resize
@pytest.mark.parametrize("sizes", SIZES)
def test_torch_interpolate_to_a_size(
    torch: Any, mode: str, op: Any, options: dict[str, Any], torch_options: dict[str, Any], sizes: Any
) -> None:
    height, width, *out = sizes
    x = np.random.default_rng(0).standard_normal((2, 3, height, width))
    interpolate = torch.nn.functional.interpolate
    assert_same_as_torch(
        lambda t: op(t, tuple(out), **options), lambda t: interpolate(t, size=out, mode=mode, **torch_options), [x]
    )


@every_resize
@pytest.mark.parametrize("scale", [2.0, (1.5, 0.5), (1.7, 2.3), 0.75])
def test_torch_interpolate_by_a_scale(
    torch: Any, mode: str, op: Any, options: dict[str, Any], torch_options: dict[str, Any], scale: Any
) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7))
    interpolate = torch.nn.functional.interpolate
    assert_same_as_torch(
        lambda t: op(t, scale=scale, **options),
        lambda t: interpolate(t, scale_factor=scale, mode=mode, recompute_scale_factor=False, **torch_options),
        [x],
    )


# PyTorch: losses


@pytest.mark.parametrize(("normalize", "reduction"), [("weight", "mean"), ("sum", "sum"), ("none", "none")])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore_label", [255, -100, 0])
def test_torch_cross_entropy(torch: Any, normalize: str, reduction: str, weighted: bool, ignore_label: int) -> None:
    rng = np.random.default_rng(0)
    logits, labels = 20 * rng.standard_normal((2, 4, 3, 5)), rng.integers(0, 4, (2, 3, 5))
    labels[rng.random(labels.shape) < 0.3] = ignore_label
    weight = rng.uniform(0.5, 2, 4) if weighted else None
    assert_same_as_torch(
        lambda t: softmax_cross_entropy(t, labels, weight=weight, ignore_label=ignore_label, normalize=normalize),
        lambda t: torch.nn.functional.cross_entropy(
            t,
            torch.tensor(labels),
            weight=None if weight is None else torch.tensor(weight),
            ignore_index=ignore_label,
            reduction=reduction,
        ),
        [logits],
    )


def test_torch_cross_entropy_of_nothing_but_ignored_labels(torch: Any) -> None:
    """0/0 = NaN, with a gradient of 0, in both."""
    logits, labels = np.ones((2, 3)), np.full(2, 255)
    assert_same_as_torch(
        lambda t: softmax_cross_entropy(t, labels, ignore_label=255, normalize="weight"),
        lambda t: torch.nn.functional.cross_entropy(t, torch.tensor(labels), ignore_index=255),
        [logits],
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_torch_binary_cross_entropy(torch: Any, reduction: str, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    logits, targets = 20 * rng.standard_normal((4, 5)), rng.uniform(0, 1, (4, 5))
    weight = rng.uniform(0.5, 2, (4, 5)) if weighted else None
    assert_same_as_torch(
        lambda x, t: binary_cross_entropy_with_logits(x, t, weight=weight, reduction=reduction),
        lambda x, t: torch.nn.functional.binary_cross_entropy_with_logits(
            x, t, weight=None if weight is None else torch.tensor(weight), reduction=reduction
        ),
        [logits, targets],
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("loss", "torch_loss", "options"),
    [
        (smooth_l1, "smooth_l1_loss", {"beta": 1.0}),
        (smooth_l1, "smooth_l1_loss", {"beta": 0.25}),
        (smooth_l1, "smooth_l1_loss", {"beta": 0.0}),
        (l1, "l1_loss", {}),
        (squared_error, "mse_loss", {}),
    ],
)
def test_torch_regression_losses(
    torch: Any, loss: Any, torch_loss: str, options: dict[str, Any], reduction: str
) -> None:
    """On quarters, so that the kinks at 0 and ±β are hit."""
    rng = np.random.default_rng(0)
    x, target = rng.integers(-8, 9, (2, 6, 10)) / 4
    theirs = getattr(torch.nn.functional, torch_loss)
    assert_same_as_torch(
        lambda a, b: loss(a, b, reduction=reduction, **options),
        lambda a, b: theirs(a, b, reduction=reduction, **options),
        [x, target],
    )


# ONNX Runtime; in float32, so nearest is compared where its coordinates are exact


def onnx_resize(x: Array, out: tuple[int, int] | None, scale: Any = None, **attributes: Any) -> Array:
    sizes = None if out is None else np.array([*x.shape[:2], *out], np.int64)
    scales = None if scale is None else np.array([1, 1, *scale], np.float32)
    (y,) = run_in_onnxruntime("Resize", x, None, scales, *([] if sizes is None else [sizes]), **attributes)
    return y


@pytest.mark.parametrize("rounding", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
@pytest.mark.parametrize("sizes", [(4, 6, 8, 12), (8, 12, 4, 3), (5, 9, 3, 5), (5, 3, 5, 3)])
def test_onnx_resize_nearest(rounding: str, coordinates: str, sizes: Any) -> None:
    height, width, *out = sizes
    if coordinates != "align_corners" and (height, width) == (5, 9):
        out = [10, 18]
    x = np.random.default_rng(0).standard_normal((2, 3, height, width)).astype(np.float32)
    expected = onnx_resize(
        x, tuple(out), mode="nearest", coordinate_transformation_mode=coordinates, nearest_mode=rounding
    )
    np.testing.assert_array_equal(
        resize_nearest(x, tuple(out), coordinates=coordinates, rounding=rounding).data, expected
    )


@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("mode", "a"), [("linear", None), ("cubic", -0.75), ("cubic", -0.5)])
def test_onnx_resize(coordinates: str, sizes: Any, mode: str, a: float | None) -> None:
    height, width, *out = sizes
    x = np.random.default_rng(0).standard_normal((2, 3, height, width)).astype(np.float32)
    attributes = {} if a is None else {"cubic_coeff_a": a}
    expected = onnx_resize(x, tuple(out), mode=mode, coordinate_transformation_mode=coordinates, **attributes)
    y = (
        resize_bilinear(x, tuple(out), coordinates=coordinates)
        if a is None
        else resize_bicubic(x, tuple(out), coordinates=coordinates, a=a)
    )
    np.testing.assert_allclose(y.data, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
def test_onnx_resize_by_a_scale(coordinates: str) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7)).astype(np.float32)
    scale = (1.5, 2.75)
    for mode, op in (("linear", resize_bilinear), ("cubic", resize_bicubic)):
        expected = onnx_resize(x, None, scale, mode=mode, coordinate_transformation_mode=coordinates)
        y = op(x, scale=scale, coordinates=coordinates).data
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5, strict=True)


@pytest.mark.parametrize(("border", "value"), [("constant", 0.0), ("constant", -2.5), ("edge", 0.0), ("reflect", 0.0)])
def test_onnx_pad(border: str, value: float) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    padding = ((0, 1), (2, 0), (1, 3), (0, 2))
    pads = np.array(padding).T.ravel().astype(np.int64)  # ONNX: all befores, then all afters
    (expected,) = run_in_onnxruntime("Pad", x, pads, np.array(value, np.float32), mode=border)
    np.testing.assert_array_equal(pad(x, padding, border=border, value=value).data, expected, strict=True)


def test_onnx_concat_and_transpose() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 3, 4)).astype(np.float32), rng.standard_normal((2, 1, 4)).astype(np.float32)
    (joined,) = run_in_onnxruntime("Concat", x, y, axis=1)
    np.testing.assert_array_equal(concat([x, y], axis=1).data, joined, strict=True)
    (turned,) = run_in_onnxruntime("Transpose", x, perm=[2, 0, 1])
    np.testing.assert_array_equal(transpose(x, (2, 0, 1)).data, turned, strict=True)
