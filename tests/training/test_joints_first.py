"""The stage before a detector of joints: trained, gone on with, mirrored where that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet.data.sample import Sample
from refdet.detection.joint_finder import joint_losses
from refdet.training.joints_first import FOLDER, learn_joints_first
from refdet.training.metrics_log import StepLine
from refdet.training.progress import Progress
from refdet.training.recipes import JOINTS, STILL, DetectorRecipe, recipe_of
from tests.detection.test_joint_finder import detector
from tests.detection.tiny_detectors import picture

RECIPE = replace(JOINTS, steps=40, batch_size=2, warm_up=2, recoloured=False, moved=STILL)


class Watched(Progress):
    def __init__(self) -> None:
        self.losses = list[float]()

    def on_step(self, line: StepLine) -> None:
        self.losses.append(line.loss)


def what_is_learned_from(
    monkeypatch: pytest.MonkeyPatch, samples: Sequence[Sample], recipe: DetectorRecipe, **options: Any
) -> list[Sample]:
    """Return the pictures that the losses of a run are computed from, in their order."""
    seen = list[Sample]()

    def watched(net: Any, batch: Sequence[Sample], **options: Any) -> Any:
        seen.extend(batch)
        return joint_losses(net, batch, **options)

    with monkeypatch.context() as patch:
        patch.setattr("refdet.training.joints_first.joint_losses", watched)
        learn_joints_first(detector(), samples, recipe, seed=0, progress=Progress(), **options)
    return seen


def test_joints_of_true_boxes_are_learned() -> None:
    net, watched = detector(), Watched()
    learn_joints_first(net, [picture()], RECIPE.in_steps(80), seed=0, progress=watched)
    assert np.mean(watched.losses[-5:]) < 0.7 * np.mean(watched.losses[:5])


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    """A second call reads the folder: the same bits, and no step is made."""
    first, second = detector(), detector()
    recipe = RECIPE.in_steps(4)
    learn_joints_first(first, [picture()], recipe, seed=0, folder=tmp_path, progress=Progress())
    assert (tmp_path / FOLDER).is_dir()
    watched = Watched()
    learn_joints_first(second, [picture()], recipe, seed=0, folder=tmp_path, progress=watched)
    assert not watched.losses
    for name, array in second.state_dict().items():
        np.testing.assert_array_equal(array, first.state_dict()[name], err_msg=name)


def test_pictures_are_mirrored_where_it_is_known_what_joints_become(monkeypatch: pytest.MonkeyPatch) -> None:
    for swapped, is_mirrored in (((1, 0), True), (None, False)):
        seen = what_is_learned_from(monkeypatch, [picture()], RECIPE.in_steps(8), swapped=swapped)
        as_given = [np.array_equal(s.image, picture().image) for s in seen]
        assert (not all(as_given)) is is_mirrored
        assert any(as_given)


def test_figures_are_seen_on_other_backgrounds_as_often_as_the_recipe_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks say what a figure is: of 24 pictures none, some or all have the background of the other one."""
    pictures = [picture("a.jpg"), picture("b.jpg", boxes=((2, 2, 10, 12),), classes=(1,))]
    for share, low, high in ((0.0, 0, 0), (0.5, 4, 20), (1.0, 24, 24)):
        seen = what_is_learned_from(monkeypatch, pictures, replace(RECIPE.in_steps(12), exchanged=share))
        as_given = {sample.name: sample for sample in pictures}
        n_exchanged = sum(not np.array_equal(s.image, as_given[s.name].image) for s in seen)
        assert len(seen) == 24
        assert low <= n_exchanged <= high
        for sample in seen:
            assert sample.masks is not None
            is_figure = sample.masks.any(axis=0)
            np.testing.assert_array_equal(sample.image[is_figure], as_given[sample.name].image[is_figure])


def test_the_recipe_in_other_lengths_and_colours() -> None:
    recipe = recipe_of("small_keypoint_rcnn")
    shorter = recipe.in_steps(recipe.steps // 2)
    assert recipe.joints_first is not None
    assert shorter.joints_first is not None
    assert shorter.joints_first.steps == recipe.joints_first.steps // 2
    assert shorter.begins_with is None
    true = recipe.in_true_colours().joints_first
    assert true == replace(recipe.joints_first, recoloured=False)
