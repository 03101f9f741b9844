"""Boxes stretched and moved at random: how far, and what of them stays."""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array
from refdet.detection.moved_boxes import boxes_around, moved_boxes

BOXES = np.array([[10, 20, 30, 60], [-4, 0, 4, 2]], np.float32)


def sides_and_centres(boxes: Array) -> tuple[Array, Array]:
    return boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2


def test_nothing_drawn_nothing_changed() -> None:
    found = moved_boxes(BOXES, stretch=0, shift=0, rng=np.random.default_rng(0))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, BOXES)
    assert moved_boxes(BOXES[:0], stretch=0.5, shift=0.5, square=True, rng=np.random.default_rng(0)).shape == (0, 4)


def test_as_far_as_they_are_told_and_no_farther() -> None:
    """Sides by 1 ± 0.2, centres by a tenth of the new sides, all four drawn apart."""
    many = np.repeat(BOXES, 2000, axis=0)
    (old, at), (new, moved) = (
        sides_and_centres(b) for b in (many, moved_boxes(many, stretch=0.2, shift=0.1, rng=np.random.default_rng(1)))
    )
    drawn = np.concatenate([new / old - 1, (moved - at) / new], axis=1) / [0.2, 0.2, 0.1, 0.1]
    assert np.abs(drawn).max() < 1 + 1e-5
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(4) / 3, atol=0.02)


def test_squares_of_the_longer_side() -> None:
    found = moved_boxes(BOXES, stretch=0.5, shift=0, square=True, rng=np.random.default_rng(2))
    sides, centres = sides_and_centres(found)
    np.testing.assert_allclose(sides[:, 0], sides[:, 1], rtol=1e-6)
    np.testing.assert_allclose(centres, sides_and_centres(BOXES)[1], atol=1e-5)
    assert (np.abs(sides[:, 0] / [40, 8] - 1) <= 0.5).all()
    np.testing.assert_array_equal(boxes_around(np.array([[3.0, 4]]), np.array([[2.0, 6]])), [[2, 1, 4, 7]])
