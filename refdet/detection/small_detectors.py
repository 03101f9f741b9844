"""Faster, Mask and keypoint R-CNN for pictures of 128 × 128, such as those of `refdet.data.Shapes`.

Other pictures are resized so that their shorter side is 128.

The backbone is a small VGG (Simonyan & Zisserman, 2015) over the picture in several sizes (`ImagePyramid`). Regions are
cropped from an early map of that size in which they are about as large as what the network has learned to name, with a
third more of what is around them: of a square that fills its box, the outline is at the border of the box. The rest of
the network is their head (`LateHead`); proposals are made from its last map. Everything else is that of the large ones,
with other numbers, which are all in `SmallSettings`. Without `scales` there is one size, with a feature pyramid over
the blocks (Lin et al., 2017) where the settings have one. Masks and joints are looked at in a mirror as well
(`mask_settings`, `figure_settings`).

A pixel is an object's from a probability of 0.4 on (`mask_threshold`). One more of probability p makes of the overlap
J = I/U about (I + p)/(U + 1 − p), which is no less where

    p ≥ J / (1 + J)          0.4 for J = ⅔
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from refdet.data.stick_figures import FOURTEEN_SIGMAS, SWAPPED
from refdet.detection.faster_rcnn import ALL, FasterRCNN
from refdet.detection.hourglass import Hourglass
from refdet.detection.keypoint_head import KeypointPredictor, keypoint_head
from refdet.detection.late_head import late_head
from refdet.detection.mask_head import mask_head, mask_predictor
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.detection.preparation import Preparation
from refdet.detection.roi_heads import BoxHead, BoxPredictor, RoIHeads
from refdet.detection.roi_settings import ExpectedJoints, HeadSettings
from refdet.detection.rpn import RPN
from refdet.detection.rpn_settings import RPNSettings
from refdet.features.backbones.image_pyramid import ImagePyramid
from refdet.features.backbones.maps import OneMap
from refdet.features.backbones.vgg import vgg_features
from refdet.features.backbones.vgg_fpn import VGGFPN
from refdet.nn import Module, Sequential

Blocks = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class SmallSettings:
    """The numbers of a small detector.

    Attributes:
        blocks: (channels, convolutions) of each block; b blocks have stride 2^(b − 1).
        batch_norm: whether every convolution of the backbone is normalised.
        scales: of the picture, the largest first, one for each map of `rpn.sizes`; None for its own size alone.
        early: blocks before the maps that regions are cropped from, with `scales`.
        late_boxes: with `scales`, whether regions are cropped from the late maps instead, for two fully connected
            layers alone; joints are looked for in the early maps either way. Without `scales` it is not read.
        pyramid: without `scales`, channels of a feature pyramid over the last blocks, one for each map of `rpn.sizes`;
            None for one map.
        rpn: of the first stage.
        head: of the second stage.
        fc: widths of the two fully connected layers of the head.
        dropout: share of the values of two fully connected layers that training drops.
        mask_channels: of the convolutions of the mask head.
        mask_hidden: channels after its transposed convolution.
        keypoint_channels: of the convolutions of the keypoint head.
        keypoint_dilations: of the same convolutions, or one for all of them.
        hourglass: (channels, convolutions) of the blocks of an hourglass in front of them, which has as many channels
            as the first of them, and is normalised whatever `batch_norm` is; None for none.
        keypoint_scale: of the bilinear resizing of the maps of joints; 1 leaves them at twice the size of their crop.
        preparation: of the pictures.
        with_difficult: whether difficult objects are learned.
    """

    blocks: Blocks = ((16, 1), (32, 2), (64, 3), (96, 3))
    batch_norm: bool = True
    scales: tuple[float, ...] | None = (2.0, 1.0, 0.5, 0.25)
    early: int = 2
    late_boxes: bool = False
    pyramid: int | None = None
    rpn: RPNSettings = field(
        default_factory=lambda: RPNSettings(
            sizes=((8.0, 11.0, 15.0), (16.0, 22.0, 30.0), (32.0, 44.0, 60.0), (64.0, 88.0, 120.0)),
            ratios=(1.0,),
            anchor_convention="detectron2",
            anchor_offset=0.5,
            positive=0.6,
            hidden=64,
            n_drawn=64,
            pre_nms=(300, 600),
            post_nms=(100, 150),
            min_size=2.0,
        )
    )
    head: HeadSettings = field(
        default_factory=lambda: HeadSettings(
            crops=CropSettings(aligned=True, canonical_side=102.0),  # 13 … 25 pixels: scale 1
            side=12,
            context=4 / 3,
            n_drawn=64,
            positive_fraction=0.25,
            rounding="round",
            pre_nms=100,
            nms_threshold=0.4,
            beta=1.0,
            n_detections=50,
            mask_threshold=0.4,
        )
    )
    fc: tuple[int, int] = (128, 128)
    dropout: float = 0.0
    mask_channels: tuple[int, ...] = (48, 48, 48)
    mask_hidden: int = 48
    keypoint_channels: tuple[int, ...] = (48, 48, 48, 48)
    keypoint_dilations: int | tuple[int, ...] = 1
    hourglass: Blocks | None = None
    keypoint_scale: int = 2
    preparation: Preparation = field(default_factory=lambda: Preparation(short=128, long=512))
    with_difficult: bool = True


def mask_settings() -> SmallSettings:
    """Return the numbers of a detector of masks: those of `SmallSettings`, and a second look in a mirror."""
    settings = SmallSettings()
    return replace(settings, head=replace(settings.head, mirrored=True))


def figure_settings() -> SmallSettings:
    """Return the numbers of a detector of joints: for one tall object of a third of the picture or more.

    Objects differ little in size, so that one size of the picture is enough. Left and right are told by the eyes, which
    are at the other end of a crop for the feet: an hourglass brings all of it together. Its crops are a little larger
    than the boxes, which are not exact.
    """
    return SmallSettings(
        blocks=((16, 1), (32, 2), (32, 2), (48, 2)),
        batch_norm=False,
        scales=(1.0,),
        late_boxes=True,
        rpn=RPNSettings(
            sizes=((36.0, 48.0, 64.0, 84.0),),
            ratios=(1.6, 2.4),
            anchor_convention="detectron2",
            anchor_offset=0.5,
            positive=0.6,
            hidden=48,
            n_drawn=64,
            pre_nms=(100, 100),
            post_nms=(24, 24),
            min_size=2.0,
        ),
        head=HeadSettings(
            crops=CropSettings(aligned=True),
            side=5,
            keypoint_side=32,
            keypoint_context=1.3,
            n_drawn=8,
            positive_fraction=0.5,
            rounding="round",
            pre_nms=24,
            nms_threshold=0.4,
            beta=1.0,
            n_detections=10,
            expected_joints=ExpectedJoints(FOURTEEN_SIGMAS, area=0.25, swapped=SWAPPED, finer=3, turned=(-12.0, 12.0)),
            mirrored=True,
        ),
        fc=(64, 64),
        keypoint_channels=(48,),
        hourglass=((64, 2), (96, 2), (96, 2)),
        keypoint_scale=1,
    )


def small_backbone(
    settings: SmallSettings, *, rng: np.random.Generator, dtype: Any = np.float32
) -> ImagePyramid | OneMap | VGGFPN:
    """Return the backbone of a small detector: of several sizes of the picture, of one map, or with a pyramid.

    >>> settings = SmallSettings(blocks=((4, 1), (8, 2)), batch_norm=False, scales=None)
    >>> backbone = small_backbone(settings, rng=np.random.default_rng(0))
    >>> backbone.out_channels, backbone.strides
    ((8,), (2,))
    """
    s = settings
    options: dict[str, Any] = {"batch_norm": s.batch_norm, "rng": rng, "dtype": dtype}
    if s.scales is not None:
        if s.pyramid is not None:
            raise ValueError("SmallSettings: there may be scales or a pyramid, not both")
        return ImagePyramid(vgg_features(s.blocks, **options), early=s.early, scales=s.scales)
    if s.pyramid is None:
        return OneMap(vgg_features(s.blocks, **options))
    return VGGFPN(s.blocks, first=len(s.blocks) + 1 - len(s.rpn.sizes), out_channels=s.pyramid, **options)


def small_faster_rcnn(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: SmallSettings | None = None,
    dtype: Any = np.float32,
) -> FasterRCNN:
    """Return a small Faster R-CNN with fresh weights; `class_names` begin with the background.

    Args:
        class_names: of the background, then of the classes.
        rng: source of the weights.
        settings: its numbers; None for those of `SmallSettings`.
        dtype: of the weights.
    """
    return _detector(class_names, settings, rng=rng, dtype=dtype)


def small_mask_rcnn(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: SmallSettings | None = None,
    dtype: Any = np.float32,
) -> FasterRCNN:
    """Return a small Mask R-CNN; the arguments are those of `small_faster_rcnn`, `settings` of `mask_settings`."""
    return _detector(class_names, settings or mask_settings(), rng=rng, dtype=dtype, with_masks=True)


def small_keypoint_rcnn(
    class_names: Sequence[str],
    n_joints: int,
    *,
    rng: np.random.Generator,
    settings: SmallSettings | None = None,
    dtype: Any = np.float32,
) -> FasterRCNN:
    """Return a small keypoint R-CNN for `n_joints` joints.

    The other arguments are those of `small_faster_rcnn`, but that `settings` are those of `figure_settings` if None;
    for another number of joints than theirs without `expected_joints`, which has a number for each.
    """
    if settings is None:
        settings = figure_settings()
        if n_joints != len(SWAPPED):
            settings = replace(settings, head=replace(settings.head, expected_joints=None))
    expected = settings.head.expected_joints
    if expected is not None and len(expected.sigmas) != n_joints:
        raise ValueError(
            f"small_keypoint_rcnn: expected_joints must have {n_joints} sigmas, one per joint, got "
            f"{len(expected.sigmas)}"
        )
    return _detector(class_names, settings, rng=rng, dtype=dtype, n_joints=n_joints)


def _detector(
    class_names: Sequence[str],
    settings: SmallSettings | None,
    *,
    rng: np.random.Generator,
    dtype: Any,
    with_masks: bool = False,
    n_joints: int = 0,
) -> FasterRCNN:
    s, C = settings or SmallSettings(), len(class_names)
    backbone = small_backbone(s, rng=rng, dtype=dtype)
    rpn = RPN(backbone.out_channels[-1], s.rpn, rng=rng, dtype=dtype)
    early = late = ALL
    if isinstance(backbone, ImagePyramid):
        early, late = slice(len(backbone.scales)), slice(len(backbone.scales), None)
    roi_maps = late if s.late_boxes else early
    channels = backbone.out_channels[roi_maps][0]
    box_head: BoxHead
    if isinstance(backbone, ImagePyramid) and not s.late_boxes:
        box_head = late_head(backbone, s.head.side, s.fc, dropout=s.dropout, rng=rng, dtype=dtype)
    else:
        box_head = BoxHead(channels, s.head.side, s.fc, dropout=s.dropout, rng=rng, dtype=dtype)
    box_predictor = BoxPredictor(box_head.out_features, C, rng=rng, dtype=dtype)
    parts: dict[str, Module] = {}
    if with_masks:
        parts["mask_head"] = mask_head(channels, s.mask_channels, rng=rng, dtype=dtype)
        parts["mask_predictor"] = mask_predictor(s.mask_channels[-1], s.mask_hidden, C, rng=rng, dtype=dtype)
    if n_joints:
        parts["keypoint_head"] = _joint_finder(backbone.out_channels[early][0], s, rng=rng, dtype=dtype)
        parts["keypoint_predictor"] = KeypointPredictor(
            s.keypoint_channels[-1], n_joints, scale=s.keypoint_scale, rng=rng, dtype=dtype
        )
    heads = RoIHeads(s.head, box_head, box_predictor, **parts)
    return FasterRCNN(
        class_names, backbone, rpn, heads, s.preparation, rpn_maps=late, roi_maps=roi_maps, keypoint_maps=early,
        with_difficult=s.with_difficult,
    )  # fmt: skip


def _joint_finder(channels: int, settings: SmallSettings, *, rng: np.random.Generator, dtype: Any) -> Sequential:
    """Return the convolutions of the keypoint head, behind an hourglass if there is one."""
    s = settings
    if s.hourglass is None:
        return keypoint_head(channels, s.keypoint_channels, dilations=s.keypoint_dilations, rng=rng, dtype=dtype)
    width = s.keypoint_channels[0]
    hourglass = Hourglass(channels, s.hourglass, width, batch_norm=True, rng=rng, dtype=dtype)
    head = keypoint_head(width, s.keypoint_channels, dilations=s.keypoint_dilations, rng=rng, dtype=dtype)
    return Sequential(hourglass, *head)
