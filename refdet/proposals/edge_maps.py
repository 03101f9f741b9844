"""What EdgeBoxes is given, a map of edge magnitudes and one of orientations, and the order in which it reads them.

    edges        (H, W)   magnitude in [0, 1], thinned: about one pixel across an edge
    orientation  (H, W)   direction of the gradient, the normal of the edge, modulo π: in [0, π], where π equals 0;
                          x counts columns and y counts rows, downwards
    groups       (H, W)   integers: what `group_edges` makes of them, 0, 1, … for the groups and −1 elsewhere

Zitnick & Dollár's paper speaks of the direction along the edge; their code, OpenCV, and any detector by gradients give
the normal. Only differences count, so nothing but the affinities has to know (`refdet.proposals.edge_affinities`).

The scan order is columns first: x outer, y inner. It comes from the authors' code, which is made for MATLAB's arrays,
and decides which pixel a group starts from.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from refdet.core.check import Array, check_floating, check_integer, check_rank, check_shape, shape_of


def check_edge_maps(op: str, edges: Array, orientation: Array) -> None:
    """Refuse maps that are not (H, W), floating-point, and of the same shape and dtype."""
    check_rank(op, "edges", edges, "H, W")
    check_floating(op, edges=edges, orientation=orientation)
    check_shape(op, "orientation", orientation, shape_of(edges), "that of edges")


def check_groups(op: str, groups: Array, edges: Array) -> None:
    """Refuse groups that are not integers of the shape of `edges`."""
    check_shape(op, "groups", groups, shape_of(edges), "that of edges")
    check_integer(op, groups=groups)


def check_edge_values(op: str, edges: Array, orientation: Array) -> None:
    """Refuse magnitudes outside [0, 1] and orientations outside [0, π], NaN among them."""
    check_within(op, "edges", edges, 1.0, "[0, 1]")
    check_within(op, "orientation", orientation, math.pi, "[0, π]")


def check_within(op: str, name: str, values: Array, high: float, interval: str) -> None:
    """Refuse values outside [0, high], NaN among them; `high` counts as rounded to the dtype of the values."""
    outside = ~((values >= 0) & (values <= np.result_type(values).type(high)))
    if outside.any():
        raise ValueError(f"{op}: {name} must lie in {interval}, got {values[outside][0]:g}")


def check_group_numbers(op: str, groups: Array) -> None:
    """Refuse numbers that no counting of groups from 0 reaches, before room is made for so many."""
    if count_groups(groups) > groups.size:
        raise ValueError(
            f"{op}: groups must be numbered 0, 1, …, so that {groups.size} pixels have numbers below {groups.size}, "
            f"got {groups.max()}"
        )


def count_groups(numbers: Array) -> int:
    """Return one more than the largest number, 0 where none is at least 0."""
    return max(0, int(numbers.max()) + 1) if numbers.size else 0


def in_scan_order(field: Array) -> Array:
    """Return a copy of an (H, W) field as a flat array in native byte order: pixel (y, x) is at x·H + y."""
    return field.T.astype(np.result_type(field), order="C").ravel()


def rounded(function: Callable[..., Array], *arguments: Array) -> Array:
    """Evaluate a function in float64, and round to the dtype of its first argument.

    So sines and powers in float32 do not depend on the machine, as far as those in float64 agree but for a last bit.
    """
    result: Array = function(*(np.asarray(a, np.float64) for a in arguments)).astype(np.result_type(arguments[0]))
    return result
