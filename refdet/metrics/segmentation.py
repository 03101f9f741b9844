"""The scores of a semantic segmentation, and the table of what was taken for what that they are made from.

    n_ij = pixels of true class i that are predicted as j,    t_i = Σ_j n_ij,    C classes
    IU_i = n_ii / (t_i + Σ_j n_ji − n_ii)

    pixel accuracy          Σ_i n_ii / Σ_i t_i          "Global" in deck 004
    mean accuracy           mean_i n_ii / t_i           "Avg" in deck 004
    mean IU                 mean_i IU_i
    frequency-weighted IU   Σ_i t_i · IU_i / Σ_i t_i

Long, Shelhamer & Darrell, "Fully convolutional networks for semantic segmentation" (2015), §5; deck 004, whose tables
give the mean IU in per cent.

Conventions:

- The tables of several images are added up before anything is divided: the scores are those of a data set, not means
  over its images.
- A pixel whose label is `ignore_label` does not count, whatever is predicted for it. VOC's border is 255. Any other
  label that is no class is refused, where the authors' code does not count it; and so is, for a pixel that counts, a
  prediction that is no class, `ignore_label` or another.
- A class without pixels, t_i = 0, is left out of the mean accuracy; out of the mean IU only if it is not predicted
  either. If it is, its IU is 0. It adds nothing to the frequency-weighted IU.
- Where nothing is left, 0/0: NaN.
- Scores are float64, as quotients of counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, as_index, check_integer, check_rank, check_shape, integer, not_an_array, shape_of
from refdet.core.kernel import kernel


def _check_confusion_matrix(labels: Array, predictions: Array, *, n_classes: int, ignore_label: int | None) -> None:
    check_integer("confusion_matrix", labels=labels, predictions=predictions)
    if labels is None:
        raise not_an_array("confusion_matrix", "labels", labels)
    check_shape("confusion_matrix", "predictions", predictions, shape_of(labels), "one per label")
    integer("confusion_matrix", "n_classes", n_classes, low=1)
    if ignore_label is not None and as_index(ignore_label) is None:
        raise TypeError(f"confusion_matrix: ignore_label must be an integer or None, got {ignore_label!r}")


@kernel("confusion_matrix", check=_check_confusion_matrix)
def confusion_matrix_kernel(labels: Array, predictions: Array, *, n_classes: int, ignore_label: int | None) -> Array:
    """Return n_ij, (C, C) int64; labels and predictions that count must lie in [0, C)."""
    counted = _counted(labels, ignore_label)
    true, predicted = (x[counted].astype(np.int64) for x in (labels, predictions))
    pairs = np.bincount(true * n_classes + predicted, minlength=n_classes**2)
    return pairs.reshape(n_classes, n_classes).astype(np.int64, copy=False)


def _counted(labels: Array, ignore_label: int | None) -> Array:
    return np.ones(labels.shape, bool) if ignore_label is None else labels != int(ignore_label)


def confusion_matrix(labels: Array, predictions: Array, *, n_classes: int, ignore_label: int | None = 255) -> Array:
    """Count how often each class was taken for each.

    Args:
        labels: integers of any shape, in [0, n_classes) or `ignore_label`.
        predictions: integers of the same shape, in [0, n_classes) wherever the label is not `ignore_label`.
        n_classes: at least 1.
        ignore_label: where the label is this, nothing is counted; None counts everything.

    Returns:
        (n_classes, n_classes), int64: rows are true classes, columns predicted ones. Add up those of several images.

    Of three pixels of class 0 one is taken for class 1, and the border is not looked at:

    >>> confusion_matrix(np.array([[0, 0, 0], [1, 255, 255]]), np.array([[0, 0, 1], [1, 0, 7]]), n_classes=2)
    array([[2, 1],
           [0, 1]])
    """
    _check_confusion_matrix(labels, predictions, n_classes=n_classes, ignore_label=ignore_label)
    n_classes = integer("confusion_matrix", "n_classes", n_classes, low=1)
    counted = _counted(labels, ignore_label)
    for name, x in (("labels", labels), ("predictions", predictions)):
        strange = np.argwhere(counted & ((x < 0) | (x >= n_classes)))  # (how many, rank), also of rank 0
        if len(strange):
            at = tuple(strange[0].tolist())
            raise ValueError(
                f"confusion_matrix: {name} must lie in [0, {n_classes}) where the label is not {ignore_label}, got "
                f"{x[at]} at position {at}"
            )
    return confusion_matrix_kernel(labels, predictions, n_classes=n_classes, ignore_label=ignore_label)


def accumulate_confusion(
    images: Iterable[tuple[Array, Array]], *, n_classes: int, ignore_label: int | None = 255
) -> Array:
    """Add up the tables of the (labels, predictions) of many images, which need not be of one size.

    >>> images = [(np.array([0, 1]), np.array([0, 0])), (np.array([1]), np.array([1]))]
    >>> accumulate_confusion(images, n_classes=2)
    array([[1, 0],
           [1, 1]])
    """
    n = integer("accumulate_confusion", "n_classes", n_classes, low=1)
    table = np.zeros((n, n), np.int64)
    for i, (labels, predictions) in enumerate(images):
        try:
            table += confusion_matrix(labels, predictions, n_classes=n, ignore_label=ignore_label)
        except (TypeError, ValueError) as error:
            raise type(error)(f"accumulate_confusion: image {i}: {error}") from error
    return table


class SegmentationScores(NamedTuple):
    """The four scores of a segmentation, each in [0, 1] or NaN."""

    pixel_accuracy: float
    mean_accuracy: float
    mean_iu: float
    frequency_weighted_iu: float


def _check_table(op: str, confusion: Array) -> None:
    check_integer(op, confusion=confusion)
    check_rank(op, "confusion", confusion, "C, C")
    n = shape_of(confusion)[0]
    check_shape(op, "confusion", confusion, (n, n), "one row and one column per class")


def _check_scores(confusion: Array) -> None:
    _check_table("segmentation_scores", confusion)


def _check_counts(op: str, confusion: Array) -> None:
    """Refuse what is no table, and counts below 0."""
    _check_table(op, confusion)
    strange = np.argwhere(confusion < 0)
    if len(strange):
        at = tuple(strange[0].tolist())
        raise ValueError(f"{op}: confusion must hold counts, at least 0, got {confusion[at]} at position {at}")


@kernel("segmentation_scores", check=_check_scores)
def segmentation_scores_kernel(confusion: Array) -> tuple[Array, Array, Array, Array]:
    """Return the four scores in the order of `SegmentationScores`, float64, arrays of no axes."""
    hits = np.diagonal(confusion).astype(np.float64)
    true, union = np.sum(confusion, axis=1), _union(confusion)
    with np.errstate(invalid="ignore"):
        accuracy, iu = hits / true, hits / union
        scores = (
            np.sum(hits) / np.sum(true),
            np.sum(accuracy[true > 0]) / np.count_nonzero(true),
            np.sum(iu[union > 0]) / np.count_nonzero(union),
            np.sum((true * iu)[true > 0]) / np.sum(true),
        )
    pixel, mean, mean_iu, weighted = (np.asarray(s, np.float64) for s in scores)
    return pixel, mean, mean_iu, weighted


def _union(confusion: Array) -> Array:
    """Return the number of pixels that are of each class or predicted to be."""
    union: Array = np.sum(confusion, axis=1) + np.sum(confusion, axis=0) - np.diagonal(confusion)
    return union


def segmentation_scores(confusion: Array) -> SegmentationScores:
    """Compute the four scores of a segmentation.

    Args:
        confusion: (C, C), integers, as `confusion_matrix` counts them.

    Returns:
        (pixel_accuracy, mean_accuracy, mean_iu, frequency_weighted_iu).

    Class 0 has three of four pixels right, class 1 four of four, and one too many:

    >>> segmentation_scores(np.array([[3, 1], [0, 4]]))
    SegmentationScores(pixel_accuracy=0.875, mean_accuracy=0.875, mean_iu=0.775, frequency_weighted_iu=0.775)
    """
    _check_counts("segmentation_scores", confusion)
    return SegmentationScores(*(float(score) for score in segmentation_scores_kernel(confusion)))


def class_iu(confusion: Array) -> Array:
    """Return IU_i of each class, (C,) float64; NaN for a class that neither occurs nor is predicted.

    >>> class_iu(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]))
    array([0.75, 0.8 ,  nan])
    """
    _check_counts("class_iu", confusion)
    with np.errstate(invalid="ignore"):
        return np.diagonal(confusion) / _union(confusion)
