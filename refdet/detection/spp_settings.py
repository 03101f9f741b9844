"""Every number of SPP-net, as data; see `refdet.detection.spp_net` for their use.

| | `SPP_PAPER` | `SPPSettings` |
|---|---|---|
| channels | BGR, less their means | RGB, about −2 … 2 |
| scales, the shorter side | 688, or `PAPER_SCALES` | 160, or `FIVE_SCALES`, for objects of 10 to 100 pixels |
| windows come closest to | 224 × 224 | 28 × 28, in which the small classifier still knows objects |
| of several scales a window gets | that of the released rule | that of the paper |
| windows are projected | by the released rule, o = 6.5 | by the same rule, o = 4, half the stride |
| pyramid | 1, 2, 3, 6 | likewise |
| regions drawn | objects IoU ≥ 0.5, background 0.1 ≤ IoU < 0.5 | likewise |
| fc6, fc7 | 4096, dropout of one half | 256, none |
| box regressors | on the pyramid, λ = 4000, IoU > 0.5 | on its 3 × 3 bins, λ = 1000, IoU > 0.5 |

The paper's backbone is ZF-5, `OneMap(zf_features(rng=…))`, which does not pad every layer.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from refdet.core.check import check_choice, check_number, integers
from refdet.detection.machines_on_regions import MachineSettings
from refdet.detection.preparation import FAST_RCNN_PREPARATION, Preparation
from refdet.detection.region_detections import DetectionSettings
from refdet.detection.roi_settings import HeadSettings
from refdet.detection.small_detectors import Blocks, SmallSettings
from refdet.detection.with_proposals import SelectiveSearch
from refdet.features.window_projection import CONVENTIONS, PAPER_SIDE

LAYERS = ("pyramid", "fc6", "fc7")
ONE_SCALE = (160,)
FIVE_SCALES = (36, 64, 114, 204, 360)
PAPER_SCALES = (480, 576, 688, 864, 1200)


@dataclass(frozen=True)
class SPPSettings(MachineSettings):
    """The numbers of a small SPP-net beside those of `MachineSettings`, for pictures of 128 × 128.

    Attributes:
        blocks: (channels, convolutions) of each block of the backbone.
        batch_norm: whether every convolution is normalised.
        preparation: of the pictures; their size comes from `scales`.
        scales: of the shorter side of the picture; each window is seen at one of them.
        target_side: a window is seen at the scale at which it comes closest to this number of pixels squared.
        scale_choice: of `choose_scales`, "paper" or "released"; the latter aims at 208/224 of `target_side`.
        projection: of `project_windows`, "paper" or "released"; the latter with β of the backbone for o₀.
        margin: o of `project_windows`, for "released" alone; ZF-5's is 6.5.
        levels: of the pyramid.
        fc: widths of fc6 and fc7.
        dropout: share of their values that training drops.
        sampling: how regions are drawn in stages 1 and 2; of the rest nothing is read.
        crop_sizes: pixels of the crops of stage 1; every batch has one of these sizes.
        svm_layer: what the machines look at: "pyramid", "fc6" or "fc7".
        box_layer: what the box regressors look at, likewise.
        box_levels: of a "pyramid", what of it they look at; some of `levels`.
        with_difficult: whether difficult objects are learned in stages 1 and 2.
    """

    blocks: Blocks = SmallSettings.blocks
    batch_norm: bool = True
    preparation: Preparation = field(default_factory=Preparation)
    scales: tuple[int, ...] = ONE_SCALE
    target_side: float = 28.0
    scale_choice: str = "paper"
    projection: str = "released"
    margin: float = 4.0
    levels: tuple[int, ...] = (1, 2, 3, 6)
    fc: tuple[int, int] = (256, 256)
    dropout: float = 0.0
    sampling: HeadSettings = field(default_factory=lambda: HeadSettings(negative_low=0.1, n_drawn=64, rounding="round"))
    crop_sizes: tuple[int, ...] = (32, 48)
    svm_layer: str = "fc7"
    box_layer: str = "pyramid"
    box_levels: tuple[int, ...] = (3,)
    pair_iou: float = 0.5
    with_difficult: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        op = type(self).__name__
        for name in ("scales", "levels", "crop_sizes"):
            values = getattr(self, name)
            if not values:
                raise ValueError(f"{op}: {name} must not be empty")
            integers(op, name, values, count=len(values), low=1)
        check_number(op, "target_side", self.target_side, low=0, open_low=True)
        check_choice(op, "scale_choice", self.scale_choice, CONVENTIONS)
        check_choice(op, "projection", self.projection, CONVENTIONS)
        check_choice(op, "svm_layer", self.svm_layer, LAYERS)
        check_choice(op, "box_layer", self.box_layer, LAYERS)
        if not set(self.box_levels) <= set(self.levels) or not self.box_levels:
            raise ValueError(f"{op}: box_levels must be some of levels, {self.levels}, got {self.box_levels}")


SPP_PAPER = SPPSettings(
    preparation=replace(FAST_RCNN_PREPARATION, short=None),
    scales=(688,),
    target_side=float(PAPER_SIDE),
    scale_choice="released",
    projection="released",
    margin=6.5,
    fc=(4096, 4096),
    dropout=0.5,
    crop_sizes=(180, 224),
    box_levels=(1, 2, 3, 6),
    ridge=4000.0,
    detection=DetectionSettings(),
    search=SelectiveSearch(),
)
