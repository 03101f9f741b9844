"""What a witness is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from refdet.verify.question import Question


@dataclass(frozen=True)
class Witness:
    """An implementation of one algorithm that has one deviation, and no other."""

    key: str  # of the deviation, as `nms.cmp=ge`
    algorithm: str
    source: str  # what it runs, or what it was written from
    answer: Callable[[Question], Mapping[str, Any]]  # answers by name; may raise Skipped
