"""The scenes of the experiment: the same for everybody, and not told by colour alone."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.data.shapes import CLASS_NAMES
from refdet.reproduce.segmentation_scenes import CLASS_COLOURS, LabelledScene, coloured_scene


def scene(seed: int, number: int, *, spread: float = 80.0) -> LabelledScene:
    return coloured_scene(seed, number, side=48, diameters=(12.0, 30.0), n_objects=(2, 4), spread=spread)


def test_a_scene_follows_from_seed_and_number_alone() -> None:
    first, again = scene(7, 3), scene(7, 3)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.label_map, again.label_map)
    for other in (scene(7, 4), scene(8, 3)):
        assert not np.array_equal(first.image, other.image)


def test_every_class_occurs_and_the_background_leads() -> None:
    label_maps = np.stack([scene(0, n).label_map for n in range(40)])
    counts = np.bincount(label_maps.ravel(), minlength=len(CLASS_NAMES))
    assert np.all(counts > 0)
    assert counts.argmax() == 0
    assert len(counts) == len(CLASS_COLOURS) + 1


@pytest.mark.parametrize(("spread", "at_least", "at_most"), [(0.0, 0.8, 1.0), (120.0, 0.3, 0.7)])
def test_colour_is_a_hint_that_spreads(spread: float, at_least: float, at_most: float) -> None:
    """The share of object pixels whose nearest class colour is that of their class; by chance it is a sixth."""
    right = total = 0
    for number in range(30):
        painted = scene(1, number, spread=spread)
        is_object = painted.label_map > 0
        pixels = painted.image[is_object].astype(float)
        distances = ((pixels[:, None] - np.array(CLASS_COLOURS)) ** 2).sum(axis=2)
        right += int(np.count_nonzero(distances.argmin(axis=1) + 1 == painted.label_map[is_object]))
        total += len(pixels)
    assert at_least <= right / total <= at_most
