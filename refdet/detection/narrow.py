"""Why a detector cannot look at a picture: because it is too small, or because one of its sides is too short.

A detector scales a picture by both of its sides at once, so that the long one fits. Of a picture of 300 × 2 pixels
nothing may be left in the network's deepest map, which has room for 2 × 2: the picture has to be cropped, not enlarged.
"""

from __future__ import annotations

from refdet.core.check import Array
from refdet.detection.detected import Detector


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
