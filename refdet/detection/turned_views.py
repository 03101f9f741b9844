"""Joints that are looked for again in the turned picture: what all of these views say together.

    p(q) = (softmax(x)_q + Σ_φ softmax(x_φ) at c + R(φ)·(q − c)) / (1 + number of angles φ)

x are the maps of a detection's joints, x_φ those of the picture turned by φ about its middle, of a box of the same size
around the turned centre; c is the middle of either map, R(φ) the rotation. A network that has learned from turned
pictures should say the same of all, and what it says of one by mistake it says less often of the others, as in a mirror
(`refdet.detection.mirror_image`).

Conventions: the picture is turned as by `refdet.data.turn`, in pixels of the batch; so is what is normalised. Between
the middles of places probabilities are interpolated bilinearly, up to the border of the map they are those of the
outermost places, and beyond it 0: of what a view has not seen it says nothing, and the sum of p may be less than 1.
Where p is 0 the logit is −∞.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.data.affine_map import AboutMiddle, interpolated, rotation
from refdet.ops.softmax import softmax

if TYPE_CHECKING:
    from refdet.detection.faster_rcnn import FasterRCNN


def keypoint_logits_in_views(
    detector: FasterRCNN, images: Array, maps: Sequence[Tensor], boxes: Array, *, turned: Sequence[float]
) -> Array:
    """Return the maps of joints (D, K, m, m) of detections; those of the picture alone where nothing is turned.

    Args:
        detector: with a head for joints.
        images: (1, 3, H, W), as its backbone takes them.
        maps: of these, from the backbone.
        boxes: (D, 4), in pixels of `images`.
        turned: angles φ in degrees.
    """

    def logits(maps: Sequence[Tensor], boxes: Array) -> Array:
        return detector.roi_heads.keypoint_logits(detector.keypoint_crops(maps, [boxes])).data

    as_it_is = logits(maps, boxes)
    if len(turned) == 0 or as_it_is.size == 0:
        return as_it_is
    p = _softmax(as_it_is)
    for degrees in turned:
        by = AboutMiddle(rotation(degrees), images.shape[2:])
        there = interpolated(images[0].transpose(1, 2, 0), by.origins()).transpose(2, 0, 1)[None]
        there = np.ascontiguousarray(there, images.dtype)
        maps_there = detector.backbone.maps(Tensor(there), training=False, rng=None)
        p_there = _softmax(logits(maps_there, around_moved_centres(boxes, by)))
        p += turned_back(p_there, boxes, degrees)
    with np.errstate(divide="ignore"):
        together: Array = np.log(p / (1 + len(turned)))
    return together


def around_moved_centres(boxes: Array, by: AboutMiddle) -> Array:
    """Return boxes (D, 4) of the same sizes around the moved centres."""
    half = (boxes[:, 2:] - boxes[:, :2]) / 2
    centres = by.points(boxes[:, :2] + half)
    return np.concatenate([centres - half, centres + half], axis=1).astype(boxes.dtype)


def turned_back(p: Array, boxes: Array, degrees: float) -> Array:
    """Return what maps (D, K, m, m) of turned boxes say of the places of these boxes (D, 4) as they were.

    A square turned by 90°: what was at its top is at the right, and comes back.

    >>> there = np.array([[[[0.0, 0.125], [0.25, 0.625]]]])
    >>> turned_back(there, np.array([[0.0, 0, 4, 4]]), 90)
    array([[[[0.125, 0.625],
             [0.   , 0.25 ]]]])
    """
    m = p.shape[-1]
    at = (np.arange(m) + 0.5) / m - 0.5
    q = np.stack(np.meshgrid(at, at), axis=-1)  # (m, m, 2), q − c as a share of the sides
    back = np.zeros_like(p)
    for d, sides in enumerate(boxes[:, 2:].astype(np.float64) - boxes[:, :2]):
        with np.errstate(all="ignore"):  # a box without width or height, whose places are nowhere
            places = m * ((q * sides) @ rotation(degrees).T / sides + 0.5)
        inside = ((places >= 0) & (places <= m)).all(axis=2)
        places = np.where(inside[:, :, None], places, 0.0)
        back[d] = np.where(inside, interpolated(p[d].transpose(1, 2, 0), places).transpose(2, 0, 1), 0)
    return back


def _softmax(logits: Array) -> Array:
    """Return the softmax of maps (D, K, m, m) over their places."""
    D, K, m, _ = logits.shape
    p: Array = softmax(logits.reshape(D, K, m * m), axis=2).data
    return p.reshape(D, K, m, m)
