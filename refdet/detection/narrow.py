"""Pictures that a detector cannot look at, because they are too small, or because one of their sides is too short.

The deepest map of a network has one place for many pixels of a side. Where a side is shorter than that, nothing is left
of the picture. Some detectors bring pictures to a size first, by one factor for both sides: then it is the ratio of the
sides that decides, and a square cut out of a picture of 300 × 2 pixels can be looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.detection.detected import Detector
from refdet.detection.preparation import Prepared


def is_too_narrow(detector: Detector, image: Array) -> bool:
    """Say of a picture that a detector cannot look at whether it can look at a square out of it."""
    H, W = image.shape[:2]
    if H == W:
        return False
    try:
        detector.detect(image[: min(H, W), : min(H, W)])
    except ValueError:
        return False
    return True


def maps_to_learn_from(
    maps: Callable[..., tuple[Tensor, ...]], prepared: Prepared, images: Array, **options: Any
) -> tuple[Tensor, ...]:
    """Return the maps of the images of a batch; where they are too small, refuse them by the name of the first picture.

    `maps` is a method of the backbone that makes them, with those `options`.

    All pictures have as many pixels as the largest of them, so that none is large enough where the first is too small.
    """
    try:
        return maps(Tensor(images), **options)
    except ValueError as problem:
        H, W = prepared.original_sizes[0]
        name = prepared.samples[0].name
        raise ValueError(f"{name}: {W} × {H} pixels are too few for the network: {problem}") from problem
