"""A whole detector to time: the forward pass of Faster R-CNN on VGG-16, for a picture of 600 × 1000 pixels.

    picture → VGG-16 up to relu5_3 → class and box of every anchor
                                   → RoI pooling of 300 proposals, 7 × 7 → fc6, fc7 → class and box of each

Ren et al., "Faster R-CNN" (2015), the size of its pictures and its 300 proposals at test. What picks the proposals out
of the first stage takes milliseconds, and the sides would not pick the same; so the proposals are drawn. Each covers a
multiple of 7 pixels of the map along each axis, for which every convention of RoI pooling has the same bins.

The network is refdet's, with its first weights. The target is that the call takes less than 3 GB.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.bench.workloads import Group, Inputs, Target, Workload
from refdet.core.check import Array

FORWARD = "fasterrcnn_vgg16"  # no kernel, but it calls many
N_CLASSES = 21  # of PASCAL VOC, with the background
SIZE = (600, 1000)
N_PROPOSALS, BINS, STRIDE = 300, 7, 16
MOST_BYTES = 3 * 10**9


def draw_detector(
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = SIZE,
    n_proposals: int = N_PROPOSALS,
    settings: Any = None,
) -> Inputs:
    """Draw a picture, proposals (R, 4), and a network: its arrays under their names."""
    from refdet.detection import fasterrcnn_vgg16

    model = fasterrcnn_vgg16(class_names(), rng=rng, settings=settings)
    image = 64 * rng.standard_normal((1, 3, *size), dtype=np.float32)
    return {"image": image, "proposals": draw_proposals(rng, size, n_proposals), **model.state_dict()}


def draw_proposals(rng: np.random.Generator, size: tuple[int, int], n: int) -> Array:
    """Draw boxes (n, 4) float32 whose corners are pixels of the map, 7, 14, … of which they cover along each axis."""
    limit = np.array([size[1] // STRIDE, size[0] // STRIDE])
    sides = BINS * rng.integers(1, limit // BINS + 1, (n, 2))
    low = rng.integers(0, limit - sides + 1)
    return (STRIDE * np.concatenate([low, low + sides - 1], axis=1)).astype(np.float32)


def class_names() -> tuple[str, ...]:
    """Return as many names as there are classes."""
    return ("background", *(f"class {i}" for i in range(1, N_CLASSES)))


DETECTORS = Group(
    "faster-vgg16",
    "The forward pass of Faster R-CNN on VGG-16, a picture of 600 × 1000 pixels and 300 proposals",
    (Workload("faster-vgg16/forward", "one picture", FORWARD, draw_detector, {}, 1e-4),),
    (
        Target("numba-cpu", "torch", peak_bytes=MOST_BYTES),
        Target("reference", "torch", peak_bytes=MOST_BYTES),
    ),
)
