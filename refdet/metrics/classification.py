"""How often a classifier is wrong, with several guesses, and with boxes.

`top_k_error`, the fraction of examples whose label is not among the k highest scores:

    error = (1/N) · |{i : label_i ∉ the k best classes of scores_i}|

`ilsvrc_error`, classification with localisation, where c_j and b_j are the guesses, j ≤ 5, and B_k the objects of
class C_k in an image that shows n classes:

    e = (1/n) Σ_k min_j max{ c_j ≠ C_k,  no b ∈ B_k has IoU(b_j, b) ≥ 0.5 },   averaged over the images

and the same with boxes dropped, (1/n) Σ_k min_j [c_j ≠ C_k]. Russakovsky et al., "ImageNet large scale visual
recognition challenge" (2015), §4.1 and §4.2, and its evaluation kit; deck 003 has its tables.

Conventions:

- The k best: in descending order of score, of equal scores the lowest class first, NaN last (see
  `refdet.boxes.top_k`). So k ≥ C leaves no error.
- A mean over nothing is 0/0, NaN.
- An overlap of exactly one half is enough; a NaN is not. The kit measures widths with + 1, which is `offset=1`.
- The error of the top k is a quotient of counts in the dtype of the scores; the other two are float64.
- An image's classes count once each, whatever the number of their objects. One guess must have both right: the label of
  one and the box of another are not enough.
- The kit's blacklist is `excluded`, here from both errors. The kit leaves it out of the localisation error only; its
  classification error, over all images of one class each, is `top_k_error`.
- An image without objects that is not excluded is refused.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.boxes.check import check_offset
from refdet.boxes.iou import box_iou
from refdet.core.check import (
    Array,
    check_booleans,
    check_floating,
    check_integer,
    check_number,
    check_rank,
    check_shape,
    integer,
    shape_of,
)
from refdet.core.kernel import kernel
from refdet.metrics.match_detections import rows_by_image


def _check_top_k_error(scores: Array, labels: Array, *, k: int) -> None:
    check_floating("top_k_error", scores=scores)
    check_rank("top_k_error", "scores", scores, "N, C")
    check_integer("top_k_error", labels=labels)
    check_shape("top_k_error", "labels", labels, shape_of(scores)[:1], "one per row of scores")
    integer("top_k_error", "k", k, low=1)


@kernel("top_k_error", check=_check_top_k_error)
def top_k_error_kernel(scores: Array, labels: Array, *, k: int) -> Array:
    """Return the fraction of wrong rows, an array of no axes; a label that is no class is never found."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :k]  # (N, min(k, C))
    n_wrong = len(labels) - np.count_nonzero(best == labels[:, None])
    with np.errstate(invalid="ignore"):
        return np.asarray(np.divide(n_wrong, len(labels)), np.result_type(scores))


def top_k_error(scores: Array, labels: Array, *, k: int = 5) -> float:
    """Count how often the right class is not among the k best.

    Args:
        scores: (N, C), float32 or float64.
        labels: (N,), integers from 0 to C − 1.
        k: how many guesses there are, at least 1.

    Returns:
        The fraction of examples that are wrong; NaN if there are none.

    Class 1 ties with class 0 and comes after it:

    >>> top_k_error(np.array([[0.4, 0.4, 0.2], [0.1, 0.7, 0.2]]), np.array([1, 1]), k=1)
    0.5
    """
    _check_top_k_error(scores, labels, k=k)
    k = integer("top_k_error", "k", k, low=1)
    strange = np.flatnonzero((labels < 0) | (labels >= scores.shape[1]))
    if strange.size:
        raise ValueError(
            f"top_k_error: labels must lie in [0, {scores.shape[1]}), the classes of scores, got {labels[strange[0]]} "
            f"at position {strange[0]}"
        )
    return float(top_k_error_kernel(scores, labels, k=k))


class IlsvrcError(NamedTuple):
    """The two errors, means over the images that count."""

    localisation: float
    classification: float


def ilsvrc_error(
    guesses: Array,
    boxes: Array,
    truth_images: Array,
    truth_classes: Array,
    truths: Array,
    *,
    excluded: Array | None = None,
    n_guesses: int = 5,
    threshold: float = 0.5,
    offset: int = 0,
) -> IlsvrcError:
    """Measure ImageNet's errors of localisation and of classification.

    Args:
        guesses: (N, J), integers: the classes guessed for each image, the best first.
        boxes: (N, J, 4), where each of them is, rows (x1, y1, x2, y2), float32 or float64.
        truth_images: (G,), integers from 0 to N − 1: in which image, a row of `guesses`, each object is.
        truth_classes: (G,), integers.
        truths: (G, 4), where it is, of the dtype of `boxes`.
        excluded: (N,), booleans: images that do not count; None is none.
        n_guesses: only the first so many columns are looked at.
        threshold: in [0, 1]; an IoU at or above it is enough.
        offset: 0 for continuous coordinates, 1 for the legacy width x2 − x1 + 1.

    Returns:
        (localisation, classification); NaN if no image counts.

    The first image is right, the second right about the class only:

    >>> guesses, boxes = np.array([[3], [4]]), np.array([[[0.0, 0, 2, 2]], [[5, 5, 7, 7]]])
    >>> ilsvrc_error(guesses, boxes, np.array([0, 1]), np.array([3, 4]), np.array([[0.0, 0, 2, 1], [0, 0, 2, 2]]))
    IlsvrcError(localisation=0.5, classification=0.0)
    """
    _check_ilsvrc(guesses, boxes, truth_images, truth_classes, truths, excluded)
    n_guesses = integer("ilsvrc_error", "n_guesses", n_guesses, low=1)
    check_number("ilsvrc_error", "threshold", threshold, low=0, high=1)
    check_offset("ilsvrc_error", offset)
    rows_of, errors = rows_by_image(truth_images), []
    for i in range(len(guesses)) if excluded is None else np.flatnonzero(~excluded).tolist():
        if i not in rows_of:
            raise ValueError(f"ilsvrc_error: image {i} has no ground truth and is not excluded")
        classes, objects = truth_classes[rows_of[i]], truths[rows_of[i]]
        same_class = guesses[i, :n_guesses, None] == classes  # (J, g)
        overlaps = box_iou(boxes[i, :n_guesses], objects, offset=offset) >= float(threshold)  # (J, g)
        named, found = np.any(same_class, axis=0), np.any(same_class & overlaps, axis=0)  # (g,)
        right = [(np.any(found[classes == c]), np.any(named[classes == c])) for c in np.unique(classes)]
        errors.append(1 - np.mean(right, axis=0))  # (2,), over the classes of the image
    if not errors:
        return IlsvrcError(float("nan"), float("nan"))
    localisation, classification = np.mean(errors, axis=0)
    return IlsvrcError(float(localisation), float(classification))


def _check_ilsvrc(
    guesses: Array, boxes: Array, truth_images: Array, truth_classes: Array, truths: Array, excluded: Array | None
) -> None:
    op = "ilsvrc_error"
    check_integer(op, guesses=guesses, truth_images=truth_images, truth_classes=truth_classes)
    check_rank(op, "guesses", guesses, "N, J")
    check_rank(op, "truth_images", truth_images, "G")
    check_floating(op, boxes=boxes, truths=truths)
    check_shape(op, "boxes", boxes, (*shape_of(guesses), 4), "one box per guess")
    check_shape(op, "truth_classes", truth_classes, shape_of(truth_images), "one per object")
    check_shape(op, "truths", truths, (*shape_of(truth_images), 4), "one box per object")
    check_booleans(op, excluded=excluded)
    if excluded is not None:
        check_shape(op, "excluded", excluded, shape_of(guesses)[:1], "one flag per image")
    strange = np.flatnonzero((truth_images < 0) | (truth_images >= len(guesses)))
    if strange.size:
        raise ValueError(
            f"{op}: truth_images must lie in [0, {len(guesses)}), the rows of guesses, got {truth_images[strange[0]]} "
            f"at row {strange[0]}"
        )
