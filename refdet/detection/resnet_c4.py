"""Faster and Mask R-CNN on ResNet-50 without a pyramid: the head on a region is the last stage of the network itself.

    fasterrcnn_resnet50_c4    picture → conv1 … layer3, C4: one map, a sixteenth of the size → proposals
                              → RoIAlign 14 × 14 → layer4, 7 × 7 → mean of every map → class scores, transforms
    maskrcnn_resnet50_c4      likewise, and of regions that are objects
                              RoIAlign 14 × 14 → the same layer4, 7 × 7 → conv transposed 2 × 2 by 2, relu, 14 × 14
                              → conv 1 × 1 → a mask of each class

He, Zhang, Ren & Sun, "Deep residual learning for image recognition" (2016), appendix A; He, Gkioxari, Dollár &
Girshick, "Mask R-CNN" (2017), §3 and figure 4, left, and §3.1 for what is drawn and proposed. The numbers are those of
Detectron2's `Base-RCNN-C4`, its "R50-C4":

| | "Mask R-CNN" | Detectron2, here |
|---|---|---|
| crops, first stride of layer4 | 7 × 7, 1; in 2016 14 × 14, 2 | 14 × 14, 2 |
| regions of a picture, in training | 64 | 512 |
| proposals, in testing | 300 | 1000 |
| loss of the boxes | smooth L1, β = 1 | L1 |

Conventions: the boxes' head and the masks' have one layer4, which learns from both losses and stands once in the state,
as `roi_heads.box_head.layer4`. Batch normalisation is a constant; conv1 and layer1 are frozen. There is no fc6 or fc7.
Below `backbone` and `roi_heads.box_head` names are torchvision's of ResNet-50, and `from_resnet50` puts its classifier
there. A detector that begins without one has activations that grow from block to block: nothing normalises them.

Not as in Detectron2:

- Class 0 is the background, not the last one.
- As torchvision's weights of ImageNet want it, pictures are RGB, less torchvision's mean and divided by its std, and
  the 3 × 3 convolution of a bottleneck has the stride. In Detectron2 they are BGR and not divided, and the first 1 × 1
  convolution has it.
- Pictures are resized without antialiasing; PIL, which Detectron2 resizes with, smooths what it shrinks.
- What a `Sample` calls difficult is not learned: COCO's crowds as there, Pascal VOC's difficult objects unlike there.
- Pictures have one size in training, unless `preparation` has several.
- Targets of masks are Detectron2's for masks of pixels, and not drawn from polygons. Masks begin as those of a pyramid
  (`refdet.detection.mask_head`).
- In training, regions that are objects are cropped and go through layer4 a second time for their masks. `Res5ROIHeads`
  takes what layer4 has made of them for the boxes, which is the same as long as side == mask_side.
- Boxes without area are reported. `detector_postprocess` drops them, but only after the cut to 100 detections, so that
  no `min_size`, which comes before it, is the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_choice, check_number, integer, sequence
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.mask_head import mask_head, mask_predictor
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.detection.preparation import Preparation
from refdet.detection.roi_heads import BoxPredictor, RoIHeads
from refdet.detection.roi_settings import HeadSettings
from refdet.detection.rpn import RPN
from refdet.detection.rpn_settings import RPNSettings
from refdet.detection.torchvision_detectors import IMAGENET
from refdet.features.backbones.residual_block import STRIDE_ON
from refdet.features.backbones.resnet import ResNet, resnet50
from refdet.features.backbones.torchvision_names import from_torchvision
from refdet.features.backbones.width import scaled
from refdet.nn import Module, ReLU, Sequential
from refdet.ops.global_pool import global_avg_pool2d

N_STAGES = 5  # conv1 with its normalisation, layer1 … layer4
C4 = 2  # of the network's four maps the one that layer3 computes
PLACES = dict.fromkeys(("conv1", "bn1", "layer1", "layer2", "layer3"), "backbone") | {"layer4": "roi_heads.box_head"}
OWN_NAMES = tuple(f"{place}.{part}." for part, place in PLACES.items())
N_BLOCKS = (3, 4, 6, 3)  # of ResNet-50's layer1 … layer4, all bottlenecks
BLOCK = re.compile(r"(?:backbone\.|roi_heads\.box_head\.)?layer([1-4])\.[0-9]+\.(.+)")

C4_RPN = RPNSettings(
    sizes=((32.0, 64.0, 128.0, 256.0, 512.0),),
    anchor_convention="detectron2",
    guard_zero=False,
    class_normaliser="fixed",
    box_normaliser="fixed",
    beta=0.0,
    min_size=0.0,
    size_convention="detectron2",
    pre_nms=(12000, 6000),
    post_nms=(2000, 1000),
)

C4_HEAD = HeadSettings(
    crops=CropSettings(sampling_ratio=0, aligned=True),
    side=14,
    mask_side=14,
    beta=0.0,
    min_size=None,
    mask_convention="detectron2",
)


@dataclass(frozen=True)
class ResNetC4Settings:
    """The numbers of both detectors; the defaults are Detectron2's, but for the pictures.

    Attributes:
        width: factor of all channels.
        stride_on: the convolution of a bottleneck with its stride: "3x3" as in torchvision's weights, "1x1" as in the
            authors' (see `refdet.features.backbones.residual_block`).
        norm_eps: ε of the frozen batch normalisations.
        n_frozen: stages that are not trained, from conv1 on: 0 to 4, the last of which is layer3.
            `refdet train` without --weights freezes none.
        mask_channels: behind the transposed convolution of the masks.
        preparation: of the pictures.
        rpn: of the first stage.
        head: of the second stage. layer4 makes ⌈side / 2⌉ × ⌈side / 2⌉ of a crop of side × side bins; a mask has
            2 · ⌈mask_side / 2⌉ pixels a side.
    """

    width: float = 1.0
    stride_on: str = "3x3"
    norm_eps: float = 1e-5
    n_frozen: int = 2
    mask_channels: int = 256
    preparation: Preparation = field(default_factory=lambda: replace(IMAGENET, size_convention="rounded", divisor=1))
    rpn: RPNSettings = field(default_factory=lambda: C4_RPN)
    head: HeadSettings = field(default_factory=lambda: C4_HEAD)

    def __post_init__(self) -> None:
        op = "ResNetC4Settings"
        for name, kind in (("preparation", Preparation), ("rpn", RPNSettings), ("head", HeadSettings)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{op}: {name} must be {kind.__name__}, got {type(getattr(self, name)).__name__}")
        check_number(op, "width", self.width, low=0, open_low=True)
        check_choice(op, "stride_on", self.stride_on, STRIDE_ON)
        check_number(op, "norm_eps", self.norm_eps, low=0)
        if integer(op, "n_frozen", self.n_frozen, low=0) >= N_STAGES:
            raise ValueError(f"{op}: n_frozen must be at most {N_STAGES - 1}, layer4 being a head, got {self.n_frozen}")
        integer(op, "mask_channels", self.mask_channels, low=1)
        if len(self.rpn.sizes) != 1:
            raise ValueError(f"{op}: rpn.sizes must be of one map, which C4 is, got sizes of {len(self.rpn.sizes)}")


class FirstStages(Sequential):
    """conv1 to layer3 of a residual network, shared with it, as a backbone of one map."""

    def __init__(self, body: ResNet) -> None:
        super().__init__(
            conv1=body.conv1,
            bn1=body.bn1,
            relu=ReLU(),
            maxpool=body.maxpool,
            layer1=body.layer1,
            layer2=body.layer2,
            layer3=body.layer3,
        )
        self.out_channels: tuple[int, ...] = (body.out_channels[C4],)
        self.strides: tuple[int, ...] = (body.strides[C4],)

    def maps(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> tuple[Tensor]:
        """Return the one map, (N, C, ⌈H / 16⌉, ⌈W / 16⌉)."""
        return (self(x, training=training, rng=rng),)


class LastStage(Module):
    """layer4 of a residual network, shared with it, and the mean of every map: (R, C, side, side) → (R, 2C)."""

    def __init__(self, body: ResNet) -> None:
        super().__init__()
        self.layer4 = body.layer4
        self.out_features = body.out_channels[-1]

    def maps(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return what layer4 makes of crops: (R, 2C, ⌈side / 2⌉, ⌈side / 2⌉)."""
        return self.layer4(x, training=training, rng=rng)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the features of every region."""
        return global_avg_pool2d(self.maps(x, training=training, rng=rng))


class SharedStageHeads(RoIHeads):
    """Heads of which that of the masks stands behind the layer4 of that of the boxes."""

    box_head: LastStage

    def mask_logits(self, crops: Tensor, *, training: bool = False, rng: np.random.Generator | None = None) -> Tensor:
        """Return masks (R, C, m, m) from crops (R, C', mask_side, mask_side)."""
        maps = self.box_head.maps(crops, training=training, rng=rng)
        return super().mask_logits(maps, training=training, rng=rng)


def fasterrcnn_resnet50_c4(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: ResNetC4Settings | None = None,
    dtype: Any = np.float32,
) -> FasterRCNN:
    """Return the detector with fresh weights, its first stages frozen; `class_names` begin with the background."""
    return _detector("fasterrcnn_resnet50_c4", class_names, settings, rng=rng, dtype=dtype)


def maskrcnn_resnet50_c4(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: ResNetC4Settings | None = None,
    dtype: Any = np.float32,
) -> FasterRCNN:
    """Return the detector, which finds masks too; the arguments are those of `fasterrcnn_resnet50_c4`."""
    return _detector("maskrcnn_resnet50_c4", class_names, settings, rng=rng, dtype=dtype, with_masks=True)


def from_resnet50(state: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of a ResNet-50 that classifies, under the names of the detector, which has others besides.

    What has the names of the detector already is returned as it is. Under either names, other stages are refused.

    >>> list(from_resnet50({"bn1.weight": np.ones(64), "bn1.bias": np.zeros(64), "fc.bias": np.zeros(1000)}))
    ['backbone.bn1.weight', 'backbone.bn1.bias']
    """
    if not isinstance(state, Mapping):
        raise TypeError(f"from_resnet50: state must map names to arrays, got {type(state).__name__}")
    of_blocks = [match.groups() for match in map(BLOCK.fullmatch, state) if match]
    bottlenecks = Counter(stage for stage, name in of_blocks if name == "conv3.weight")  # no other block has one
    n_blocks = tuple(bottlenecks[stage] for stage in "1234")
    if of_blocks and n_blocks != N_BLOCKS:
        raise ValueError(
            f"from_resnet50: layer1 … layer4 must have {N_BLOCKS} bottlenecks, as ResNet-50 has, got {n_blocks}"
        )
    if any(name.startswith(OWN_NAMES) for name in state):
        return dict(state)
    renamed = {}
    for name, array in from_torchvision(state).items():
        place = PLACES.get(name.partition(".")[0])
        if place is not None:
            renamed[f"{place}.{name}"] = array
    return renamed


def _detector(
    op: str,
    class_names: Sequence[str],
    settings: ResNetC4Settings | None,
    *,
    rng: np.random.Generator,
    dtype: Any,
    with_masks: bool = False,
) -> FasterRCNN:
    s = ResNetC4Settings() if settings is None else settings
    if not isinstance(s, ResNetC4Settings):
        raise TypeError(f"{op}: settings must be ResNetC4Settings, got {type(s).__name__}")
    n_classes = len(sequence(op, "class_names", class_names))
    if n_classes < 2:
        raise ValueError(f"{op}: class_names must be the background and one or more classes, got {class_names!r}")
    body = resnet50(
        None, width=s.width, stride_on=s.stride_on, frozen_norm=True, norm_eps=s.norm_eps, rng=rng, dtype=dtype
    )
    body.freeze_all_but_last(N_STAGES - s.n_frozen)
    backbone, box_head = FirstStages(body), LastStage(body)
    rpn = RPN(backbone.out_channels[0], s.rpn, rng=rng, dtype=dtype)
    box_predictor = BoxPredictor(box_head.out_features, n_classes, rng=rng, dtype=dtype)
    parts: dict[str, Module] = {}
    if with_masks:
        channels, hidden = box_head.out_features, scaled(s.mask_channels, s.width)
        parts["mask_head"] = mask_head(channels, (), rng=rng, dtype=dtype)  # of no convolutions: layer4 is enough
        parts["mask_predictor"] = mask_predictor(channels, hidden, n_classes, rng=rng, dtype=dtype)
    heads = SharedStageHeads(s.head, box_head, box_predictor, **parts)
    return FasterRCNN(class_names, backbone, rpn, heads, s.preparation, with_difficult=False)
