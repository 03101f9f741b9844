"""Deviations of the scores of classifiers and of semantic segmentations."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation

Scores = tuple[Array, Array, Array, Array]


def _transposed_table(body: Body) -> Body:
    def confusion_matrix(labels: Array, predictions: Array, *, n_classes: int, ignore_label: int | None) -> Array:
        table: Array = body(labels, predictions, n_classes=n_classes, ignore_label=ignore_label).T
        return table

    return confusion_matrix


def _scores_of_transposed(body: Body) -> Body:
    def segmentation_scores(confusion: Array) -> Scores:
        scores: Scores = body(confusion.T)
        return scores

    return segmentation_scores


def _ignored_by_range(body: Body) -> Body:
    def confusion_matrix(labels: Array, predictions: Array, *, n_classes: int, ignore_label: int | None) -> Any:
        counted = (labels >= 0) & (labels < n_classes)
        return body(labels[counted], predictions[counted], n_classes=n_classes, ignore_label=None)

    return confusion_matrix


def _means(confusion: Array, iu_counts: Array, accuracy_counts: Array, of_nothing: float) -> tuple[Array, Array]:
    """Return the mean accuracy and the mean IU over the classes that count, with a score for 0/0."""
    hits, true = np.diagonal(confusion), confusion.sum(axis=1)
    union = true + confusion.sum(axis=0) - hits
    with np.errstate(invalid="ignore"):
        accuracy = np.where(true > 0, hits / true, of_nothing)[accuracy_counts]
        iu = np.where(union > 0, hits / union, of_nothing)[iu_counts]
        return np.asarray(np.sum(accuracy) / len(accuracy)), np.asarray(np.sum(iu) / len(iu))


def _absent_is_zero(body: Body) -> Body:
    def segmentation_scores(confusion: Array) -> Scores:
        pixel, _, _, weighted = body(confusion)
        everything = np.ones(len(confusion), bool)
        return (pixel, *_means(confusion, everything, everything, 0.0), weighted)

    return segmentation_scores


def _absent_is_nan(body: Body) -> Body:
    def segmentation_scores(confusion: Array) -> Scores:
        pixel, _, _, weighted = body(confusion)
        everything = np.ones(len(confusion), bool)
        return (pixel, *_means(confusion, everything, everything, np.nan), weighted)

    return segmentation_scores


def _absent_is_one(body: Body) -> Body:
    def segmentation_scores(confusion: Array) -> Scores:
        pixel, mean, _, weighted = body(confusion)
        everything = np.ones(len(confusion), bool)
        return (pixel, mean, _means(confusion, everything, everything, 1.0)[1], weighted)

    return segmentation_scores


def _only_true_classes(body: Body) -> Body:
    def segmentation_scores(confusion: Array) -> Scores:
        pixel, mean, _, weighted = body(confusion)
        occurs = confusion.sum(axis=1) > 0
        return (pixel, mean, _means(confusion, occurs, occurs, 0.0)[1], weighted)

    return segmentation_scores


def _last_class_first(body: Body) -> Body:
    def top_k_error(scores: Array, labels: Array, *, k: int) -> Any:
        return body(scores[:, ::-1], scores.shape[1] - 1 - labels, k=k)

    return top_k_error


def _ties_count_against(body: Body) -> Body:
    def top_k_error(scores: Array, labels: Array, *, k: int) -> Array:
        own = np.take_along_axis(scores, labels[:, None], axis=1)
        return _error(np.sum(scores >= own, axis=1) - 1 >= k, scores)

    return top_k_error


def _ties_count_in_favour(body: Body) -> Body:
    def top_k_error(scores: Array, labels: Array, *, k: int) -> Array:
        own = np.take_along_axis(scores, labels[:, None], axis=1)
        return _error(np.sum(scores > own, axis=1) >= k, scores)

    return top_k_error


def _error(wrong: Array, scores: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.divide(np.count_nonzero(wrong), len(wrong)), np.result_type(scores))


DEVIATIONS = [
    Deviation(
        key="seg.confusion=transposed",
        title="rows of the confusion matrix are predictions, columns true classes",
        effect="The table is transposed; scores of a table in rows of true classes swap hits over what is true with "
        "hits over what is predicted.",
        who=("facebookresearch/detectron2, detectron2/evaluation/sem_seg_evaluation.py, process",),
        change="Count at [true class, predicted class].",
        kernels={"confusion_matrix": _transposed_table, "segmentation_scores": _scores_of_transposed},
    ),
    Deviation(
        key="seg.ignore=out_of_range",
        title="labels are ignored where they are no class, and `ignore_label` is not read",
        effect="An `ignore_label` that is one of the classes is counted like any other.",
        who=(
            "shelhamer/fcn.berkeleyvision.org, score.py, fast_hist",
            "ooooverflow/BiSeNet, utils.py, fast_hist",
            "pytorch/vision, references/segmentation/utils.py, ConfusionMatrix.update",
        ),
        change="Leave out the pixels whose label is `ignore_label`, whatever number that is.",
        kernels={"confusion_matrix": _ignored_by_range},
    ),
    Deviation(
        key="seg.absent=zero",
        title="classes without pixels count as 0 in the means",
        effect="Mean accuracy and mean IU are divided by the number of all classes. Pixel accuracy and weighted IU of "
        "no pixels stay NaN, and so do means over no classes.",
        who=(
            "hszhao/semseg, tool/test.py, but for the 1e-10 that it adds to every sum, that of the pixel accuracy too",
        ),
        change="Leave 0/0 out of the means (numpy.nanmean).",
        kernels={"segmentation_scores": _absent_is_zero},
    ),
    Deviation(
        key="seg.absent=nan",
        title="one class without pixels makes the means NaN",
        effect="0/0 is not left out of the mean accuracy and the mean IU.",
        who=("pytorch/vision, references/segmentation/utils.py, ConfusionMatrix",),
        change="Leave 0/0 out of the means (numpy.nanmean).",
        kernels={"segmentation_scores": _absent_is_nan},
    ),
    Deviation(
        key="seg.absent=one",
        title="a class that neither occurs nor is predicted has IU 1",
        effect="The mean IU is over all classes, exactly 1 for each that is not there. The mean accuracy is as it was.",
        who=("ooooverflow/BiSeNet, utils.py, per_class_iu, but for the 1e-5 that it adds above and below",),
        change="Leave 0/0 out of the mean IU (numpy.nanmean), and add nothing to the counts.",
        kernels={"segmentation_scores": _absent_is_one},
    ),
    Deviation(
        key="seg.absent=not_true",
        title="the mean IU leaves out classes that do not occur, though they are predicted",
        effect="Predicting a class that is nowhere costs only the classes that are there.",
        who=("facebookresearch/detectron2, detectron2/evaluation/sem_seg_evaluation.py, evaluate",),
        change="Count a class with IU 0 if it is predicted and does not occur.",
        kernels={"segmentation_scores": _only_true_classes},
    ),
    Deviation(
        key="topk.tie=last",
        title="of equal scores the highest class comes first",
        effect="The right class loses ties with classes after it, and wins those with classes before it.",
        who=(
            "BVLC/caffe, src/caffe/layers/accuracy_layer.cpp of earlier versions: partial_sort by std::greater",
            'scikit-learn, sklearn/metrics/_ranking.py, top_k_accuracy_score: np.argsort(kind="mergesort")[:, ::-1]',
            "BVLC/caffe, examples/00-classification.ipynb: argsort()[::-1][:5]",
        ),
        change='Sort stably and descending: numpy.argsort(-scores, kind="stable").',
        kernels={"top_k_error": _last_class_first},
    ),
    Deviation(
        key="topk.tie=against",
        title="all classes that tie with the right one come before it",
        effect="The right class loses every tie.",
        who=(
            "BVLC/caffe, src/caffe/layers/accuracy_layer.cpp, Forward_cpu of later versions: score >= "
            "prob_of_true_class",
        ),
        change="Let of equal scores only the lower classes come before.",
        kernels={"top_k_error": _ties_count_against},
    ),
    Deviation(
        key="topk.tie=in_favour",
        title="no class that ties with the right one comes before it",
        effect="The right class wins every tie.",
        who=("TensorFlow, tensorflow/core/kernels/in_topk_op.h, InTopKFunctor: pred > target_prediction",),
        change="Let of equal scores the lower classes come before.",
        kernels={"top_k_error": _ties_count_in_favour},
    ),
]
