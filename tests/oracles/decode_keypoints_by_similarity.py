"""From the m x m logits of each joint to the place that is expected to be most similar to where the joint is.

    p = softmax of the map over its m m places
    place (row, column) of n n is in the picture at (x1 + (column + 1/2) (x2 - x1) / n, y1 + (row + 1/2) (y2 - y1) / n)
    E(q) = sum over all q' of p(q') exp(-|q - q'|^2 / (2 sigma)^2 / (area + 2^-52) / 2)
    joint = the first q, row after row, where E is largest;  score = that E

q' are the m m places of the map, q those of a map `finer` times as fine, which has (finer m) (finer m).

NaN, both, for a map without a finite softmax (NaN or +inf anywhere, -inf everywhere), for a box or an area that is not
finite, and for an area below 0. A place of -inf has the probability 0.

Source: Purkrabek and Matas, "ProbPose: a probabilistic approach to 2D human pose estimation" (CVPR 2025), section 3;
the similarity is that of the COCO API, cocoeval.py, computeOks.
"""

import math

import numpy as np

from tests.oracles._boxes import Box, rows
from tests.oracles._sums import Array, Float64Array, exact_sum

Place = tuple[float, float]


def forward(
    logits: Array, boxes: Array, areas: Array, *, sigmas: tuple[float, ...], finer: int
) -> tuple[Float64Array, Float64Array]:
    """Return joints, shape (D, K, 2), and scores, shape (D, K)."""
    n_detections, n_joints, m, _ = logits.shape
    joints, scores = np.full((n_detections, n_joints, 2), np.nan), np.full((n_detections, n_joints), np.nan)
    for d, box in enumerate(rows(boxes)):
        area = float(areas[d])
        if not all(map(math.isfinite, (*box, area))) or area < 0:
            continue
        places, candidates = _places(box, m), _places(box, finer * m)
        for k in range(n_joints):
            chances = _softmax([float(v) for v in logits[d, k].ravel()])
            if not chances:
                continue
            best = -1.0
            for q in candidates:
                terms = [p * _similarity(q, other, area, sigmas[k]) for p, other in zip(chances, places, strict=True)]
                expected = exact_sum(terms)
                if expected > best:
                    best, joints[d, k], scores[d, k] = expected, q, expected
    return joints, scores


def _places(box: Box, n: int) -> list[Place]:
    """Return the middles of n n places, row after row."""
    x1, y1, x2, y2 = box
    return [
        (x1 + (column + 0.5) * (x2 - x1) / n, y1 + (row + 0.5) * (y2 - y1) / n)
        for row in range(n)
        for column in range(n)
    ]


def _softmax(logits: list[float]) -> list[float]:
    """Return the probabilities; none where they are not defined."""
    largest = max(logits)
    if any(map(math.isnan, logits)) or math.isinf(largest):
        return []
    exponentials = [math.exp(v - largest) for v in logits]
    total = exact_sum(exponentials)
    return [e / total for e in exponentials]


def _similarity(a: Place, b: Place, area: float, sigma: float) -> float:
    dx, dy = a[0] - b[0], a[1] - b[1]
    return math.exp(-(dx * dx + dy * dy) / (2 * sigma) ** 2 / (area + 2.0**-52) / 2)
