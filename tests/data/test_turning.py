"""Pictures and annotation turned together: by right angles exactly, by others as the definition says."""

from __future__ import annotations

import cmath
import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from refdet.data.sample import Sample
from refdet.data.shapes import make_scene, tight_box
from refdet.data.stick_figures import make_figure
from refdet.data.turning import IGNORED, random_turn, turn


def sample(boxes: Any, *, size: tuple[int, int] = (10, 14), **known: Any) -> Sample:
    at = np.array(boxes, np.float32).reshape(-1, 4)
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    ones = np.ones(len(at), np.int64)
    return Sample("a.jpg", image, at, ones, ones == 0, **known)


def came_from(row: int, column: int, degrees: float, size: tuple[int, int]) -> complex:
    """Return x + iy of where the centre of a pixel was: complex numbers turn without a matrix."""
    middle = complex(size[1] / 2, size[0] / 2)
    return middle + (complex(column + 0.5, row + 0.5) - middle) * cmath.exp(-1j * math.radians(degrees))


@pytest.mark.parametrize(("degrees", "times"), [(90, -1), (-90, 1), (180, 2), (270, -3), (360, 0)])
def test_right_angles_are_exact(degrees: float, times: int) -> None:
    """A square picture is that of np.rot90, and so are masks and labels; joints are where their pixels are."""
    scene = make_scene(5, 0)
    found = turn(scene, degrees)
    np.testing.assert_allclose(found.image, np.rot90(scene.image, times).astype(np.float32), atol=1e-3)
    assert scene.masks is not None
    assert scene.label_map is not None
    np.testing.assert_array_equal(found.masks, np.rot90(scene.masks, times, axes=(1, 2)))
    np.testing.assert_array_equal(found.label_map, np.rot90(scene.label_map, times))
    np.testing.assert_array_equal(found.boxes, [tight_box(np.rot90(mask, times)) for mask in scene.masks])
    figure = make_figure(5, 1)
    assert figure.joints is not None
    joints = turn(figure, degrees).joints
    assert joints is not None
    H, W = figure.size
    for (x, y), moved in zip(figure.joints[0], joints[0], strict=True):
        expected = {-1: (H - y, x), 1: (y, W - x), 2: (W - x, H - y), -3: (y, W - x), 0: (x, y)}[times]
        np.testing.assert_allclose(moved, expected, atol=1e-4)


@pytest.mark.parametrize("degrees", [17.0, -33.0, 121.0])
def test_pixels_come_from_where_they_were(degrees: float) -> None:
    """The image against SciPy's interpolation; masks and labels pixel by pixel, from the definition."""
    size, drawn = (10, 14), np.random.default_rng(1)
    masks, labels = drawn.random((3, *size)) < 0.4, drawn.integers(0, 5, size)
    given = sample([[0, 0, 14, 10]] * 3, masks=masks, label_map=labels)
    found = turn(given, degrees)
    rows, columns = np.indices(size)
    places = np.vectorize(lambda r, c: came_from(r, c, degrees, size))(rows, columns)
    for channel in range(3):
        expected = ndimage.map_coordinates(
            given.image[..., channel].astype(float), [places.imag - 0.5, places.real - 0.5], order=1, mode="nearest"
        )
        np.testing.assert_allclose(found.image[..., channel], expected, atol=1e-2)
    assert found.masks is not None
    assert found.label_map is not None
    n_outside = 0
    for r in range(size[0]):
        for c in range(size[1]):
            x, y = math.floor(places[r, c].real), math.floor(places[r, c].imag)
            inside = 0 <= x < size[1] and 0 <= y < size[0]
            n_outside += not inside
            assert found.masks[:, r, c].tolist() == (masks[:, y, x].tolist() if inside else [False] * 3)
            assert found.label_map[r, c] == (labels[y, x] if inside else IGNORED)
    assert n_outside > 0
    np.testing.assert_array_equal(found.boxes, [tight_box(mask) for mask in found.masks])


def test_boxes_without_masks_hold_their_corners() -> None:
    """A square of side 2 in the middle is held by one of side 2√2 after an eighth of a turn; one without mask too."""
    square = [6, 4, 8, 6]
    around = [7 - math.sqrt(2), 5 - math.sqrt(2), 7 + math.sqrt(2), 5 + math.sqrt(2)]
    np.testing.assert_allclose(turn(sample([square]), 45).boxes, [around], rtol=1e-6)
    unknown = np.zeros((1, 10, 14), bool)  # an object of COCO without a segmentation
    np.testing.assert_allclose(turn(sample([square], masks=unknown), 45).boxes, [around], rtol=1e-6)
    proposals = np.array([square, [0, 0, 1, 1]], np.float32)
    found = turn(sample([], proposals=proposals), 45)
    assert found.proposals is not None
    np.testing.assert_allclose(found.proposals, [around], rtol=1e-6)  # the other one has left the picture
    assert found.boxes.shape == (0, 4)


def test_what_leaves_the_picture() -> None:
    """Turned by 90°, the left end of a wide picture is above its top."""
    joints = np.array([[[1, 5], [7, 5]], [[7, 4], [14, 5]]], np.float32)
    given = sample(
        [[0, 4, 1, 6], [6, 4, 8, 6]],
        joints=joints,
        joints_visible=np.array([[True, True], [True, True]]),
        areas=np.array([2.0, 4.0]),
    )
    found = turn(given, 90)
    np.testing.assert_allclose(found.boxes, [[6, 4, 8, 6]], atol=1e-5)
    assert (len(found.classes), len(found.difficult)) == (1, 1)
    np.testing.assert_array_equal(found.areas, [4.0])
    assert found.joints is not None
    np.testing.assert_allclose(found.joints, [[[8, 5], [7, 12]]], atol=1e-5)
    np.testing.assert_array_equal(found.joints_visible, [[True, False]])
    assert turn(dataclasses.replace(given, joints_visible=None), 90).joints_visible is None
    masks = np.zeros((2, 10, 14), bool)
    masks[0, 4:6, 0] = masks[1, 4:6, 6:8] = True
    assert len(turn(dataclasses.replace(given, masks=masks), 90).boxes) == 1


def test_of_a_scene_the_objects_left_keep_what_is_known_of_them() -> None:
    scene = make_scene(5, 8, size=(40, 120))
    found = turn(scene, 90)
    assert 0 < len(found.boxes) < len(scene.boxes)
    left = [
        bool(np.rot90(mask[:, 40:80], -1).any()) for mask in scene.masks
    ]  # what is then 40 × 40 pixels in the middle
    for name in ("classes", "difficult", "visible"):
        np.testing.assert_array_equal(getattr(found, name), getattr(scene, name)[left], err_msg=name)


def test_random_turns_stay_within_their_range() -> None:
    figure, rng = make_figure(5, 1), np.random.default_rng(0)
    assert figure.joints is not None
    angles = []
    for _ in range(40):
        made = random_turn(figure, rng, degrees=20.0)
        assert made.joints is not None
        (x, y), (u, v) = (float(n) for n in figure.joints[0, 0] - 64), (float(n) for n in made.joints[0, 0] - 64)
        angles.append(math.degrees(cmath.phase(complex(u, v) / complex(x, y))))
    assert -20 <= min(angles) < -10 < 10 < max(angles) <= 20


def test_a_label_map_that_does_not_hold_255() -> None:
    for dtype in (np.uint8, np.int16, np.int64):
        found = turn(sample([], label_map=np.ones((10, 14), dtype)), 45).label_map
        assert found is not None
        assert found.dtype == dtype
        assert found[0, 0] == IGNORED
    message = r"turn: the label map of a\.jpg must be of a dtype that holds 255, .* got int8; convert it with astype"
    with pytest.raises(TypeError, match=message):
        turn(sample([], label_map=np.ones((10, 14), np.int8)), 45)


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_a_picture_without_pixels(size: tuple[int, int]) -> None:
    assert turn(sample([], size=size, label_map=np.ones(size, int)), 45).size == size


def test_arguments() -> None:
    with pytest.raises(TypeError, match="turn: sample must be a Sample, got str"):
        turn("a.jpg", 3)  # type: ignore[type-var]
    with pytest.raises(ValueError, match=r"turn: degrees must be a finite number, got nan"):
        turn(sample([]), float("nan"))
    with pytest.raises(ValueError, match=r"random_turn: degrees must lie in \[0, 180\], got 181"):
        random_turn(sample([]), np.random.default_rng(0), degrees=181)
