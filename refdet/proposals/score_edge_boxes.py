"""The score of EdgeBoxes: how much contour a box encloses wholly.

    score = (Σ_i w_i m_i − Σ_{p in centre} E_p) · norm
    w_i   = 0 for a group that crosses the boundary of the box, else 1 − max over paths Π a(t_k, t_{k+1})

m_i is the sum of the magnitudes of group i, and the sum goes over the groups inside the box. A path leads from group to
group, from one that crosses the boundary to group i. What is tied to the boundary belongs to an object that the box
cuts. The centre is subtracted since what lies far from the boundary matters less. The first sum is computed as
Σ m_i − Σ (1 − w_i) m_i: the former of all boxes at once, the latter box by box, but only where it can matter.

Zitnick & Dollár, "Edge Boxes", ECCV 2014, §3.2, equations (2) to (4).

A box is (x0, y0, x1, y1): its first and last column and row of pixels, which are its boundary. b_w = x1 − x0 and
b_h = y1 − y0 are the distances between the centres of those pixels. Conventions:

    convention   norm                             centre
    "paper"      1 / (2 (b_w + b_h)^κ)            pixels at most b_w/4 and b_h/4 from the middle, any magnitude
    "opencv"     1 / (⌊b_w/2⌋ + ⌊b_h/2⌋)^κ        x from x0 + ⌊⌊b_w/2⌋/2⌋ to ⌊b_w/2⌋ further on, y likewise; only
                                                  E > min_magnitude, and not in row 0 or column 0

- Boxes are clipped to the map first. One that ends before it begins, or whose norm would be 1/0, scores 0.
- A group is inside if the last of its pixels in scan order is; any other would do as well, because a connected group
  that does not touch the boundary lies on one side of it. A group of `pairs` that has no pixel is in no box.
- Paths stay inside the box, and are given up once the product is < 0.05 (`refdet.proposals.edge_ties`).
- A score < min_score is 0.
- Sums are added in OpenCV's order in the dtype of the maps. A move of a side that changes no group gives two boxes of
  equal score, and in float32 it is rounding that prefers one of them; in OpenCV's order, it prefers the same one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import (
    Array,
    check_choice,
    check_floating,
    check_integer,
    check_number,
    check_rank,
    check_shape,
    shape_of,
)
from refdet.core.kernel import kernel
from refdet.proposals.edge_maps import (
    check_group_numbers,
    check_groups,
    check_within,
    count_groups,
    in_scan_order,
    rounded,
)
from refdet.proposals.edge_ties import Boundary, Neighbours, neighbours_of, tied_groups
from refdet.proposals.integral_image import integral_image, sums_within

CONVENTIONS = ("paper", "opencv")
BOXES_AT_A_TIME = 4096  # for which the groups tied to the boundary are held at once


def _check(
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
) -> None:
    op = "score_edge_boxes"
    for name, rows, width, what in (("boxes", boxes, 4, "x0, y0, x1, y1"), ("pairs", pairs, 2, "group, group")):
        check_rank(op, name, rows, "N, columns")
        check_shape(op, name, rows, (shape_of(rows)[0], width), what)
    check_integer(op, boxes=boxes, pairs=pairs)
    check_rank(op, "edges", edges, "H, W")
    check_floating(op, edges=edges, affinities=affinities)
    check_groups(op, groups, edges)
    check_shape(op, "affinities", affinities, shape_of(pairs)[:1], "one per pair")
    check_choice(op, "convention", convention, CONVENTIONS)
    check_number(op, "kappa", kappa, low=0)
    check_number(op, "min_score", min_score, low=0)
    check_number(op, "min_magnitude", min_magnitude, low=0)


@kernel("score_edge_boxes", check=_check)
def score_edge_boxes_kernel(
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
    """Return one score per box, (B,)."""
    dtype = np.result_type(edges)
    scores = np.zeros(len(boxes), dtype)
    if edges.size == 0:
        return scores
    H, W = edges.shape
    clipped = np.clip(boxes.astype(np.int64), 0, [W - 1, H - 1, W - 1, H - 1])
    norm = _norm(clipped, convention, kappa, dtype)
    norm[(boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])] = 0
    contours = _Contours.of(edges, groups, max(count_groups(groups), count_groups(pairs)))
    enclosed = sums_within(integral_image(contours.at_locations((H, W))), clipped)  # Σ m_i
    enclosed -= _centre_sums(clipped, edges, convention, min_magnitude)  # − Σ E_p

    neighbours = neighbours_of(len(contours.mass), pairs, affinities)
    boundary = Boundary.of(groups)
    candidates = np.flatnonzero((norm > 0) & (enclosed * norm >= float(min_score)))  # ties can only lower a score
    for start in range(0, len(candidates), BOXES_AT_A_TIME):
        some = candidates[start : start + BOXES_AT_A_TIME]
        _subtract_tied(enclosed, some, clipped[some], contours, boundary, neighbours)  # − Σ (1 − w_i) m_i
    scores[candidates] = enclosed[candidates] * norm[candidates]
    scores[scores < float(min_score)] = 0
    return scores


class _Contours(NamedTuple):
    """The groups, each by its sum of magnitudes and the last of its pixels in scan order."""

    mass: Array  # (G,), m_i
    x: Array  # (G,) int64, of the last pixel
    y: Array  # (G,) int64

    @classmethod
    def of(cls, edges: Array, groups: Array, n_groups: int) -> _Contours:
        """Add up and locate the groups of a map."""
        label, m = in_scan_order(groups), in_scan_order(edges)
        pixels = np.flatnonzero(label >= 0)
        mass, last = np.zeros(n_groups, m.dtype), np.full(n_groups, -1)  # −1: x = −1, not in any box
        np.add.at(mass, label[pixels], m[pixels])  # pixel after pixel
        np.maximum.at(last, label[pixels], pixels)
        return cls(mass, *np.divmod(last, len(edges)))

    def at_locations(self, shape: tuple[int, int]) -> Array:
        """Return a map of `shape` with the mass of each group at its location."""
        field = np.zeros(shape, self.mass.dtype)
        present = self.mass > 0
        field[self.y[present], self.x[present]] = self.mass[present]
        return field


def _subtract_tied(
    enclosed: Array, some: Array, boxes: Array, contours: _Contours, boundary: Boundary, neighbours: Neighbours
) -> None:
    """Subtract from `enclosed[some]` what is tied to the boundaries of those boxes, in place."""
    located = list(zip(contours.x.tolist(), contours.y.tolist(), strict=True))
    scalar = contours.mass.dtype.type
    group: list[int] = []  # of every box, one after the other
    strength: list[float] = []
    n_tied: list[int] = []  # of each box
    for box, crossing in zip(boxes.tolist(), boundary.crossing(boxes), strict=True):
        ties = tied_groups(crossing, box, located, neighbours, lambda a: float(scalar(a)))
        group += ties
        strength += ties.values()
        n_tied.append(len(ties))
    i = np.array(group, np.int64)
    of_box = np.repeat(np.arange(len(boxes)), n_tied)
    x0, y0, x1, y1 = boxes[of_box].T
    x, y = contours.x[i], contours.y[i]
    inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    tied = np.array(strength, scalar) * contours.mass[i]
    np.subtract.at(enclosed, some[of_box[inside]], tied[inside])  # group after group


def _norm(boxes: Array, convention: str, kappa: float, dtype: np.dtype[np.floating]) -> Array:
    """Return the factor by which larger boxes are held back, (B,); 0 for a box without extent."""
    x0, y0, x1, y1 = boxes.T
    size = (x1 - x0) // 2 + (y1 - y0) // 2 if convention == "opencv" else (x1 - x0) + (y1 - y0)
    inverse = 1 / np.maximum(size, 1).astype(dtype)
    norm = rounded(lambda s: s ** float(kappa), inverse)
    return np.where(size > 0, norm if convention == "opencv" else norm / 2, 0).astype(dtype)


def _centre_sums(boxes: Array, edges: Array, convention: str, min_magnitude: float) -> Array:
    """Return the sum of the magnitudes in the middle of each box, (B,)."""
    x0, y0, x1, y1 = boxes.T
    if convention == "opencv":
        width, height = (x1 - x0) // 2, (y1 - y0) // 2
        left, top = x0 + width // 2, y0 + height // 2
        centre = np.stack([left, top, left + width, top + height], axis=1)
        counted = np.where(edges > float(min_magnitude), edges, 0)
        counted[0], counted[:, 0] = 0, 0
    else:  # |2x − x0 − x1| · 2 ≤ b_w: x from x0 + ⌈b_w/4⌉ to x0 + ⌊3 b_w/4⌋
        width, height = x1 - x0, y1 - y0
        starts = x0 - -width // 4, y0 - -height // 4
        centre = np.stack([*starts, x0 + 3 * width // 4, y0 + 3 * height // 4], axis=1)
        counted = edges
    return sums_within(integral_image(counted), centre)


def score_edge_boxes(
    boxes: Array,
    edges: Array,
    groups: Array,
    pairs: Array,
    affinities: Array,
    *,
    convention: str = "paper",
    kappa: float = 1.5,
    min_score: float = 0.0,
    min_magnitude: float = 0.1,
) -> Array:
    """Score boxes by the contours that they enclose.

    Args:
        boxes: (B, 4) integers, rows of (x0, y0, x1, y1): first and last column and row of pixels.
        edges: (H, W) magnitudes in [0, 1], float32 or float64.
        groups: (H, W) integers, as `group_edges` numbers them.
        pairs: (P, 2) integers, neighbouring groups, as `edge_affinities` finds them.
        affinities: (P,), theirs, in [0, 1], of the dtype of `edges`.
        convention: "paper" or "opencv", see the module.
        kappa: how much larger boxes are held back.
        min_score: lower scores become 0; negative ones do in any case.
        min_magnitude: under "opencv", what counts in the centre.

    Returns:
        The scores, (B,), of the dtype of `edges`.

    A contour of three pixels near the top of the box, which touches neither boundary nor centre, 3 / (2·16²); in a
    smaller box it crosses the boundary:

    >>> edges, groups = np.zeros((9, 9)), np.full((9, 9), -1)
    >>> edges[1, 3:6], groups[1, 3:6] = 1, 0
    >>> boxes = np.array([[0, 0, 8, 8], [4, 0, 8, 8]])
    >>> score_edge_boxes(boxes, edges, groups, np.zeros((0, 2), int), np.zeros(0), kappa=2) * 2 * 16**2
    array([3., 0.])
    """
    arrays = boxes, edges, groups, pairs, affinities
    options: dict[str, Any] = {
        "convention": convention,
        "kappa": kappa,
        "min_score": min_score,
        "min_magnitude": min_magnitude,
    }
    _check(*arrays, **options)
    _check_values(edges, groups, pairs, affinities)
    return score_edge_boxes_kernel(*arrays, **options)


def _check_values(edges: Array, groups: Array, pairs: Array, affinities: Array) -> None:
    """Refuse magnitudes and affinities outside [0, 1], and groups that are not on the map."""
    op = "score_edge_boxes"
    check_within(op, "edges", edges, 1.0, "[0, 1]")
    check_within(op, "affinities", affinities, 1.0, "[0, 1]")
    check_group_numbers(op, groups)
    n_groups = count_groups(groups)
    if pairs.size and (pairs.min() < 0 or pairs.max() >= n_groups):
        raise ValueError(
            f"{op}: pairs must name groups of the map, of which there are {n_groups}, numbered from 0; "
            f"got {pairs.min()} … {pairs.max()}"
        )
