"""Detectors as files: what is needed to make one again stands in its file.

A file is one `.safetensors` with the arrays of `state_dict()` and, as metadata,

    format        "refdet model 1"
    model         a name of `refdet.detection.model_names.MODELS`
    class_names   the background first
    joint_names   of its joints, where it finds some and their names are known
    settings      those of the model, field by field

so that a file alone makes a detector, of float32. Files of torchvision (`.pth`, or `.safetensors` without that
metadata) have only arrays: the name of the model must be given. Trained models that come with refdet are the files in
the folder `weights` beside this one, called after the model.

A file that does not fit the model is refused: it is said how many names are missing, how many are not known and how
many arrays have another shape, with the first few of each. So is one whose numbers are not finite.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.detection.model_names import MODELS, DetectorNetwork, Model, find_model
from refdet.detection.model_settings import plain_settings, settings_from_plain
from refdet.nn.checkpoint import CheckpointError, load_metadata, load_tensors, read_torch_state_dict, save_tensors
from refdet.nn.module import misfit
from refdet.nn.training_state import FORMAT as TRAINING_STATE

FORMAT = "refdet model 1"
WEIGHTS = Path(__file__).parent / "weights"
TORCH_SUFFIXES = (".pth", ".pt")
SHOWN = 3  # names of each kind of difference


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A detector out of a file, and what the file said of it; its joints may have no names."""

    detector: DetectorNetwork
    model: str
    settings: Any
    joint_names: tuple[str, ...] = ()


def shipped_weights(model: str) -> Path | None:
    """Return the file of the trained model of that name that comes with refdet; None where there is none."""
    path = WEIGHTS / f"{model}.safetensors"
    return path if path.is_file() else None


def make_detector(
    model: str, class_names: tuple[str, ...], *, rng: np.random.Generator, settings: Any = None
) -> DetectorNetwork:
    """Make a model that has learned nothing; `settings` None for the defaults."""
    entry = find_model(model)
    chosen = entry.settings() if settings is None else settings
    made: DetectorNetwork = entry.build(tuple(class_names), rng=rng, settings=chosen)
    return made


def save_model(
    path: Path | str,
    detector: DetectorNetwork,
    *,
    model: str,
    settings: Any,
    joint_names: Sequence[str] = (),
    half: bool = False,
) -> None:
    """Write a detector to a `.safetensors` file, all or nothing; `settings` are those that it was made with.

    With `half`, numbers are rounded to float16, which makes half as large a file; too large ones are refused.
    """
    find_model(model)
    metadata = {
        "format": FORMAT,
        "model": model,
        "class_names": list(detector.class_names),
        "settings": plain_settings(settings),
        **({"joint_names": list(joint_names)} if joint_names else {}),
    }
    state = detector.state_dict()
    if half:
        with np.errstate(over="ignore"):
            state = {n: a.astype(np.float16) if a.dtype.kind == "f" else a for n, a in state.items()}
        refuse_not_finite(state, path)
    save_tensors(path, state, metadata=metadata)


def ship(path: Path | str) -> Path:
    """Put the model of a file among those that come with refdet, in float16; return where."""
    loaded = load_model(path)
    WEIGHTS.mkdir(exist_ok=True)
    target = WEIGHTS / f"{loaded.model}.safetensors"
    save_model(
        target,
        loaded.detector,
        model=loaded.model,
        settings=loaded.settings,
        joint_names=loaded.joint_names,
        half=True,
    )
    return target


def load_model(path: Path | str, model: str | None = None) -> LoadedModel:
    """Make a detector out of a file.

    Args:
        path: a file of `save_model`, or of torchvision's.
        model: which it must be; None for that which the file names. Files of torchvision's name none.
    """
    is_torch = Path(path).suffix in TORCH_SUFFIXES
    metadata = {} if is_torch else load_metadata(path)
    if "format" not in metadata:
        return _published(path, model, is_torch=is_torch)
    refuse_training_state(metadata, path)
    if metadata["format"] != FORMAT:
        raise CheckpointError(f"{path}: is no model, but a file of the format {metadata['format']!r}")
    name, class_names, joint_names = metadata.get("model"), metadata.get("class_names"), metadata.get("joint_names", [])
    if not isinstance(name, str) or name not in MODELS:
        raise CheckpointError(f"{path}: holds a model that refdet does not know: {name!r}")
    if model is not None and model != name:
        raise CheckpointError(f"{path}: holds a {name}, not a {model}")
    for key, texts in (("class_names", class_names), ("joint_names", joint_names)):
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise CheckpointError(f"{path}: its {key} must be a list of texts")
    try:
        settings = settings_from_plain(type(MODELS[name].settings()), metadata.get("settings", {}))
        detector = make_detector(name, tuple(class_names or ()), rng=np.random.default_rng(0), settings=settings)
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise CheckpointError(f"{path}: its settings make no {name}: {error}") from error
    except IndexError as error:
        raise CheckpointError(f"{path}: its settings make no {name}: a list among them is too short") from error
    load_weights(detector, load_tensors(path), path=path, model=name)
    return LoadedModel(detector, name, settings, tuple(joint_names))


def load_weights(
    detector: DetectorNetwork, state: Mapping[str, Array], *, path: str | os.PathLike[str], model: str
) -> None:
    """Put arrays into a detector; refuse those of another one, by the names that differ."""
    if problem := difference(detector.state_dict(), state):
        raise CheckpointError(f"{path}: does not fit {model}: {problem}")
    refuse_not_finite(state, path)
    detector.load_state_dict(state)


def refuse_training_state(metadata: Mapping[str, Any], path: Path | str) -> None:
    """Refuse a run's checkpoint, which lies beside the model and is easily taken for it."""
    if metadata.get("format") == TRAINING_STATE:
        raise CheckpointError(f"{path}: is the state of a run that may go on; the model is model.safetensors beside it")


def refuse_not_finite(state: Mapping[str, Array], path: str | os.PathLike[str]) -> None:
    """Refuse weights that are not finite: a detector with them finds nothing and does not say why."""
    for name, array in state.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"{path}: {name} is not finite; whatever made the file went wrong")


def difference(wanted: Mapping[str, Array], given: Mapping[str, Array]) -> str:
    """Say how the names and shapes of arrays differ from those that are wanted; nothing if they do not.

    >>> zeros = {"conv.weight": np.zeros((4, 3)), "conv.bias": np.zeros(4)}
    >>> difference(zeros, {"conv.weight": np.zeros((4, 5)), "fc.weight": np.zeros(2), "fc.bias": np.zeros(2)})
    '1 is missing (conv.bias), 2 are not known (fc.weight, fc.bias), 1 has shape (4, 5), expected (4, 3) (conv.weight)'
    """
    missing = [name for name in wanted if name not in given]
    unknown = [name for name in given if name not in wanted]
    misfits: dict[str, list[str]] = {}
    for name in wanted:
        if name in given and (problem := misfit(given[name], wanted[name])):
            misfits.setdefault(problem, []).append(name)
    parts = [(missing, "is missing", "are missing"), (unknown, "is not known", "are not known")]
    parts += [(names, problem, f"are others: each {problem}") for problem, names in list(misfits.items())[:SHOWN]]
    said = [f"{len(names)} {one if len(names) == 1 else many} ({_first(names)})" for names, one, many in parts if names]
    more = sum(len(names) for names in list(misfits.values())[SHOWN:])
    return ", ".join(said + ([f"and {more} more have another shape"] if more else []))


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _published(path: Path | str, model: str | None, *, is_torch: bool) -> LoadedModel:
    """Make a detector of the arrays that others publish for it."""
    if model is None:
        raise CheckpointError(f"{path}: does not say which model it is of; name it with --model")
    entry: Model = find_model(model)
    if entry.class_names is None or entry.renamed is None:
        raise CheckpointError(f"{path}: holds no model of refdet's, and for {model} there are no others")
    state = read_torch_state_dict(path) if is_torch else load_tensors(path)
    detector = make_detector(model, entry.class_names, rng=np.random.default_rng(0))
    load_weights(detector, entry.renamed(state), path=path, model=model)
    return LoadedModel(detector, model, entry.settings(), entry.joint_names)
