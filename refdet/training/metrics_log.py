"""metrics.jsonl: one JSON object a line, of a step or of an evaluation, in the order in which they happened.

    {"step": 7, "epoch": 0.35, "lr": 0.01, "loss": 1.25, "losses": {"class": 0.75, "box": 0.5},
     "gradient_norm": 3.2, "images_per_second": 41.0, "seconds": 12.5}
    {"step": 7, "evaluation": {"mAP": 0.41}, "seconds": 14.0}

`step` counts finished steps, `epoch` is what they have seen over the number of samples, `lr` the rate of the step,
`loss` the sum of `losses`, both before the step; `gradient_norm`, before clipping, is there where gradients are
clipped. `seconds` is time in training since the first step, pauses left out. A number that is not finite, which only
an evaluation may give, is null.

A line is written at once. Whoever stops a run may leave lines beyond the last checkpoint, and half a line:
`cut_back` removes both.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from refdet.nn.checkpoint.atomic_file import write_bytes_atomically


@dataclass(frozen=True)
class StepLine:
    """What one step was; see the module for the units."""

    step: int
    epoch: float
    lr: float
    loss: float
    losses: Mapping[str, float]
    images_per_second: float
    seconds: float
    gradient_norm: float | None = None


@dataclass(frozen=True)
class EvaluationLine:
    """What an evaluation after `step` steps gave."""

    step: int
    evaluation: Mapping[str, float]
    seconds: float


Line = StepLine | EvaluationLine


@dataclass
class History:
    """All steps and evaluations so far."""

    steps: list[StepLine] = field(default_factory=list)
    evaluations: list[EvaluationLine] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Append a line to its kind."""
        if isinstance(line, StepLine):
            self.steps.append(line)
        else:
            self.evaluations.append(line)


def as_json(line: Line) -> str:
    """Return a line as JSON, without the newline.

    >>> as_json(EvaluationLine(7, {"mAP": 0.5, "AP small": math.nan}, 14.0))
    '{"step": 7, "evaluation": {"mAP": 0.5, "AP small": null}, "seconds": 14.0}'
    """
    values: dict[str, Any] = {"step": line.step}
    if isinstance(line, EvaluationLine):
        values["evaluation"] = {
            name: value if math.isfinite(value) else None for name, value in line.evaluation.items()
        }
    else:
        values |= {"epoch": line.epoch, "lr": line.lr, "loss": line.loss, "losses": dict(line.losses)}
        if line.gradient_norm is not None:
            values["gradient_norm"] = line.gradient_norm
        values["images_per_second"] = line.images_per_second
    return json.dumps(values | {"seconds": line.seconds}, ensure_ascii=False, allow_nan=False)


def parsed(text: str | bytes) -> Line | None:
    """Return what a line says; None for half a line and whatever else is none of ours."""
    try:
        values = json.loads(text)
        if "evaluation" in values:
            given = {str(name): math.nan if v is None else float(v) for name, v in values.pop("evaluation").items()}
            return EvaluationLine(evaluation=given, step=_count(values["step"]), seconds=float(values["seconds"]))
        losses = {str(name): float(v) for name, v in values.pop("losses").items()}
        norm = values.pop("gradient_norm", None)
        numbers = {name: float(values[name]) for name in ("epoch", "lr", "loss", "images_per_second", "seconds")}
        return StepLine(
            step=_count(values["step"]), losses=losses, gradient_norm=None if norm is None else float(norm), **numbers
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None


def _count(value: Any) -> int:
    """Return a number of steps; refuse one that no run has."""
    count = int(value)
    if not 0 <= count < 2**63:
        raise ValueError(f"no run has {value!r} steps")
    return count


def read_metrics(path: str | os.PathLike[str]) -> History:
    """Read what a run, finished or not, has logged so far; what is no whole line is left out."""
    history = History()
    for text in Path(path).read_bytes().splitlines():
        line = parsed(text)
        if line is not None:
            history.add(line)
    return history


def cut_back(path: Path, step: int, *, evaluated_at: int) -> History:
    """Remove all lines after `step` finished steps, and all that are damaged; return the rest. No file is an empty one.

    Evaluations stay up to that of step `evaluated_at`: the one of `step` itself may have to be done again. The file is
    replaced whole, or left alone where there is nothing to remove.
    """
    content = path.read_bytes() if path.exists() else b""
    kept, history = list[bytes](), History()
    for text in content.splitlines():
        line = parsed(text)
        if line is not None and line.step <= (step if isinstance(line, StepLine) else evaluated_at):
            kept.append(text)
            history.add(line)
    whole = b"".join(text + b"\n" for text in kept)
    if whole != content:
        write_bytes_atomically(path, whole)
    return history


class MetricsFile:
    """metrics.jsonl, open for new lines at its end."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("ab")

    def add(self, line: Line) -> None:
        """Write a line, so that it is there when the program dies."""
        self._file.write(as_json(line).encode() + b"\n")
        self._file.flush()

    def flush_to_disk(self) -> None:
        """Wait until the lines would survive a power cut."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; what could not be written is lost, and was reported when it was added."""
        with contextlib.suppress(OSError):
            self._file.close()
