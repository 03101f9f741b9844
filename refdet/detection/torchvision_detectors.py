"""torchvision's Faster, Mask and keypoint R-CNN on a ResNet-50 with a feature pyramid, as configurations.

    fasterrcnn_resnet50_fpn      80 classes of COCO, numbered up to 90
    maskrcnn_resnet50_fpn        likewise, with masks of 28 × 28
    keypointrcnn_resnet50_fpn    persons alone, with 17 joints on maps of 56 × 56

Parameters have torchvision's names, so that its files load, once `from_torchvision` has taken care of the names that
have changed; with them, a detector here finds what it finds there. Lin et al. (2017), He et al. (2017).

Two things are not as in the paper: batch normalisation is a constant, with ε = 0, as the weights that torchvision
trained on COCO have it (`norm_eps`), and the convolution of the region proposal network is followed by one ReLU and
shared by all maps. torchvision trains the detector of joints, and detectron2 all three, with pictures of
`SEVERAL_SIZES`; here training has the one of detection, unless `TorchvisionSettings.preparation` has several. What a
`Sample` calls difficult, as COCO's crowds are, is not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refdet.core.check import integer
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.keypoint_head import KeypointPredictor, keypoint_head
from refdet.detection.mask_head import mask_head, mask_predictor
from refdet.detection.preparation import Preparation
from refdet.detection.roi_heads import BoxHead, BoxPredictor, RoIHeads
from refdet.detection.roi_settings import TORCHVISION_HEAD, HeadSettings
from refdet.detection.rpn import RPN
from refdet.detection.rpn_settings import TORCHVISION_RPN, RPNSettings
from refdet.features.backbones.fpn import resnet_fpn
from refdet.features.backbones.resnet import resnet50
from refdet.features.backbones.width import scaled
from refdet.nn import Module

IMAGENET = Preparation(
    mean=(255 * 0.485, 255 * 0.456, 255 * 0.406),
    std=(255 * 0.229, 255 * 0.224, 255 * 0.225),
    short=800,
    long=1333,
    size_convention="cut off",
    divisor=32,
)
N_STAGES = 5  # conv1, layer1, …, layer4
SEVERAL_SIZES = (640, 672, 704, 736, 768, 800)  # `min_size` of torchvision's KeypointRCNN; detectron2's Base-RCNN-FPN


@dataclass(frozen=True)
class TorchvisionSettings:
    """The numbers of the three detectors; the defaults are torchvision's, but for joints one size of pictures.

    For training with several, of which one is drawn for each picture, while detection has the last:

    >>> from dataclasses import replace
    >>> several = TorchvisionSettings(preparation=replace(IMAGENET, short=SEVERAL_SIZES))
    >>> several.preparation.size((480, 640))
    (800, 1066)

    Attributes:
        width: factor of all channels and hidden units.
        norm_eps: ε of the frozen batch normalisations: 0 for weights trained on COCO, else 1e-5. `refdet train` adds
            the 1e-5 to the variances of a classifier that it begins with instead, which comes to the same.
        n_frozen: stages of the ResNet that are not trained, from conv1 on: 0 to 5. torchvision freezes two where the
            backbone has learned something, and none where it begins anew, as `refdet train` without --weights has it.
        preparation: of the pictures.
        rpn: of the first stage.
        head: of the second stage.
        n_joints: of the keypoint detector.
    """

    width: float = 1.0
    norm_eps: float = 0.0
    n_frozen: int = 2
    preparation: Preparation = IMAGENET
    rpn: RPNSettings = field(default_factory=lambda: TORCHVISION_RPN)
    head: HeadSettings = field(default_factory=lambda: TORCHVISION_HEAD)
    n_joints: int = 17

    def __post_init__(self) -> None:
        if integer("TorchvisionSettings", "n_frozen", self.n_frozen, low=0) > N_STAGES:
            raise ValueError(f"TorchvisionSettings: n_frozen must be at most {N_STAGES}, got {self.n_frozen}")


def fasterrcnn_resnet50_fpn(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: TorchvisionSettings | None = None,
    dtype: Any = np.float32,
) -> FasterRCNN:
    """Return the detector with fresh weights; `class_names` begin with the background."""
    return _detector(class_names, settings, rng=rng, dtype=dtype)


def maskrcnn_resnet50_fpn(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: TorchvisionSettings | None = None,
    dtype: Any = np.float32,
) -> FasterRCNN:
    """Return the detector, which finds masks too, with fresh weights."""
    s = settings or TorchvisionSettings()
    channels = scaled(256, s.width)
    parts: dict[str, Module] = {
        "mask_head": mask_head(channels, (channels,) * 4, rng=rng, dtype=dtype),
        "mask_predictor": mask_predictor(channels, channels, len(class_names), rng=rng, dtype=dtype),
    }
    return _detector(class_names, s, rng=rng, dtype=dtype, **parts)


def keypointrcnn_resnet50_fpn(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: TorchvisionSettings | None = None,
    dtype: Any = np.float32,
) -> FasterRCNN:
    """Return the detector, which finds joints too, with fresh weights."""
    s = settings or TorchvisionSettings()
    channels = scaled(512, s.width)
    parts: dict[str, Module] = {
        "keypoint_head": keypoint_head(scaled(256, s.width), (channels,) * 8, rng=rng, dtype=dtype),
        "keypoint_predictor": KeypointPredictor(channels, s.n_joints, rng=rng, dtype=dtype),
    }
    return _detector(class_names, s, rng=rng, dtype=dtype, **parts)


def _detector(
    class_names: Sequence[str],
    settings: TorchvisionSettings | None,
    *,
    rng: np.random.Generator,
    dtype: Any,
    **heads: Module,
) -> FasterRCNN:
    s = settings or TorchvisionSettings()
    backbone = resnet_fpn(resnet50, width=s.width, norm_eps=s.norm_eps, rng=rng, dtype=dtype)
    backbone.body.freeze_all_but_last(N_STAGES - s.n_frozen)
    channels, hidden = backbone.out_channels[0], scaled(1024, s.width)
    return FasterRCNN(
        class_names,
        backbone,
        RPN(channels, s.rpn, rng=rng, dtype=dtype),
        RoIHeads(
            s.head,
            BoxHead(channels, s.head.side, (hidden, hidden), rng=rng, dtype=dtype),
            BoxPredictor(hidden, len(class_names), rng=rng, dtype=dtype),
            **heads,
        ),
        s.preparation,
        roi_maps=slice(4),
        with_difficult=False,
    )
