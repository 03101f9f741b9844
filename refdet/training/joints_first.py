"""The first stage of a small detector of joints: its first blocks and its head for joints learn from true boxes.

    pictures → `JointFinder`, trained → frozen → the rest of the detector learns boxes

It has a folder of its own below that of the run, and is as exact in going on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.data.sample import Sample
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.joint_finder import JointFinder, joint_losses
from refdet.detection.model_settings import plain_settings
from refdet.training.first_stage import train_first
from refdet.training.progress import Progress
from refdet.training.recipes import Augmentation, DetectorRecipe

FOLDER = "joints"


def learn_joints_first(
    detector: FasterRCNN,
    samples: Sequence[Sample],
    recipe: DetectorRecipe,
    *,
    seed: int,
    swapped: Sequence[int] | None = None,
    folder: Path | None = None,
    save_every: int = 100,
    progress: Progress | None = None,
) -> JointFinder:
    """Train the part of a detector that finds joints.

    Args:
        detector: one that a `JointFinder` can be made of.
        samples: to train on; boxes and joints are read.
        recipe: of this stage.
        seed: of all draws.
        swapped: what the joints become in a mirror; None for pictures that must not be mirrored.
        folder: of the detector's run; None to write nothing.
        save_every: steps between checkpoints.
        progress: as for `train`.
    """
    finder = JointFinder(detector)

    def losses(batch: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        return joint_losses(detector, batch, crops=finder.crops, rng=rng)

    train_first(
        finder,
        samples,
        recipe,
        losses=losses,
        transform=Augmentation(
            mirror=recipe.mirror and swapped is not None,
            photometric=recipe.photometric,
            recoloured=recipe.recoloured,
            moved=recipe.moved,
            swapped=swapped,
        ),
        seed=seed,
        folder=None if folder is None else folder / FOLDER,
        save_every=save_every,
        progress=progress,
        description={"stage": "joints of true boxes", "crops": plain_settings(finder.crops)},
    )
    return finder
