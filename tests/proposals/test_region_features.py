"""Sizes, boxes, neighbours and histograms of regions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from refdet.core.check import Array
from refdet.proposals.region_features import (
    colour_codes,
    neighbouring_regions,
    region_boxes,
    region_features,
    region_histograms,
    texture_codes,
)
from tests.agreement import seeds

LABELS = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [3, 3, 3, 3]])


def test_hand_example() -> None:
    """Region 0 is an L around a corner of region 2; its last pixel is beside and above region 3."""
    field = np.array([[0, 100, 255], [9, 10, 11], [0, 0, 0], [255, 255, 255]])[LABELS].astype(np.float64)
    regions = region_features(LABELS, colour_codes(field), texture_codes(field))
    assert regions.sizes.tolist() == [3, 3, 2, 4]
    assert regions.boxes.tolist() == [[0, 0, 2, 2], [2, 0, 4, 2], [1, 1, 3, 2], [0, 2, 4, 3]]
    assert regions.pairs.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    colours = np.zeros(75)
    colours[[0, 25 + 9, 50 + 24]] = 1 / 3  # 100 · 25/255 = 9.8
    np.testing.assert_allclose(regions.colours[0], colours)
    assert regions.textures.shape == (4, 240)
    np.testing.assert_allclose(regions.textures.sum(axis=1), 1)


def test_corners_make_neighbours() -> None:
    assert neighbouring_regions(np.array([[0, 1], [1, 0]])).tolist() == [[0, 1]]
    assert neighbouring_regions(np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2]])).tolist() == [[0, 1], [1, 2]]
    assert neighbouring_regions(np.zeros((3, 3), int)).shape == (0, 2)


@given(seed=seeds)
def test_boxes_sizes_and_neighbours_pixel_by_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.unique(rng.integers(0, 6, (5, 7)), return_inverse=True)[1].reshape(5, 7)
    n = int(labels.max()) + 1
    for region, box in enumerate(region_boxes(labels, n)):
        rows, columns = np.nonzero(labels == region)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    touching = set()
    for (r, c), a in np.ndenumerate(labels):
        for b in labels[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].ravel():
            if a < b:
                touching.add((int(a), int(b)))
    assert neighbouring_regions(labels).tolist() == [list(pair) for pair in sorted(touching)]


def test_bins_of_colour_are_half_open_and_the_last_is_closed() -> None:
    """Each is 10.2 wide: 51 begins the sixth."""
    field = np.array([[[0.0], [50.9], [51.0], [244.7], [244.9], [255.0]]])
    assert colour_codes(field).ravel().tolist() == [0, 4, 5, 23, 24, 24]


def test_directions_of_texture() -> None:
    """Beside a step from 0 to 255 the derivative along x is 255 Σ_{t>0} t g(t) = 92.8, of at most 255/√2π = 101.7.

    So bin ⌊9.12⌋ towards the bright side, ⌊9.12 cos 45°⌋ = 6 on both sides of that, and bin 0 in all other directions.
    """
    g = np.exp(-(np.arange(-4, 5) ** 2) / 2)
    slope = 255 * float(np.arange(1, 5) @ g[5:] / g.sum())
    assert 10 * slope * math.sqrt(2 * math.pi) / 255 == pytest.approx(9.12, abs=0.005)
    step = np.repeat([[0.0, 255.0]], 8, axis=1).repeat(16, axis=0)[:, :, None]
    assert texture_codes(step)[8, 7].tolist() == [9, 16, 20, 30, 40, 50, 60, 76]
    assert texture_codes(step.swapaxes(0, 1))[7, 8].tolist() == [0, 16, 29, 36, 40, 50, 60, 70]
    assert texture_codes(255 - step)[8, 7].tolist() == [0, 10, 20, 36, 49, 56, 60, 70]


def test_every_code_lies_in_the_bins_of_its_layer() -> None:
    noise = np.random.default_rng(0).choice([0.0, 255.0], (30, 30, 3))
    for codes, n_bins in ((colour_codes(noise), 25), (texture_codes(noise), 10)):
        np.testing.assert_array_equal(codes // n_bins, np.broadcast_to(np.arange(codes.shape[2]), codes.shape))


def test_histograms_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, (3, 4, 2)) + np.array([0, 3])
    expected = np.zeros((4, 6))
    for (r, c), label in np.ndenumerate(LABELS):
        for code in codes[r, c]:
            expected[label, code] += 1
    histograms: Array = region_histograms(LABELS, codes, 4, 6)
    np.testing.assert_allclose(histograms, expected / expected.sum(axis=1, keepdims=True))
