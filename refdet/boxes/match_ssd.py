"""Which ground truth each default box ("prior") of SSD is trained on, from their IoU.

Liu et al., "SSD: Single shot multibox detector" (2016), §2.2 "Matching strategy": match each ground truth to the prior
that overlaps it best, then every prior to any ground truth that it overlaps by more than 0.5. Two rules are called by
that name. They differ where ground truths compete for a prior:

- "caffe", the authors' code: the pair of highest IoU among the unmatched priors and unmatched ground truths is matched
  (the first in row-major order of equals), again and again, while that IoU is > min_overlap. So every ground truth gets
  a prior of its own as long as it overlaps one that is free. Then each unmatched prior takes its own ground truth if
  their IoU ≥ threshold. (The authors' code leaves pairs of IoU ≤ 10⁻⁶ out of the second step as well, which shows only
  under a threshold as low.)
- "torchvision", and ssd.pytorch: each prior takes its own ground truth if their IoU ≥ threshold. Then ground truth 0,
  1, 2, … takes the prior that is best for it (the first of equals) from whoever has it: a later one may leave an
  earlier one without any. It does so even with an IoU of 0; min_overlap is not used.

An IoU equal to the threshold matches in both, where the paper has "higher than". Ties, NaN and no ground truth: see
`refdet.boxes.overlaps`.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.overlaps import check_overlaps, own_ground_truth, without_nan
from refdet.core.check import Array, check_choice
from refdet.core.kernel import kernel

CONVENTIONS = ("caffe", "torchvision")


def _check(iou: Array, *, threshold: float, min_overlap: float, convention: str) -> None:
    check_overlaps("match_ssd", iou, "P, G", threshold=threshold, min_overlap=min_overlap)
    check_choice("match_ssd", "convention", convention, CONVENTIONS)


@kernel("match_ssd", check=_check)
def match_ssd_kernel(iou: Array, *, threshold: float, min_overlap: float, convention: str) -> Array:
    """Return matches, (P,) int64."""
    overlaps = without_nan(iou)
    best, own = own_ground_truth(overlaps)
    own = np.where(best >= float(threshold), own, -1)
    if convention == "torchvision":
        return _later_overwrites(overlaps, own)
    matches = _bipartite(overlaps, float(min_overlap))
    return np.where(matches >= 0, matches, own)


def _bipartite(overlaps: Array, min_overlap: float) -> Array:
    """Match best pair after best pair, each prior and each ground truth once."""
    n_priors, n_truths = overlaps.shape
    matches = np.full(n_priors, -1, np.int64)
    free = overlaps.copy()
    for _ in range(min(n_priors, n_truths)):
        prior, truth = divmod(int(np.argmax(free)), n_truths)  # the first in row-major order
        if not free[prior, truth] > min_overlap:
            break
        matches[prior] = truth
        free[prior, :] = free[:, truth] = -np.inf
    return matches


def _later_overwrites(overlaps: Array, own: Array) -> Array:
    """Give every ground truth in turn the prior that is best for it."""
    matches = own.copy()
    if len(matches):
        for truth, prior in enumerate(np.argmax(overlaps, axis=0)):
            matches[prior] = truth
    return matches


def match_ssd(iou: Array, *, threshold: float = 0.5, min_overlap: float = 1e-6, convention: str = "caffe") -> Array:
    """Match default boxes to ground truths.

    Args:
        iou: (P, G) of priors with ground truths, float32 or float64.
        threshold: IoU from which a prior takes its own ground truth.
        min_overlap: "caffe": a pair of the bipartite stage has a greater IoU.
        convention: "caffe" or "torchvision" (see the module).

    Returns:
        The ground truth of every prior, (P,) int64; −1 is background.

    Both ground truths like prior 0 best. Bipartite, the second makes do with prior 1; else it takes prior 0 away:

    >>> iou = np.array([[0.8, 0.6], [0.1, 0.3]])
    >>> match_ssd(iou), match_ssd(iou, convention="torchvision")
    (array([0, 1]), array([ 1, -1]))
    """
    return match_ssd_kernel(iou, threshold=threshold, min_overlap=min_overlap, convention=convention)
