"""What `refdet train --weights` does: a detector begins with the arrays of a file, as far as they fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from refdet.detection.model_file import TORCH_SUFFIXES, refuse_not_finite, refuse_training_state
from refdet.detection.model_names import DetectorNetwork, find_model
from refdet.nn.checkpoint import CheckpointError, load_metadata, load_tensors, read_torch_state_dict
from refdet.nn.module import misfit

if TYPE_CHECKING:
    from refdet.core.check import Array


def begin_with(detector: DetectorNetwork, path: Path, model: str) -> tuple[frozenset[str], str]:
    """Put weights into a detector as far as they fit; return the names of these, and a sentence that says how far."""
    given, is_own = _arrays(path)
    state, wanted = given if is_own else _renamed(given, path, model), detector.state_dict()
    fitting: dict[str, Array] = {n: a for n, a in state.items() if n in wanted and misfit(a, wanted[n]) is None}
    refuse_not_finite(fitting, path)
    if not fitting:
        raise CheckpointError(f"{path}: has no array that fits {model}; it begins with {', '.join(list(given)[:3])}")
    detector.load_state_dict(fitting, strict=False)
    new = [name for name in wanted if name not in fitting]
    if not new:
        return frozenset(fitting), f"{path}: all {len(wanted)} arrays are taken over"
    sentence = f"{path}: {len(fitting)} of {len(wanted)} arrays are taken over; {', '.join(new[:3])} … begin anew"
    return frozenset(fitting), sentence


def _arrays(path: Path) -> tuple[Mapping[str, Array], bool]:
    """Return the arrays of a file, and whether it is one of refdet's."""
    is_torch = path.suffix in TORCH_SUFFIXES
    state: Mapping[str, Array] = read_torch_state_dict(path) if is_torch else load_tensors(path)
    metadata = {} if is_torch else load_metadata(path)
    refuse_training_state(metadata, path)
    return state, "format" in metadata


def _renamed(state: Mapping[str, Array], path: Path, model: str) -> Mapping[str, Array]:
    """Return the arrays of others under the names of the model; refuse those of which it cannot be."""
    renamed = find_model(model).renamed
    try:
        return state if renamed is None else renamed(state)
    except ValueError as problem:
        raise CheckpointError(f"{path}: {problem}") from problem
