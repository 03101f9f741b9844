"""The transform that corrects a proposal, as a regressor learns it: boxes to four numbers, and back.

With centre and size p = (p_x, p_y, p_w, p_h) of a proposal and b of the box it should be:

    t_x = (b_x − p_x) / p_w    t_y = (b_y − p_y) / p_h    t_w = ln(b_w / p_w)    t_h = ln(b_h / p_h)
    b_x = p_x + p_w t_x        b_y = p_y + p_h t_y        b_w = p_w exp(t_w)     b_h = p_h exp(t_h)

What a network predicts is t on another scale, δ = (t · weights − mean) / std, so that t = (δ · std + mean) / weights.

Girshick et al., "Rich feature hierarchies" (2014), appendix C; deck 001, which lists the numbers in the order
(t_x, t_y, t_w, t_h), except once.

| convention | size | decoded corners | of |
|---|---|---|---|
| continuous | x2 − x1 | b_x ± b_w/2 | R-CNN, Fast R-CNN, torchvision, Detectron2, SSD |
| py-faster | x2 − x1 + 1 | b_x ± b_w/2 | Faster R-CNN: t = 0 turns [0, 0, 9, 9] into [0, 0, 10, 10] |
| detectron1 | x2 − x1 + 1 | b_x − b_w/2, b_x + b_w/2 − 1 | Detectron: t = 0 changes nothing |

In all of them the centre is x1 + size/2. R-CNN and Fast R-CNN add 2⁻⁵² or 1e-14 to the sizes, which is left out here.

Scales of δ: a region proposal network uses t itself. The heads of torchvision and Detectron2 have weights
(10, 10, 5, 5), which is the same as std (0.1, 0.1, 0.2, 0.2): Faster R-CNN's, and SSD's "variances". Fast R-CNN takes
mean and std of the targets of each class from the training set.

Clamp: with `clamp`, t_w and t_h are cut off above, not below, before the exponential is taken (weights, mean and std
are undone by then). Detectron and its successors use SCALE_CLAMP, so that no side grows more than 62.5-fold; the
decks and the programs from R-CNN to Faster R-CNN do not clamp.

Per class: a regressor with one transform per class has rows of 4K numbers, (x, y, w, h) of class 0, then of class 1 …;
`decode_boxes` keeps the layout. See `refdet.boxes.regressor`.

Unusual numbers: the kernels read no values. Where a size is 0 or negative they give the ±∞ or NaN of the equations, and
where the exponential overflows an infinite box, without a warning. The function `encode_boxes` refuses such sizes. NaN
stays in its row, in the numbers that depend on it.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.boxes.check import Four, check_boxes, four_numbers
from refdet.core.check import (
    Array,
    Numbers,
    check_choice,
    check_floating,
    check_number,
    check_rank,
    check_shape,
    shape_of,
)
from refdet.core.kernel import kernel

CONVENTIONS = ("continuous", "py-faster", "detectron1")
SCALE_CLAMP = math.log(1000 / 16)  # Detectron: the smallest proposal, 16 pixels, may just fill an image of 1000


def _check_encode(proposals: Array, targets: Array, *, convention: str, weights: Four, mean: Four, std: Four) -> None:
    check_boxes("encode_boxes", proposals=proposals, targets=targets)
    check_shape("encode_boxes", "targets", targets, shape_of(proposals), "one target per proposal")
    _check_scale("encode_boxes", convention, weights, mean, std)


def _check_decode(
    proposals: Array, deltas: Array, *, convention: str, weights: Four, mean: Four, std: Four, clamp: float | None
) -> None:
    check_boxes("decode_boxes", proposals=proposals)
    check_floating("decode_boxes", proposals=proposals, deltas=deltas)
    check_rank("decode_boxes", "deltas", deltas, "R, 4K")
    if len(deltas) != len(proposals) or deltas.shape[1] % 4:
        raise ValueError(
            f"decode_boxes: deltas must have shape (R, 4K) with R = {len(proposals)}, one row per proposal, "
            f"got {shape_of(deltas)}"
        )
    _check_scale("decode_boxes", convention, weights, mean, std)
    if clamp is not None:
        check_number("decode_boxes", "clamp", clamp)


def _check_scale(op: str, convention: str, weights: Four, mean: Four, std: Four) -> None:
    check_choice(op, "convention", convention, CONVENTIONS)
    _scale(op, weights, mean, std)


def _scale(op: str, weights: Numbers, mean: Numbers, std: Numbers) -> dict[str, Four]:
    """Return the scale of δ as parameters of a kernel."""
    return {
        "weights": four_numbers(op, "weights", weights, positive=True),
        "mean": four_numbers(op, "mean", mean),
        "std": four_numbers(op, "std", std, positive=True),
    }


def _refuse_without_area(op: str, name: str, boxes: Array, convention: str) -> None:
    with np.errstate(all="ignore"):
        _, _, w, h = _centres_and_sizes(boxes, convention)
    rows = np.flatnonzero((w <= 0) | (h <= 0))
    if rows.size:
        i = int(rows[0])
        raise ValueError(
            f"{op}: row {i} of {name} has width {w[i]:g} and height {h[i]:g}; both must be positive, since the "
            "transform holds the logarithm of their ratio"
        )


def _centres_and_sizes(boxes: Array, convention: str) -> tuple[Array, Array, Array, Array]:
    """Return x, y, w, h, each (R,)."""
    last_pixel = 0 if convention == "continuous" else 1
    w = boxes[:, 2] - boxes[:, 0] + last_pixel
    h = boxes[:, 3] - boxes[:, 1] + last_pixel
    return boxes[:, 0] + w / 2, boxes[:, 1] + h / 2, w, h


@kernel("encode_boxes", check=_check_encode, portable=True)
def encode_boxes_kernel(
    proposals: Array, targets: Array, *, convention: str, weights: Four, mean: Four, std: Four
) -> Array:
    """Return δ, (R, 4)."""
    with np.errstate(all="ignore"):
        p_x, p_y, p_w, p_h = _centres_and_sizes(proposals, convention)
        b_x, b_y, b_w, b_h = _centres_and_sizes(targets, convention)
        t = ((b_x - p_x) / p_w, (b_y - p_y) / p_h, np.log(b_w / p_w), np.log(b_h / p_h))
        deltas = [(t[i] * weights[i] - mean[i]) / std[i] for i in range(4)]
    return np.stack(deltas, axis=1)


@kernel("decode_boxes", check=_check_decode, portable=True)
def decode_boxes_kernel(
    proposals: Array, deltas: Array, *, convention: str, weights: Four, mean: Four, std: Four, clamp: float | None
) -> Array:
    """Return boxes, (R, 4K)."""
    last_pixel = 1 if convention == "detectron1" else 0
    with np.errstate(all="ignore"):
        p_x, p_y, p_w, p_h = (v[:, None] for v in _centres_and_sizes(proposals, convention))  # (R, 1)
        t_x, t_y, t_w, t_h = ((deltas[:, i::4] * std[i] + mean[i]) / weights[i] for i in range(4))  # (R, K)
        if clamp is not None:
            t_w, t_h = np.minimum(t_w, clamp), np.minimum(t_h, clamp)
        b_x, b_y = p_x + p_w * t_x, p_y + p_h * t_y
        b_w, b_h = p_w * np.exp(t_w), p_h * np.exp(t_h)
        corners = (b_x - b_w / 2, b_y - b_h / 2, b_x + b_w / 2 - last_pixel, b_y + b_h / 2 - last_pixel)
    return np.reshape(np.stack(corners, axis=2), shape_of(deltas))  # (R, K, 4) -> (R, 4K)


def encode_boxes(
    proposals: Array,
    targets: Array,
    *,
    convention: str = "continuous",
    weights: Numbers = (1.0, 1.0, 1.0, 1.0),
    mean: Numbers = (0.0, 0.0, 0.0, 0.0),
    std: Numbers = (1.0, 1.0, 1.0, 1.0),
) -> Array:
    """Compute the transform that takes each proposal to its target.

    Args:
        proposals: (R, 4), rows (x1, y1, x2, y2), float32 or float64, of positive width and height.
        targets: (R, 4), the box that each should be, likewise.
        convention: "continuous", "py-faster" or "detectron1": what the width of a box is (see the module).
        weights: by which t is multiplied, four positive numbers for x, y, w and h.
        mean: then subtracted, four numbers.
        std: by which the rest is divided, four positive numbers.

    Returns:
        δ, (R, 4), in the dtype of the boxes.

    The centre moves by 3 of 10 and 6 of 20 pixels, the width doubles:

    >>> encode_boxes(np.array([[0.0, 0, 10, 20]]), np.array([[-2.0, 6, 18, 26]]))
    array([[0.3       , 0.3       , 0.69314718, 0.        ]])
    """
    op = "encode_boxes"
    scale = _scale(op, weights, mean, std)
    encode_boxes_kernel.check(proposals, targets, convention=convention, **scale)
    _refuse_without_area(op, "proposals", proposals, convention)
    _refuse_without_area(op, "targets", targets, convention)
    return encode_boxes_kernel(proposals, targets, convention=convention, **scale)


def decode_boxes(
    proposals: Array,
    deltas: Array,
    *,
    convention: str = "continuous",
    weights: Numbers = (1.0, 1.0, 1.0, 1.0),
    mean: Numbers = (0.0, 0.0, 0.0, 0.0),
    std: Numbers = (1.0, 1.0, 1.0, 1.0),
    clamp: float | None = None,
) -> Array:
    """Apply transforms to proposals.

    Args:
        proposals: (R, 4), rows (x1, y1, x2, y2), float32 or float64.
        deltas: δ, (R, 4K), of the same dtype: K transforms for each proposal.
        convention: as for `encode_boxes`.
        weights: as for `encode_boxes`; here undone.
        mean: likewise.
        std: likewise.
        clamp: upper limit of t_w and t_h, such as SCALE_CLAMP; None for no limit.

    Returns:
        boxes, (R, 4K), in the layout of the deltas.

    The centre (5, 10) moves by 0.3 widths and heights, to (8, 16):

    >>> decode_boxes(np.array([[0.0, 0, 10, 20]]), np.array([[0.3, 0.3, 0, 0]]))
    array([[ 3.,  6., 13., 26.]])
    """
    op = "decode_boxes"
    return decode_boxes_kernel(
        proposals,
        deltas,
        convention=convention,
        clamp=None if clamp is None else check_number(op, "clamp", clamp),
        **_scale(op, weights, mean, std),
    )
