"""Stick figures: joints where the picture shows them, and the same bits everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.data.shapes import tight_box
from refdet.data.stick_figures import (
    FIGURE_CLASS_NAMES,
    JOINT_NAMES,
    LIMBS,
    SWAPPED,
    TORSO,
    StickFigures,
    make_figure,
)
from tests.data.test_shapes import digest

FIGURES = list(StickFigures(60, seed=2))


def only_person(figure: Sample) -> tuple[Array, Array, Array]:
    """Return the joints (14, 2), which of them are visible (14,), and the mask (H, W)."""
    assert figure.joints is not None
    assert figure.joints_visible is not None
    assert figure.masks is not None
    (joints,), (visible,), (mask,) = figure.joints, figure.joints_visible, figure.masks
    return joints, visible, mask


def test_the_same_bits_everywhere() -> None:
    figure = make_figure(0, 0)
    assert digest(figure.image, *only_person(figure)) == "b2fc497e4be98578"


def test_a_figure_is_a_sample_of_one_person() -> None:
    figure = StickFigures(3, seed=4)[2]
    assert figure.name == "stick figures 4/2"
    assert [FIGURE_CLASS_NAMES[label] for label in figure.classes] == ["person"]
    assert figure.difficult.tolist() == [False]
    assert figure.label_map is None
    assert [array.dtype for array in (*only_person(figure), figure.boxes)] == [
        np.float32,
        np.bool_,
        np.bool_,
        np.float32,
    ]


def test_the_joints_of_the_deck() -> None:
    """Feet, knees, hips, shoulders, elbows, hands, left and right; neck; head top: 28 numbers."""
    assert len(JOINT_NAMES) == 14
    assert only_person(FIGURES[0])[0].size == 28
    for j, name in enumerate(JOINT_NAMES):
        other = name.replace("left", "*").replace("right", "left").replace("*", "right")
        assert JOINT_NAMES[SWAPPED[j]] == other
    assert {joint for limb in LIMBS for joint in limb} == set(range(14))
    assert [JOINT_NAMES[j] for j in TORSO] == ["left shoulder", "right hip"]


@pytest.mark.parametrize("figure", FIGURES, ids=range(60))
def test_the_annotation_fits(figure: Sample) -> None:
    joints, visible, mask = only_person(figure)
    H, W = figure.size
    assert [tuple(box) for box in figure.boxes] == [tight_box(mask)]
    x, y = joints.T
    outside = (x < 0) | (y < 0) | (x >= W) | (y >= H)
    assert not (visible & outside).any()
    for (column, row), seen, name in zip(joints, visible, JOINT_NAMES, strict=True):
        if seen and name != "head top":  # the top of the head is on its edge
            assert mask[int(row), int(column)], name


def test_some_joints_are_hidden_and_some_outside() -> None:
    visible = np.array([only_person(f)[1] for f in FIGURES])
    assert 0.75 < visible.mean() < 0.97
    assert (visible.sum(axis=1) < 14).mean() > 0.3


def test_people_are_seen_from_both_sides() -> None:
    """From behind, the left shoulder is at the left of the picture."""
    left_is_left = [joints[6, 0] < joints[7, 0] for joints, *_ in map(only_person, FIGURES)]
    assert 0.2 < np.mean(left_is_left) < 0.6


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"make_figure: size must be at least 32, got \(8, 8\)"):
        make_figure(0, 0, size=(8, 8))
    with pytest.raises(IndexError, match="StickFigures: there are 3 items, no item 5"):
        StickFigures(3, seed=0)[5]
    assert len(StickFigures(3, seed=0)[1:]) == 2
