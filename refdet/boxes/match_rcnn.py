"""Labels of the proposals of the R-CNN family, by the band in which their best IoU with a ground truth lies.

    1 where best IoU ≥ positive   (or >)
    else 0 where negative_low ≤ best IoU < negative_high
    else −1, ignored

| | positive | negatives |
|---|---|---|
| R-CNN, fine-tuning | ≥ 0.5 | [0, 0.5) |
| Fast R-CNN | ≥ 0.5 | [0.1, 0.5) |
| Faster R-CNN | ≥ 0.5 | [0, 0.5) |
| deck 001, of R-CNN | > 0.5 | [0, 0.3) |

Girshick et al., "Rich feature hierarchies" (2014), §2.3; Girshick, "Fast R-CNN" (2015), §2.3. The deck merges the two
rules of R-CNN, whose SVMs take only ground-truth boxes as positives and IoU < 0.3 as negatives.

Conventions, besides those of `refdet.boxes.overlaps`: both ends of a band are as written, and where the bands overlap
positives override. Without ground truth the best IoU is 0, so that Fast R-CNN has no negatives: 0 < 0.1.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.overlaps import COMPARISONS, check_overlaps, own_ground_truth, without_nan
from refdet.core.check import Array, check_choice
from refdet.core.kernel import kernel


def _check(iou: Array, *, positive: float, negative_low: float, negative_high: float, comparison: str) -> None:
    thresholds = {"positive": positive, "negative_low": negative_low, "negative_high": negative_high}
    check_overlaps("match_rcnn", iou, "R, G", **thresholds)
    check_choice("match_rcnn", "comparison", comparison, COMPARISONS)


@kernel("match_rcnn", check=_check)
def match_rcnn_kernel(
    iou: Array, *, positive: float, negative_low: float, negative_high: float, comparison: str
) -> tuple[Array, Array]:
    """Return labels and matches, both (R,) int64."""
    best, matches = own_ground_truth(without_nan(iou))
    labels = np.full(len(best), -1, np.int64)
    labels[(best >= float(negative_low)) & (best < float(negative_high))] = 0
    labels[COMPARISONS[comparison](best, float(positive))] = 1
    return labels, matches


def match_rcnn(
    iou: Array,
    *,
    positive: float = 0.5,
    negative_low: float = 0.1,
    negative_high: float = 0.5,
    comparison: str = ">=",
) -> tuple[Array, Array]:
    """Label proposals by the band in which their best IoU lies; the defaults are Fast R-CNN's.

    Args:
        iou: (R, G) of proposals with ground truths, float32 or float64.
        positive: best IoU from which a proposal is positive.
        negative_low: lowest best IoU of a negative, itself included.
        negative_high: end of the negatives, itself excluded.
        comparison: ">=" or ">", of the best IoU with `positive`.

    Returns:
        labels, (R,) int64: 1, 0 or −1; and matches, (R,) int64: each proposal's own ground truth, whatever its label,
        or −1 where there is none.

    >>> match_rcnn(np.array([[0.5, 0.2], [0.3, 0.4], [0.0, 0.05]]))
    (array([ 1,  0, -1]), array([0, 1, 1]))

    Deck 001 leaves the first two out of it: not > 0.5, not < 0.3.

    >>> match_rcnn(
    ...     np.array([[0.5, 0.2], [0.3, 0.4], [0.0, 0.05]]), negative_low=0, negative_high=0.3, comparison=">"
    ... )[0]
    array([-1, -1,  0])
    """
    return match_rcnn_kernel(
        iou, positive=positive, negative_low=negative_low, negative_high=negative_high, comparison=comparison
    )
