"""How far a run is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refdet.nn.checkpoint import CheckpointError


@dataclass(frozen=True)
class Best:
    """The best evaluation so far: of which number, its value, and after how many steps."""

    metric: str
    value: float
    step: int


@dataclass
class RunState:
    """How far a run is; with the model and the optimiser, all that the next step depends on.

    Attributes:
        step: finished steps.
        seconds: in training, in all sessions together.
        evaluated_at: after how many steps the model was evaluated last; 0 for never.
        best: the best evaluation, where one is kept.
    """

    step: int = 0
    seconds: float = 0.0
    evaluated_at: int = 0
    best: Best | None = None


def state_from(path: Path, progress: Mapping[str, Any]) -> RunState:
    """Return what the `progress` of the checkpoint at `path` says."""
    try:
        best = None if progress["best"] is None else Best(**progress["best"])
        return RunState(int(progress["step"]), float(progress["seconds"]), int(progress["evaluated_at"]), best)
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: its progress is not that of a run: {error!r}") from error
