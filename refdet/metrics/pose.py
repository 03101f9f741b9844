"""How well the joints of a body are found: PCP by limb, PDJ by joint.

With y_j a predicted joint, ŷ_j the true one, and a limb the pair (j, k):

    PCP, "percentage of correct parts": a limb is found if both |y_j − ŷ_j| and |y_k − ŷ_k| ≤ alpha · |ŷ_j − ŷ_k|
    PDJ, "percentage of detected joints": a joint is found if |y_j − ŷ_j| ≤ fraction · |ŷ_a − ŷ_b|, (a, b) = torso

Ferrari et al. (2008) for PCP, whose alpha is 0.5; Sapp & Taskar (2013) for PDJ; both as in Toshev & Szegedy, "DeepPose"
(2014), §4.1, whose torso goes from the left shoulder to the right hip, and who draw PDJ as a curve over the fraction.
Deck 002 has its 14 joints.

Conventions:

- Both comparisons are ≤, in the dtype of the joints, and the distances are √(Δx² + Δy²).
- PCP is strict: both ends must be near. (Other code takes the mean of the two distances, and never scores lower.)
- A limb counts in the images where both its ends are visible, a joint where it and both ends of the torso are. A limb
  or joint that counts nowhere has 0/0, NaN.
- A limb or torso of length 0 asks for no error at all. A comparison with NaN finds nothing; ∞ ≤ ∞ holds, and Δx² + Δy²
  may overflow to ∞, in float32 from 10¹⁹ on.
- The results are fractions, not percentages; the dtype is that of the joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refdet.core.check import (
    Array,
    check_booleans,
    check_floating,
    check_number,
    check_rank,
    check_shape,
    integers,
    sequence,
    shape_of,
)
from refdet.core.kernel import kernel

Joints = tuple[int, int]


def _check_joints(op: str, predictions: Array, truths: Array, visible: Array) -> None:
    check_floating(op, predictions=predictions, truths=truths)
    check_rank(op, "truths", truths, "N, K, 2")
    check_shape(op, "truths", truths, (*shape_of(truths)[:2], 2), "x and y of each joint")
    check_shape(op, "predictions", predictions, shape_of(truths), "as many joints as there are truths")
    check_booleans(op, visible=visible)
    check_shape(op, "visible", visible, shape_of(truths)[:2], "one flag per joint")


def _joints(op: str, name: str, pair: Any) -> Joints:
    """Return two joints; one integer does not stand for both."""
    sequence(op, name, pair)
    first, second = integers(op, name, pair, count=2, low=0)
    return first, second


def _check_pair(op: str, name: str, pair: Joints, n_joints: int) -> None:
    if max(_joints(op, name, pair)) >= n_joints:
        raise ValueError(f"{op}: {name} must be two of the {n_joints} joints, in [0, {n_joints}), got {pair!r}")


def _check_pcp(predictions: Array, truths: Array, visible: Array, *, limbs: tuple[Joints, ...], alpha: float) -> None:
    _check_joints("pcp", predictions, truths, visible)
    for i, limb in enumerate(limbs):
        _check_pair("pcp", f"limbs[{i}]", limb, shape_of(truths)[1])
    check_number("pcp", "alpha", alpha, low=0)


def _check_pdj(predictions: Array, truths: Array, visible: Array, *, torso: Joints, fraction: float) -> None:
    _check_joints("pdj", predictions, truths, visible)
    _check_pair("pdj", "torso", torso, shape_of(truths)[1])
    check_number("pdj", "fraction", fraction, low=0)


@kernel("pcp", check=_check_pcp)
def pcp_kernel(predictions: Array, truths: Array, visible: Array, *, limbs: tuple[Joints, ...], alpha: float) -> Array:
    """Return the fraction of images in which each limb is found, (L,)."""
    j, k = np.array(limbs, np.int64).reshape(-1, 2).T  # (L,) each
    with np.errstate(over="ignore", invalid="ignore"):
        errors = _distance(predictions, truths)  # (N, K)
        lengths = _distance(truths[:, j], truths[:, k])  # (N, L)
        found = np.maximum(errors[:, j], errors[:, k]) <= float(alpha) * lengths
    return _fraction(found, visible[:, j] & visible[:, k], lengths)


@kernel("pdj", check=_check_pdj)
def pdj_kernel(predictions: Array, truths: Array, visible: Array, *, torso: Joints, fraction: float) -> Array:
    """Return the fraction of images in which each joint is found, (K,)."""
    a, b = torso
    with np.errstate(over="ignore", invalid="ignore"):
        errors = _distance(predictions, truths)  # (N, K)
        diameters = _distance(truths[:, a], truths[:, b])[:, None]  # (N, 1)
        found = errors <= float(fraction) * diameters
    torso_visible = (visible[:, a] & visible[:, b])[:, None]
    return _fraction(found, visible & torso_visible, errors)


def _distance(p: Array, q: Array) -> Array:
    """Return the Euclidean distances of points (..., 2)."""
    distances: Array = np.sqrt(np.sum(np.square(p - q), axis=-1))
    return distances


def _fraction(found: Array, counted: Array, like: Array) -> Array:
    """Return the share of what is found in what is counted, by column, in the dtype of `like`."""
    with np.errstate(invalid="ignore"):
        share: Array = np.sum(found & counted, axis=0) / np.sum(counted, axis=0)
    return share.astype(np.result_type(like))


def pcp(
    predictions: Array,
    truths: Array,
    *,
    limbs: Sequence[Joints],
    visible: Array | None = None,
    alpha: float = 0.5,
) -> Array:
    """Measure the percentage of correct parts, limb by limb.

    Args:
        predictions: (N, K, 2), x and y of K joints in N images, float32 or float64.
        truths: (N, K, 2), of the same dtype.
        limbs: pairs of joints, each from 0 to K − 1.
        visible: (N, K), booleans; None is all.
        alpha: at least 0; how far off an end may be, relative to the true length of the limb.

    Returns:
        (L,), the fraction of images in which each limb is found; NaN for one that is visible nowhere.

    A limb of length 10. In the first image one end is 5 off, in the second 6:

    >>> truths = np.array([[[0.0, 0], [10, 0]]] * 2)
    >>> pcp(truths + np.array([[[0.0, 5], [0, 0]], [[0, 6], [0, 0]]]), truths, limbs=[(0, 1)])
    array([0.5])
    """
    shown = np.ones(np.shape(truths)[:2], bool) if visible is None else visible
    pairs = tuple(_joints("pcp", f"limbs[{i}]", limb) for i, limb in enumerate(sequence("pcp", "limbs", limbs)))
    return pcp_kernel(predictions, truths, shown, limbs=pairs, alpha=alpha)


def pdj(
    predictions: Array,
    truths: Array,
    *,
    torso: Joints,
    visible: Array | None = None,
    fraction: float = 0.2,
) -> Array:
    """Measure the percentage of detected joints, joint by joint.

    Args:
        predictions: (N, K, 2), x and y of K joints in N images, float32 or float64.
        truths: (N, K, 2), of the same dtype.
        torso: the two joints whose true distance is the diameter of the torso, from 0 to K − 1.
        visible: (N, K), booleans; None is all.
        fraction: at least 0; how far off a joint may be, relative to that diameter.

    Returns:
        (K,), the fraction of images in which each joint is found; NaN for one that counts nowhere.

    The torso is 10 long; the third joint is 2 off in the first image, and 3 in the second:

    >>> truths = np.array([[[0.0, 0], [10, 0], [5, 5]]] * 2)
    >>> pdj(truths + np.array([[[0.0], [0], [2]], [[0], [0], [3]]]) * [0, 1], truths, torso=(0, 1))
    array([1. , 1. , 0.5])
    """
    shown = np.ones(np.shape(truths)[:2], bool) if visible is None else visible
    return pdj_kernel(predictions, truths, shown, torso=_joints("pdj", "torso", torso), fraction=fraction)
