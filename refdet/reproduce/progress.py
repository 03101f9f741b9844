"""How far an experiment is, as it tells whoever waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Progress(NamedTuple):
    """How far a stage is, and its last loss where there is one."""

    stage: str
    done: int
    total: int
    loss: float | None = None


OnProgress = Callable[[Progress], object]
