"""What `refdet train` does: an order, as it stands in run.json, becomes a run and a model.

run.json has the options of the command line by name, those that were not given filled in by the recipe of the model,
and "format". With --resume they are read again; an option that is given anew must say the same, but for those of
`MAY_CHANGE`.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import typer

from refdet.cli.messages import UsageProblem, console
from refdet.cli.model_choice import check_model
from refdet.cli.train_data import Data, WithoutJoints, open_data
from refdet.cli.train_weights import begin_with
from refdet.data.files import make_folder, read_bytes, write_bytes
from refdet.detection.model_file import (
    make_detector,
    save_model,
)
from refdet.detection.model_names import DetectorNetwork, find_model
from refdet.detection.model_settings import plain_settings
from refdet.detection.with_proposals import WithProposals
from refdet.nn.checkpoint import CheckpointError
from refdet.nn.module import Module
from refdet.training import TrainingError, TrainingSettings, train
from refdet.training.detector_scores import DetectorScores, evaluate_detector, sigmas_of
from refdet.training.objects_first import FOLDER, learn_objects_first
from refdet.training.progress import default_progress
from refdet.training.recipes import Augmentation, DetectorRecipe, recipe_of
from refdet.training.run_folder import LAST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from refdet.data import Sample

ORDER, MODEL_FILE, PROPOSALS_FILE = "run.json", "model.safetensors", "proposals.npz"
TARGETS = ("target_mean", "target_std", "roi_heads.box_predictor.bbox_pred.weight")  # that belong together
FORMAT = "refdet run 1"
MAY_CHANGE = ("steps", "evaluate_every")
SAVE_EVERY = 100  # steps

Order = dict[str, Any]


class RunError(TrainingError, ValueError):
    """The folder of a run, or its run.json, cannot be read or written."""


def begun(folder: Path, given: Mapping[str, Any]) -> Order:
    """Return the order of a new run; refuse a folder that has a run already."""
    if given["model"] is None:
        raise UsageProblem("train: name a model, such as small_faster_rcnn; refdet train --help lists them")
    _check_trainable(given["model"])
    for file in (ORDER, LAST):
        if (folder / file).exists():
            raise UsageProblem(
                f"train: {folder} has a run already; go on with it by --resume, or give another folder by --out"
            )
    if (folder / MODEL_FILE).exists():
        raise UsageProblem(f"train: {folder} has a model already, {MODEL_FILE}; give another folder by --out")
    recipe = recipe_of(given["model"])
    usual = {"data": "shapes", "seed": 0, "leave_out_unusable": False}
    usual |= {name: getattr(recipe, name) for name in ("steps", "batch_size", "lr")}
    return {"format": FORMAT, **{name: usual.get(name) if value is None else value for name, value in given.items()}}


def resumed(folder: Path, given: Mapping[str, Any]) -> Order:
    """Return the order of the run in the folder; refuse options that contradict it."""
    path = folder / ORDER
    if not path.is_file():
        raise UsageProblem(f"train: there is no run in {folder} to go on with ({ORDER} is missing)")
    try:
        order = json.loads(read_bytes(path, RunError))
    except RunError:
        raise
    except (ValueError, RecursionError) as problem:
        raise RunError(f"{path}: is not JSON: {problem}") from None
    if not _is_order(order):
        raise RunError(f"{path}: is not the order of a run")
    for name, value in given.items():
        if value is None or value == order[name]:
            continue
        if name not in MAY_CHANGE:
            option = "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
            raise UsageProblem(f"train: the run in {folder} has {option} {order[name]}, not {value}; leave it out")
        order[name] = value
    _check_trainable(order["model"])
    return cast(Order, order)


def _check_trainable(model: str) -> None:
    check_model("train", model)
    if find_model(model).in_stages:
        raise UsageProblem(f"train: {model} is trained in stages, by refdet reproduce rcnn")
    try:
        recipe_of(model)
    except LookupError as problem:
        raise UsageProblem(f"train: {problem.args[0]}") from None


def _is_order(order: Any) -> bool:
    """Say whether run.json holds what a run can go on with; somebody may have written into it."""
    if not isinstance(order, dict) or order.get("format") != FORMAT:
        return False
    whole = {"steps": 1, "batch_size": 1, "seed": 0}
    optional = {"train_size": 1, "test_size": 1, "evaluate_every": 1}
    given = {name: low for name, low in optional.items() if order.get(name, low) is not None}
    lr = order.get("lr")
    return (
        all(name in order for name in ("weights", *optional))
        and all(isinstance(order.get(name), str) for name in ("model", "data"))
        and all(type(order.get(name)) is int and order[name] >= low for name, low in (whole | given).items())
        and (order["weights"] is None or isinstance(order["weights"], str))
        and type(order.get("leave_out_unusable")) is bool
        and isinstance(lr, (int, float))
        and 0 < lr < math.inf
    )


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
    settings = model.settings()
    if "n_joints" in {field.name for field in dataclasses.fields(settings)} and data.joint_names:
        settings = dataclasses.replace(settings, n_joints=len(data.joint_names))
    detector = make_detector(
        order["model"], data.class_names, rng=np.random.default_rng(order["seed"]), settings=settings
    )
    is_new, given = not (folder / LAST).exists(), frozenset[str]()
    if order["weights"] is not None and is_new:
        given, sentence = begin_with(detector, Path(order["weights"]), order["model"])
        typer.echo(sentence, err=True)
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
        has_begun = any((folder / name).exists() for name in (LAST, FOLDER, PROPOSALS_FILE))
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
    recipe = _recipe(order)
    samples: Sequence[Sample] = data.train
    if "proposals" in find_model(order["model"]).learns_from:
        samples = _with_proposals(detector, samples, folder)
        if is_new and hasattr(detector, "fit_targets") and not given.issuperset(TARGETS):
            detector.fit_targets(samples)
    if is_new and order["weights"] is None and recipe.begins_with is not None:
        typer.echo("first the backbone learns to name the objects, cut out of the pictures", err=True)
        learn_objects_first(
            detector, samples, recipe.begins_with, seed=order["seed"], folder=folder, save_every=SAVE_EVERY
        )
    network = cast(Module, detector)
    if recipe.freezes_backbone:
        network.backbone.freeze()  # type: ignore[attr-defined]
    tested, last = _judged(data), list[DetectorScores]()

    def evaluate(_: Module | None = None) -> dict[str, float]:
        keep()
        try:
            last[:] = [evaluate_detector(detector, tested)]
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
        losses=detector.losses,
        optimiser=recipe.make_optimiser(network),
        schedule=recipe.schedule(),
        settings=_training_settings(order, recipe),
        folder=folder,
        transform=Augmentation(recipe.mirror and _can_be_mirrored(data), recipe.photometric, data.swapped),
        evaluate=evaluate,
        progress=progress,
        description={"model": order["model"], "data": order["data"], "settings": settings},
    )
    if not last:  # the run had ended before
        evaluate()
    return last[0]


def _recipe(order: Order) -> DetectorRecipe:
    """Return the recipe of the model, as long and as fast as it is asked for."""
    recipe = recipe_of(order["model"]).in_steps(order["steps"])
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


def _with_proposals(detector: DetectorNetwork, samples: Sequence[Sample], folder: Path) -> Sequence[Sample]:
    """Return the samples with their proposals, searched for once and kept in the folder."""
    from rich.progress import Progress

    from refdet.cli.messages import errors

    path = folder / PROPOSALS_FILE
    found = WithProposals(samples, detector.propose, path=path)  # type: ignore[attr-defined]
    if found.n_found < len(found):
        with Progress(console=errors, transient=True, disable=not errors.file.isatty()) as bar:
            task = bar.add_task("searching proposals", total=len(found), completed=found.n_found)
            found.save(on_found=lambda n: bar.update(task, completed=n))
    return found


def _show(scores: DetectorScores, path: Path) -> None:
    """Print how good the model is, and where it is."""
    from refdet.cli.eval_model_output import show_scores

    show_scores(scores, console)
    typer.echo(f"model: {path}")
