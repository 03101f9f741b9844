"""Detectors so small that a step takes milliseconds, and pictures for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from refdet.data.sample import Sample
from refdet.detection.preparation import Preparation
from refdet.detection.roi_settings import HeadSettings
from refdet.detection.rpn_settings import RPNSettings
from refdet.detection.small_detectors import SmallSettings

CLASS_NAMES = ("background", "bright", "dark")

TINY_RPN = RPNSettings(
    sizes=((10.0, 20.0),),
    ratios=(1.0,),
    anchor_convention="detectron2",
    anchor_offset=0.5,
    hidden=8,
    n_drawn=24,
    pre_nms=(60, 40),
    post_nms=(20, 10),
    min_size=2.0,
)
TINY_HEAD = HeadSettings(side=3, mask_side=4, keypoint_side=4, n_drawn=12, rounding="round", n_detections=5)
TINY = SmallSettings(
    blocks=((4, 1), (6, 1), (8, 1)),
    batch_norm=False,
    rpn=TINY_RPN,
    head=TINY_HEAD,
    scales=None,
    fc=(16, 16),
    mask_channels=(4,),
    mask_hidden=4,
    keypoint_channels=(4,),
    preparation=Preparation(),
)


def picture(name: str = "a.jpg", *, boxes: Any = ((4, 6, 16, 18), (18, 14, 30, 28)), classes: Any = (1, 2)) -> Sample:
    """Return a grey picture of 32 × 32 with rectangles, bright and dark, their masks and two joints of each."""
    at, of = np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64)
    image = np.random.default_rng(0).integers(110, 140, (32, 32, 3), dtype=np.uint8)
    masks = np.zeros((len(at), 32, 32), bool)
    for mask, (x1, y1, x2, y2), c in zip(masks, np.nan_to_num(at).astype(int), of, strict=True):
        mask[y1:y2, x1:x2] = True
        image[mask] = 240 if c == 1 else 20
    joints = np.stack([at[:, :2] + 1, at[:, 2:] - 1], axis=1)
    return Sample(name, image, at, of, of < 0, masks=masks, joints=joints, joints_visible=np.ones((len(at), 2), bool))


def empty_picture(name: str = "empty.jpg") -> Sample:
    """Return a picture without objects."""
    return picture(name, boxes=(), classes=())


def tiny(**changes: Any) -> SmallSettings:
    """Return the settings with some of them changed."""
    return replace(TINY, **changes)
