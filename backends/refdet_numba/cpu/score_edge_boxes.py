"""Scores of EdgeBoxes, box by box.

    from the map:        mass and location of each group, two integral images, the runs of the rows and of the columns
    for each box (in parallel):
        enclosed = Σ m_i − Σ E of the centre, from the integral images
        if that could reach min_score:
            for each group inside that is tied to the boundary (`edge_ties`):   enclosed −= strength · m_i
        score = enclosed · norm

A box is scored by one thread and by itself, so the result does not depend on how many threads there are. Sums are
rounded to the dtype of the maps, in the reference's order. Powers are NumPy's: the norm depends on the size of a box
alone, a whole number, and is tabulated.

Workspace: at most 72 bytes per pixel of the map, 24 per group and 25 per group and thread, 40 per pair, 40 per box.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.proposals.edge_maps import count_groups, rounded
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.edge_ties import find_crossing, find_tied, neighbour_lists, runs_of
from refdet_numba.cpu.threads import per_thread

BOXES_AT_A_TIME = 16  # neighbours in the list: likely of one size, and near each other
PIECES = 32  # to which they are dealt out in turn, as large boxes take longer


def score_edge_boxes(
    boxes: Array,
    edges: Array,
    groups: Array,
    pairs: Array,
    affinities: Array,
    *,
    convention: str,
    kappa: float,
    min_score: float,
    min_magnitude: float,
) -> Array:
    """Return one score per box, as the reference does."""
    boxes, edges, pairs = native(boxes, np.int64), native(edges), native(pairs, np.int64)
    if edges.size == 0 or len(boxes) == 0:
        return np.zeros(len(boxes), edges.dtype)
    if pairs.size and pairs.min() < 0:  # compiled code does not look where it reads
        raise IndexError(f"score_edge_boxes: pairs must name groups, numbered from 0, got {pairs.min()}")
    labels = native(groups, np.int32)
    n_groups = max(count_groups(labels), count_groups(pairs))
    is_paper = convention == "paper"
    counted = edges if is_paper else _without_weak_and_first(edges, min_magnitude)
    by_row, by_column = labels.ravel(), np.ascontiguousarray(labels.T).ravel()
    mass, x, y = _contours(edges, by_column, n_groups)
    work = (
        per_thread((n_groups,), np.int64),  # groups in the order of discovery
        per_thread((n_groups,), np.int64),  # the place of each group in it
        per_thread((n_groups,), np.bool_),  # of each place: whether the strength has risen since it was followed
        per_thread((n_groups,), edges.dtype),  # strength of each group, 0 if it is not found
    )
    work[3][:] = 0
    scores: Array = _scores(
        boxes,
        mass,
        x,
        y,
        *_integral_images(_at_locations(mass, x, y, edges.shape), counted),
        (by_row, *runs_of(by_row)),
        (by_column, *runs_of(by_column)),
        neighbour_lists(pairs, native(affinities), n_groups),
        _norms(sum(edges.shape), is_paper, kappa, edges.dtype),
        edges.dtype.type(min_score),
        is_paper,
        work,
    )
    return scores


def _without_weak_and_first(edges: Array, min_magnitude: float) -> Array:
    """Return the magnitudes that count in the centre under "opencv"."""
    counted = np.where(edges > float(min_magnitude), edges, edges.dtype.type(0))
    counted[0], counted[:, 0] = 0, 0
    return counted


def _norms(longest: int, is_paper: bool, kappa: float, dtype: Any) -> Array:
    """Return the factor by which a box is held back for each of its sizes, b_w + b_h or half of either."""
    inverse = 1 / np.maximum(np.arange(longest), 1).astype(dtype)
    norm: Array = rounded(lambda s: s ** float(kappa), inverse)
    norm = norm / 2 if is_paper else norm
    norm[0] = 0  # a box without extent
    return norm


@compiled
def _contours(edges: Any, labels_by_column: Any, n_groups: Any) -> Any:
    """Return Σ E, x and y of the last pixel in scan order of each group; −1, −1 if it has none."""
    mass, last_x, last_y = np.zeros(n_groups, edges.dtype), np.full(n_groups, -1), np.full(n_groups, -1)
    H = len(edges)
    for p in range(len(labels_by_column)):
        group = labels_by_column[p]
        if group >= 0:
            mass[group] += edges[p % H, p // H]
            last_x[group], last_y[group] = p // H, p % H
    return mass, last_x, last_y


@compiled
def _at_locations(mass: Any, x: Any, y: Any, shape: Any) -> Any:
    """Return a map with the mass of each group at its location."""
    field = np.zeros(shape, mass.dtype)
    for group in range(len(mass)):
        if mass[group] > 0:
            field[y[group], x[group]] = mass[group]
    return field


@compiled
def _integral_images(field: Any, other: Any) -> Any:
    """Return I[y, x] = Σ field[:y, :x], each as ((field + I left) + I above) − I left above, of two fields.

    A sum waits for the one to its left; meanwhile that of the other field is computed.
    """
    H, W = field.shape
    I, J = np.zeros((H + 1, W + 1), field.dtype), np.zeros((H + 1, W + 1), field.dtype)
    for y in range(H):
        for x in range(W):
            I[y + 1, x + 1] = field[y, x] + I[y + 1, x] + I[y, x + 1] - I[y, x]
            J[y + 1, x + 1] = other[y, x] + J[y + 1, x] + J[y, x + 1] - J[y, x]
    return I, J


@compiled_parallel
def _scores(
    boxes: Any,
    mass: Any,
    x: Any,
    y: Any,
    mass_integral: Any,
    centre_integral: Any,
    by_row: Any,
    by_column: Any,
    neighbours: Any,
    norms: Any,
    min_score: Any,
    is_paper: Any,
    work: Any,
) -> Any:
    n_boxes = len(boxes)
    scores = np.zeros(n_boxes, mass.dtype)
    H, W = mass_integral.shape[0] - 1, mass_integral.shape[1] - 1
    order, place, renewed, strength = work
    start, others, ties = neighbours
    n_blocks = (n_boxes + BOXES_AT_A_TIME - 1) // BOXES_AT_A_TIME
    for piece in prange(PIECES):
        thread = get_thread_id()
        found = order[thread], place[thread], renewed[thread], strength[thread]
        for block in range(piece, n_blocks, PIECES):
            for b in range(block * BOXES_AT_A_TIME, min((block + 1) * BOXES_AT_A_TIME, n_boxes)):
                if boxes[b, 2] < boxes[b, 0] or boxes[b, 3] < boxes[b, 1]:
                    continue
                x0, x1 = min(max(boxes[b, 0], 0), W - 1), min(max(boxes[b, 2], 0), W - 1)
                y0, y1 = min(max(boxes[b, 1], 0), H - 1), min(max(boxes[b, 3], 0), H - 1)
                box = x0, y0, x1, y1
                width, height = x1 - x0, y1 - y0
                norm = norms[width + height if is_paper else width // 2 + height // 2]
                enclosed = _sum_within(mass_integral, box) - _sum_within(centre_integral, _centre(box, is_paper))
                if not (norm > 0 and enclosed * norm >= min_score):  # ties can only lower a score
                    continue
                n_found = find_crossing(y0 * W + x0, y0 * W + x1, *by_row, found, 0)
                n_found = find_crossing(y1 * W + x0, y1 * W + x1, *by_row, found, n_found)
                n_found = find_crossing(x0 * H + y0, x0 * H + y1, *by_column, found, n_found)
                n_found = find_crossing(x1 * H + y0, x1 * H + y1, *by_column, found, n_found)
                n_found = find_tied(box, x, y, start, others, ties, found, n_found)
                for i in range(n_found):
                    group = found[0][i]
                    if x0 <= x[group] and x[group] <= x1 and y0 <= y[group] and y[group] <= y1:
                        enclosed -= found[3][group] * mass[group]
                    found[3][group] = 0
                score = enclosed * norm
                scores[b] = 0 if score < min_score else score
    return scores


@compiled
def _centre(box: Any, is_paper: Any) -> Any:
    """Return the first and last column and row of the middle of a box."""
    x0, y0, x1, y1 = box
    width, height = x1 - x0, y1 - y0
    if is_paper:
        return x0 + (width + 3) // 4, y0 + (height + 3) // 4, x0 + 3 * width // 4, y0 + 3 * height // 4
    left, top = x0 + width // 2 // 2, y0 + height // 2 // 2
    return left, top, left + width // 2, top + height // 2


@compiled
def _sum_within(integral: Any, box: Any) -> Any:
    """Return the sum of the field over a box, both ends included; 0 where it is empty."""
    x0, y0, x1, y1 = box
    if x1 < x0 or y1 < y0:
        return integral.dtype.type(0)
    return integral[y0, x0] + integral[y1 + 1, x1 + 1] - integral[y0, x1 + 1] - integral[y1 + 1, x0]
