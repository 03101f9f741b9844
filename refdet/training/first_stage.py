"""What a stage before a detector's own training has of its own: a folder below that of the run, and a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refdet.data.batching import Transform
from refdet.data.sample import Sample
from refdet.nn import Module
from refdet.training.loop import train
from refdet.training.progress import Progress
from refdet.training.recipes import DetectorRecipe
from refdet.training.run import Losses
from refdet.training.settings import TrainingSettings


def train_first(
    model: Module,
    samples: Sequence[Sample],
    recipe: DetectorRecipe,
    *,
    losses: Losses,
    transform: Transform,
    seed: int,
    folder: Path | None,
    save_every: int,
    progress: Progress | None,
    description: Mapping[str, Any],
) -> None:
    """Train a part of a detector by a recipe of its own, or go on with it; the arguments are those of `train`."""
    train(
        model,
        samples,
        losses=recipe.on_batches(losses),
        optimiser=recipe.make_optimiser(model),
        schedule=recipe.schedule(),
        settings=TrainingSettings(
            n_steps=recipe.steps,
            batch_size=recipe.batch_size,
            seed=seed,
            max_gradient_norm=recipe.max_gradient_norm,
            save_every=save_every,
        ),
        folder=folder,
        transform=transform,
        progress=progress,
        description={**description, "exchanged": recipe.exchanged},
    )
