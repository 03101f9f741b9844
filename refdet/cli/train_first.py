"""What `refdet train` does before a detector's own training: the stages that its recipe begins with."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import typer

from refdet.data.sample import Sample
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.model_names import DetectorNetwork
from refdet.training import TrainingError
from refdet.training.joints_first import learn_joints_first
from refdet.training.objects_first import learn_objects_first
from refdet.training.recipes import DetectorRecipe


def learn_first(
    detector: DetectorNetwork,
    samples: Sequence[Sample],
    recipe: DetectorRecipe,
    *,
    seed: int,
    swapped: Sequence[int] | None,
    folder: Path,
    save_every: int,
) -> None:
    """Let a detector learn what its recipe begins with; `swapped` says what joints become in a mirror."""
    options: dict[str, Any] = {"seed": seed, "folder": folder, "save_every": save_every}
    if recipe.begins_with is not None:
        typer.echo("first the backbone learns to name the objects, cut out of the pictures", err=True)
        with _enough_memory("the backbone to learn the objects", recipe.begins_with):
            learn_objects_first(detector, samples, recipe.begins_with, **options)
    if recipe.joints_first is not None:
        typer.echo("first the head of joints learns from true boxes", err=True)
        with _enough_memory("the head of joints to learn", recipe.joints_first):
            learn_joints_first(cast(FasterRCNN, detector), samples, recipe.joints_first, swapped=swapped, **options)


@contextmanager
def _enough_memory(what: str, recipe: DetectorRecipe) -> Generator[None, None, None]:
    """Say what too little memory is too little for."""
    try:
        yield
    except MemoryError as problem:
        raise TrainingError(
            f"train: there is too little memory for {what} first, with steps of {recipe.batch_size} pictures; make "
            "the pictures smaller"
        ) from problem
