"""Crops of single objects, and that a classifier learns from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from refdet.data.shapes import Shapes
from refdet.reproduce.segmentation_pretraining import cut_crops, pretrain, resized_crop
from refdet.reproduce.segmentation_settings import MINIATURE


def test_a_crop_of_the_same_size_is_a_piece_of_the_picture() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resized_crop(image, np.array([3.0, 4.0]), 4, 4), image[1:5, 2:6])
    around = resized_crop(image, np.array([0.0, 4.0]), 4, 4)
    np.testing.assert_array_equal(around[:2], 128)
    np.testing.assert_array_equal(around[2:], image[:2, 2:6])


def test_a_crop_by_hand() -> None:
    """Two pixels, 0 and 100, as four: a quarter of a pixel off each centre."""
    image = np.tile(np.array([0, 100], np.uint8)[None, :, None], (2, 1, 3))
    middle = resized_crop(image, np.array([1.0, 1.0]), 1, 2)
    np.testing.assert_array_equal(middle[0, :, 0], [25, 75])


def test_the_crops_are_of_all_classes_and_follow_from_the_generator() -> None:
    scenes = Shapes(12, seed=100, size=(64, 64))
    first, again = (cut_crops(scenes, 32, np.random.default_rng(0)) for _ in range(2))
    assert first.images.shape == (len(first.labels), 32, 32, 3)
    assert set(first.labels.tolist()) == set(range(7))
    np.testing.assert_array_equal(first.images, again.images)


def test_the_classifier_learns() -> None:
    settings = replace(MINIATURE, crop_steps=150, crop_batch_size=16, crop_lr=5e-3)
    _, losses = pretrain(settings, list(Shapes(2, seed=100, size=(48, 48))), 0, lambda progress: None)
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) - 0.3
