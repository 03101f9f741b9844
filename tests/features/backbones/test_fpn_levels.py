"""The level of a region: the published borders, where the conventions part, and boxes that are hardly boxes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.features.backbones.fpn_levels import CONVENTIONS, fpn_level


def squares(*sides: float, dtype: type = np.float64) -> Array:
    return np.array([[0, 0, s, s] for s in sides], dtype)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_borders(convention: str, dtype: type) -> None:
    levels = fpn_level(squares(111.9, 112, 223.9, 224, 448, dtype=dtype), convention=convention)
    assert levels.dtype == np.int64
    assert levels.tolist() == [2, 3, 3, 4, 5]


def test_the_area_counts_wherever_the_box_lies() -> None:
    wide, away = [0.0, 0, 448, 112], [100.0, -300, 324, -76]
    assert fpn_level(np.array([wide, away])).tolist() == [4, 4]


def test_clamping() -> None:
    boxes = squares(1, 55, 5000)
    assert fpn_level(boxes).tolist() == [2, 2, 5]
    assert fpn_level(boxes, levels=(0, 20)).tolist() == [0, 1, 8]  # 224 · 2⁻⁸ = 0.875, 224 / 4 = 56, 224 · 16 = 3584
    assert fpn_level(boxes, levels=(3, 3)).tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("short_by", "paper", "torchvision", "detectron2"),
    [(0, 4, 4, 4), (8.5e-9, 3, 4, 4), (2e-8, 3, 4, 3), (5e-7, 3, 4, 3), (9e-7, 3, 3, 3)],
)
def test_conventions_part_just_below_a_border(short_by: float, paper: int, torchvision: int, detectron2: int) -> None:
    boxes = squares(224 * (1 - short_by))
    found = {c: fpn_level(boxes, convention=c).tolist() for c in CONVENTIONS}
    assert found == {"paper": [paper], "torchvision": [torchvision], "detectron2": [detectron2]}


def test_float32_cannot_tell_the_last_numbers_below_a_border() -> None:
    boxes = squares(223.9999, np.nextafter(np.float32(224), np.float32(0)), dtype=np.float32)
    assert fpn_level(boxes, convention="paper").tolist() == [3, 4]  # 4 − 9·10⁻⁸ is 4
    assert fpn_level(boxes, convention="detectron2").tolist() == [3, 4]
    assert fpn_level(boxes, convention="torchvision").tolist() == [4, 4]


def test_equals_the_formula() -> None:
    rng = np.random.default_rng(0)
    corners = rng.uniform(-100, 100, (300, 2))
    boxes = np.concatenate([corners, corners + 2 ** rng.uniform(-2, 13, (300, 2))], axis=1)
    for box, level in zip(
        boxes.tolist(), fpn_level(boxes, levels=(1, 7), canonical_level=3, canonical_side=100.0), strict=True
    ):
        k = math.floor(3 + math.log2(math.sqrt((box[2] - box[0]) * (box[3] - box[1])) / 100))
        assert level == min(max(k, 1), 7)


def test_boxes_without_area_and_none() -> None:
    boxes = np.array([[5.0, 5, 5, 900], [300.0, 300, 0, 0], [0.0, 900, 900, 0], [-3e38, 0, 3e38, 0]], np.float32)
    assert fpn_level(boxes).tolist() == [2, 2, 2, 2]
    assert fpn_level(np.array([[-3e38, 0, 3e38, 2]], np.float32)).tolist() == [5]
    assert fpn_level(np.zeros((0, 4))).shape == (0,)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"fpn_level: box 1 is not finite"):
        fpn_level(np.array([[0.0, 0, 1, 1], [0, 0, np.nan, 1]]))
    with pytest.raises(ValueError, match=r"fpn_level: levels must be \(lowest, highest\), got \(5, 2\)"):
        fpn_level(squares(1), levels=(5, 2))
    with pytest.raises(ValueError, match=r"fpn_level: convention must be .*got 'caffe'"):
        fpn_level(squares(1), convention="caffe")
    with pytest.raises(ValueError, match=r"fpn_level: boxes must have shape \(N, 4\)"):
        fpn_level(np.zeros((2, 5)))
