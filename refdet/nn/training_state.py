"""One file from which a training run continues bit for bit.

It holds the module's parameters and buffers (`module.…`), the optimiser's slots, rate and step count (`optimiser.…`),
and, as metadata, the state of the generator that everything random is drawn from, with whatever else the run wants to
remember (`progress`). The file is written atomically: a crash leaves the old one. Metadata that `save_training` would
not write is a `CheckpointError`; arrays that do not fit are the `ValueError` of what they do not fit.

    save_training("run.safetensors", module=net, optimiser=optimiser, rng=rng, progress={"epoch": 3})
    progress, rng = load_training("run.safetensors", module=net, optimiser=optimiser)
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from refdet.nn.checkpoint import CheckpointError, load_metadata, load_tensors, save_tensors
from refdet.nn.module import Module
from refdet.nn.optim import Optimiser

FORMAT = "refdet training state 1"


def save_training(
    path: str | PathLike[str],
    *,
    module: Module,
    optimiser: Optimiser,
    rng: np.random.Generator,
    progress: Mapping[str, Any] | None = None,
) -> None:
    """Write everything that the next step depends on to `path` (.safetensors or .npz); `progress` must be JSON-able."""
    tensors = {f"module.{name}": value for name, value in module.state_dict().items()}
    tensors |= {f"optimiser.{name}": value for name, value in optimiser.state_dict().items()}
    metadata = {"format": FORMAT, "generator": generator_state(rng), "progress": dict(progress or {})}
    save_tensors(path, tensors, metadata=metadata)


def load_training(
    path: str | PathLike[str], *, module: Module, optimiser: Optimiser
) -> tuple[dict[str, Any], np.random.Generator]:
    """Put `module` and `optimiser` where they stood; return `progress` and the generator. An error changes nothing."""
    progress, rng = _progress_and_generator(path, load_metadata(path))
    tensors = load_tensors(path)
    before = module.state_dict()
    module.load_state_dict(_part(tensors, "module."))
    try:
        optimiser.load_state_dict(_part(tensors, "optimiser."))
    except BaseException:  # an interruption too
        module.load_state_dict(before)
        raise
    return progress, rng


def _progress_and_generator(
    path: str | PathLike[str], metadata: Mapping[str, Any]
) -> tuple[dict[str, Any], np.random.Generator]:
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"{path}: is not a training state: its metadata lacks the format {FORMAT!r}")
    progress, generator = metadata.get("progress"), metadata.get("generator")
    if not isinstance(progress, dict):
        raise CheckpointError(f"{path}: its progress must be a JSON object, and is a {type(progress).__name__}")
    if not isinstance(generator, dict):
        raise CheckpointError(f"{path}: its generator must be a JSON object, and is a {type(generator).__name__}")
    try:
        return progress, restored_generator(generator)
    except Exception as error:  # NumPy raises many kinds for a malformed state
        raise CheckpointError(f"{path}: its generator state cannot be restored: {error}") from error


def _part(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator as JSON-able numbers and names, to be saved beside the parameters."""
    state = dict(rng.bit_generator.state)
    if state["bit_generator"] != "PCG64":
        raise ValueError(
            f"generator_state: only PCG64 (numpy.random.default_rng) is saved, got {state['bit_generator']}"
        )
    return state


def restored_generator(state: Mapping[str, Any]) -> np.random.Generator:
    """Return a generator that continues where the saved one stood."""
    if state.get("bit_generator") != "PCG64":
        raise ValueError(f"restored_generator: needs a PCG64 state, got {state.get('bit_generator')!r}")
    bit_generator = np.random.PCG64()
    bit_generator.state = dict(state)  # type: ignore[assignment]  # NumPy types it as its own TypedDict
    return np.random.Generator(bit_generator)
