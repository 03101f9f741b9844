"""The error of the k best guesses, as libraries settle ties."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question, Skipped
from tests.witnesses._witness import Witness

Array = Any


def error(question: Question, *, is_found: Callable[[Array, int, int], bool]) -> dict[str, Any]:
    """Answer `top_k_error`, where `is_found(scores, label, k)` says whether one label is among the k best."""
    scores, labels = question.arguments["scores"], question.arguments["labels"]
    assert scores is not None
    assert labels is not None
    wrong = [not is_found(row, int(label), question.params["k"]) for row, label in zip(scores, labels, strict=True)]
    return {"error": np.array(sum(wrong) / len(wrong) if wrong else math.nan)}


def against(scores: Array, label: int, k: int) -> bool:
    """Count the label's own class and all that are at least as good."""
    n_better = -1
    for score in scores:
        n_better += bool(score >= scores[label])
    return n_better < k


def in_favour(scores: Array, label: int, k: int) -> bool:
    """Count only the classes that are better."""
    return sum(bool(score > scores[label]) for score in scores) < k


def last_class_first(scores: Array, label: int, k: int) -> bool:
    """Sort pairs of score and class in descending order; a NaN is worse than any number."""
    pairs = [(-math.inf if math.isnan(s) else float(s), not math.isnan(s), c) for c, s in enumerate(scores)]
    return label in [c for _, _, c in sorted(pairs, reverse=True)[:k]]


def scikit_learn(question: Question) -> dict[str, Any]:
    """Answer with scikit-learn, which refuses NaN and an empty set, and warns where nothing can be wrong."""
    from sklearn.metrics import top_k_accuracy_score

    scores, labels = question.arguments["scores"], question.arguments["labels"]
    assert scores is not None
    assert labels is not None
    if not len(labels) or np.isnan(scores).any():
        raise Skipped("finite scores of at least one example only")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = top_k_accuracy_score(labels, scores, k=question.params["k"], labels=np.arange(scores.shape[1]))
    return {"error": np.array(1 - float(right))}


CAFFE = "BVLC/caffe src/caffe/layers/accuracy_layer.cpp, Forward_cpu of later versions, transcribed"
OLD_CAFFE = "BVLC/caffe src/caffe/layers/accuracy_layer.cpp of earlier versions, greater of (score, class), transcribed"
TENSORFLOW = "TensorFlow tensorflow/core/kernels/in_topk_op.h, transcribed for finite scores"

WITNESSES = [
    Witness("topk.tie=against", "top_k_error", CAFFE, partial(error, is_found=against)),
    Witness("topk.tie=in_favour", "top_k_error", TENSORFLOW, partial(error, is_found=in_favour)),
    Witness("topk.tie=last", "top_k_error", OLD_CAFFE, partial(error, is_found=last_class_first)),
    Witness("topk.tie=last", "top_k_error", "scikit-learn metrics.top_k_accuracy_score, run", scikit_learn),
]
