"""What `refdet train` is asked for, as it stands in run.json.

run.json has the options of the command line by name, those that were not given filled in by the recipe of the model,
and "format". With --resume they are read again; an option that is given anew must say the same, but for those of
`MAY_CHANGE`, of which "steps" stays all the same where the rate of a run with a checkpoint falls with it.

Files and folders stand in it with their whole paths, so that a run goes on from wherever the command is given. Two
paths are the same if they lead to the same place. The pictures may have moved: then "data" is where they are now, and
"data_at_first" where they were when the run began, which its checkpoint knows them by.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from refdet.cli.messages import UsageProblem
from refdet.cli.model_choice import check_model, check_weights, usual_data
from refdet.data.files import read_bytes
from refdet.detection.model_names import find_model
from refdet.training import TrainingError, joints_first, objects_first
from refdet.training.recipes import recipe_of
from refdet.training.run_folder import LAST

ORDER, MODEL_FILE = "run.json", "model.safetensors"
FIRST_FOLDERS = (objects_first.FOLDER, joints_first.FOLDER)  # of what comes before the detector itself
FORMAT = "refdet run 1"
MAY_CHANGE = ("steps", "evaluate_every")
WITH_PATH = ("voc", "coco")  # the kinds of --data that name a file or a folder

Order = dict[str, Any]


class RunError(TrainingError, ValueError):
    """The folder of a run, or its run.json, cannot be read or written."""


def begun(folder: Path, given: Mapping[str, Any]) -> Order:
    """Return the order of a new run; refuse a folder that has a run or a model already."""
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
    if given["weights"] is not None:
        check_weights(Path(given["weights"]))
    recipe = recipe_of(given["model"])
    usual = {"data": usual_data(given["model"]), "seed": 0, "leave_out_unusable": False}
    usual |= {name: getattr(recipe, name) for name in ("steps", "batch_size", "lr")}
    order = {name: usual.get(name) if value is None else value for name, value in given.items()}
    if given["leave_out_unusable"] and _kind(given["data"] or usual_data(given["model"])) != "coco":
        raise UsageProblem("train: --leave-out-unusable has no meaning for DATA that is not COCO's")
    return {"format": FORMAT, **{name: _from_anywhere(name, value) for name, value in order.items()}}


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
    before = dict(order)
    for name, value in given.items():
        if value is None or _is_same(name, value, order[name]):
            continue
        if name == "data" and _kind(value) == _kind(order[name]) and _kind(value) in WITH_PATH:
            order.setdefault("data_at_first", order[name])  # whether they are the same pictures the checkpoint tells
        elif name not in MAY_CHANGE:
            option = "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
            has = f"was begun without {option}"
            if order[name] is not None and order[name] is not False:
                has = f"has {option} {order[name]}, not {value}"
            raise UsageProblem(f"train: the run in {folder} {has}; leave it out")
        order[name] = _from_anywhere(name, value)
    _check_trainable(order["model"])
    if order["steps"] != before["steps"] and _has_begun(folder) and _falls_with_the_steps(order):
        raise UsageProblem(
            f"train: --steps is {before['steps']} in {path}, got {order['steps']}; the rate falls with the number of "
            "steps, so that it cannot be changed; leave it out to go on"
        )
    return cast(Order, order)


def _kind(data: str) -> str:
    """Return what stands before the colon of --data."""
    return data.partition(":")[0]


def _from_anywhere(name: str, value: Any) -> Any:
    """Return the value of an option, with the whole path if it has one; what --data cannot be stays as it is."""
    if name == "weights" and value is not None:
        return str(Path(value).absolute())
    if name == "data":
        kind, _, place = value.partition(":")
        return f"{kind}:{Path(place).absolute()}" if kind in WITH_PATH and place else value
    return value


def _is_same(name: str, value: Any, other: Any) -> bool:
    """Say whether an option has the same value, or leads to the same place."""
    if name not in ("data", "weights") or other is None:
        return bool(value == other)
    places = [value, other]
    if name == "data":
        if _kind(value) != _kind(other) or _kind(value) not in WITH_PATH:
            return bool(value == other)
        places = [data.partition(":")[2] for data in places]
    return places[0] == places[1] or (all(places) and os.path.realpath(places[0]) == os.path.realpath(places[1]))


def _has_begun(folder: Path) -> bool:
    """Say whether there are steps to go on from, of the run or of what it begins with."""
    return any((place / LAST).exists() for place in (folder, *(folder / name for name in FIRST_FOLDERS)))


def _falls_with_the_steps(order: Order) -> bool:
    """Say whether the number of steps decides the rate at each of them."""
    recipe = recipe_of(order["model"])
    first = (recipe.begins_with, recipe.joints_first) if order["weights"] is None else ()
    return any(r is not None and (r.to_zero or bool(r.decay_at)) for r in (recipe, *first))


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
        and isinstance(order.get("data_at_first", ""), str)
        and all(type(order.get(name)) is int and order[name] >= low for name, low in (whole | given).items())
        and (order["weights"] is None or isinstance(order["weights"], str))
        and type(order.get("leave_out_unusable")) is bool
        and isinstance(lr, (int, float))
        and 0 < lr < math.inf
    )
