"""Which labelled boxes of an image enter the loss: balanced at random, or the hardest negatives.

Labels are integers as `match_rpn` and `match_rcnn` give them, or classes: > 0 positive, 0 negative, < 0 never chosen.

    at most   round(fraction · n)              positives
    at most   n − number of positives chosen   negatives          without replacement

| sampler | n | fraction | rounding | |
|---|---|---|---|---|
| `sample_rpn` | 256 | 0.5 | down | per image; negatives fill up; Ren et al. (2015), §3.1.3 |
| `sample_rois` | 64 | 0.25 | nearest | per image, of two; Girshick, "Fast R-CNN" (2015), §2.3 |

    hard negatives of an image: the min(⌊ratio · number of positives⌋, available) negatives of greatest loss

Liu et al., "SSD" (2016), §2.2: ratio 3, in Caffe's `MultiBoxLoss` counted per image. An image without positives gets no
negatives.

Conventions:

- Where fewer are available, fewer are chosen; missing positives are made up for by negatives, never the reverse.
- "round" is half to even, as np.round in py-faster-rcnn: round(0.25 · 10) = 2; "floor" cuts off, as int() in
  torchvision and Detectron2.
- Samplers return indices in ascending order, positives and negatives apart. Chance enters by `rng` alone: a generator
  in the same state draws the same sample.
- Hard negatives come in descending order of loss; equal losses lowest index first, NaN last.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from refdet.boxes.top_k import descending
from refdet.core.check import (
    Array,
    as_index,
    check_choice,
    check_floating,
    check_generator,
    check_int64,
    check_integer,
    check_number,
    check_rank,
    check_shape,
    shape_of,
)

ROUNDINGS: dict[str, Callable[[float], int]] = {"round": round, "floor": math.floor}


def sample_balanced(
    labels: Array, *, n: int, positive_fraction: float, rng: np.random.Generator, rounding: str = "round"
) -> tuple[Array, Array]:
    """Draw positives up to a share of n, and fill up with negatives.

    Args:
        labels: (R,) integers: > 0 positive, 0 negative, < 0 ignored.
        n: how many to draw in all, at least 0.
        positive_fraction: in [0, 1]; the share of n that positives may have.
        rng: source of the draws.
        rounding: "round" (half to even) or "floor", of positive_fraction · n.

    Returns:
        indices of the positives and of the negatives drawn, int64, ascending.

    One positive of the two allowed is there, and so three negatives join it:

    >>> labels = np.array([0, 0, 1, -1, 0])
    >>> sample_balanced(labels, n=4, positive_fraction=0.5, rng=np.random.default_rng(0))
    (array([2]), array([0, 1, 4]))
    """
    op = "sample_balanced"
    _check_labels(op, labels)
    n_wanted = as_index(n)
    if n_wanted is None or n_wanted < 0:
        raise ValueError(f"{op}: n must be an integer of at least 0, got {n!r}")
    check_int64(op, "n", n_wanted)
    fraction = check_number(op, "positive_fraction", positive_fraction, low=0, high=1)
    check_choice(op, "rounding", rounding, ROUNDINGS)
    check_generator(op, rng)
    positives = _draw(np.flatnonzero(labels > 0), ROUNDINGS[rounding](fraction * n_wanted), rng)
    negatives = _draw(np.flatnonzero(labels == 0), n_wanted - len(positives), rng)
    return positives, negatives


def sample_rpn(labels: Array, *, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the minibatch of a region proposal network: 256 anchors of an image, at most 128 of them positive.

    Args:
        labels: (A,) integers from `match_rpn`.
        rng: source of the draws.

    Returns:
        indices of the positives and of the negatives drawn, int64, ascending.

    >>> positives, negatives = sample_rpn(np.repeat([1, 0], 200), rng=np.random.default_rng(0))
    >>> len(positives), len(negatives)
    (128, 128)
    """
    return sample_balanced(labels, n=256, positive_fraction=0.5, rng=rng, rounding="floor")


def sample_rois(labels: Array, *, n: int = 64, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the RoIs of an image on which Fast R-CNN trains: a quarter of them foreground, if there are as many.

    Args:
        labels: (R,) integers from `match_rcnn`, or classes with 0 for background.
        n: RoIs per image; the paper has 128 per minibatch of two images, Faster R-CNN 128 of one.
        rng: source of the draws.

    Returns:
        indices of the foreground and of the background RoIs drawn, int64, ascending.

    >>> foreground, background = sample_rois(np.repeat([1, 0], 100), rng=np.random.default_rng(0))
    >>> len(foreground), len(background)
    (16, 48)
    """
    return sample_balanced(labels, n=n, positive_fraction=0.25, rng=rng, rounding="round")


def hard_negatives(losses: Array, labels: Array, *, ratio: float = 3.0) -> Array:
    """Pick the negatives of an image that the classifier gets most wrong.

    Args:
        losses: (P,), float32 or float64, of the priors of one image; for SSD −log p of background.
        labels: (P,) integers: > 0 positive, 0 a candidate, < 0 neither.
        ratio: negatives per positive, at least 0.

    Returns:
        indices of the negatives, int64, in descending order of loss.

    One positive brings two negatives:

    >>> hard_negatives(np.array([0.5, 9.0, 0.1, 0.7]), np.array([0, 1, 0, 0]), ratio=2)
    array([3, 0])
    """
    check_floating("hard_negatives", losses=losses)
    _check_labels("hard_negatives", labels)
    check_shape("hard_negatives", "losses", losses, shape_of(labels), "one per label")
    per_positive = check_number("hard_negatives", "ratio", ratio, low=0)
    ranked = descending(losses)
    negatives: Array = ranked[labels[ranked] == 0]
    n_positives = int(np.count_nonzero(labels > 0))
    return negatives[: math.floor(min(per_positive * n_positives, len(negatives)))]


def _check_labels(op: str, labels: Array) -> None:
    """Refuse labels that are not one integer per box."""
    check_integer(op, labels=labels)
    check_rank(op, "labels", labels, "N")


def _draw(indices: Array, n: int, rng: np.random.Generator) -> Array:
    """Return n of the indices, or all if there are fewer, ascending."""
    drawn: Array = np.sort(rng.choice(indices, min(n, len(indices)), replace=False))
    return np.asarray(drawn, np.int64)
