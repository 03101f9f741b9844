"""How each detector is trained unless somebody says otherwise: one recipe for each name, as data.

    lr(step) = lr · min(1, step / warm_up) · decay^(number of `decay_at` that step has passed)

A recipe says nothing of the data. The steps at which the rate falls are shares of all steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from refdet.data.sample import Sample
from refdet.data.transforms import photometric, random_mirror
from refdet.nn.module import Module
from refdet.nn.optim import SGD, Adam, Optimiser
from refdet.nn.schedules import Schedule, constant, step_decay, warm_up


@dataclass(frozen=True)
class DetectorRecipe:
    """How a detector is trained.

    Attributes:
        steps: of the whole run.
        batch_size: pictures a step.
        lr: the learning rate after warming up.
        optimiser: "sgd" or "adam".
        momentum: of SGD.
        weight_decay: of all parameters.
        warm_up: steps over which the rate rises from 0.
        decay_at: shares of the steps after which the rate falls.
        decay: by which factor.
        max_gradient_norm: gradients of a larger joint norm are scaled to it; None for no limit.
        mirror: whether half of the pictures are mirrored.
        photometric: whether brightness, contrast and saturation are changed.
    """

    steps: int
    batch_size: int
    lr: float
    optimiser: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_up: int = 100
    decay_at: tuple[float, ...] = (0.7, 0.9)
    decay: float = 0.1
    max_gradient_norm: float | None = 10.0
    mirror: bool = True
    photometric: bool = False

    def make_optimiser(self, model: Module) -> Optimiser:
        """Return the optimiser of all parameters that are not frozen."""
        parameters = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        if self.optimiser == "adam":
            return Adam(parameters, lr=self.lr, weight_decay=self.weight_decay)
        return SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def schedule(self) -> Schedule:
        """Return the rate at every step.

        >>> rate = DetectorRecipe(steps=10, batch_size=1, lr=1.0, warm_up=2, decay_at=(0.5,)).schedule()
        >>> [rate(step) for step in (0, 1, 2, 4, 5)]
        [0.0, 0.5, 1.0, 1.0, 0.1]
        """
        falls = [round(share * self.steps) for share in self.decay_at]
        rate = step_decay(self.lr, every=falls, factor=self.decay) if falls else constant(self.lr)
        return warm_up(rate, n_steps=self.warm_up) if self.warm_up else rate


@dataclass(frozen=True)
class Augmentation:
    """What a recipe does to a picture before it is trained on."""

    mirror: bool
    photometric: bool
    swapped: Sequence[int] | None = None  # what the joints become in a mirror

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the picture to train on."""
        if self.mirror:
            sample = random_mirror(sample, rng, swapped=self.swapped)
        return photometric(sample, rng) if self.photometric else sample


SMALL = DetectorRecipe(steps=3000, batch_size=4, lr=0.002, optimiser="adam", weight_decay=0.0, max_gradient_norm=5.0)

RECIPES: Mapping[str, DetectorRecipe] = {
    "sliding_window": DetectorRecipe(steps=1500, batch_size=8, lr=0.02),
    "small_fast_rcnn": DetectorRecipe(steps=2000, batch_size=4, lr=0.02),
    "small_faster_rcnn": SMALL,
    "small_mask_rcnn": SMALL,
    "small_keypoint_rcnn": SMALL,
    # Girshick (2015), §2.3, and Ren et al. (2015) by approximate joint training: the numbers of their programs
    "fastrcnn_vgg16": DetectorRecipe(
        steps=40_000, batch_size=2, lr=0.001, weight_decay=5e-4, warm_up=0, decay_at=(0.75,), max_gradient_norm=None
    ),
    "fasterrcnn_vgg16": DetectorRecipe(
        steps=70_000, batch_size=1, lr=0.001, weight_decay=5e-4, warm_up=0, decay_at=(5 / 7,), max_gradient_norm=None
    ),
    "fasterrcnn_resnet50_fpn": DetectorRecipe(steps=90_000, batch_size=2, lr=0.0025, warm_up=1000),
    "maskrcnn_resnet50_fpn": DetectorRecipe(steps=90_000, batch_size=2, lr=0.0025, warm_up=1000),
    "keypointrcnn_resnet50_fpn": DetectorRecipe(steps=90_000, batch_size=2, lr=0.0025, warm_up=1000),
}


def recipe_of(model: str) -> DetectorRecipe:
    """Return the recipe of a detector; refuse one that has none."""
    if model not in RECIPES:
        raise LookupError(f"there is no recipe for {model}; there are {', '.join(RECIPES)}")
    return RECIPES[model]
