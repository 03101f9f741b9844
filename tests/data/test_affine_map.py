"""Pictures and annotation moved together: by right angles exactly, by other maps as the definition says."""

from __future__ import annotations

import cmath
import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from refdet.data.affine_map import IGNORED, AffineRange, affine, random_affine, turn
from refdet.data.sample import Sample
from refdet.data.shapes import make_scene, tight_box
from refdet.data.stick_figures import make_figure


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


def test_a_map_of_six_places() -> None:
    """x' = 2x + y and y' = y about (2, 1): a row is twice as long, and moved by its height above the middle."""
    image = np.zeros((2, 4, 3), np.uint8)
    image[0, :, 0], image[1, :, 0] = [10, 20, 30, 40], [50, 60, 70, 80]
    masks = np.zeros((1, 2, 4), bool)
    masks[0, 0, 2] = True
    joints = np.array([[[2, 0.5], [3, 1.5], [1, 1]]], np.float32)
    box = np.array([[2, 0, 3, 1]], np.float32)
    ones = np.ones(1, np.int64)
    given = Sample(
        *("a.jpg", image, box, ones, ones == 0),
        masks=masks,
        joints=joints,
        joints_visible=np.ones((1, 3), bool),
        areas=np.array([5.0]),
        proposals=box,
    )
    found: Any = affine(given, np.array([[2, 1], [0, 1]]))
    # of pixel (r, c) the middle came from x = 2 + (c + 1/2 - 2 - (r + 1/2 - 1)) / 2: 1.5, 2, 2.5, 3 and 1, 1.5, 2, 2.5
    np.testing.assert_allclose(found.image[..., 0], [[20, 25, 30, 35], [55, 60, 65, 70]], atol=1e-4)
    np.testing.assert_array_equal(found.masks, [[[False, True, True, False], [False, False, False, False]]])
    np.testing.assert_allclose(found.joints, [[[1.5, 0.5], [4.5, 1.5], [0.0, 1.0]]])
    np.testing.assert_array_equal(found.joints_visible, [[True, False, True]])
    np.testing.assert_array_equal(found.boxes, [[1, 0, 3, 1]])
    np.testing.assert_allclose(found.proposals, [[1, 0, 4, 1]])  # around (1, 0), (3, 0), (2, 1) and (4, 1)
    np.testing.assert_allclose(found.areas, [10.0])


def test_maps_one_after_another() -> None:
    """Joints moved by A, then by B, are where BA moves them; by the inverse they are back."""
    figure, (A, B) = make_figure(5, 1), np.random.default_rng(3).normal(0, 0.2, (2, 2, 2)) + np.eye(2)

    def joints(sample: Any) -> Any:
        return sample.joints

    np.testing.assert_allclose(joints(affine(affine(figure, A), B)), joints(affine(figure, B @ A)), rtol=1e-5)
    back = affine(affine(figure, A), np.linalg.inv(A))
    np.testing.assert_allclose(joints(back), joints(figure), rtol=1e-4)


RANGE = AffineRange(turn=20.0, scale=0.3, stretch=0.2, shear=0.25)


def numbers_of(A: Any) -> tuple[float, float, float, float]:
    """Return degrees, log s, log a and h: the first column is s·a·(cos φ, sin φ), the determinant s²."""
    first, second = complex(*A[:, 0]), complex(*A[:, 1])
    s = math.sqrt((first.conjugate() * second).imag)
    a = abs(first) / s
    h = (first.conjugate() * second).real / abs(first) ** 2
    return math.degrees(cmath.phase(first)), math.log(s), math.log(a), h


def test_random_maps_stay_within_their_range() -> None:
    rng, all_of = np.random.default_rng(0), dataclasses.astuple(RANGE)
    drawn = np.array([numbers_of(RANGE.draw(rng)) for _ in range(60)]) / all_of
    assert (np.abs(drawn) <= 1 + 1e-9).all()
    assert (drawn.max(axis=0) > 0.8).all()
    assert (drawn.min(axis=0) < -0.8).all()
    assert (np.abs(np.corrcoef(drawn.T) - np.eye(4)) < 0.4).all()
    figure = make_figure(5, 1)
    made: Any = random_affine(figure, np.random.default_rng(1), within=RANGE)
    expected: Any = affine(figure, RANGE.draw(np.random.default_rng(1)))
    np.testing.assert_array_equal(made.image, expected.image)
    np.testing.assert_array_equal(made.joints, expected.joints)
    still: Any = random_affine(figure, rng, within=AffineRange())
    np.testing.assert_array_equal(still.image, figure.image)
    np.testing.assert_array_equal(still.joints, np.asarray(figure.joints))


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
    with pytest.raises(ValueError, match=r"AffineRange: turn must lie in \[0, 180\], got 181"):
        AffineRange(turn=181)
    with pytest.raises(TypeError, match="random_affine: within must be an AffineRange, got 20"):
        random_affine(sample([]), np.random.default_rng(0), within=20)  # type: ignore[arg-type]
    wrong: list[Any] = [np.eye(3), [1, 2], [["1", "0"], ["0", "1"]], [[1, math.inf], [0, 1]]]
    for A in wrong:
        with pytest.raises(ValueError, match=r"affine: A must be a matrix \(2, 2\) of finite numbers, got"):
            affine(sample([]), A)
    for matrix in ([[-1, 0], [0, 1]], [[1, 1], [1, 1]]):
        with pytest.raises(ValueError, match="affine: A must have a positive determinant, so that left stays left"):
            affine(sample([]), np.array(matrix))
