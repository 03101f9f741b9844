"""What a run leaves in its folder, and how it goes on from there.

    last.safetensors    the state of the run (`nn.training_state`), replaced whole every so many steps
    best.safetensors    the parameters and buffers of the best evaluation, where one is to be kept
    metrics.jsonl       a line for every step and evaluation (`metrics_log`)
    curves.png          the same as a picture (`curves`)

The first checkpoint is written before the first step: a disk that is full or read-only is found at once. Whatever kills
the program, the checkpoint is the old one or the new one, never half of either. A run that goes on puts the model, the
optimiser and the metrics back to where the checkpoint was written. The best weights are written after the checkpoint of
their step, and again where a run goes on from that checkpoint, so that the two agree. Two runs cannot be in one folder
at the same time (where the system has `flock`), and remains of a checkpoint that was being written are removed.

`Nowhere` keeps nothing: a run without a folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.nn import Module, Optimiser
from refdet.nn.checkpoint import CheckpointError, load_metadata, load_tensors, save_tensors
from refdet.nn.schedules import Schedule
from refdet.nn.training_state import load_training, save_training
from refdet.training.configuration import Configuration, differences, in_words, rates_digest
from refdet.training.curves import draw_curves
from refdet.training.errors import DivergenceError, OtherRunError, TrainingError
from refdet.training.folder_lock import claimed
from refdet.training.metrics_log import History, Line, MetricsFile, cut_back
from refdet.training.order import generator
from refdet.training.run_state import Best, RunState, state_from

LAST, BEST, METRICS, CURVES = "last.safetensors", "best.safetensors", "metrics.jsonl", "curves.png"
LEFTOVER = re.compile(r"\.[0-9a-f]{16}\.tmp")  # of a file that was being replaced (`nn.checkpoint.atomic_file`)


class Nowhere:
    """Keeps nothing."""

    whereabouts = "nothing was saved, for there is no folder"
    advice = ""

    def restore(
        self, now: Configuration, *, model: Module, optimiser: Optimiser, schedule: Schedule, n_steps: int
    ) -> tuple[RunState, History]:
        """Return the beginning."""
        return RunState(), History()

    def log(self, line: Line) -> None:
        """Log a step or an evaluation."""

    def save(self, state: RunState, *, model: Module, optimiser: Optimiser) -> None:
        """Write the checkpoint."""

    def save_best(self, best: Best, *, model: Module) -> None:
        """Write the weights of the best evaluation."""

    def draw(self, history: History, n_steps: int) -> None:
        """Draw the curves."""


class RunFolder(Nowhere):
    """A folder that is claimed for one run; `in_folder` opens it."""

    advice = "; begun again, the run goes on from there"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._saved: RunState | None = None
        self._metrics: MetricsFile | None = None
        self._configuration: Configuration = {}
        self._seed = 0

    @property
    def whereabouts(self) -> str:  # type: ignore[override]
        """Where the last checkpoint is, for messages."""
        if self._saved is None:
            return "there is no checkpoint yet"
        return f"the last checkpoint is {self.path / LAST}, of step {self._saved.step}"

    def restore(
        self, now: Configuration, *, model: Module, optimiser: Optimiser, schedule: Schedule, n_steps: int
    ) -> tuple[RunState, History]:
        """Go on where the folder's run was saved; refuse another run's folder. A new run's checkpoint is written."""
        self._configuration = {**now, "n_steps": n_steps}
        self._seed = now["settings.seed"]
        path = self.path / LAST
        if not path.exists():
            if (self.path / METRICS).exists():
                raise OtherRunError(
                    f"train: {self.path} has {METRICS} but no {LAST} to go on from; name another folder"
                )
            state = RunState()
            self.save(state, model=model, optimiser=optimiser)
        else:
            before = _progress(path)["configuration"]
            compared = {**now, "rates": rates_digest(schedule, before["n_steps"]), "n_steps": before["n_steps"]}
            if differing := differences(compared, before):
                raise OtherRunError(
                    f"train: {self.path} holds another run: {in_words(differing)}; name another folder, or delete "
                    "this one to begin anew"
                )
            progress, _ = load_training(path, module=model, optimiser=optimiser)
            state = state_from(path, progress)
            if state.step > n_steps:
                raise OtherRunError(f"train: the run in {self.path} is at step {state.step}, beyond n_steps={n_steps}")
            self._saved = replace(state)
            if state.best is not None and state.best.step == state.step:  # it may have been killed between the files
                self.save_best(state.best, model=model)
        with _failing(f"{METRICS} cannot be written", self):
            history = cut_back(self.path / METRICS, state.step, evaluated_at=state.evaluated_at)
            self._metrics = MetricsFile(self.path / METRICS)
        return state, history

    def log(self, line: Line) -> None:
        """Append a line to the metrics."""
        if self._metrics is not None:
            with _failing(f"{METRICS} cannot be written", self):
                self._metrics.add(line)

    def save(self, state: RunState, *, model: Module, optimiser: Optimiser) -> None:
        """Replace the checkpoint, unless it is of this state; refuse weights that are not finite."""
        if state == self._saved:
            return
        for name, array in arrays_of(model).items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise DivergenceError(
                    f"train: step {state.step}: {name} of the model is not finite; {self.whereabouts}"
                )
        progress = {**asdict(state), "configuration": self._configuration}
        rng = generator(self._seed, "losses", state.step)  # the format wants one: that of the next step
        with _failing(f"the checkpoint of step {state.step} cannot be written", self):
            if self._metrics is not None:
                self._metrics.flush_to_disk()  # first, so that what the checkpoint follows on is there
            save_training(self.path / LAST, module=model, optimiser=optimiser, rng=rng, progress=progress)
        self._saved = replace(state)

    def save_best(self, best: Best, *, model: Module) -> None:
        """Replace the weights of the best evaluation."""
        with _failing(f"the best weights, of step {best.step}, cannot be written", self):
            save_tensors(self.path / BEST, model.state_dict(), metadata=asdict(best))

    def draw(self, history: History, n_steps: int) -> None:
        """Draw the curves anew."""
        draw_curves(history, self.path / CURVES, n_steps=n_steps)

    def close(self) -> None:
        """Close the metrics."""
        if self._metrics is not None:
            self._metrics.close()


@contextmanager
def in_folder(path: Path | None) -> Iterator[Nowhere]:
    """Make the folder if need be and keep other runs out of it, or keep nothing where the path is None."""
    if path is None:
        yield Nowhere()
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"train: {path} cannot be the folder of a run: {error.strerror}") from error
    with claimed(path):
        for leftover in path.iterdir():
            if LEFTOVER.fullmatch(leftover.name):
                leftover.unlink()
        folder = RunFolder(path)
        try:
            yield folder
        finally:
            folder.close()


def read_weights(folder: str | os.PathLike[str], which: str = "last") -> dict[str, Array]:
    """Return the parameters and buffers that a run left: its "last", or its "best" ones where those were kept."""
    if which not in ("last", "best"):
        raise ValueError(f"read_weights: which must be 'last' or 'best', got {which!r}")
    if which == "best":
        return load_tensors(Path(folder) / BEST)
    tensors = load_tensors(Path(folder) / LAST)
    return {name.removeprefix("module."): a for name, a in tensors.items() if name.startswith("module.")}


def arrays_of(model: Module) -> dict[str, Array]:
    """Return every parameter and buffer by name, itself and not a copy."""
    return {**{name: p.data for name, p in model.named_parameters()}, **dict(model.named_buffers())}


def _progress(path: Path) -> Mapping[str, Any]:
    progress = load_metadata(path).get("progress")
    if not isinstance(progress, dict) or not isinstance(progress.get("configuration"), dict):
        raise OtherRunError(f"train: {path} is not the checkpoint of such a run; name another folder")
    if not isinstance(progress["configuration"].get("n_steps"), int):
        raise CheckpointError(f"{path}: its configuration has no number of steps")
    return progress


@contextmanager
def _failing(what: str, folder: RunFolder) -> Iterator[None]:
    """Say what could not be written, why, and which checkpoint is still there."""
    try:
        yield
    except OSError as error:
        reason: object = f"{folder.path}: {error.strerror or error}"
    except CheckpointError as error:  # names the file
        reason = error
    else:
        return
    raise TrainingError(f"train: {what}: {reason}; {folder.whereabouts}")
