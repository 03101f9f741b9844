"""Faster R-CNN on VGG-16, as its authors' program py-faster-rcnn has it.

    picture → VGG-16 up to relu5_3 → proposals (2000 in training, 300 in testing)
    → RoI pooling 7 × 7 → fc6, fc7 of VGG-16 → 21 classes of VOC and a transform for each

Ren, He, Girshick & Sun, "Faster R-CNN" (2015); the numbers are those of `PY_FASTER_RPN` and `PY_FASTER_HEAD`, and for
what comes from VGG-16 those of `refdet.detection.vgg_parts`. Difficult objects are not learned. Detections are decoded,
clipped and suppressed in pixels of the picture as it was given. Within, x2 and y2 are the last pixel inside
(`refdet.detection.last_pixel`); objects and detections are half-open as everywhere. What decoding gives is one pixel
wider and higher than what encoding was given, as in the authors' program, which does not take off again the pixel that
it counts in ("py-faster" in `refdet.boxes.transform`; "detectron1" does): an object [40, 40, 60, 60], learned
perfectly, is found as [40, 40, 61, 61].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.roi_heads import BoxPredictor, RoIHeads
from refdet.detection.roi_settings import PY_FASTER_HEAD, HeadSettings
from refdet.detection.rpn import RPN
from refdet.detection.rpn_settings import PY_FASTER_RPN, RPNSettings
from refdet.detection.vgg_parts import VGGSettings, vgg_parts


@dataclass(frozen=True)
class PyFasterSettings(VGGSettings):
    """The numbers of the detector beside those of `VGGSettings`; the defaults are the authors'.

    Attributes:
        rpn: of the first stage.
        head: of the second stage.
    """

    rpn: RPNSettings = field(default_factory=lambda: PY_FASTER_RPN)
    head: HeadSettings = field(default_factory=lambda: PY_FASTER_HEAD)


def fasterrcnn_vgg16(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: PyFasterSettings | None = None,
    dtype: Any = np.float32,
) -> FasterRCNN:
    """Return the detector with fresh weights, its first blocks frozen; `class_names` begin with the background."""
    s = settings or PyFasterSettings()
    backbone, box_head, hidden = vgg_parts(s, side=s.head.side, rng=rng, dtype=dtype)
    return FasterRCNN(
        class_names,
        backbone,
        RPN(backbone.out_channels[0], s.rpn, rng=rng, dtype=dtype),
        RoIHeads(s.head, box_head, BoxPredictor(hidden, len(class_names), rng=rng, dtype=dtype)),
        s.preparation,
        with_difficult=False,
    )
