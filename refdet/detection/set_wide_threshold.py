"""The least score of each class that stays in the detections of a set of pictures, as R-CNN's test has it.

    T_ci = the 100 best scores of class c among the regions of picture i
    θ_c  = the 40·N-th best score of T_c1 ⊎ … ⊎ T_cN, where they are more than 40·N; else −∞
    a region of picture i stays in class c where its score is in T_ci and s ≥ θ_c

Of each class about 40 regions a picture are left on average, more where a picture is sure of it and fewer where not.

Girshick, Donahue, Darrell & Malik, "Rich feature hierarchies for accurate object detection and semantic segmentation"
(2014): not in the paper but in its code, `rcnn_test.m`, "heuristic that yields at most 100k pre-NMS boxes per 2500
images", with `max_per_set = ceil(100000/2500) * length(image_ids)` and `max_per_image = 100`.

Conventions: class 0, the background, has −∞. All scores equal to θ_c stay, in whatever order the pictures come, so that
more than 40·N may. Scores that are not finite count nowhere. A picture without regions counts in N. Thresholds are of
the scores alone: what box regressors or the suppression do to a region later changes none.

The code finds θ_c in one walk, among the 40·N best so far: once there are more, regions of the next pictures must have
`z > thresh`, while at the end only those `< thresh` are removed. It thus loses what equals θ_c in the pictures after
θ_c was reached, and keeps what equals it up to there; where only one score is θ_c, it keeps the same regions. Here N is
counted at the end, which takes memory for up to 100 scores of each class in each picture.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from refdet.core.check import Array, check_floating, check_rank, check_shape, integer
from refdet.detection.composition import best_of_each, check_limit


def set_wide_thresholds(scores: Iterable[Array], *, top_per_class: int | None = 100, per_picture: int = 40) -> Array:
    """Return the least score of each class that may stay in a set of pictures.

    Args:
        scores: of each picture (R, K), float32 or float64, column 0 the background; walked over once.
        top_per_class: how many of the best of each class count in a picture, as in `DetectionSettings`; None for all.
        per_picture: how many of a class stay for each picture of the set, at least 1.

    Returns:
        (K,), of the (wider) dtype of the scores, for `detect_regions` to take as `at_least`; −∞ where all may stay.

    Of class 1 each picture shows its two best, 9 and 8, 3 and 2, of which two may stay; of class 2 there are only two:

    >>> first = np.array([[0.0, 9.0, -np.inf], [0.0, 8.0, 1.0], [0.0, 7.0, -np.inf]])
    >>> second = np.array([[0.0, 3.0, 5.0], [0.0, 2.0, -np.inf]])
    >>> set_wide_thresholds([first, second], top_per_class=2, per_picture=1)
    array([-inf,   8., -inf])
    """
    op = "set_wide_thresholds"
    check_limit(op, "top_per_class", top_per_class)
    integer(op, "per_picture", per_picture, low=1)
    best: list[Array] = []
    best_classes: list[Array] = []
    K = None
    for of_picture in scores:
        name = f"scores of picture {len(best)}"
        check_floating(op, **{name: of_picture})
        check_rank(op, name, of_picture, "R, K")
        K = of_picture.shape[1] if K is None else K
        check_shape(op, name, of_picture, (len(of_picture), K), "a column per class, as in the first picture")
        counts = np.isfinite(of_picture)
        counts[:, :1] = False
        rows, classes = np.nonzero(counts)
        first = best_of_each(of_picture[rows, classes], classes, top_per_class)
        best.append(of_picture[rows, classes][first])
        best_classes.append(classes[first])
    if K is None:
        raise ValueError(f"{op}: scores must be of at least one picture, got none")

    limit = per_picture * len(best)
    pooled, pooled_classes = np.concatenate(best), np.concatenate(best_classes)
    thresholds = np.full(K, -np.inf, pooled.dtype)
    for c in range(K):
        of_class = np.sort(pooled[pooled_classes == c])
        if len(of_class) > limit:
            thresholds[c] = of_class[-limit]
    return thresholds
