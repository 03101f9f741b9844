"""Input checks that functions on boxes share; like those of `refdet.core.check` they read shapes and dtypes only."""

from __future__ import annotations

import math

from refdet.core.check import Array, Numbers, as_index, check_floating, check_number, sequence, shape_of

Four = tuple[float, float, float, float]


def check_boxes(op: str, **arrays: Array) -> None:
    """Refuse arrays that are not (N, 4) of float32 or of float64, the same for all."""
    check_floating(op, **arrays)
    for name, boxes in arrays.items():
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(
                f"{op}: {name} must have shape (N, 4), one row of four numbers per box, got {shape_of(boxes)}"
            )


def check_offset(op: str, offset: int) -> int:
    """Return 0 (continuous coordinates) or 1 (the legacy width x2 − x1 + 1); refuse anything else."""
    index = as_index(offset)
    if index not in (0, 1):
        raise ValueError(f"{op}: offset must be 0 (width x2 - x1) or 1 (width x2 - x1 + 1), got {offset!r}")
    return index


def four_numbers(op: str, name: str, values: Numbers, *, positive: bool = False) -> Four:
    """Return four floats, one for each of x, y, w and h."""
    numbers = sequence(op, name, values)
    if len(numbers) != 4:
        raise ValueError(f"{op}: {name} must be four numbers, for x, y, w and h, got {values!r}")
    low = 0 if positive else -math.inf
    x, y, w, h = (check_number(op, name, v, low=low, open_low=positive) for v in numbers)
    return x, y, w, h
