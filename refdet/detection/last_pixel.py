"""Boxes as the programs up to Detectron count them: x2 and y2 are the last pixel inside, not the end behind it.

    (x1, y1, x2, y2) half-open, in a picture   ↔   (x1, y1, x2 − 1, y2 − 1) · ratio, in the batch that it is resized to

Everywhere else in refdet boxes are half-open. A detector whose settings have `coordinates` 1 counts as its authors'
program does, on which its overlaps, transforms and limits depend: what is known of a picture, and proposals from
outside, are brought to that count where they enter, and detections back where they leave.

Conventions: as in py-faster-rcnn the pixel is taken off before the picture is enlarged, so that a box of one pixel has
x2 = x1 in any enlargement; no box ends before it begins. With `coordinates` 0 both functions change nothing.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array


def to_last_pixel(boxes: Array, ratio: Array, coordinates: int) -> Array:
    """Return half-open boxes (B, 4) of the batch as a detector counts them; `ratio` (4,) is what enlarged them.

    >>> boxes = np.array([[40.0, 40, 60, 80]])
    >>> to_last_pixel(boxes, np.ones(4), 1), to_last_pixel(2 * boxes, np.full(4, 2.0), 1)
    (array([[40., 40., 59., 79.]]), array([[ 80.,  80., 118., 158.]]))
    """
    if not coordinates:
        return boxes
    first, last = boxes[:, :2], boxes[:, 2:] - ratio[2:].astype(boxes.dtype)
    return np.concatenate([first, np.maximum(first, last)], axis=1)


def to_half_open(boxes: Array, coordinates: int) -> Array:
    """Return boxes (B, 4) in pixels of the picture as it was given, as a detector counts them, half-open again.

    >>> to_half_open(np.array([[40.0, 40, 59, 79]]), 1)
    array([[40., 40., 60., 80.]])
    """
    half_open: Array = boxes + np.array([0, 0, coordinates, coordinates], boxes.dtype)
    return half_open
