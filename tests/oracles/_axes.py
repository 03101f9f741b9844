"""Which elements a reduction, or an operation along some axes, takes together."""

import numpy as np

from tests.oracles._sums import Index

Axes = Index | int | None  # None is every axis


def groups(shape: Index, axis: Axes) -> dict[Index, list[Index]]:
    """Map each output index, a 0 on every reduced axis, to its input indices in row-major order."""
    reduced = _reduced(shape, axis)
    members: dict[Index, list[Index]] = {output: [] for output in np.ndindex(reduced_shape(shape, axis, keepdims=True))}
    for index in np.ndindex(shape):
        members[tuple(0 if n in reduced else i for n, i in enumerate(index))].append(index)
    return members


def reduced_shape(shape: Index, axis: Axes, keepdims: bool) -> Index:
    """Return the shape of the result: a reduced axis has length 1, or is gone."""
    reduced = _reduced(shape, axis)
    return tuple(1 if n in reduced else length for n, length in enumerate(shape) if keepdims or n not in reduced)


def _reduced(shape: Index, axis: Axes) -> set[int]:
    axes = tuple(range(len(shape))) if axis is None else (axis,) if isinstance(axis, int) else axis
    return {n % len(shape) for n in axes}
