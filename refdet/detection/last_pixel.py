"""Boxes as the programs up to Detectron count them: x2 and y2 are the last pixel inside, not the end behind it.

    (x1, y1, x2, y2) half-open   ↔   (x1, y1, x2 − 1, y2 − 1)        in pixels of the picture as it was given

Everywhere else in refdet boxes are half-open. A detector whose settings have `coordinates` 1 counts as its authors'
program does, on which its overlaps, transforms and limits depend: what is known of a picture, and proposals from
outside, are brought to that count where they enter, and detections back where they leave.

Conventions: as in py-faster-rcnn the pixel is taken off before the picture is enlarged, so that a box of one pixel has
x2 = x1 in any enlargement; no box ends before it begins. With `coordinates` 0 both functions change nothing. Fast and
Faster R-CNN count so; SPP-net, which draws its regions by the same settings, takes the width of overlaps alone.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array


def to_last_pixel(boxes: Array, coordinates: int) -> Array:
    """Return half-open boxes (B, 4) of a picture as a detector counts them.

    >>> to_last_pixel(np.array([[40.0, 40, 60, 80]]), 1)
    array([[40., 40., 59., 79.]])
    """
    if not coordinates:
        return boxes
    first, last = boxes[:, :2], boxes[:, 2:] - np.array(1, boxes.dtype)
    return np.concatenate([first, np.maximum(first, last)], axis=1)


def to_half_open(boxes: Array, coordinates: int) -> Array:
    """Return boxes (B, 4) of a picture, as a detector counts them, half-open again.

    >>> to_half_open(np.array([[40.0, 40, 59, 79]]), 1)
    array([[40., 40., 60., 80.]])
    """
    half_open: Array = boxes + np.array([0, 0, coordinates, coordinates], boxes.dtype)
    return half_open
