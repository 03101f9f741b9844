"""Pictures that a detector cannot look at, because they are too small, or because one of their sides is too short.

A detector scales a picture by both of its sides at once, so that the long one fits. Of a picture of 300 × 2 pixels
nothing may be left in the network's deepest map, which has room for 2 × 2: the picture has to be cropped, not enlarged.
"""

from __future__ import annotations

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.detection.detected import Detector
from refdet.detection.preparation import Prepared
from refdet.features.backbones.maps import FeatureMaps


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
    backbone: FeatureMaps, prepared: Prepared, images: Array, *, training: bool, rng: np.random.Generator | None
) -> tuple[Tensor, ...]:
    """Return the maps of the images of a batch; where they are too small, refuse them by the name of the first picture.

    All pictures have as many pixels as the largest of them, so that none is large enough where the first is too small.
    """
    try:
        return backbone.maps(Tensor(images), training=training, rng=rng)
    except ValueError as problem:
        H, W = prepared.original_sizes[0]
        name = prepared.samples[0].name
        raise ValueError(f"{name}: {W} × {H} pixels are too few for the network: {problem}") from problem
