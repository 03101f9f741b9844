"""Pictures from which nothing can be learned are refused by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refdet.detection.ground_truth import ground_truth, joined_joints, joined_masks
from tests.detection.tiny_detectors import empty_picture, picture


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((4, 6, 4, 18), "a.jpg: object 1 must have a finite box of positive area"),
        ((4, 6, np.nan, 18), "a.jpg: object 1 must have a finite box of positive area"),
        ((32, 6, 40, 18), "a.jpg: object 1 must lie in the picture of 32 × 32 pixels, at least in part"),
        ((4, -9, 12, 0), "a.jpg: object 1 must lie in the picture"),
        ((4, 32, 12, 40), "a.jpg: object 1 must lie in the picture"),
        ((-9, 4, 0, 12), "a.jpg: object 1 must lie in the picture"),
    ],
)
def test_boxes(box: tuple[float, ...], message: str) -> None:
    sample = picture()
    sample = replace(sample, boxes=np.array([sample.boxes[0], box], np.float32))
    with pytest.raises(ValueError, match=message):
        ground_truth(sample, n_classes=3)


def test_over_the_border_is_fine() -> None:
    sample = picture(boxes=[(-4, 20, 6, 40)], classes=[1])
    assert ground_truth(sample, n_classes=3).boxes.tolist() == [[-4, 20, 6, 40]]


@pytest.mark.parametrize("label", [0, 3, -1])
def test_classes(label: int) -> None:
    with pytest.raises(ValueError, match=f"a.jpg: the class of object 1 must be one of 1 … 2, got {label}"):
        ground_truth(picture(classes=(1, label)), n_classes=3)


def test_difficult_objects_may_be_left_out() -> None:
    sample = replace(picture(), difficult=np.array([True, False]))
    assert ground_truth(sample, n_classes=3).classes.tolist() == [1, 2]
    left = ground_truth(sample, n_classes=3, with_difficult=False)
    assert left.classes.tolist() == [2]
    assert left.masks is not None
    assert left.joints is not None
    assert left.joints_visible is not None
    np.testing.assert_array_equal(left.masks, picture().masks[1:])  # type: ignore[index]
    assert (len(left.boxes), len(left.joints), len(left.joints_visible)) == (1, 1, 1)


def test_pictures_without_masks_or_joints() -> None:
    sample = replace(picture(), masks=None, joints=None, joints_visible=None)
    truths = [ground_truth(sample, n_classes=3)]
    with pytest.raises(ValueError, match=r"a.jpg: has no masks"):
        joined_masks([sample], truths)
    with pytest.raises(ValueError, match=r"a.jpg: has no joints"):
        joined_joints([sample], truths, 3)


def test_nobody_has_to_know_masks_or_joints_of_no_objects() -> None:
    nothing = replace(empty_picture(), masks=None, joints=None, joints_visible=None)
    truths = [ground_truth(nothing, n_classes=3)]
    (masks,), ((joints, visible),) = joined_masks([nothing], truths), joined_joints([nothing], truths, 5)
    assert masks.shape == (0, *nothing.size)
    assert (joints.shape, visible.shape) == ((0, 5, 2), (0, 5))
    assert masks.dtype == visible.dtype == np.bool_
