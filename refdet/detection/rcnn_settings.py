"""Every number of R-CNN, as data; see `refdet.detection.rcnn` for their use.

| | `RCNN_PAPER` | `RCNNSettings` |
|---|---|---|
| windows | 227 × 227, 16 pixels at each side are context | 24 × 24, 3 |
| channels | BGR, less their means | RGB, about −2 … 2 |
| a batch | 128 windows, 32 of objects | likewise |
| objects, background | IoU ≥ 0.5, < 0.5 | likewise |
| machines look at | fc7 | likewise |
| box regressors look at | the last pooled map, λ = 1000, IoU > 0.6 | the last map, likewise |
| machines learn from | all proposals | 300 of each picture |
| suppression | IoU 0.3 | likewise |
"""

from __future__ import annotations

from dataclasses import dataclass, field

from refdet.core.check import check_choice, check_number, integer
from refdet.detection.composition import check_limit
from refdet.detection.machines_on_regions import MachineSettings
from refdet.detection.preparation import Preparation
from refdet.detection.region_detections import DetectionSettings
from refdet.detection.region_warp import CONVENTIONS
from refdet.detection.small_detectors import SmallSettings
from refdet.detection.with_proposals import SelectiveSearch

LAYERS = ("pool", "fc6", "fc7")


@dataclass(frozen=True)
class RCNNSettings(MachineSettings):
    """The numbers of an R-CNN beside those of `MachineSettings`; the defaults are for pictures of 128 × 128.

    Attributes:
        blocks: (channels, convolutions) of each block of the small network, whose last pooling is left out; others
            bring their own.
        batch_norm: whether its convolutions are normalised.
        hidden: widths of its two fully connected layers.
        dropout: share of their values that training drops.
        side: of the windows as the network sees them, in pixels.
        padding: how many of these at each side are context.
        convention: "warp" or "square", of `warp_regions`.
        preparation: mean, std and order of the channels; of the rest nothing is read.
        n_windows: that are drawn from a batch of pictures for the loss.
        positive_fraction: the share of them that may be objects.
        positive: IoU from which a region is an object in fine-tuning; below it is background.
        mirror: whether windows are mirrored at random, every second one, in fine-tuning.
        with_difficult: whether difficult objects are objects in fine-tuning; else no window is drawn from about them.
        fit_regions: how many proposals of a picture `fit` looks at, evenly spread over their order; None for all.
        windows_at_once: how many windows go through the network together, outside of training.
        svm_layer: what the machines look at: "pool", "fc6" or "fc7".
        box_layer: what the box regressors look at, likewise.
    """

    blocks: tuple[tuple[int, int], ...] = SmallSettings.blocks
    batch_norm: bool = True
    hidden: int = 128
    dropout: float = 0.0
    side: int = 24
    padding: int = 3
    convention: str = "warp"
    preparation: Preparation = field(default_factory=Preparation)
    n_windows: int = 128
    positive_fraction: float = 0.25
    positive: float = 0.5
    mirror: bool = True
    with_difficult: bool = True
    fit_regions: int | None = 300
    windows_at_once: int = 256
    svm_layer: str = "fc7"
    box_layer: str = "pool"
    norm_pictures: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        op = type(self).__name__
        for name in ("side", "n_windows", "windows_at_once"):
            integer(op, name, getattr(self, name), low=1)
        if 2 * integer(op, "padding", self.padding, low=0) >= self.side:
            raise ValueError(f"{op}: padding must be less than half of side, {self.side}, got {self.padding}")
        check_limit(op, "fit_regions", self.fit_regions)
        check_choice(op, "convention", self.convention, CONVENTIONS)
        check_choice(op, "svm_layer", self.svm_layer, LAYERS)
        check_choice(op, "box_layer", self.box_layer, LAYERS)
        check_number(op, "positive_fraction", self.positive_fraction, low=0, high=1)
        check_number(op, "positive", self.positive, low=0, high=1)


RCNN_PAPER = RCNNSettings(
    side=227,
    padding=16,
    preparation=Preparation(mean=(102.9801, 115.9465, 122.7717), std=(1.0, 1.0, 1.0), order="BGR"),
    dropout=0.5,
    fit_regions=None,
    windows_at_once=128,
    norm_pictures=200,
    detection=DetectionSettings(),
    search=SelectiveSearch(),
)
