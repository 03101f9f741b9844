"""Fast R-CNN on VGG-16, as its author's program has it.

    picture → VGG-16 up to relu5_3 → RoI pooling 7 × 7 of about 2000 proposals
    → fc6, fc7 of VGG-16 → 21 classes of VOC and a transform for each

Girshick, "Fast R-CNN" (2015), §2 and §3; the numbers of the head are those of `FAST_RCNN_HEAD`, and for what comes from
VGG-16 those of `refdet.detection.vgg_parts`. Class scores start from N(0, 0.01²), transforms from N(0, 0.001²).
Difficult objects are not learned. Mean and std of the targets are those of the training set: call `fit_targets` before
training. Within, x2 and y2 are the last pixel inside (`refdet.detection.last_pixel`); objects, proposals and detections
are half-open as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refdet.detection.fast_rcnn import FAST_RCNN_HEAD, FastRCNN
from refdet.detection.roi_heads import BoxPredictor, RoIHeads
from refdet.detection.roi_settings import HeadSettings
from refdet.detection.vgg_parts import VGGSettings, vgg_parts
from refdet.detection.with_proposals import SelectiveSearch


@dataclass(frozen=True)
class VGGFastRCNNSettings(VGGSettings):
    """The numbers of the detector beside those of `VGGSettings`; the defaults are the author's.

    Attributes:
        head: how regions are drawn, learned and reported.
        search: finds the proposals of a picture that comes without.
    """

    head: HeadSettings = field(default_factory=lambda: FAST_RCNN_HEAD)
    search: SelectiveSearch = field(default_factory=SelectiveSearch)


def fastrcnn_vgg16(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: VGGFastRCNNSettings | None = None,
    dtype: Any = np.float32,
) -> FastRCNN:
    """Return the detector with fresh weights, its first blocks frozen; `class_names` begin with the background."""
    s = settings or VGGFastRCNNSettings()
    backbone, box_head, hidden = vgg_parts(s, side=s.head.side, rng=rng, dtype=dtype)
    return FastRCNN(
        class_names,
        backbone,
        RoIHeads(s.head, box_head, BoxPredictor(hidden, len(class_names), rng=rng, dtype=dtype)),
        s.preparation,
        propose=s.search,
        with_difficult=False,
    )
