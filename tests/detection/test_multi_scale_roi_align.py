"""Crops of a pyramid: each region from its map, in the order of the regions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.detection.multi_scale_roi_align import CropSettings, as_rois, check_strides, grown, region_features
from refdet.ops.roi_align import roi_align
from refdet.ops.roi_pool import roi_pool

STRIDES = (4, 8, 16, 32)


def test_each_region_is_cropped_from_its_map() -> None:
    """Map k is filled with the number k; sides 224, 16, 448, 112 and 10 belong to maps 4, 2, 5, 3 and 2."""
    maps = [Tensor(np.full((2, 1, 512 // s, 512 // s), 2.0 + i)) for i, s in enumerate(STRIDES)]
    sides = [224, 16, 448, 112, 10]
    rois = np.array([[i % 2, 20, 20, 20 + side, 20 + side] for i, side in enumerate(sides)], float)
    crops = region_features(maps, STRIDES, rois, 2, CropSettings())
    assert crops.shape == (5, 1, 2, 2)
    np.testing.assert_allclose(crops.data.mean(axis=(1, 2, 3)), [4, 2, 5, 3, 2])


def test_the_side_that_belongs_to_stride_16_may_be_another() -> None:
    """With 56 instead of 224 every side is seen on the map two steps coarser."""
    maps = [Tensor(np.full((1, 1, 512 // s, 512 // s), 2.0 + i)) for i, s in enumerate(STRIDES)]
    rois = np.array([[0, 20, 20, 20 + side, 20 + side] for side in (14, 28, 56, 112)], float)
    crops = region_features(maps, STRIDES, rois, 1, CropSettings(canonical_side=56.0))
    np.testing.assert_allclose(crops.data.ravel(), [2, 3, 4, 5])


def test_gradient_returns_to_the_map_and_the_picture() -> None:
    maps = [Tensor(np.ones((2, 1, 64 // s, 64 // s)), requires_grad=True) for s in STRIDES]
    rois = np.array([[1, 8, 8, 24, 24], [0, 8, 8, 40, 40]], float)
    region_features(maps, STRIDES, rois, 2, CropSettings()).sum().backward()
    received = [None if x.grad is None else x.grad.sum(axis=(1, 2, 3)).tolist() for x in maps]
    assert received[1:] == [None, None, None]
    np.testing.assert_allclose(np.array(received[0]), [4, 4])  # 2 × 2 bins of each region


def test_one_map() -> None:
    x = np.random.default_rng(0).standard_normal((1, 2, 8, 8))
    rois = np.array([[0, 3, 5, 90, 70], [0, 40, 40, 50, 44]], float)
    settings = CropSettings(aligned=True, sampling_ratio=3)
    crops = region_features([Tensor(x)], [16], rois, 3, settings)
    np.testing.assert_array_equal(crops.data, roi_align(x, rois, 3, scale=1 / 16, sampling_ratio=3, aligned=True).data)
    pooled = region_features([Tensor(x)], [16], rois, 3, replace(settings, crop="pool"))
    np.testing.assert_array_equal(pooled.data, roi_pool(x, rois, 3, scale=1 / 16)[0].data)


def test_context_is_around_the_region_on_the_map_that_suits_it() -> None:
    """Twice (100, 90) … (120, 100): (90, 85) … (130, 105). The maps are those of the sides, not of twice the sides."""
    x = np.random.default_rng(0).standard_normal((1, 2, 32, 32))
    region, around = np.array([[0, 100, 90, 120, 100]], float), np.array([[0, 90, 85, 130, 105]], float)
    crop = region_features([Tensor(x)], [8], region, 3, CropSettings(), context=2.0)
    np.testing.assert_array_equal(crop.data, region_features([Tensor(x)], [8], around, 3, CropSettings()).data)
    maps = [Tensor(np.full((1, 1, 512 // s, 512 // s), 2.0 + i)) for i, s in enumerate(STRIDES)]
    rois = np.array([[0, 200, 200, 200 + side, 200 + side] for side in (60, 112)], float)
    crops = region_features(maps, STRIDES, rois, 1, CropSettings(), context=2.0)
    np.testing.assert_allclose(crops.data.ravel(), [2, 3])


def test_grown_boxes_keep_their_centre_and_dtype() -> None:
    boxes = np.array([[4, 2, 8, 10], [-3, 0, 3, 1]], np.float32)
    larger = grown(boxes, 1.5)
    assert larger.dtype == np.float32
    assert larger.tolist() == [[3, 0, 9, 12], [-4.5, -0.25, 4.5, 1.25]]
    assert grown(boxes, 1) is boxes
    assert grown(np.zeros((0, 4)), 2.0).shape == (0, 4)


def test_no_regions() -> None:
    maps = [Tensor(np.zeros((1, 3, 4, 4)))] * 4
    assert region_features(maps, STRIDES, as_rois([np.zeros((0, 4))]), 7, CropSettings()).shape == (0, 3, 7, 7)


def test_strides_are_powers_of_2_where_there_are_several() -> None:
    for strides in ((4, 8, 16), (0.5, 1), (12,)):
        check_strides("here", strides)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"here: several strides of a backbone must be powers of 2, got \(12, 24\)"):
        check_strides("here", (12, 24))
    with pytest.raises(ValueError, match=r"must double from map to map, got \(4, 16\)"):
        check_strides("here", (4, 16))


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="crop"):
        CropSettings(crop="stretch")
