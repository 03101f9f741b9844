"""Fast R-CNN for pictures of 128 × 128, such as those of `refdet.data.Shapes`.

Everything else is that of the large one (`refdet.detection.fast_rcnn`), with other numbers, which are all in
`SmallFastRCNNSettings`. Backbone and head are those of the small Faster R-CNN (`refdet.detection.small_detectors`): the
picture in several sizes, as in §2.4 of the paper, and regions cropped from an early map. They are cropped by RoIAlign,
not RoI pooling, as the classifier's crops are that the head begins with; background is everything below IoU 0.5, where
the paper leaves out what is below 0.1, since the textures of these pictures look like objects. Without `scales` there
is one size and its last map, of another stride, which `head` has to suit. The proposals are those of `SMALL_PICTURES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refdet.boxes.check import Four
from refdet.detection.fast_rcnn import FASTER_STD, FastRCNN
from refdet.detection.late_head import late_head
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.detection.preparation import Preparation
from refdet.detection.roi_heads import BoxHead, BoxPredictor, RoIHeads
from refdet.detection.roi_settings import HeadSettings
from refdet.detection.small_detectors import Blocks, SmallSettings
from refdet.detection.with_proposals import SMALL_PICTURES, SelectiveSearch
from refdet.features.backbones.image_pyramid import ImagePyramid
from refdet.features.backbones.maps import OneMap
from refdet.features.backbones.vgg import vgg_features


@dataclass(frozen=True)
class SmallFastRCNNSettings:
    """The numbers of a small Fast R-CNN, for pictures of 128 × 128.

    Attributes:
        blocks: (channels, convolutions) of each block of the backbone; b blocks have stride 2^(b − 1).
        batch_norm: whether every convolution is normalised.
        scales: of the picture, the largest first; None for its own size alone.
        early: blocks before the maps that regions are cropped from, with `scales`.
        head: how regions are drawn, learned and reported.
        fc: widths of fc6 and fc7.
        dropout: share of their values that training drops.
        target_mean: of the targets.
        target_std: likewise.
        preparation: of the pictures.
        search: finds the proposals of a picture that comes without.
        with_difficult: whether difficult objects are learned.
        merge_duplicates: whether equal crops are passed through the head once, in detection by RoI pooling.
    """

    blocks: Blocks = SmallSettings.blocks
    batch_norm: bool = True
    scales: tuple[float, ...] | None = SmallSettings.scales
    early: int = SmallSettings.early
    head: HeadSettings = field(
        default_factory=lambda: HeadSettings(
            crops=CropSettings(aligned=True, canonical_side=102.0),  # 13 … 25 pixels: scale 1
            side=12,
            context=4 / 3,
            n_drawn=64,
            rounding="round",
            weights=(1.0, 1.0, 1.0, 1.0),
            beta=1.0,
            pre_nms=100,
            nms_threshold=0.3,
            n_detections=50,
        )
    )
    fc: tuple[int, int] = (128, 128)
    dropout: float = 0.0
    target_mean: Four = (0.0, 0.0, 0.0, 0.0)
    target_std: Four = FASTER_STD
    preparation: Preparation = field(default_factory=Preparation)
    search: SelectiveSearch = SMALL_PICTURES
    with_difficult: bool = True
    merge_duplicates: bool = True


def small_fast_rcnn(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: SmallFastRCNNSettings | None = None,
    dtype: Any = np.float32,
) -> FastRCNN:
    """Return a small Fast R-CNN with fresh weights.

    Args:
        class_names: of the background, then of the classes.
        rng: source of the weights.
        settings: its numbers; None for those of `SmallFastRCNNSettings`.
        dtype: of the weights.
    """
    s = settings or SmallFastRCNNSettings()
    features = vgg_features(s.blocks, batch_norm=s.batch_norm, rng=rng, dtype=dtype)
    backbone: ImagePyramid | OneMap
    if s.scales is None:
        backbone = OneMap(features)
        box_head = BoxHead(backbone.out_channels[0], s.head.side, s.fc, dropout=s.dropout, rng=rng, dtype=dtype)
    else:
        backbone = ImagePyramid(features, early=s.early, scales=s.scales, with_late=False)
        box_head = late_head(backbone, s.head.side, s.fc, dropout=s.dropout, rng=rng, dtype=dtype)
    return FastRCNN(
        class_names,
        backbone,
        RoIHeads(s.head, box_head, BoxPredictor(s.fc[1], len(class_names), rng=rng, dtype=dtype)),
        s.preparation,
        propose=s.search,
        target_mean=s.target_mean,
        target_std=s.target_std,
        with_difficult=s.with_difficult,
        merge_duplicates=s.merge_duplicates,
    )
