"""The edge network answers what its docstring says, on pictures whose edges are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.features.edge_net import N_DIRECTIONS, RADIUS, SIGMA, directions, edge_filters, feature_maps


def step(angle: float, *, size: int = 41, height: float = 1.0) -> np.ndarray:
    """Return a picture that brightens, across a straight line through its middle, in the direction `angle`."""
    y, x = np.mgrid[:size, :size] - size // 2
    along = np.cos(angle) * x + np.sin(angle) * y
    grey = height * np.clip(along + 0.5, 0, 1)  # antialiased
    return np.repeat(grey[..., None], 3, axis=2)


def test_filters_ignore_brightness_and_answer_one_to_a_unit_step() -> None:
    filters = edge_filters().astype(float)
    np.testing.assert_allclose(filters.sum(axis=(1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(np.maximum(filters, 0).sum(axis=(1, 2, 3)), 1, atol=1e-6)


@pytest.mark.parametrize("i_direction", range(N_DIRECTIONS))
def test_a_straight_edge_answers_by_the_cosine_of_the_angle_between(i_direction: int) -> None:
    theta = directions()
    edges = feature_maps(step(theta[i_direction], height=0.8)).edges[0]
    middle = edges[:, 20, 20]
    assert np.argmax(middle) == i_direction
    expected = np.maximum(0, np.cos(theta - theta[i_direction])) * middle[i_direction]
    np.testing.assert_allclose(middle, expected, atol=0.03)


@pytest.mark.parametrize("degrees", [0, 10, 22.5, 30, 45, 100, 200, 300])
def test_a_straight_edge_makes_no_corner(degrees: float) -> None:
    """Up to discretisation: the bias absorbs all but 0.002."""
    corners = feature_maps(step(np.radians(degrees))).corners[0]
    assert corners[:, 3:-3, 3:-3].max() <= 0.002


def test_the_window_holds_all_but_two_per_cent_of_a_filter() -> None:
    y, x = np.mgrid[-30:31, -30:31].astype(float)
    for theta in directions():
        size = np.abs((np.cos(theta) * x + np.sin(theta) * y) * np.exp(-(x**2 + y**2) / (2 * SIGMA**2)))
        inside = size[30 - RADIUS : 31 + RADIUS, 30 - RADIUS : 31 + RADIUS]
        assert 0.98 < inside.sum() / size.sum() < 0.99


def test_a_corner_is_found_where_it_is() -> None:
    """A bright quadrant brightens to the right and downwards: 0° and 90°, which is corner map 0."""
    image = np.zeros((41, 41, 3))
    image[20:, 20:] = 1
    corners = feature_maps(image).corners[0]
    i_map, row, column = np.unravel_index(np.argmax(corners), corners.shape)
    assert i_map == 0
    assert abs(2 * row + 1 - 20) <= 3  # pooled pixel r holds rows 2r … 2r + 2
    assert abs(2 * column + 1 - 20) <= 3
    assert corners.max() > 0.2


def test_wrong_layout_is_refused() -> None:
    with pytest.raises(ValueError, match=r"feature_maps: image must have rank 3 \(H, W, 3\), got rank 2"):
        feature_maps(np.zeros((5, 5)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((5, 5, 3), np.uint8), "feature_maps: image must be float32 or float64, got uint8"),
        ([[0.0]], "feature_maps: image must be an array, got list"),
        (np.zeros((5, 5, 4)), r"feature_maps: image must have shape \(H, W, 3\) .* got \(5, 5, 4\)"),
        (np.zeros((2, 5, 3)), r"feature_maps: image must have shape .* at least 3, got \(2, 5, 3\)"),
    ],
)
def test_other_images_are_refused(image: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        feature_maps(image)


def test_the_smallest_image() -> None:
    assert feature_maps(np.zeros((3, 3, 3))).corners.shape == (1, N_DIRECTIONS, 1, 1)
