"""Drawn objects: what stands where, in which colour, and that nothing leaves the picture."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.data.stick_figures import LIMBS, StickFigures
from refdet.detection.detected import Detected
from refdet.pictures.detected_objects import COLOURS, class_colour, draw_objects, enlargement

GREY = np.full((128, 160, 3), 90, np.uint8)
NAMES = ("background", *(f"kind {i}" for i in range(1, 25)))


def found(*boxes: tuple[float, ...], classes: list[int] | None = None, masks: np.ndarray | None = None) -> Detected:
    n = len(boxes)
    return Detected(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.linspace(0.9, 0.6, n).astype(np.float32),
        np.array(classes or [1] * n, np.int64),
        masks,
    )


def has(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Return which pixels have exactly that colour."""
    return np.asarray(np.all(drawn == np.array(colour), axis=2))


def test_nothing_found_is_the_picture_enlarged() -> None:
    image = np.random.default_rng(0).integers(0, 256, (128, 160, 3)).astype(np.uint8)
    drawn = draw_objects(image, found(), NAMES)
    assert drawn.dtype == np.uint8
    assert np.array_equal(drawn, image.repeat(4, axis=0).repeat(4, axis=1))


def test_a_large_picture_keeps_its_size() -> None:
    assert draw_objects(np.zeros((700, 900, 3), np.uint8), found((0, 0, 50, 50)), NAMES).shape == (700, 900, 3)
    assert [enlargement(*size) for size in ((1, 1), (20, 640), (639, 10), (320, 240))] == [32, 1, 2, 2]


def test_the_outline_of_a_box_is_where_the_box_is() -> None:
    drawn = draw_objects(GREY, found((20, 40, 100, 110)), NAMES)
    f = drawn.shape[0] // 128
    rows, columns = np.nonzero(has(drawn, class_colour(1)))
    assert (columns.min(), columns.max(), rows.max()) == (20 * f, 100 * f - 1, 110 * f - 1)
    assert has(drawn, class_colour(1))[40 * f, 60 * f]  # the upper side; the name stands above it
    assert rows.min() >= 40 * f - 60
    inside = drawn[50 * f : 100 * f, 30 * f : 90 * f]
    assert (inside == 90).all()


def test_classes_have_different_colours_and_the_eighth_has_a_line_more() -> None:
    assert len({class_colour(i) for i in range(1, 8)}) == len(COLOURS) == 7
    assert class_colour(8) == class_colour(1)
    first, second, third = (
        draw_objects(GREY, found((20, 40, 100, 110), classes=[number]), NAMES, with_scores=False)[:, 80:]
        for number in (1, 8, 15)
    )
    below = [has(drawn[220:], (255, 255, 255)).sum() for drawn in (first, second, third)]
    assert below[0] == below[2] == 0 < below[1]
    assert has(third[220:], (0, 0, 0)).sum() > has(first[220:], (0, 0, 0)).sum()


def test_a_mask_is_a_tint_with_a_rim() -> None:
    mask = np.zeros((1, 128, 160), np.bool_)
    mask[0, 50:90, 40:80] = True
    drawn = draw_objects(GREY, found((40, 50, 80, 90), masks=mask), NAMES)
    colour = np.array(class_colour(1))
    assert np.array_equal(drawn[4 * 70, 4 * 60], np.rint(0.6 * 90 + 0.4 * colour).astype(np.uint8))
    mask[0, 70, 60] = False  # a hole of one pixel has a rim, too
    pierced = draw_objects(GREY, found((40, 50, 80, 90), masks=mask), NAMES)
    assert np.array_equal(pierced[4 * 70 + 1, 4 * 60 + 1], [90, 90, 90])
    assert np.array_equal(pierced[4 * 70 - 1, 4 * 60], colour)


@pytest.mark.parametrize(
    "box", [(0, 0, 40, 30), (130, 0, 160, 128), (0, 100, 160, 128), (60, 1, 70, 9), (0, 0, 160, 128)]
)
def test_names_stay_in_the_picture(box: tuple[float, ...]) -> None:
    """A name is drawn whole: there is as much of its colour wherever the box is, but for what it hides of the box."""
    of_name = [
        has(draw_objects(GREY, found(at), NAMES), class_colour(1)).sum() - _line_of(at)
        for at in (box, (50, 60, 80, 90))
    ]
    assert abs(int(of_name[0]) - int(of_name[1])) < 0.35 * of_name[1]


def _line_of(box: tuple[float, ...]) -> int:
    """Return how many pixels the outline of a box has by itself: it is 3 wide."""
    width, height = 4 * (box[2] - box[0]), 4 * (box[3] - box[1])
    return int(width * height - (width - 6) * (height - 6))


def test_names_of_boxes_on_top_of_each_other_do_not_cover_each_other() -> None:
    names = ("background", "left", "right")
    box = (40.0, 50.0, 100.0, 100.0)
    alone = [has(draw_objects(GREY, found(box, classes=[c]), names), class_colour(c)).sum() for c in (1, 2)]
    both = draw_objects(GREY, found(box, box, classes=[1, 2]), names)
    assert has(both, class_colour(2)).sum() > alone[1] - _line_of(box)  # its outline is covered, its name is not
    assert has(both, class_colour(1)).sum() == alone[0]


def test_joints_and_limbs() -> None:
    sample = StickFigures(1, seed=0)[0]
    assert sample.joints is not None
    detected = Detected(sample.boxes, np.ones(1, np.float32), sample.classes, joints=sample.joints)
    drawn = draw_objects(sample.image, detected, ("background", "person"), limbs=LIMBS)
    joints = sample.joints[0]
    for x, y in joints:
        if 2 < x < 126 and 2 < y < 126:
            assert np.array_equal(drawn[int(5 * y), int(5 * x)], [255, 255, 255])
    knee, hip = joints[2], joints[4]
    x, y = 5 * (knee + hip) / 2
    assert np.array_equal(drawn[int(y), int(x)], class_colour(1))
    without = draw_objects(sample.image, detected, ("background", "person"))
    assert not np.array_equal(without, drawn)


def test_the_surest_is_on_top() -> None:
    drawn = draw_objects(GREY, found((20, 60, 100, 110), (20, 60, 100, 110), classes=[1, 2]), NAMES)
    assert np.array_equal(drawn[4 * 110 - 2, 4 * 60], class_colour(1))


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (40, 3)])
def test_any_size_can_be_drawn(size: tuple[int, int]) -> None:
    box = (0.0, 0.0, float(size[1]), float(size[0]))
    mask = np.ones((1, *size), np.bool_)
    drawn = draw_objects(np.zeros((*size, 3), np.uint8), found(box, masks=mask), NAMES)
    assert drawn.any()


def test_what_cannot_be_drawn_is_left_out() -> None:
    drawn = draw_objects(GREY, found((np.nan, 0, 10, 10), (-50, -20, -10, -5)), ("background", "a\nb \U0001f600"))
    assert drawn.shape == (512, 640, 3)
    joints = np.full((1, 14, 2), np.nan, np.float32)
    one = found((20, 20, 60, 60))
    with_joints = Detected(one.boxes, one.scores, one.classes, joints=joints)
    assert np.array_equal(draw_objects(GREY, with_joints, NAMES, limbs=LIMBS), draw_objects(GREY, one, NAMES))


def test_the_picture_that_was_given_is_not_changed() -> None:
    image = np.zeros((700, 650, 3), np.uint8)
    mask = np.ones((1, 700, 650), np.bool_)
    draw_objects(image, found((0, 0, 650, 700), masks=mask), NAMES)
    assert not image.any()
