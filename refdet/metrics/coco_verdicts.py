"""Judge every detection: true positive, false positive or ignored, for all thresholds and ranges of area.

    for each problem, that is for what one category has in one image:
        keep the M best detections, in descending order of score
        for each range of area and each threshold, match them with the ground truths (`coco_match`)
        a detection is  ignored          if it matches an ignored ground truth,
                                         or if it matches nothing and its area is outside of the range;
                        a true positive  if it matches another ground truth;
                        a false positive otherwise

`evaluateImg` of the COCO API, `cocoeval.py`, from where it sorts the detections to `dtIgnore`.

Most problems are tiny and there are tens of thousands. So they are sorted by their numbers of detections and ground
truths, rounded up to powers of two, and those that are alike are matched in one batch, with −1 for what is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.metrics.coco_match import coco_match_kernel
from refdet.metrics.coco_similarity import Similarity

TRUE_POSITIVE, FALSE_POSITIVE, IGNORED = 1, 0, -1
BATCH_ELEMENTS = 2**20  # similarities B·D·G and matches A·B·T·(D + G) of a batch, together

Progress = Callable[[int, int], object]


class Candidates(NamedTuple):
    """Detections in the order in which their problems see them."""

    rows: Array  # (N,) of the detections: by problem, then descending score, then row
    problems: Array  # (N,) the key of each one's problem
    ranks: Array  # (N,) 0 for the best of its problem


def candidates(problems: Array, scores: Array, limit: int) -> Candidates:
    """Return the `limit` best detections of each problem.

    >>> candidates(np.array([5, 4, 5, 5]), np.array([0.1, 0.2, 0.3, 0.1]), 2).rows
    array([1, 2, 0])
    """
    rows = np.lexsort((-scores, problems))  # stable
    ordered = problems[rows]
    _, first, n = np.unique(ordered, return_index=True, return_counts=True)
    ranks = np.arange(len(rows)) - np.repeat(first, n)
    kept = ranks < limit
    return Candidates(rows[kept], ordered[kept], ranks[kept])


class Truths(NamedTuple):
    """What the judgement has to know of the ground truths."""

    problems: Array  # (G,) the key of each one's problem
    is_ignored: Array  # (A, G) in each range of area
    is_crowd: Array  # (G,)
    counts_as_match: Array  # (G,) whether a match with it makes a detection right


def judge(
    chosen: Candidates,
    is_outside: Array,
    truths: Truths,
    *,
    similarity: Similarity,
    thresholds: tuple[float, ...],
    progress: Progress | None,
) -> Array:
    """Return the verdicts, (A, T, N) int8, on the chosen detections; `is_outside`, (A, N), is of their areas."""
    unmatched = np.where(is_outside, np.int8(IGNORED), np.int8(FALSE_POSITIVE))  # (A, N)
    verdicts = np.repeat(unmatched[:, None], len(thresholds), axis=1)  # also where there is no ground truth
    truth_rows = np.argsort(truths.problems, kind="stable")
    n_done = 0
    shared = shared_problems(chosen.problems, truths.problems[truth_rows])
    for detections, positions in batches(shared, len(unmatched), len(thresholds)):
        g = np.where(positions >= 0, truth_rows[positions], -1)  # (B, G)
        overlaps = similarity(np.where(detections >= 0, chosen.rows[detections], -1), g)
        ignored = truths.is_ignored[:, g]  # (A, B, G)
        matches, _ = coco_match_kernel(overlaps, ignored, truths.is_crowd[g], thresholds=thresholds)  # (A, B, T, D)
        is_match, column = matches >= 0, np.maximum(matches, 0)
        problem = np.arange(len(g))[:, None, None]  # (B, 1, 1)
        to_ignored = is_match & np.take_along_axis(ignored[:, :, None], column, axis=-1)
        is_right = is_match & truths.counts_as_match[g[problem, column]]
        otherwise = unmatched[:, detections][:, :, None]  # (A, B, 1, D)
        judged = np.where(to_ignored, IGNORED, np.where(is_right, TRUE_POSITIVE, otherwise))  # (A, B, T, D)
        is_there = detections >= 0
        verdicts[:, :, detections[is_there]] = np.moveaxis(judged, 2, 1)[:, :, is_there]
        n_done += len(g)
        if progress is not None:
            progress(n_done, len(shared))
    return verdicts


class SharedProblems(NamedTuple):
    """Problems that have both detections and ground truths: where each one's begin, and how many there are."""

    first: Array  # (P, 2) of the detections, of the ground truths
    counts: Array  # (P, 2)

    def __len__(self) -> int:
        return len(self.first)


def shared_problems(of_detections: Array, of_truths: Array) -> SharedProblems:
    """Find the problems that occur in both of two ascending lists."""
    d, d_first, d_counts = np.unique(of_detections, return_index=True, return_counts=True)
    g, g_first, g_counts = np.unique(of_truths, return_index=True, return_counts=True)
    _, i, j = np.intersect1d(d, g, assume_unique=True, return_indices=True)
    return SharedProblems(np.stack([d_first[i], g_first[j]], axis=1), np.stack([d_counts[i], g_counts[j]], axis=1))


def batches(shared: SharedProblems, A: int, T: int) -> Iterator[tuple[Array, Array]]:
    """Yield positions (B, D) and (B, G) of problems of about one size, −1 where one has fewer.

    There are as many as can be matched at once for A ranges of area and T thresholds.
    """
    sizes = 2 ** np.ceil(np.log2(shared.counts)).astype(np.int64)  # the next power of two
    for D, G in np.unique(sizes, axis=0).tolist():
        members = np.flatnonzero((sizes == (D, G)).all(axis=1))
        n_batch = max(1, BATCH_ELEMENTS // (D * G + A * T * (D + G)))
        for start in range(0, len(members), n_batch):
            batch = members[start : start + n_batch]
            first, counts = shared.first[batch], shared.counts[batch]
            yield _filled(first[:, 0], counts[:, 0], D), _filled(first[:, 1], counts[:, 1], G)


def _filled(first: Array, counts: Array, width: int) -> Array:
    """Return the positions first, first + 1 ... of each problem, (B, width), with −1 behind the last."""
    place = np.arange(width)
    return np.where(place < counts[:, None], first[:, None] + place, -1)
