"""How each detector is trained unless somebody says otherwise: one recipe for each name, as data.

    lr(step) = lr · min(1, step / warm_up) · decay^(number of `decay_at` that step has passed)
    lr(step) = lr · min(1, step / warm_up) · (1 − step / steps)                                   where `to_zero`

A recipe says nothing of the data. The steps at which the rate falls are shares of all steps.

Small detectors of several classes begin with what a classifier of the objects has learned, as the large ones do with
one of ImageNet (`refdet.detection.object_classifier`). It is trained on the same pictures, by a recipe of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.data.affine_map import AffineRange, random_affine
from refdet.data.other_backgrounds import exchange_backgrounds
from refdet.data.sample import Sample
from refdet.data.transforms import photometric, random_mirror, recoloured
from refdet.nn.module import Module
from refdet.nn.muon import Muon
from refdet.nn.optim import SGD, Adam, Optimiser
from refdet.nn.schedules import Schedule, constant, poly, step_decay, warm_up
from refdet.training.run import Losses

STILL = AffineRange()


@dataclass(frozen=True)
class DetectorRecipe:
    """How a detector is trained.

    Attributes:
        steps: of the whole run.
        batch_size: pictures a step.
        lr: the learning rate after warming up.
        optimiser: "sgd", "adam" or "muon".
        adam_lr: with "muon", the rate of all that are no weights of convolutions.
        momentum: of SGD.
        weight_decay: of all parameters.
        warm_up: steps over which the rate rises from 0.
        decay_at: shares of the steps after which the rate falls.
        decay: by which factor.
        max_gradient_norm: gradients of a larger joint norm are scaled to it; None for no limit.
        to_zero: whether the rate falls on a line to 0 instead.
        mirror: whether half of the pictures are mirrored.
        photometric: whether brightness, contrast and saturation are changed.
        moved: how far pictures are turned, resized, stretched and sheared at random.
        recoloured: whether colours become others, of pictures in which they mean nothing.
        exchanged: share of the pictures whose objects are seen on the background of another picture of their batch.
        begins_with: recipe of the classifier of objects that it begins with; None to begin anew. A run that is longer
            or shorter than `steps` has a longer or shorter one.
        joints_first: recipe by which the part of it that finds joints learns first, and then is frozen; None to learn
            them with everything else. It is as much longer or shorter.
        freezes_backbone: whether the backbone keeps what it begins with.
    """

    steps: int
    batch_size: int
    lr: float
    optimiser: str = "sgd"
    adam_lr: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warm_up: int = 100
    decay_at: tuple[float, ...] = (0.7, 0.9)
    decay: float = 0.1
    to_zero: bool = False
    max_gradient_norm: float | None = 10.0
    mirror: bool = True
    photometric: bool = False
    moved: AffineRange = STILL
    recoloured: bool = False
    exchanged: float = 0.0
    begins_with: DetectorRecipe | None = None
    joints_first: DetectorRecipe | None = None
    freezes_backbone: bool = False

    def make_optimiser(self, model: Module) -> Optimiser:
        """Return the optimiser of all parameters that are not frozen."""
        parameters = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        if self.optimiser == "adam":
            return Adam(parameters, lr=self.lr, weight_decay=self.weight_decay)
        if self.optimiser == "muon":
            return Muon(parameters, lr=self.lr, adam_lr=self.adam_lr)
        return SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)

    def schedule(self) -> Schedule:
        """Return the rate at every step.

        >>> rate = DetectorRecipe(steps=10, batch_size=1, lr=1.0, warm_up=2, decay_at=(0.5,)).schedule()
        >>> [rate(step) for step in (0, 1, 2, 4, 5)]
        [0.0, 0.5, 1.0, 1.0, 0.1]
        """
        falls = [round(share * self.steps) for share in self.decay_at]
        if self.to_zero:
            rate = poly(self.lr, n_steps=self.steps, power=1.0)
        else:
            rate = step_decay(self.lr, every=falls, factor=self.decay) if falls else constant(self.lr)
        return warm_up(rate, n_steps=self.warm_up) if self.warm_up else rate

    def on_batches(self, losses: Losses) -> Losses:
        """Return losses that see the pictures of a batch as the recipe has it, each transformed before."""
        if self.exchanged == 0:
            return losses

        def on_exchanged(samples: Sequence[Sample], /, *, rng: np.random.Generator) -> Mapping[str, Tensor]:
            return losses(exchange_backgrounds(samples, rng, probability=self.exchanged), rng=rng)

        return on_exchanged

    def in_steps(self, n_steps: int) -> DetectorRecipe:
        """Return the recipe of a run of `n_steps`, with what comes first longer or shorter by the same factor."""

        def as_long(first: DetectorRecipe) -> DetectorRecipe:
            return first.in_steps(max(1, round(first.steps * n_steps / self.steps)))

        return replace(self._with_first(as_long), steps=n_steps)

    def in_true_colours(self) -> DetectorRecipe:
        """Return the recipe for pictures whose colours mean something."""
        return replace(self._with_first(DetectorRecipe.in_true_colours), recoloured=False)

    def _with_first(self, change: Callable[[DetectorRecipe], DetectorRecipe]) -> DetectorRecipe:
        """Return the recipe with what comes first changed."""
        begins_with, joints_first = (None if r is None else change(r) for r in (self.begins_with, self.joints_first))
        return replace(self, begins_with=begins_with, joints_first=joints_first)


@dataclass(frozen=True)
class Augmentation:
    """What a recipe does to a picture before it is trained on."""

    mirror: bool
    photometric: bool
    recoloured: bool = False
    swapped: Sequence[int] | None = None  # what the joints become in a mirror
    moved: AffineRange = STILL

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Return the picture to train on."""
        if self.mirror:
            sample = random_mirror(sample, rng, swapped=self.swapped)
        if self.moved != STILL:
            sample = random_affine(sample, rng, within=self.moved)
        if self.recoloured:
            sample = recoloured(sample, rng)
        return photometric(sample, rng) if self.photometric else sample


# A batch of 14 scenes has about 63 crops of objects, and as many of background. Four steps for one of a detector.
CLASSIFIER = DetectorRecipe(
    steps=16_000,
    batch_size=14,
    lr=0.05,
    optimiser="muon",
    adam_lr=0.0075,
    to_zero=True,
    max_gradient_norm=None,
    mirror=False,
    recoloured=True,
)
SMALL = DetectorRecipe(
    steps=4000,
    batch_size=2,
    lr=0.004,
    optimiser="muon",
    adam_lr=0.003,
    to_zero=True,
    max_gradient_norm=None,
    recoloured=True,
    begins_with=CLASSIFIER,
)
# Of each picture one figure, all of whose joints are to be learnt; 12,000 steps show each of 2000 pictures 192 times.
JOINTS = DetectorRecipe(
    steps=12_000,
    batch_size=32,
    lr=0.02,
    optimiser="muon",
    adam_lr=0.003,
    to_zero=True,
    max_gradient_norm=None,
    moved=AffineRange(turn=20.0),
    recoloured=True,
)
# Detectron2's "1x": 90,000 steps of 16 pictures, 1000 of them to warm up, and a rate of 0.02 that falls after 60,000
# and 80,000; gradients have no limit. For 2 pictures a step its `auto_scale_workers` divides the rate by 8 and
# multiplies all of these steps by 8, so that training sees as many pictures: some 12 times those of COCO.
DETECTRON2_1X = DetectorRecipe(
    steps=720_000, batch_size=2, lr=0.0025, warm_up=8000, decay_at=(2 / 3, 8 / 9), max_gradient_norm=None
)

RECIPES: Mapping[str, DetectorRecipe] = {
    "sliding_window": DetectorRecipe(steps=1500, batch_size=8, lr=0.02),
    "small_fast_rcnn": SMALL,
    "small_faster_rcnn": SMALL,
    "small_mask_rcnn": SMALL.in_steps(12_000),
    "small_keypoint_rcnn": DetectorRecipe(
        steps=8000,
        batch_size=8,
        lr=0.02,
        optimiser="muon",
        adam_lr=0.002,
        to_zero=True,
        max_gradient_norm=None,
        recoloured=True,
        joints_first=JOINTS,
    ),
    # Girshick (2015), §2.3, and Ren et al. (2015) by approximate joint training: the numbers of their programs
    "fastrcnn_vgg16": DetectorRecipe(
        steps=40_000, batch_size=2, lr=0.001, weight_decay=5e-4, warm_up=0, decay_at=(0.75,), max_gradient_norm=None
    ),
    "fasterrcnn_vgg16": DetectorRecipe(
        steps=70_000, batch_size=1, lr=0.001, weight_decay=5e-4, warm_up=0, decay_at=(5 / 7,), max_gradient_norm=None
    ),
    "fasterrcnn_resnet50_c4": DETECTRON2_1X,
    "maskrcnn_resnet50_c4": DETECTRON2_1X,
    "fasterrcnn_resnet50_fpn": DETECTRON2_1X,
    "maskrcnn_resnet50_fpn": DETECTRON2_1X,
    "keypointrcnn_resnet50_fpn": DETECTRON2_1X,
}


def recipe_of(model: str) -> DetectorRecipe:
    """Return the recipe of a detector; refuse one that has none."""
    if model not in RECIPES:
        raise LookupError(f"there is no recipe for {model}; there are {', '.join(RECIPES)}")
    return RECIPES[model]
