"""Which default box is trained for which ground-truth box; -1 is background.

"caffe": first a bipartite matching: as long as there is one, take the largest iou[p, g] > min_overlap of a prior and a
box that are both free, the first in row-major order of equal ones, and match them. Then every prior still free gets
the first g with the largest iou[p, g], matched already or not, if that is >= threshold.

"torchvision": first every prior gets its first best g if that is >= threshold. Then, for g in order, the first prior
with the largest iou[p, g] gets g, whatever it had and however small the overlap; so a later box overwrites an earlier
one. min_overlap is not read.

NaN overlaps count as 0.

Source: Liu et al., "SSD: Single Shot MultiBox Detector", section 2.2; the conventions are those of Caffe's
bbox_util.cpp and of torchvision's SSDMatcher.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._matching import best, overlaps
from tests.oracles._sums import Array


def forward(iou: Array, *, threshold: float, min_overlap: float, convention: str) -> NDArray[np.int64]:
    """Return matches, shape (P,)."""
    n_priors, n_boxes = iou.shape
    overlap = overlaps(iou)
    matches = np.full(n_priors, -1, dtype=np.int64)
    if convention == "caffe":
        _match_bipartite(overlap, matches, n_boxes, min_overlap)
    for p in range(n_priors):
        largest, g = best(overlap[p])
        if matches[p] == -1 and n_boxes > 0 and largest >= threshold:
            matches[p] = g
    if convention == "torchvision" and n_priors > 0:
        for g in range(n_boxes):
            _, p = best([row[g] for row in overlap])
            matches[p] = g
    return matches


def _match_bipartite(overlap: list[list[float]], matches: NDArray[np.int64], n_boxes: int, min_overlap: float) -> None:
    """Write the bipartite matching into `matches`."""
    free_boxes = set(range(n_boxes))
    while True:
        largest, pair = min_overlap, None
        for p, row in enumerate(overlap):
            for g in sorted(free_boxes):
                if matches[p] == -1 and row[g] > largest:
                    largest, pair = row[g], (p, g)
        if pair is None:
            return
        p, g = pair
        matches[p] = g
        free_boxes.remove(g)
