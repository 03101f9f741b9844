"""What a network sees of a picture: colours, and edges that are the same whichever side is the brighter one."""

from __future__ import annotations

import numpy as np

from refdet.data.shapes import make_scene
from refdet.reproduce.segmentation_scenes import FAINT, N_CHANNELS, make_scenes, network_channels
from refdet.reproduce.segmentation_settings import MINIATURE


def test_the_scenes_are_those_of_shapes() -> None:
    scenes = make_scenes(MINIATURE, 7, lambda progress: None)
    size = (MINIATURE.side, MINIATURE.side)
    for number, split, i in ((3, scenes.train, 3), (MINIATURE.n_train + MINIATURE.n_validation, scenes.test, 0)):
        expected = make_scene(7, number, size=size)
        np.testing.assert_array_equal(split.images[i], expected.image)
        np.testing.assert_array_equal(split.label_maps[i], expected.label_map)


def test_an_edge_by_hand() -> None:
    """Grey 128 beside 192 is a step of 1: Sobel's dx is 1 on both sides of it, in each of three colours."""
    image = np.full((1, 4, 6, 3), 128, np.uint8)
    image[:, :, 3:] = 192
    seen = network_channels(image)
    assert seen.shape == (1, N_CHANNELS, 4, 6)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(seen[0, 0], np.tile([0, 0, 0, 1, 1, 1], (4, 1)))
    m = np.sqrt(3 + FAINT)
    still = np.sqrt(FAINT)
    np.testing.assert_allclose(seen[0, 3, 1], np.array([still, still, m, m, still, still]) - 1, rtol=1e-6)
    np.testing.assert_allclose(seen[0, 4, 1], [0, 0, 3 / m, 3 / m, 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(seen[0, 5], 0)


def test_edges_do_not_tell_which_side_is_brighter_and_turn_with_the_picture() -> None:
    images = make_scene(0, 0, size=(48, 48)).image[None]
    edges = network_channels(images)[:, 3:]
    np.testing.assert_allclose(network_channels(255 - images)[:, 3:], edges, atol=1e-5)
    quarter = network_channels(np.rot90(images, axes=(1, 2)))[:, 3:]
    signs = np.array([1, -1, -1])[:, None, None]  # a quarter turn adds 180 degrees to the doubled angle
    np.testing.assert_allclose(quarter, signs * np.rot90(edges, axes=(2, 3)), atol=1e-5)
