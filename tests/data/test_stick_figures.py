"""Stick figures: joints where the picture shows them, and the same bits everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.data.shapes import tight_box
from refdet.data.stick_figures import JOINT_NAMES, LIMBS, SWAPPED, TORSO, Figure, StickFigures, make_figure
from tests.data.test_shapes import digest

FIGURES = list(StickFigures(60, seed=2))


def test_the_same_bits_everywhere() -> None:
    figure = make_figure(0, 0)
    assert digest(figure.image, figure.joints, figure.visible, figure.mask) == "b2fc497e4be98578"


def test_the_joints_of_the_deck() -> None:
    """Feet, knees, hips, shoulders, elbows, hands, left and right; neck; head top: 28 numbers."""
    assert len(JOINT_NAMES) == 14
    assert FIGURES[0].joints.size == 28
    for j, name in enumerate(JOINT_NAMES):
        other = name.replace("left", "*").replace("right", "left").replace("*", "right")
        assert JOINT_NAMES[SWAPPED[j]] == other
    assert {joint for limb in LIMBS for joint in limb} == set(range(14))
    assert [JOINT_NAMES[j] for j in TORSO] == ["left shoulder", "right hip"]


@pytest.mark.parametrize("figure", FIGURES, ids=range(60))
def test_the_annotation_fits(figure: Figure) -> None:
    H, W = figure.image.shape[:2]
    assert tuple(figure.box) == tight_box(figure.mask)
    x, y = figure.joints.T
    outside = (x < 0) | (y < 0) | (x >= W) | (y >= H)
    assert not (figure.visible & outside).any()
    for (column, row), seen, name in zip(figure.joints, figure.visible, JOINT_NAMES, strict=True):
        if seen and name != "head top":  # the top of the head is on its edge
            assert figure.mask[int(row), int(column)], name


def test_some_joints_are_hidden_and_some_outside() -> None:
    visible = np.array([f.visible for f in FIGURES])
    assert 0.75 < visible.mean() < 0.97
    assert (visible.sum(axis=1) < 14).mean() > 0.3


def test_people_are_seen_from_both_sides() -> None:
    """From behind, the left shoulder is at the left of the picture."""
    left_is_left = [f.joints[6, 0] < f.joints[7, 0] for f in FIGURES]
    assert 0.2 < np.mean(left_is_left) < 0.6


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"make_figure: size must be at least 32, got \(8, 8\)"):
        make_figure(0, 0, size=(8, 8))
    with pytest.raises(IndexError, match="StickFigures: there are 3 items, no item 5"):
        StickFigures(3, seed=0)[5]
    assert len(StickFigures(3, seed=0)[1:]) == 2
