"""The windows of EdgeBoxes: sizes, shapes, positions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refdet.boxes.iou import box_iou
from refdet.proposals.edge_box_windows import edge_box_windows, translation_step


def by_loops(size: tuple[int, int], alpha: float, min_area: float, max_aspect_ratio: float) -> list[list[int]]:
    """List the windows as the docstring says, in float64."""
    H, W = size
    side, s, r = math.sqrt(min_area), math.sqrt(1 / alpha), (1 + alpha) / (2 * alpha)
    share, n_steps = (1 - alpha) / (1 + alpha), int(math.log(max_aspect_ratio) / math.log(r * r))
    windows = []
    for i in range(max(0, math.ceil(math.log(max(H, W) / side) / math.log(s)))):
        for a in range(-n_steps, n_steps + 1):
            width, height = int(side * s**i * r**a), int(side * s**i / r**a)
            for x in range(0, W - width + max(2, int(width * share)), max(2, int(width * share))):
                for y in range(0, H - height + max(2, int(height * share)), max(2, int(height * share))):
                    windows.append([x, y, x + width, y + height])
    return windows


@pytest.mark.parametrize("size", [(60, 80), (100, 33), (32, 32), (20, 200)])
@pytest.mark.parametrize(("alpha", "ratio"), [(0.65, 3.0), (0.5, 1.5), (0.7, 2.0)])
def test_by_loops(size: tuple[int, int], alpha: float, ratio: float) -> None:
    """float32 and float64 round to the same integers here."""
    found = edge_box_windows(size, alpha=alpha, min_area=1000, max_aspect_ratio=ratio)
    assert found.tolist() == by_loops(size, alpha, 1000, ratio)
    assert found.dtype == np.int64


def test_neighbours_overlap_by_alpha() -> None:
    """Up to the rounding of sides of 100 pixels and more."""
    windows = edge_box_windows((300, 300), alpha=0.65, min_area=10_000, max_aspect_ratio=3).astype(np.float64)
    square = windows[(windows[:, 2] - windows[:, 0] == 100) & (windows[:, 3] - windows[:, 1] == 100)]
    iou = box_iou(square[:1], square)[0]
    beside = square[(square[:, 1] == 0) & (square[:, 0] > 0)][:1]
    np.testing.assert_allclose(box_iou(square[:1], beside), 0.65, atol=0.01)
    assert iou[0] == 1
    centred = np.unique(windows[:, 2:] - windows[:, :2], axis=0)
    centred = np.concatenate([-centred / 2, centred / 2], axis=1)
    overlaps = np.sort(box_iou(centred, centred), axis=1)
    np.testing.assert_allclose(overlaps[:, -2], 0.65, atol=0.02)  # the nearest other size or shape


def test_translation_step() -> None:
    """Shifted by t, two boxes of length 1 share 1 − t of 1 + t."""
    for alpha in (0.1, 0.5, 0.65, 0.9):
        t = float(translation_step(alpha))
        np.testing.assert_allclose((1 - t) / (1 + t), alpha, rtol=1e-6)


def test_sizes_are_those_of_single_precision() -> None:
    """α = 1/2 from 32²: √2 is 1.41421354 in float32 and its square 1.99999994, so that int(64) would be 63 there."""
    windows = edge_box_windows((100, 100), alpha=0.5, min_area=1024, max_aspect_ratio=1)
    root = np.float32(math.sqrt(np.float32(2)))
    sides = [int(np.float32(32) * np.float32(float(root) ** i)) for i in range(4)]
    assert sorted(set((windows[:, 2] - windows[:, 0]).tolist())) == sides


@pytest.mark.parametrize("size", [(0, 0), (0, 100), (31, 20), (5, 31)])
def test_maps_too_small_for_a_window(size: tuple[int, int]) -> None:
    """√1000 = 31.6: with both sides below there is no size, and in a map without rows no position."""
    windows = edge_box_windows(size, alpha=0.65, min_area=1000, max_aspect_ratio=3)
    assert windows.shape == (0, 4)


def test_windows_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match=r"edge_boxes: alpha 0.95 gives \d+ windows over 500 × 500 pixels, more than"):
        edge_box_windows((500, 500), alpha=0.95, min_area=1000, max_aspect_ratio=3)
