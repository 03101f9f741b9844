"""Every number and convention of the second stage, as data; see `refdet.detection.roi_heads` for their use.

| | py-faster-rcnn | torchvision |
|---|---|---|
| regions of a picture | 128, a quarter of objects, rounded | 512, a quarter, cut off |
| background | best IoU in [0, 0.5) | the same |
| transforms | divided by (0.1, 0.1, 0.2, 0.2) | times (10, 10, 5, 5): the same |
| smooth L1, β | 1 | 1/9 |
| crops | RoI pooling 7 × 7 | RoIAlign 7 × 7, 2 × 2 points, not aligned |
| detections in pixels of | the picture as it was given | the batch |
| detections | score > 0.05, NMS 0.3, 100 | score > 0.05, sides ≥ 0.01, NMS 0.5, 100 |

Both losses are divided by the number of regions drawn, objects or not. The objects themselves are among the regions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from refdet.boxes.check import Four
from refdet.boxes.clip import CONVENTIONS as CLIPS
from refdet.boxes.sampling import ROUNDINGS
from refdet.boxes.transform import CONVENTIONS as TRANSFORMS
from refdet.boxes.transform import SCALE_CLAMP
from refdet.core.check import check_flag, check_number, positive_numbers, sequence
from refdet.data.transforms import mirror_order
from refdet.detection.check_settings import check_settings
from refdet.detection.composition import check_limit
from refdet.detection.keypoint_coding import CONVENTIONS as JOINT_CONVENTIONS
from refdet.detection.keypoint_similarity import check_finer
from refdet.detection.mask_head import CONVENTIONS as MASK_CONVENTIONS
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.masks.paste import CONVENTIONS as PASTES

FRAMES = ("batch", "picture")


@dataclass(frozen=True)
class ExpectedJoints:
    """How joints are read where they are judged by object keypoint similarity.

    Their places are those of `refdet.detection.keypoint_similarity`. The score of a detection is multiplied by the mean
    similarity of its joints: it is how similar the detection is expected to be, as something that may be no object.

    Attributes:
        sigmas: of the joints, as they are judged by.
        area: of an object, as a share of its box.
        swapped: which joint each one is in a mirror; None where that is not known, and joints are not `mirrored`.
        finer: how many times finer than their maps' the places of joints are, an odd number.
        turned: angles in degrees; joints are looked for again in the picture turned by each of them, and in its mirror
            image turned likewise (`refdet.detection.turned_views`).
    """

    sigmas: tuple[float, ...]
    area: float = 0.5
    swapped: tuple[int, ...] | None = None
    finer: int = 1
    turned: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        op = "ExpectedJoints"
        object.__setattr__(self, "sigmas", positive_numbers(op, "sigmas", self.sigmas))
        object.__setattr__(self, "area", check_number(op, "area", self.area, low=0, high=1))
        object.__setattr__(self, "finer", check_finer(op, self.finer))
        angles = (check_number(op, "turned", v, low=-180, high=180) for v in sequence(op, "turned", self.turned))
        object.__setattr__(self, "turned", tuple(angles))
        if self.swapped is None:
            return
        K, order = len(self.sigmas), mirror_order(self.swapped, len(self.sigmas))
        if order is None:
            raise ValueError(
                f"{op}: swapped must be an order of 0 … {K - 1}, the joints of sigmas, that undoes itself, got "
                f"{self.swapped!r}"
            )
        object.__setattr__(self, "swapped", tuple(order))


@dataclass(frozen=True)
class HeadSettings:
    """How regions are drawn, seen, learned and reported.

    Attributes:
        crops: how a region becomes a crop.
        side: bins of a crop, for classes and boxes.
        context: sides of that crop over those of the region, x2 − x1 and y2 − y1 whatever `coordinates` counts; masks
            are looked for in the region alone.
        mask_side: bins of a crop for masks; behind convolutions that keep their number, half of the places of a mask.
        keypoint_side: bins of a crop for joints, a quarter of what the maps of joints have (half, without resizing).
        keypoint_context: sides of that crop over those of the region; joints are looked for in all of it, and so may
            lie outside the box, or even the picture.
        positive: IoU from which a region is an object.
        negative_low: least IoU of a region that is background.
        negative_high: end of the background, itself excluded.
        n_drawn: regions of a picture that are drawn for the loss.
        positive_fraction: the share of them that may be objects.
        rounding: of that share: "round" or "floor".
        coordinates: how boxes are counted within the detector, see `refdet.detection.last_pixel`: 0 for half-open
            ones, or 1 where x2 and y2 are the last pixel, so that overlaps have the legacy width x2 − x1 + 1.
        transform: of `encode_boxes` and `decode_boxes`.
        weights: by which transforms are multiplied.
        mean: then subtracted.
        std: by which the rest is divided.
        beta: of smooth L1; 0 is L1.
        box_weight: λ of the box loss.
        clamp: of `decode_boxes`.
        clip: of `clip_boxes`.
        frame: "batch" or "picture": in whose pixels detections are decoded, clipped and suppressed.
        score_threshold: a detection's score is greater.
        min_size: the least side of a detection; None for any.
        pre_nms: the best of each class that enter the suppression; None for all.
        nms_threshold: of the suppression.
        n_detections: the most detections of a picture; None for all.
        mask_convention: of `refdet.detection.mask_head.mask_targets`.
        paste: of `refdet.masks.paste.paste_masks`.
        mask_threshold: likewise: the probability from which, or by detectron1 beyond which, a pixel is the object's.
        decode_joints: of `refdet.detection.keypoint_coding.decode_keypoints`; not read with `expected_joints`.
        mirrored: whether Faster R-CNN's detections are looked at again in the mirrored picture; boxes, scores and masks
            are the mean of both, and joints, if `expected_joints` says which they are there. For half-open boxes, and
            detections in pixels of the batch.
        expected_joints: how Faster R-CNN's joints are read to be as similar as may be expected, for which the scores of
            detections are multiplied, after all limits of scores; None for the largest logits.
    """

    crops: CropSettings = field(default_factory=CropSettings)
    side: int = 7
    context: float = 1.0
    mask_side: int = 14
    keypoint_side: int = 14
    keypoint_context: float = 1.0
    positive: float = 0.5
    negative_low: float = 0.0
    negative_high: float = 0.5
    n_drawn: int = 512
    positive_fraction: float = 0.25
    rounding: str = "floor"
    coordinates: int = 0
    transform: str = "continuous"
    weights: Four = (10.0, 10.0, 5.0, 5.0)
    mean: Four = (0.0, 0.0, 0.0, 0.0)
    std: Four = (1.0, 1.0, 1.0, 1.0)
    beta: float = 1 / 9
    box_weight: float = 1.0
    clamp: float | None = SCALE_CLAMP
    clip: str = "continuous"
    frame: str = "batch"
    score_threshold: float = 0.05
    min_size: float | None = 0.01
    pre_nms: int | None = None
    nms_threshold: float = 0.5
    n_detections: int | None = 100
    mask_convention: str = "detectron2"
    paste: str = "detectron2"
    mask_threshold: float = 0.5
    decode_joints: str = "torchvision"
    expected_joints: ExpectedJoints | None = None
    mirrored: bool = False

    def __post_init__(self) -> None:
        op = "HeadSettings"
        check_settings(
            op,
            self,
            choices={
                "rounding": ROUNDINGS,
                "transform": TRANSFORMS,
                "clip": CLIPS,
                "frame": FRAMES,
                "mask_convention": MASK_CONVENTIONS,
                "paste": PASTES,
                "decode_joints": JOINT_CONVENTIONS,
            },
            counts=("side", "mask_side", "keypoint_side", "n_drawn"),
            shares=(
                "positive",
                "negative_low",
                "negative_high",
                "positive_fraction",
                "score_threshold",
                "nms_threshold",
            ),
            amounts=("beta", "box_weight"),
        )
        for name in ("pre_nms", "n_detections"):
            check_limit(op, name, getattr(self, name))
        check_number(op, "context", self.context, low=1)
        check_number(op, "keypoint_context", self.keypoint_context, low=1)
        check_number(op, "mask_threshold", self.mask_threshold, low=0, high=1, open_low=True)
        if check_flag(op, "mirrored", self.mirrored) and (self.coordinates or self.frame != "batch"):
            raise ValueError(
                f"{op}: mirrored must be False unless coordinates are 0 and the frame is the batch, got coordinates "
                f"{self.coordinates} and frame {self.frame}"
            )
        if not (self.expected_joints is None or isinstance(self.expected_joints, ExpectedJoints)):
            raise TypeError(f"{op}: expected_joints must be ExpectedJoints or None, got {self.expected_joints!r}")
        if not self.negative_low < self.negative_high:
            raise ValueError(
                f"{op}: negative_low must be less than negative_high, {self.negative_high}, or no region is "
                f"background, got {self.negative_low}"
            )


TORCHVISION_HEAD = HeadSettings(mask_convention="torchvision", paste="torchvision")

PY_FASTER_HEAD = HeadSettings(
    crops=CropSettings(crop="pool"),
    n_drawn=128,
    rounding="round",
    coordinates=1,
    transform="py-faster",
    weights=(1.0, 1.0, 1.0, 1.0),
    std=(0.1, 0.1, 0.2, 0.2),
    beta=1.0,
    clamp=None,
    clip="legacy",
    frame="picture",
    min_size=None,
    nms_threshold=0.3,
)
