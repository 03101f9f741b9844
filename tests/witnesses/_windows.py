"""Pooling windows along both axes, counted by the formulas of Caffe and PyTorch, not by refdet's."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any, NamedTuple

Pair = tuple[int, int]


class Window(NamedTuple):
    """One window: where it goes, and what it reads."""

    place: Pair  # in the output
    taps: list[tuple[int, int, int, int]]  # (a, b, row, column), also outside the plane
    counted: int  # taps inside the padded extent


def number_of_windows(span: int, stride: int, ceil: bool, last_start: int | None) -> int:
    """Return how many windows there are where the first can move by `span`; none begins at or beyond `last_start`.

    Caffe, src/caffe/layers/pooling_layer.cpp: ceil(span / stride) + 1, and one less if the last begins in the padding.
    """
    if not ceil:
        return max(span // stride + 1, 0)
    count = max(-(-span // stride) + 1, 0)
    return count - 1 if last_start is not None and (count - 1) * stride >= last_start else count


def windows(plane: Pair, params: Mapping[str, Any], drop: bool = True) -> tuple[Pair, list[Window]]:
    """Return how many windows there are, and all in row-major order; `drop=False` keeps those without a pixel."""
    kernel, stride, padding = params["kernel_size"], params["stride"], params["padding"]
    dilation = params.get("dilation", (1, 1))
    if params["convention"] == "caffe" and not any(map(any, padding)):
        drop = False
    counts = []
    for axis, size in enumerate(plane):
        before, after = padding[axis]
        span = size + before + after - dilation[axis] * (kernel[axis] - 1) - 1
        count = number_of_windows(span, stride[axis], params["ceil_mode"], size + before if drop else None)
        counts.append(count)
    (top, bottom), (left, right) = padding
    found = []
    for i, j in product(*map(range, counts)):
        taps = [
            (a, b, i * stride[0] + a * dilation[0] - top, j * stride[1] + b * dilation[1] - left)
            for a, b in product(range(kernel[0]), range(kernel[1]))
        ]
        counted = sum(
            -top <= row < plane[0] + bottom and -left <= column < plane[1] + right for *_, row, column in taps
        )
        found.append(Window((i, j), taps, counted))
    return (counts[0], counts[1]), found


def symmetric(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with one padding an axis, the larger of its two."""
    return {**params, "padding": tuple((max(pair), max(pair)) for pair in params["padding"])}
