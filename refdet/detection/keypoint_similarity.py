"""Where a joint is best said to be if it is judged by object keypoint similarity: the place that is nearest on average.

    p_q' = softmax(x)_q'                                             over the m × m places q' of its map of logits x
    E(q) = Σ_q' p_q' · exp(−|q − q'|² / (2σ)² / (area + ε) / 2)      its expected similarity, were it said to be at q
    joint = argmax_q E(q),    score = max_q E(q)                     over the fm × fm places q of a map f times finer

where a place stands for its middle, (x1 + (column + ½) · (x2 − x1)/n, y1 + (row + ½) · (y2 − y1)/n) for n = m and fm,
and σ, the area of the object and ε = 2⁻⁵² are those of `refdet.metrics.object_keypoint_similarity`. The largest logit
is the best answer where only the very place counts; a joint that may be at any of several places side by side is better
looked for there than at a single one that is a little likelier. Purkrabek & Matas, "ProbPose: a probabilistic approach
to 2D human pose estimation" (2025), §3: least expected loss. Their maps are trained for it, these by keypoint R-CNN's
log loss. Where a place is pixels wide, similarity is lost within it; with f = 3 a joint may also be said to be between
middles. As f is odd, these are among what is chosen from, whatever it is.

Conventions:

- The similarity is a product of one of rows and one of columns, so that E = V P U with matrices V, fm × m, and U,
  m × fm. All is computed in float64; joints and scores are returned in the dtype of the logits.
- Of equal E the first in row-major order is taken. What is equal by symmetry may differ by rounding.
- A map without a finite softmax, because of a NaN, an infinity or −∞ everywhere, a box or area that is not finite, one
  whose sides are not, and an area below 0 give NaN for both. An area of 0 leaves only the place itself: E = P.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.core.check import Array, check_floating, check_number, check_rank, integer, positive_numbers, shape_of
from refdet.core.kernel import kernel
from refdet.metrics.object_keypoint_similarity import EPSILON


def _check(logits: Array, boxes: Array, areas: Array, *, sigmas: tuple[float, ...], finer: int) -> None:
    op = "decode_keypoints_by_similarity"
    check_boxes(op, boxes=boxes)
    check_floating(op, logits=logits, boxes=boxes, areas=areas)
    check_rank(op, "logits", logits, "D, K, m, m")
    check_rank(op, "areas", areas, "D")
    D, K, height, width = shape_of(logits)
    if height != width or height == 0:
        raise ValueError(f"{op}: the maps of logits must be square and have a place, got shape {shape_of(logits)}")
    for name, array in (("boxes", boxes), ("areas", areas)):
        if len(array) != D:
            raise ValueError(f"{op}: {name} must have {D} rows, one per detection, got {shape_of(array)}")
    if len(sigmas) != K:
        raise ValueError(f"{op}: sigmas must be {K} numbers, one per joint, got {len(sigmas)}")
    for s in sigmas:
        check_number(op, "sigmas", s, low=0, open_low=True)
    check_finer(op, finer)


def check_finer(op: str, finer: object) -> int:
    """Return f as an integer; refuse one below 1, and an even one."""
    f = integer(op, "finer", finer, low=1)
    if f % 2 == 0:
        raise ValueError(f"{op}: finer must be odd, so that the middles of places stay middles, got {f}")
    return f


@kernel("decode_keypoints_by_similarity", check=_check)
def decode_keypoints_by_similarity_kernel(
    logits: Array, boxes: Array, areas: Array, *, sigmas: tuple[float, ...], finer: int
) -> tuple[Array, Array]:
    """Return joints (D, K, 2) and scores (D, K)."""
    (D, K, m), k, n = logits.shape[:3], 2 * np.array(sigmas, np.float64), finer * logits.shape[2]
    joints, scores = np.full((D, K, 2), np.nan), np.full((D, K), np.nan)
    for d, (box, area) in enumerate(zip(boxes.astype(np.float64), areas.astype(np.float64), strict=True)):
        if not (np.all(np.isfinite(box)) and 0 <= area < np.inf):
            continue
        with np.errstate(all="ignore"):  # distances or their squares beyond all numbers, and σ whose squares are 0
            x, y = _middles(box, n)
            x_of_p, y_of_p = _middles(box, m)
            V, U = _similarity(y, y_of_p, k, area), _similarity(x_of_p, x, k, area)
        E = V @ _softmax(logits[d].astype(np.float64)) @ U  # (K, n, n)
        best = E.reshape(K, n * n).argmax(axis=1)
        rows, columns = np.divmod(best, n)
        scores[d] = E[np.arange(K), rows, columns]
        joints[d] = np.where(np.isnan(scores[d])[:, None], np.nan, np.stack([x[columns], y[rows]], axis=1))
    return joints.astype(logits.dtype), scores.astype(logits.dtype)


def _middles(box: Array, n: int) -> tuple[Array, Array]:
    """Return x of the columns and y of the rows of n × n places."""
    at = np.arange(n) + 0.5
    return box[0] + at * (box[2] - box[0]) / n, box[1] + at * (box[3] - box[1]) / n


def _similarity(a: Array, b: Array, k: Array, area: float) -> Array:
    """Return exp(−(a − b)² / k² / (area + ε) / 2) of places along an axis, for every joint: (K, len(a), len(b))."""
    distances = (a[:, None] - b) / k[:, None, None]
    similarity: Array = np.exp(-(distances**2) / (area + EPSILON) / 2)
    return similarity


def _softmax(maps: Array) -> Array:
    """Return the softmax over the places of each map (K, m, m)."""
    with np.errstate(invalid="ignore"):
        p = np.exp(maps - maps.max(axis=(1, 2), keepdims=True))
        probabilities: Array = p / p.sum(axis=(1, 2), keepdims=True)
    return probabilities


def decode_keypoints_by_similarity(
    logits: Array, boxes: Array, areas: Array, *, sigmas: tuple[float, ...], finer: int = 1
) -> tuple[Array, Array]:
    """Return where the joints of each detection are in the picture to be most similar on average, and how similar.

    Args:
        logits: (D, K, m, m), float32 or float64.
        boxes: (D, 4) of the same dtype, rows (x1, y1, x2, y2), which the maps lie on.
        areas: (D,) of the same dtype, of the objects.
        sigmas: K positive numbers, one for each joint.
        finer: f, odd: how many times finer than those of the maps the places are that a joint may be said to be
            at.

    Returns:
        The joints, (D, K, 2), rows (x, y); and their expected similarities, (D, K), in [0, 1] but for rounding.

    Three places in a row, a pixel each, of probabilities 0.4, 0.25 and 0.35. One pixel off is worth exp(−½), two pixels
    exp(−2): in the middle a joint is wrong the most often, and by the least.

    >>> logits = np.log(np.array([[[[0.4, 0.25, 0.35], [0, 0, 0], [0, 0, 0]]]]) + 1e-300)
    >>> joints, scores = decode_keypoints_by_similarity(logits, np.array([[0.0, 0, 3, 3]]), np.ones(1), sigmas=(0.5,))
    >>> joints, scores.round(4)
    (array([[[1.5, 0.5]]]), array([[0.7049]]))

    Of two likely places the middle between is better than either, a third of the way from the likelier one still more:

    >>> logits = np.log(np.array([[[[0.6, 0.4, 0], [0, 0, 0], [0, 0, 0]]]]) + 1e-300)
    >>> options = {"boxes": np.array([[0.0, 0, 3, 3]]), "areas": np.ones(1), "sigmas": (0.5,)}
    >>> decode_keypoints_by_similarity(logits, **options, finer=3)[0].round(3)
    array([[[0.833, 0.5  ]]])
    """
    deviations = positive_numbers("decode_keypoints_by_similarity", "sigmas", sigmas)
    f = check_finer("decode_keypoints_by_similarity", finer)
    return decode_keypoints_by_similarity_kernel(logits, boxes, areas, sigmas=deviations, finer=f)
