"""Recipes: rates over the steps, and what becomes of the pictures on their way."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from refdet.cli.train_data import open_data
from refdet.data import Shapes
from refdet.training.recipes import Augmentation, DetectorRecipe, recipe_of
from tests.cli.train_command import voc


def test_recipes_fall_at_shares_of_the_steps() -> None:
    recipe = DetectorRecipe(steps=100, batch_size=1, lr=1.0, warm_up=4, decay_at=(0.5, 0.8), decay=0.5)
    rate = recipe.schedule()
    assert [rate(step) for step in (0, 1, 4, 49, 50, 79, 80)] == [0, 0.25, 1, 1, 0.5, 0.5, 0.25]


def test_colours_are_changed_where_they_mean_nothing(tmp_path: Path) -> None:
    of_voc = voc(tmp_path / "voc", [["cat"]] * 6)
    for text, is_synthetic in (("shapes", True), ("figures", True), (of_voc, False)):
        data = open_data("train", text, train_size=2, test_size=1)
        assert data.colours_matter is not is_synthetic
    recipe = recipe_of("small_mask_rcnn")
    assert recipe.recoloured
    assert recipe.begins_with is not None
    assert recipe.begins_with.recoloured
    plain = recipe.in_true_colours()
    assert not plain.recoloured
    assert plain == dataclasses.replace(
        recipe, recoloured=False, begins_with=dataclasses.replace(recipe.begins_with, recoloured=False)
    )
    sample = Shapes(1, seed=0)[0]
    augment = Augmentation(mirror=False, photometric=False, recoloured=True)
    seen = [augment(sample, np.random.default_rng(seed)).image for seed in range(4)]
    assert not any(np.array_equal(image, sample.image) for image in seen)


def test_augmentation_mirrors_joints_with_their_sides() -> None:
    from refdet.data import StickFigures
    from refdet.data.stick_figures import SWAPPED

    sample = StickFigures(1, seed=0)[0]
    augment = Augmentation(mirror=True, photometric=True, swapped=SWAPPED)
    seen = [augment(sample, np.random.default_rng(seed)) for seed in range(8)]
    assert sample.joints is not None
    mirrored = sample.joints[:, SWAPPED] * [-1, 1] + [128, 0]
    is_mirrored = [np.allclose(made.joints, mirrored) for made in seen if made.joints is not None]
    assert 0 < sum(is_mirrored) < 8
    assert not all(np.array_equal(made.image, sample.image) for made in seen)
    assert Augmentation(mirror=False, photometric=False)(sample, np.random.default_rng(0)) is sample


def test_augmentation_turns_pictures_as_far_as_it_is_told() -> None:
    from refdet.data import AffineRange, StickFigures

    sample, turned = StickFigures(1, seed=0)[0], 20.0
    augment = Augmentation(False, False, moved=AffineRange(turn=turned))
    seen = [augment(sample, np.random.default_rng(seed)) for seed in range(8)]
    assert sample.joints is not None
    down = sample.joints[0, 4] - sample.joints[0, 12]  # neck to hip
    for made in seen:
        assert made.joints is not None
        moved = made.joints[0, 4] - made.joints[0, 12]
        cosine = (moved @ down) / np.linalg.norm(moved) / np.linalg.norm(down)
        assert np.cos(np.radians(turned)) - 1e-6 <= cosine < 1


def test_losses_see_other_backgrounds_where_the_recipe_says_so() -> None:
    from refdet.autograd.tensor import Tensor
    from refdet.data import Sample, StickFigures, exchange_backgrounds

    figures, seen = list(StickFigures(4, seed=0)), list[Sample]()

    def losses(samples: Sequence[Sample], /, *, rng: np.random.Generator) -> dict[str, Tensor]:
        seen[:] = samples
        return {"drawn": Tensor(np.array(rng.random()))}

    recipe = DetectorRecipe(steps=1, batch_size=4, lr=0.1)
    assert recipe.on_batches(losses) is losses
    drawn = dataclasses.replace(recipe, exchanged=0.75).on_batches(losses)(figures, rng=np.random.default_rng(3))
    rng = np.random.default_rng(3)
    for found, expected in zip(seen, exchange_backgrounds(figures, rng, probability=0.75), strict=True):
        np.testing.assert_array_equal(found.image, expected.image)
    assert drawn["drawn"].item() == rng.random()  # one generator for both
