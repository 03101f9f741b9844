"""Small networks and pictures that the tests of segmentation share."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.segmentation.fcn import FCN
from refdet.segmentation.vgg import VGGPlan
from tests.agreement import Array

NARROW = VGGPlan().narrowed(128)  # VGG-16's layers, paddings and kernels, with 1 to 4 channels
SMALL = VGGPlan(blocks=((3, 1), (4, 2), (5, 1)), padding=13, fc_channels=6, fc_kernel=4, dropout=0.0)


def with_random_scores(fcn: FCN, *, seed: int = 1) -> FCN:
    """Give the score layers, which start at 0, random weights and biases."""
    rng = np.random.default_rng(seed)
    for name, parameter in fcn.named_parameters():
        if "score" in name and "upscore" not in name:
            parameter.data = rng.standard_normal(parameter.shape).astype(parameter.dtype)
    return fcn


def make(variant: str, plan: VGGPlan = SMALL, *, n_classes: int = 3, seed: int = 0, **options: Any) -> FCN:
    """Return a float64 network with random scores."""
    rng = np.random.default_rng(seed)
    return with_random_scores(FCN(n_classes, variant=variant, plan=plan, rng=rng, dtype=np.float64, **options))


def picture(height: int, width: int, *, seed: int = 2, n: int = 1) -> Array:
    return np.random.default_rng(seed).standard_normal((n, 3, height, width))
