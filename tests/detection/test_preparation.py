"""Preparation: sizes, values and padding by hand, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.data.sample import Sample
from refdet.detection.preparation import Preparation
from refdet.nn import Linear, ReLU


def sample(height: int, width: int, value: tuple[int, int, int] = (10, 20, 30)) -> Sample:
    image = np.broadcast_to(np.array(value, np.uint8), (height, width, 3)).copy()
    boxes = np.array([[1, 2, 3, 4]], np.float32)
    return Sample("a.png", image, boxes, np.ones(1, np.int64), np.zeros(1, bool), proposals=boxes + 1)


def test_values_of_a_picture_and_zeros_around_it() -> None:
    prepare = Preparation(mean=(30.0, 20.0, 0.0), std=(2.0, 4.0, 5.0), order="BGR", divisor=8)
    prepared = prepare([sample(5, 9), sample(8, 4)])
    assert prepared.images.shape == (2, 3, 8, 16)
    assert prepared.sizes == ((5, 9), (8, 4))
    blue, green, red = prepared.images[0, :, :5, :9]
    assert np.all(blue == 0)  # (30 − 30) / 2
    assert np.all(green == 0)  # (20 − 20) / 4
    assert np.all(red == 2)  # (10 − 0) / 5
    assert not prepared.images[0, :, 5:].any()
    assert not prepared.images[0, :, :, 9:].any()
    assert np.all(prepared.images[1, 2, :, :4] == 2)


@pytest.mark.parametrize(
    ("original", "rounded", "cut_off"),
    [  # what is cut off was asked of torchvision 0.14.1
        ((375, 500), (800, 1067), (799, 1066)),  # 500 · 800/375 = 1066.67
        ((333, 500), (800, 1201), (799, 1201)),
        ((480, 640), (800, 1067), (800, 1066)),
        ((427, 640), (800, 1199), (799, 1199)),
        ((300, 1000), (400, 1333), (399, 1333)),  # the longer side decides: 1333/1000 · 300 = 399.9
    ],
)
def test_sizes(original: tuple[int, int], rounded: tuple[int, int], cut_off: tuple[int, int]) -> None:
    assert Preparation(short=800, long=1333).size(original) == rounded
    assert Preparation(short=800, long=1333, size_convention="cut off").size(original) == cut_off
    assert Preparation().size(original) == original


def test_a_side_is_never_cut_off_to_nothing() -> None:
    """1333/5000 of one pixel is none; `resized_size`, too, leaves one."""
    assert Preparation(short=800, long=1333, size_convention="cut off").size((1, 5000))[0] == 1
    assert Preparation(short=800, long=1333).size((1, 5000)) == (1, 1333)


def test_images_take_the_dtype_of_the_network() -> None:
    prepared = Preparation()([sample(2, 3)])
    for dtype in (np.float32, np.float64):
        images = prepared.images_for(Linear(1, 1, rng=np.random.default_rng(0), dtype=dtype))
        assert images.dtype == dtype
        np.testing.assert_array_equal(images, prepared.images)
    assert prepared.images_for(ReLU()) is prepared.images  # a network without parameters


def test_boxes_and_proposals_go_with_the_picture() -> None:
    prepared = Preparation(short=10, long=100)([sample(5, 20)])
    assert prepared.sizes == ((10, 40),)
    assert prepared.original_sizes == ((5, 20),)
    assert prepared.samples[0].boxes.tolist() == [[2, 4, 6, 8]]
    assert prepared.samples[0].proposals is not None
    assert prepared.samples[0].proposals.tolist() == [[4, 6, 8, 10]]
    assert prepared.ratio(0).tolist() == [2, 2, 2, 2]
    assert Preparation(short=3, long=100).picture(np.zeros((6, 5, 3), np.uint8)).ratio(0).tolist() == [
        0.6,
        4 / 6,
        0.6,
        4 / 6,
    ]


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match=r"^Preparation: std must be positive, got \(1, 0, 1\)$"):
        Preparation(std=(1, 0, 1))
    with pytest.raises(ValueError, match="size_convention must be one of"):
        Preparation(size_convention="ceil")
    with pytest.raises(ValueError, match="divisor must be"):
        Preparation(divisor=0)
