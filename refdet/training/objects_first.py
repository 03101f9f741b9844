"""The first stage of a small detector's training: its backbone learns to name the objects of the training pictures.

    pictures → `ObjectClassifier` with the detector's own features, trained → `begin_as` → the detector

Where no network trained on ImageNet fits, this one takes its place. It has a folder of its own below that of the run,
and is as exact in going on.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from refdet.data.sample import Sample
from refdet.detection.late_head import LateHead
from refdet.detection.model_settings import plain_settings
from refdet.detection.object_classifier import CropsOfObjects, ObjectClassifier, begin_as
from refdet.nn import MaxPool2d
from refdet.training.first_stage import train_first
from refdet.training.progress import Progress
from refdet.training.recipes import Augmentation, DetectorRecipe

FOLDER = "classifier"


def learn_objects_first(
    detector: Any,
    samples: Sequence[Sample],
    recipe: DetectorRecipe,
    *,
    seed: int,
    folder: Path | None = None,
    save_every: int = 100,
    progress: Progress | None = None,
) -> ObjectClassifier:
    """Train a classifier with a detector's features, and let the detector begin with what it has learned.

    Args:
        detector: one whose `backbone` has convolutions `features`, and whose box head has two fully connected layers.
        samples: to train on; boxes and classes are read, and masks where there are some.
        recipe: of the classifier.
        seed: of its first weights, and of all draws.
        folder: of the detector's run; None to write nothing.
        save_every: steps between checkpoints.
        progress: as for `train`.
    """
    features = copy.deepcopy(detector.backbone.features)
    rng = np.random.default_rng([seed, 1])
    classifier = ObjectClassifier(
        len(detector.class_names),
        features,
        fc=detector.roi_heads.box_head.widths,
        crops=crops_for(detector),
        preparation=detector.preparation,
        rng=rng,
    )
    train_first(
        classifier,
        samples,
        recipe,
        losses=classifier.losses,
        transform=Augmentation(  # it mirrors its crops, and turns them by right angles, itself
            mirror=False, photometric=recipe.photometric, recoloured=recipe.recoloured, moved=recipe.moved
        ),
        seed=seed,
        folder=None if folder is None else folder / FOLDER,
        save_every=save_every,
        progress=progress,
        description={"stage": "classifier of objects", "crops": plain_settings(classifier.crops)},
    )
    begin_as(detector, classifier)
    return classifier


def crops_for(detector: Any) -> CropsOfObjects:
    """Return crops whose early map is as large as the detector's regions, where it has a `LateHead`.

    They have two cells along each place of the map before the last pooling, if that leaves no row of it out.
    """
    backbone, settings = detector.backbone, detector.roi_heads.settings
    if not isinstance(detector.roi_heads.box_head, LateHead):
        return CropsOfObjects()
    side = round(settings.side * backbone.strides[0] * backbone.scales[0])
    n_poolings = sum(isinstance(layer, MaxPool2d) for layer in backbone.features)
    fits = n_poolings > 0 and side % 2**n_poolings == 0
    cells = 2 * (side >> (n_poolings - 1)) if fits else 0
    return CropsOfObjects(side=side, context=settings.context, cells=cells)
