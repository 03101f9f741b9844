"""EdgeBoxes: boxes that wholly enclose many contours are likely to hold an object.

    group the edge pixels                        refdet.proposals.group_edges
    say which groups continue which              refdet.proposals.edge_affinities
    score sliding windows                        refdet.proposals.edge_box_windows, refdet.proposals.score_edge_boxes
    move their sides, in smaller and smaller steps, while the score rises
    drop what overlaps a better box              refdet.proposals.adaptive_nms

Zitnick & Dollár, "Edge Boxes: Locating Object Proposals from Edges", ECCV 2014; deck 000 (0.2 s per image). Any maps of
edges will do; `refdet.proposals.gradient_edges` makes some.

Conventions (those of the score itself stand with it):

- A box is clipped to the map before it is scored, and stays clipped.
- The steps of refinement, across and down, start from t · b_w and t · b_h, rounded down (t is the share of a side by
  which windows are translated), and are halved, rounding down, before each round; when both are at most 2, it ends. In
  a round, a step that has become 0 counts as 1. The sides have their turn in the order top, bottom, left, right:
  outwards by a step; if that does not raise the score, inwards. A move has to be strictly better.
- Boxes come in descending order of score, equal ones in the order of the windows they came from. (OpenCV leaves the
  order of equal ones, and so which of them is dropped, to the sort of its C++ library.)
- `convention` decides how a box is scored, and where the corners of the result are. Its boundary is a ring of pixels,
  from column x0 to x1 and row y0 to y1. "paper": through the centres of these pixels, (x0 + ½, y0 + ½, x1 + ½, y1 + ½).
  "opencv": (x0 + 1, y0 + 1, x1 + 1, y1 + 1), OpenCV's rectangle; its 1 was that of MATLAB's first index. Both have the
  widths x1 − x0 with which areas and overlaps are computed.
- Scores and sums are computed in the dtype of the maps. OpenCV takes float32.
- Maps without edges, or with both sides at most √min_area, have no boxes.

On twenty photographs of about 500 × 375 pixels this reference took 5 s each (the median; the longest 29 s) of one core,
nearly all of it for following chains of groups in `score_edge_boxes`. With the backend `numba-cpu` and two threads,
from photograph to boxes, it is 0.3 s (the mean; the longest 0.8 s).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refdet.core.check import Array, check_choice, check_number, integer
from refdet.proposals.adaptive_nms import adaptive_nms
from refdet.proposals.edge_affinities import edge_affinities_kernel
from refdet.proposals.edge_box_windows import edge_box_windows, translation_step
from refdet.proposals.edge_maps import check_edge_maps, check_edge_values
from refdet.proposals.group_edges import group_edges_kernel
from refdet.proposals.score_edge_boxes import CONVENTIONS, score_edge_boxes_kernel

MIN_SCORE = 0.01  # OpenCV's, of a box that has OpenCV's norm
CORNER = {"paper": 0.5, "opencv": 1.0}  # of the result, from the pixel's index
LEFT, TOP, RIGHT, BOTTOM = range(4)  # columns of a box
OUTWARDS = {TOP: -1, BOTTOM: 1, LEFT: -1, RIGHT: 1}  # in the order in which they move
COARSEST = 2  # no refinement once both steps are at most this


def edge_boxes(
    edges: Array,
    orientation: Array,
    *,
    alpha: float = 0.65,
    beta: float = 0.75,
    eta: float = 1.0,
    min_score: float | None = None,
    max_boxes: int = 10_000,
    min_magnitude: float = 0.1,
    merge_threshold: float = 0.5,
    min_group: float = 0.5,
    max_aspect_ratio: float = 3.0,
    min_area: float = 1000.0,
    gamma: float = 2.0,
    kappa: float = 1.5,
    convention: str = "paper",
) -> tuple[Array, Array]:
    """Propose boxes that enclose contours.

    Args:
        edges: (H, W) magnitudes in [0, 1], thinned, float32 or float64.
        orientation: (H, W), of the same dtype, in [0, π]: the normal of the edge.
        alpha: IoU of neighbouring windows, in [0.01, 0.99]; higher is finer.
        beta: boxes that overlap a better one by more are dropped.
        eta: factor by which beta falls after each box that is kept, while it is above 1/2.
        min_score: boxes that score less, or 0, are dropped; None is 0.01 in the units of "opencv".
        max_boxes: how many are returned at most.
        min_magnitude: what is above it is an edge pixel.
        merge_threshold: how much a group of edge pixels may turn, in units of π.
        min_group: a group of at most this sum of magnitudes is dissolved.
        max_aspect_ratio: of the windows, longer side to shorter, in [1, 1000].
        min_area: of the smallest window, in square pixels, in [1, 10¹²].
        gamma: how fast the affinity of groups falls with the angle between them.
        kappa: how much larger boxes are held back.
        convention: "paper" or "opencv", see the module.

    Returns:
        Boxes (N, 4), rows of (x1, y1, x2, y2), and their scores (N,), in descending order, of the dtype of the maps.

    The outline of a square, from 12 to 52: the best box lies closely around it.

    >>> rows, columns = np.indices((64, 64))
    >>> ring = np.maximum(abs(rows - 31.5), abs(columns - 31.5)) == 19.5
    >>> upright = abs(columns - 31.5) == 19.5
    >>> boxes, scores = edge_boxes(ring.astype(float), np.where(upright, 0, np.pi / 2))
    >>> boxes[0]
    array([10.5,  9.5, 52.5, 52.5])
    """
    op = "edge_boxes"
    check_edge_maps(op, edges, orientation)
    check_edge_values(op, edges, orientation)
    check_number(op, "alpha", alpha, low=0.01, high=0.99)
    check_number(op, "beta", beta, low=0, high=1)
    check_number(op, "eta", eta, low=0, high=1, open_low=True)
    integer(op, "max_boxes", max_boxes, low=0)
    check_number(op, "min_magnitude", min_magnitude, low=0)
    check_number(op, "merge_threshold", merge_threshold, low=0, open_low=True)
    check_number(op, "min_group", min_group, low=0)
    check_number(op, "max_aspect_ratio", max_aspect_ratio, low=1, high=1000)
    check_number(op, "min_area", min_area, low=1, high=1e12)
    check_number(op, "gamma", gamma, low=0)
    check_number(op, "kappa", kappa, low=0)
    check_choice(op, "convention", convention, CONVENTIONS)
    least = _least_score(convention, kappa) if min_score is None else check_number(op, "min_score", min_score, low=0)

    groups = group_edges_kernel(
        edges, orientation, min_magnitude=min_magnitude, merge_threshold=merge_threshold, min_group=min_group
    )
    pairs, affinities = edge_affinities_kernel(edges, orientation, groups, gamma=gamma)

    def score(boxes: Array) -> Array:
        return score_edge_boxes_kernel(
            boxes,
            edges,
            groups,
            pairs,
            affinities,
            convention=convention,
            kappa=kappa,
            min_score=least,
            min_magnitude=min_magnitude,
        )

    windows = edge_box_windows(edges.shape, alpha=alpha, min_area=min_area, max_aspect_ratio=max_aspect_ratio)
    boxes = _clipped(windows, edges.shape)
    scores = score(boxes)
    boxes, scores = _refined(boxes[scores > 0], scores[scores > 0], score, float(translation_step(alpha)), edges.shape)
    corners = (boxes + CORNER[convention]).astype(scores.dtype)
    kept = adaptive_nms(corners, scores, threshold=beta, eta=eta, max_boxes=max_boxes)
    return corners[kept], scores[kept]


def _least_score(convention: str, kappa: float) -> float:
    """Return what a box must score; for "paper", as 2 (b_w + b_h)^κ = 2^(1 + κ) (b_w/2 + b_h/2)^κ."""
    return MIN_SCORE * 2.0 ** -(1 + kappa) if convention == "paper" else MIN_SCORE


def _clipped(boxes: Array, size: tuple[int, ...]) -> Array:
    """Return the boxes with their sides inside a map of `size` (height, width)."""
    H, W = size
    return np.clip(boxes, 0, np.maximum(0, [W - 1, H - 1, W - 1, H - 1]))


def _refined(
    boxes: Array, scores: Array, score: Callable[[Array], Array], step_ratio: float, size: tuple[int, ...]
) -> tuple[Array, Array]:
    """Move the sides of each box while that raises its score; all boxes take their turns together."""
    boxes, scores = boxes.copy(), scores.copy()
    sides = (boxes[:, [RIGHT, BOTTOM]] - boxes[:, [LEFT, TOP]]).astype(np.float32)
    steps = (sides * np.float32(step_ratio)).astype(np.int64)  # (boxes, 2): across, down
    while True:
        steps //= 2
        moving = np.flatnonzero((steps > COARSEST).any(axis=1))
        if not len(moving):
            return boxes, scores
        steps[moving] = np.maximum(steps[moving], 1)
        for side, outwards in OUTWARDS.items():
            trying = moving
            for direction in (outwards, -outwards):
                moved = boxes[trying]
                moved[:, side] += direction * steps[trying, side % 2]
                moved = _clipped(moved, size)
                found = score(moved)
                better = found > scores[trying]
                boxes[trying[better]], scores[trying[better]] = moved[better], found[better]
                trying = trying[~better]
