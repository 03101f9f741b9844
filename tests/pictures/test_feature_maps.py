"""The picture of feature maps is written and shows something everywhere it should."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from PIL import Image

from refdet.features.edge_net import feature_maps
from refdet.pictures.feature_maps import coloured_directions, draw_feature_maps


def disc(size: int = 60) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2
    return np.repeat((np.hypot(x, y) < size / 4).astype(float)[..., None], 3, axis=2)


def test_hue_tells_opposite_edges_apart() -> None:
    """A bright disc brightens to the right at its left edge (hue 0, red) and to the left at its right edge (cyan)."""
    colours = coloured_directions(feature_maps(disc()))
    left, right = colours[30, 15], colours[30, 45]
    assert left[0] > 0.8 > 0.3 > left[1]
    assert min(right[1], right[2]) > 0.8 > 0.3 > right[0]


def test_the_file_is_a_picture_with_content_in_every_panel(tmp_path: Path) -> None:
    path = tmp_path / "maps.png"
    draw_feature_maps(disc(), path, title="a disc")
    with Image.open(path) as opened:
        picture = np.asarray(opened.convert("RGB"), dtype=float)
    assert picture.shape == (700, 1600, 3)
    rows, columns = np.linspace(0, 700, 5).astype(int), np.linspace(480, 1600, 5).astype(int)
    for top, bottom in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            assert picture[top:bottom, left:right].std() > 5
    assert picture[:, :460].std() > 5


def test_a_picture_without_edges_is_drawn_too(tmp_path: Path) -> None:
    draw_feature_maps(np.full((40, 50, 3), 0.5), tmp_path / "flat.png", title="nothing to see")
    assert (tmp_path / "flat.png").stat().st_size > 0
