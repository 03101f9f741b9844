"""Every number and convention of a region proposal network, as data; see `refdet.detection.rpn` for their use.

| | py-faster-rcnn | torchvision | the paper |
|---|---|---|---|
| objectness | softmax of 2k | sigmoid of k | softmax of 2k |
| anchors | legacy corners, stride of the network | rounded corners, stride of the batch | |
| in training | those inside the picture | all | those inside the picture |
| a best IoU of 0 forces positives | yes | yes | |
| both losses over | anchors drawn | anchors drawn | 256; positions, times λ = 10 |
| smooth L1, β | 1/9 (σ = 3) | 1/9 | 1 |
| proposals | small ones first | the best of each level first | |

py-faster-rcnn divides both losses by the anchors that count, which are the ones drawn: 256, unless there are fewer.
It drops proposals with sides below 16 pixels of the picture before it was enlarged; `min_size` here is in pixels of the
network's picture, and `min_size_follows_scale` multiplies it by the scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from refdet.boxes.anchors import CONVENTIONS as ANCHORS
from refdet.boxes.clip import CONVENTIONS as CLIPS
from refdet.boxes.large_enough import CONVENTIONS as SIZE_CONVENTIONS
from refdet.boxes.transform import CONVENTIONS as TRANSFORMS
from refdet.boxes.transform import SCALE_CLAMP
from refdet.core.check import integer
from refdet.detection.check_settings import check_settings
from refdet.detection.composition import check_limit
from refdet.detection.rpn_proposals import ORDERS

OBJECTNESS = ("sigmoid", "softmax")
NORMALISERS = ("drawn", "fixed", "positions")
ANCHOR_STRIDES = ("network", "batch")


@dataclass(frozen=True)
class RPNSettings:
    """How a region proposal network looks, learns and proposes.

    Attributes:
        sizes: of the anchors, for each map, finest first; pixels, or for "py-faster" multiples of the stride.
        ratios: height over width of the anchors of every map.
        anchor_convention: of `refdet.boxes.base_anchors`.
        anchor_offset: of `refdet.boxes.anchor_grid`, in strides.
        anchor_stride: "network": what the backbone says; "batch": side of the batch over side of the map, cut off.
        hidden: channels of the 3 × 3 convolution; None for as many as the maps have.
        objectness: "sigmoid", one channel per anchor, or "softmax", two: first all of the background, then all others.
        positive: IoU from which an anchor is positive.
        negative: IoU below which it is negative.
        guard_zero: whether a ground truth that no anchor touches forces nothing.
        inside_only: whether anchors that reach over the border of the picture are left out of training.
        coordinates: how boxes are counted within the detector, see `refdet.detection.last_pixel`: 0 for half-open
            ones, or 1 where x2 and y2 are the last pixel, so that overlaps have the legacy width x2 − x1 + 1.
        transform: of `encode_boxes` and `decode_boxes`.
        n_drawn: anchors of a picture that are drawn for the loss.
        positive_fraction: the share of them that may be positive, cut off to an integer.
        class_normaliser: of the objectness loss, see `rpn_losses`.
        box_normaliser: of the box loss, likewise.
        box_weight: λ of the box loss.
        beta: of smooth L1; 0 is L1.
        clamp: of `decode_boxes`.
        clip: of `clip_boxes`.
        order: of `rpn_proposals`.
        min_size: the least side of a proposal, in pixels of the batch.
        min_size_follows_scale: whether that is in pixels of the picture as it was given.
        size_convention: of `large_enough`.
        pre_nms: the best before suppression, in training and in testing.
        post_nms: the best after it, likewise.
        nms_threshold: of the suppression.
    """

    sizes: tuple[tuple[float, ...], ...]
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    anchor_convention: str = "torchvision"
    anchor_offset: float = 0.0
    anchor_stride: str = "network"
    hidden: int | None = None
    objectness: str = "sigmoid"
    positive: float = 0.7
    negative: float = 0.3
    guard_zero: bool = True
    inside_only: bool = False
    coordinates: int = 0
    transform: str = "continuous"
    n_drawn: int = 256
    positive_fraction: float = 0.5
    class_normaliser: str = "drawn"
    box_normaliser: str = "drawn"
    box_weight: float = 1.0
    beta: float = 1 / 9
    clamp: float | None = SCALE_CLAMP
    clip: str = "continuous"
    order: str = "topk_first"
    min_size: float = 1e-3
    min_size_follows_scale: bool = False
    size_convention: str = "torchvision"
    pre_nms: tuple[int | None, int | None] = (2000, 1000)
    post_nms: tuple[int | None, int | None] = (2000, 1000)
    nms_threshold: float = 0.7

    def __post_init__(self) -> None:
        op = "RPNSettings"
        if self.hidden is not None:
            integer(op, "hidden", self.hidden, low=1)
        check_settings(
            op,
            self,
            choices={
                "anchor_convention": ANCHORS,
                "anchor_stride": ANCHOR_STRIDES,
                "objectness": OBJECTNESS,
                "transform": TRANSFORMS,
                "class_normaliser": NORMALISERS,
                "box_normaliser": NORMALISERS,
                "clip": CLIPS,
                "order": ORDERS,
                "size_convention": SIZE_CONVENTIONS,
            },
            counts=("n_drawn",),
            shares=("positive", "negative", "positive_fraction", "nms_threshold"),
            amounts=("box_weight", "beta", "min_size"),
        )
        for name in ("pre_nms", "post_nms"):
            for limit in getattr(self, name):
                check_limit(op, name, limit)
        if len({len(sizes) for sizes in self.sizes}) != 1:
            raise ValueError(f"{op}: sizes must be as many for each map, the head being one, got {self.sizes}")

    @property
    def anchors_per_position(self) -> int:
        """The k anchors at each position of a map."""
        return len(self.sizes[0]) * len(self.ratios)


TORCHVISION_RPN = RPNSettings(
    sizes=((32.0,), (64.0,), (128.0,), (256.0,), (512.0,)), anchor_stride="batch", guard_zero=False
)

PY_FASTER_RPN = RPNSettings(
    sizes=((8.0, 16.0, 32.0),),
    anchor_convention="py-faster",
    hidden=512,
    objectness="softmax",
    guard_zero=False,
    inside_only=True,
    coordinates=1,
    transform="py-faster",
    clamp=None,
    clip="legacy",
    order="filter_first",
    min_size=16.0,
    min_size_follows_scale=True,
    size_convention="py-faster",
    pre_nms=(12000, 6000),
    post_nms=(2000, 300),
)

PAPER_RPN = replace(PY_FASTER_RPN, class_normaliser="fixed", box_normaliser="positions", box_weight=10.0, beta=1.0)
