"""What `refdet train` is asked for, as it stands in run.json.

run.json has the options of the command line by name, those that were not given filled in by the recipe of the model,
and "format". With --resume they are read again; an option that is given anew must say the same, but for those of
`MAY_CHANGE`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from refdet.cli.messages import UsageProblem
from refdet.cli.model_choice import check_model
from refdet.data.files import read_bytes
from refdet.detection.model_names import find_model
from refdet.training import TrainingError
from refdet.training.recipes import recipe_of
from refdet.training.run_folder import LAST

ORDER, MODEL_FILE = "run.json", "model.safetensors"
FORMAT = "refdet run 1"
MAY_CHANGE = ("steps", "evaluate_every")

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
