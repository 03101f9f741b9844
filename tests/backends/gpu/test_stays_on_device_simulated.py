"""From the image to the detections nothing leaves the device, but the few numbers that sizes depend on.

The arrays are those of `tests.duck`, which refuse to become NumPy's; only a launch sees what they hold.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor, no_grad
from refdet.boxes import anchor_grid, base_anchors
from refdet.core.kernel import ROUND_TRIPS, Backend, use_backend
from refdet.detection import detections, rpn_proposals
from refdet.ops import conv2d, linear, max_pool2d, relu, roi_align, roi_pool, softmax
from tests.duck import DuckArray, unwrapped, wrapped

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("needs NUMBA_ENABLE_CUDASIM=1 before Numba is imported", allow_module_level=True)

from refdet_numba.gpu import correlate, device
from refdet_numba.gpu.backend import KERNELS as TABLE

GPU = Backend("numba-cuda", TABLE, "reference")
STRIDE = 4
N_CLASSES, N_ANCHORS = 3, 2
METHODS = ("copy", "reshape", "swapaxes")  # which CuPy's arrays have, for the code of the backend
Arrays = dict[str, Any]
IMAGE_SIZE: Arrays = {"height": 16, "width": 16}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Put the ducks in the place of the device's arrays; return the numbers that are read from there."""
    read: list[Any] = []

    def item(x: DuckArray) -> Any:
        read.append(unwrapped(x).item())
        return read[-1]

    def method(name: str) -> Any:
        return lambda x, *arguments, **options: wrapped(getattr(unwrapped(x), name)(*arguments, **options))

    for name in METHODS:
        monkeypatch.setattr(DuckArray, name, method(name), raising=False)
    monkeypatch.setattr(DuckArray, "flags", property(lambda x: unwrapped(x).flags), raising=False)
    monkeypatch.setattr(DuckArray, "item", item, raising=False)
    monkeypatch.setattr(device, "_array_to_device", lambda x: DuckArray(x) if isinstance(x, np.ndarray) else x)
    monkeypatch.setattr(device, "_array_to_host", unwrapped)
    monkeypatch.setattr(device, "_argument", unwrapped)
    monkeypatch.setattr(correlate, "forward_steps", correlate.forward_steps.__wrapped__)  # leave no duck in its cache
    return read


def weights(rng: np.random.Generator) -> Arrays:
    """Return multiples of 1/64, so that every sum of products is exact, whoever adds it up."""
    shapes = {
        "stem": (4, 3, 3, 3),
        "stem_bias": (4,),
        "rpn": (4, 4, 3, 3),
        "objectness": (N_ANCHORS, 4, 1, 1),
        "corrections": (4 * N_ANCHORS, 4, 1, 1),
        "classes": (N_CLASSES, 4 * 2 * 2),
        "classes_bias": (N_CLASSES,),
        "deltas": (4 * N_CLASSES, 4 * 2 * 2),
    }
    return {name: (rng.integers(-8, 9, shape) / 64).astype(np.float32) for name, shape in shapes.items()}


def rows_per_position(x: Any, n: int) -> Any:
    """Turn (1, A·n, H, W) into (H·W·A, n)."""
    return x.transpose((0, 2, 3, 1)).reshape((-1, n)).data


def detect(image: Any, w: Arrays, pool: Any) -> tuple[Any, ...]:
    """Run a small Faster R-CNN on one image."""
    features, _ = max_pool2d(relu(conv2d(image, w["stem"], w["stem_bias"], stride=2, padding=1)), 2)
    hidden = relu(conv2d(features, w["rpn"], padding=1))
    scores = rows_per_position(conv2d(hidden, w["objectness"]), 1)[:, 0]
    deltas = rows_per_position(conv2d(hidden, w["corrections"]), 4)
    base = base_anchors([4, 8], [1.0]).astype(np.float32)
    anchors = anchor_grid(base, (4, 4), STRIDE, offset=0.5)
    proposals, _ = rpn_proposals(anchors, deltas, scores, **IMAGE_SIZE, min_size=1, pre_nms=12, post_nms=4)
    rois = np.concatenate([np.zeros_like(proposals[:, :1]), proposals], axis=1)
    pooled = pool(features, rois).reshape((-1, 4 * 2 * 2))
    probabilities = softmax(linear(pooled, w["classes"], w["classes_bias"]), axis=1).data
    corrections = linear(pooled, w["deltas"]).data
    found = detections(proposals, corrections, probabilities, **IMAGE_SIZE, score_threshold=0.25, pre_nms=3)
    return proposals, *found


def pool_by_maximum(features: Any, rois: Any) -> Any:
    return roi_pool(features, rois, 2, scale=1 / STRIDE)[0]


def pool_by_interpolation(features: Any, rois: Any) -> Any:
    return roi_align(features, rois, 2, scale=1 / STRIDE, sampling_ratio=0)


@pytest.mark.parametrize(("pool", "n_reads"), [(pool_by_maximum, 1), (pool_by_interpolation, 3)])
def test_from_the_image_to_the_detections(pool: Any, n_reads: int, reads: list[Any]) -> None:
    """What is read: whether the regions may be pooled; interpolated once per pixel, also how large they are."""
    rng = np.random.default_rng(0)
    w, image = weights(rng), rng.integers(-4, 5, (1, 3, 16, 16)).astype(np.float32)
    with no_grad():
        expected = detect(image, w, pool)
        before = ROUND_TRIPS.copy()
        with use_backend(GPU):
            there = detect(device.to_device(image), device.to_device(w), pool)
            assert all(isinstance(x, DuckArray) for x in there)
            found = device.to_host(there)
    assert not ROUND_TRIPS - before
    assert len(reads) == n_reads
    proposals, boxes, _, classes = expected
    assert len(proposals) == 4
    assert len(boxes) == 5
    assert len(set(classes.tolist())) == 2
    for x, y in zip(found, expected, strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def test_feature_pyramid_and_indices_of_the_device(reads: list[Any]) -> None:
    """Levels in one call; then the gradient of rows that indices of the device pick, one of them twice."""
    base = base_anchors([8], [0.5, 1.0]).astype(np.float32)
    anchors = np.concatenate([anchor_grid(base, (2, 2), 8), anchor_grid(2 * base, (1, 1), 16)])
    scores = (np.random.default_rng(0).permutation(len(anchors)) / 16).astype(np.float32)
    inputs = anchors, np.zeros_like(anchors), scores, np.repeat([3, 4], [8, 2])
    options: Arrays = {**IMAGE_SIZE, "min_size": 1, "pre_nms": 2, "order": "topk_first"}
    picked = np.array([1, 0, 1])
    expected = rpn_proposals(*inputs, **options)
    before = ROUND_TRIPS.copy()
    with use_backend(GPU):
        boxes, best = rpn_proposals(*device.to_device(inputs), **options)
        x = Tensor(boxes, requires_grad=True)
        (x[device.to_device(picked)] * 3.0).sum().backward()
    assert not ROUND_TRIPS - before
    assert len(reads) == 2  # whether an index is out of bounds, forwards and backwards
    np.testing.assert_array_equal(unwrapped(boxes), expected[0])
    np.testing.assert_array_equal(unwrapped(best), expected[1])
    gradient = np.zeros_like(expected[0])
    np.add.at(gradient, picked, 3)
    np.testing.assert_array_equal(unwrapped(x.grad), gradient)
