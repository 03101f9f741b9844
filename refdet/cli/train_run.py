"""What `refdet train` does: an order (`refdet.cli.train_order`) becomes a run and a model."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import typer

from refdet.cli.messages import console, on_a_line
from refdet.cli.train_data import Data, WithoutJoints, open_data
from refdet.cli.train_first import learn_first
from refdet.cli.train_order import FIRST_FOLDERS, MODEL_FILE, ORDER, Order, RunError
from refdet.cli.train_proposals import PROPOSALS_FILE, with_proposals
from refdet.cli.train_weights import begin_with
from refdet.data.files import make_folder, write_bytes
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.joint_finder import JointFinder
from refdet.detection.model_file import make_detector, save_model
from refdet.detection.model_names import DetectorNetwork, JointSettings, Model, find_model
from refdet.detection.model_settings import plain_settings
from refdet.nn.checkpoint import CheckpointError
from refdet.nn.module import Module
from refdet.training import TrainingError, TrainingSettings, train
from refdet.training.detector_scores import DetectorScores, evaluate_detector
from refdet.training.joint_sigmas import sigmas_of
from refdet.training.progress import default_progress
from refdet.training.recipes import Augmentation, DetectorRecipe, recipe_of
from refdet.training.run_folder import LAST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from refdet.data import Sample

TARGETS = ("target_mean", "target_std", "roi_heads.box_predictor.bbox_pred.weight")  # that belong together
SAVE_EVERY = 100  # steps


def run(order: Order, folder: Path) -> None:
    """Train, save and test."""
    model = find_model(order["model"])
    data = open_data(
        "train",
        order["data"],
        needs=model.learns_from,
        train_size=order["train_size"],
        test_size=order["test_size"],
        leave_out_unusable=order["leave_out_unusable"],
    )
    settings = settings_to_train(model, order, data.joint_names, data.swapped)
    detector = make_detector(
        order["model"], data.class_names, rng=np.random.default_rng(order["seed"]), settings=settings
    )
    is_new, given = not (folder / LAST).exists(), frozenset[str]()
    if order["weights"] is not None and is_new:
        given, sentence = begin_with(detector, Path(order["weights"]), order["model"])
        typer.echo(on_a_line(sentence), err=True)
    make_folder(folder, RunError)
    path = folder / ORDER
    is_first = not path.exists()

    def note() -> None:
        write_bytes(path, (json.dumps(order, indent=2) + "\n").encode(), RunError)

    if is_first:  # later, once the run is known to be this one
        note()

    def keep() -> None:
        save_model(folder / MODEL_FILE, detector, model=order["model"], settings=settings, joint_names=data.joint_names)

    try:
        # a loss that overflows ends the run by a sentence of its own
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scores = _train(
                detector,
                data,
                order,
                plain_settings(settings),
                folder,
                is_new=is_new,
                given=given,
                accepted=note,
                keep=keep,
            )
    except Exception as problem:
        has_begun = any((folder / name).exists() for name in (LAST, *FIRST_FOLDERS, PROPOSALS_FILE))
        if is_first and not has_begun:  # nothing to go on with: the same command may be given again
            path.unlink(missing_ok=True)
        if isinstance(problem, MemoryError):
            n = order["batch_size"]
            way_out = "take fewer by --batch-size, in a new run" if n > 1 else "make the pictures smaller"
            raise TrainingError(
                f"train: there is too little memory, with steps of {n} {'pictures' if n > 1 else 'picture'}; {way_out}"
            ) from problem
        if isinstance(problem, ValueError) and not isinstance(problem, (CheckpointError, TrainingError)):
            raise TrainingError(f"train: {problem}") from problem  # of a picture, which it names
        raise
    _show(scores, folder / MODEL_FILE)


def settings_to_train(
    model: Model, order: Order, joint_names: Sequence[str], swapped: Sequence[int] | None = None
) -> Any:
    """Return the settings of a model, with the joints of the data; without weights no stage of it is frozen.

    `swapped` says what the joints become in a mirror; None where that is not known.
    """
    settings = model.settings()
    names = {field.name for field in dataclasses.fields(settings)}
    if isinstance(settings, JointSettings) and joint_names:
        settings = settings.for_joints(len(joint_names), sigmas_of(joint_names), swapped)
    elif "n_joints" in names and joint_names:
        settings = dataclasses.replace(settings, n_joints=len(joint_names))
    if "n_frozen" in names and order["weights"] is None:
        settings = dataclasses.replace(settings, n_frozen=0)
    return settings


def _train(
    detector: DetectorNetwork,
    data: Data,
    order: Order,
    settings: Any,
    folder: Path,
    *,
    is_new: bool,
    given: frozenset[str],
    accepted: Callable[[], object],
    keep: Callable[[], object],
) -> DetectorScores:
    """Run the loop; return the scores after the last step.

    `given` are the names of the arrays that a file gave. `accepted` is called once the folder's run is this one, and
    `keep` before every test: a test picture that cannot be looked at costs the scores, not the model.
    """
    recipe = _recipe(order, data)
    samples: Sequence[Sample] = data.train
    if "proposals" in find_model(order["model"]).learns_from:
        samples = with_proposals(detector, samples, folder)
        if is_new and hasattr(detector, "fit_targets") and not given.issuperset(TARGETS):
            detector.fit_targets(samples)
    learns_first = order["weights"] is None
    if learns_first and is_new:
        learn_first(
            detector, samples, recipe, seed=order["seed"], swapped=data.swapped, folder=folder, save_every=SAVE_EVERY
        )
    network = cast(Module, detector)
    if recipe.freezes_backbone:
        network.backbone.freeze()  # type: ignore[attr-defined]
    losses = detector.losses
    if learns_first and recipe.joints_first is not None:
        JointFinder(cast(FasterRCNN, detector)).freeze()
        losses = cast(FasterRCNN, detector).losses_of_boxes
    tested, last = _judged(data), list[DetectorScores]()

    def evaluate(_: Module | None = None) -> dict[str, float]:
        keep()
        try:
            last[:] = [_tested(detector, tested)]
        except ValueError as problem:
            raise TrainingError(f"train: {problem}; what was learned is in {folder / MODEL_FILE}") from problem
        return last[0].figures()

    progress = default_progress()
    start = progress.start

    def begin(step: int, n_steps: int) -> None:
        accepted()
        start(step, n_steps)

    progress.start = begin  # type: ignore[method-assign]

    train(
        network,
        samples,
        losses=recipe.on_batches(losses),
        optimiser=recipe.make_optimiser(network),
        schedule=recipe.schedule(),
        settings=_training_settings(order, recipe),
        folder=folder,
        transform=Augmentation(
            recipe.mirror and _can_be_mirrored(data),
            recipe.photometric,
            recipe.recoloured,
            swapped=data.swapped,
            moved=recipe.moved,
        ),
        evaluate=evaluate,
        progress=progress,
        description={
            "model": order["model"],
            "data": order.get("data_at_first", order["data"]),
            "settings": settings,
            "exchanged": recipe.exchanged,
        },
    )
    if not last:  # the run had ended before
        evaluate()
    return last[0]


def _recipe(order: Order, data: Data) -> DetectorRecipe:
    """Return the recipe of the model, as long and as fast as it is asked for."""
    recipe = recipe_of(order["model"]).in_steps(order["steps"])
    if data.colours_matter:
        recipe = recipe.in_true_colours()
    lr = order["lr"]
    return dataclasses.replace(recipe, batch_size=order["batch_size"], lr=lr, adam_lr=recipe.adam_lr * lr / recipe.lr)


def _judged(data: Data) -> Sequence[Sample]:
    """Return the test pictures, without their joints where it is not known how exactly these can be placed."""
    n = len(data.joint_names)
    if n == 0 or sigmas_of(data.joint_names) is not None:
        return data.test
    typer.echo(
        f"the {n} joints are trained but not tested, for their names are not COCO's; refdet eval --sigmas tests them",
        err=True,
    )
    return WithoutJoints(data.test)


def _tested(detector: DetectorNetwork, samples: Sequence[Sample]) -> DetectorScores:
    """Test; what memory does not suffice for is a ValueError that names the picture, if it was one."""
    looked_at: Sample | None = None

    def one_by_one() -> Iterator[Sample]:
        nonlocal looked_at
        for sample in samples:
            looked_at = sample
            yield sample
            looked_at = None

    try:
        return evaluate_detector(detector, one_by_one(), sigmas=sigmas_of(getattr(samples, "joint_names", ())))
    except MemoryError as problem:
        if looked_at is None:
            raise ValueError("there is too little memory for the test") from problem
        H, W = looked_at.size
        raise ValueError(
            f"{looked_at.name}: there is too little memory for a test on its {W} × {H} pixels"
        ) from problem


def _training_settings(order: Order, recipe: DetectorRecipe) -> TrainingSettings:
    return TrainingSettings(
        n_steps=order["steps"],
        batch_size=order["batch_size"],
        seed=order["seed"],
        max_gradient_norm=recipe.max_gradient_norm,
        evaluate_every=order["evaluate_every"],
        save_every=SAVE_EVERY,
    )


def _can_be_mirrored(data: Data) -> bool:
    """Say whether it is known which joint is the other one's mirror image, where there are any."""
    return not data.joint_names or data.swapped is not None


def _show(scores: DetectorScores, path: Path) -> None:
    """Print how good the model is, and where it is."""
    from refdet.cli.eval_model_output import show_scores

    show_scores(scores, console)
    typer.echo(f"model: {on_a_line(path)}")
