"""The numbers of the experiment on the R-CNN family, all of them, frozen before it is run.

They are chosen on the scenes of seeds 0 and 1 of `Shapes`, those of `refdet train`; the experiment's own scenes are
those of `first_scenes` and above.

Every detector has the backbone of `BLOCKS` and begins with what one classifier of objects has learned, and sees the
training scenes for as many steps as its recipe says. R-CNN shows the network every proposal by itself:
`rcnn_seeds` says how many seeds that is worth.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from refdet.detection.hard_negative_mining import MiningSettings
from refdet.detection.multi_scale_roi_align import CropSettings
from refdet.detection.object_classifier import CropsOfObjects
from refdet.detection.preparation import Preparation
from refdet.detection.rcnn_settings import RCNNSettings
from refdet.detection.rpn_settings import RPNSettings
from refdet.detection.sliding_window import WindowSettings
from refdet.detection.small_detectors import SmallSettings
from refdet.detection.small_fast_rcnn import SmallFastRCNNSettings
from refdet.detection.spp_settings import SPPSettings
from refdet.detection.with_proposals import SMALL_PICTURES, SelectiveSearch
from refdet.training.recipes import CLASSIFIER, SMALL, DetectorRecipe

DEFAULT_SEEDS = 5
BLOCKS = SmallSettings().blocks
# On small networks more negatives are hard than on the paper's, nearly all of SPP-net's: machines that are trained anew
# for every 2000 of them would take hours, by extrapolation.
MINING = MiningSettings(retrain_after=20_000, objects_as_negatives=False)
# The recipes of `refdet train`, shorter, as every seed trains nine networks, and in the colours of the scenes. Regions
# are seen without what is around them, but for R-CNN's pixel of context, and the classifier learns no cells.
CLASSIFIER_FIRST = CLASSIFIER.in_true_colours().in_steps(4000)
LIKE_SMALL = replace(SMALL.in_true_colours(), steps=1500, begins_with=CLASSIFIER_FIRST)
HEADS: dict[str, Any] = {
    "context": 1.0,
    "crops": CropSettings(aligned=True, canonical_side=136.0),
}  # 17 … 34 pixels: scale 1
# SPP-net's scales have the ratios of the paper's, and so has the single scale to the windows.
WINDOWS: dict[str, Any] = {
    "scales": (160,),
    "target_side": 52.0,
    "projection": "paper",
    "margin": 6.5,
    "fc": (128, 128),
    "crop_sizes": (32, 48),
}
# The recipe of what begins with the classifier, and is no `SMALL` detector.
FINE_TUNING = DetectorRecipe(steps=1500, batch_size=4, lr=0.01, optimiser="muon", adam_lr=0.002, to_zero=True)


@dataclass(frozen=True)
class Settings:
    """Every number of the experiment, and why it is what it is.

    Attributes:
        side: of the square scenes, that of `Shapes` unless told otherwise.
        n_train, n_test: scenes of a seed; the first ones are trained on, the others tested on.
        first_scenes: seed s has the scenes of seed `first_scenes` + s, so that none of them has been seen before.
        rcnn_seeds: the seeds, from 0 on, for which R-CNN is trained and tested. Three are the fewest whose interval is
            not many times as wide as their spread (12.7 s/√2, but 4.3 s/√3).
        windows_seeds: likewise for the sliding window: some 4000 windows a scene, and nothing is claimed of it.
        search: finds the proposals, the same for all detectors that need some.
        crops, classifier: what is shown to the classifier that all detectors begin with, and how it is trained. A step
            costs as much as one of a detector's.
        windows, windows_recipe: of the sliding window.
        windows_hidden: width of its two fully connected layers.
        rcnn, rcnn_recipe: of R-CNN, with frozen as with learning features: both see the same windows.
        spp, five_scales: of SPP-net at one scale, and the scales of the other, which has all other numbers from it.
        spp_crops_recipe: of its first stage, on crops of proposals, after which the convolutions are frozen. Both
            begin with what comes of it. No steps leave the stage out. A step sees as many crops as R-CNN's, and costs
            as much or more.
        spp_recipe: of its second stage, the fully connected layers, at one scale and at five.
        spp_fit_regions: proposals of a scene that its machines learn from. All that are hard are kept: of a network
            that has learned too little these are all.
        fast, fast_recipe: of Fast R-CNN.
        svd_ranks: t of fc6 and of fc7 of its compressed copy. They leave 29 % and 50 % of the weights, as
            the paper's 1024 and 256 leave 29 % and 13 % of VGG-16's.
        faster, faster_recipe: of Faster R-CNN; as many steps as Fast R-CNN.
        n_timed: test scenes on which the seconds a picture are measured. They differ from scene to scene, by the
            number of proposals, less than 2 times.
        timing_rounds: how often each is measured; the median counts.
        fc_rounds: how often the fully connected layers alone are: they take milliseconds.
    """

    side: int = 128
    n_train: int = 2000
    n_test: int = 500
    first_scenes: int = 1000
    rcnn_seeds: int = 3
    windows_seeds: int = 1
    search: SelectiveSearch = SMALL_PICTURES
    crops: CropsOfObjects = field(default_factory=CropsOfObjects)
    classifier: DetectorRecipe = CLASSIFIER_FIRST
    windows: WindowSettings = field(default_factory=lambda: WindowSettings(stride=0.35))
    windows_hidden: int = 128
    windows_recipe: DetectorRecipe = field(default_factory=lambda: replace(FINE_TUNING, steps=1000, batch_size=8))
    rcnn: RCNNSettings = field(
        default_factory=lambda: RCNNSettings(blocks=BLOCKS, padding=1, fit_regions=60, mining=MINING)
    )
    rcnn_recipe: DetectorRecipe = FINE_TUNING
    spp: SPPSettings = field(default_factory=lambda: SPPSettings(blocks=BLOCKS, mining=MINING, **WINDOWS))
    five_scales: tuple[int, ...] = (112, 134, 160, 201, 279)
    spp_crops_recipe: DetectorRecipe = field(default_factory=lambda: replace(FINE_TUNING, steps=500, batch_size=2))
    spp_recipe: DetectorRecipe = FINE_TUNING
    spp_fit_regions: int = 40
    fast: SmallFastRCNNSettings = field(
        default_factory=lambda: SmallFastRCNNSettings(
            blocks=BLOCKS, head=replace(SmallFastRCNNSettings().head, **HEADS)
        )
    )
    fast_recipe: DetectorRecipe = LIKE_SMALL
    svd_ranks: tuple[int, int] = (32, 32)
    faster: SmallSettings = field(
        default_factory=lambda: SmallSettings(blocks=BLOCKS, head=replace(SmallSettings().head, **HEADS))
    )
    faster_recipe: DetectorRecipe = LIKE_SMALL
    n_timed: int = 20
    timing_rounds: int = 3
    fc_rounds: int = 15

    def __post_init__(self) -> None:
        for name in ("windows", "rcnn", "spp", "fast", "faster"):
            if (blocks := getattr(getattr(self, name), "blocks", self.blocks)) != self.blocks:
                raise ValueError(f"Settings: {name} must have the blocks of the others, {self.blocks}, got {blocks}")
            if getattr(self, name).batch_norm != self.batch_norm:
                raise ValueError(f"Settings: batch_norm of {name} must be that of the others, {self.batch_norm}")
        for name in ("rcnn", "spp", "fast"):
            if getattr(self, name).search != self.search:
                raise ValueError(f"Settings: {name} must look for proposals as `search` does")
        # all that begins with the classifier has its layers
        widths = {"rcnn": (self.rcnn.hidden, self.rcnn.hidden), "faster": self.faster.fc}
        sides = {"rcnn": self.rcnn.side}
        for name in ("fast", "faster"):
            detector = getattr(self, name)
            if detector.scales is not None:
                sides[name] = detector.head.side << (detector.early - 1)
        for name, side in sides.items():
            if side != self.crops.side:
                raise ValueError(f"Settings: {name} must see regions of {self.crops.side} pixels, as crops, got {side}")
            if widths.get(name, self.fast.fc) != self.fast.fc:
                raise ValueError(
                    f"Settings: {name} must have layers as wide as fast, {self.fast.fc}, got {widths[name]}"
                )
        contexts = {name: getattr(self, name).head.context for name in ("fast", "faster") if name in sides}
        for name, context in contexts.items():
            if context != self.crops.context:
                raise ValueError(
                    f"Settings: {name} must see as much around a region as crops, {self.crops.context}, got {context}"
                )

    @property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """(channels, convolutions) of the blocks of every backbone."""
        return self.fast.blocks

    @property
    def batch_norm(self) -> bool:
        """Whether every convolution of them is normalised."""
        return self.fast.batch_norm


FULL = Settings()


def _tiny(batch_size: int = 2) -> DetectorRecipe:
    return DetectorRecipe(steps=2, batch_size=batch_size, lr=0.01, warm_up=1)


TINY_BLOCKS = ((4, 1), (6, 1), (8, 1))
TINY_SEARCH = replace(SMALL_PICTURES, n=24, min_side=4.0)
# All the pieces, connected, in seconds: the scores mean nothing.
MINIATURE = Settings(
    side=40,
    n_train=4,
    n_test=3,
    search=TINY_SEARCH,
    crops=CropsOfObjects(side=16, context=4 / 3, cells=16),
    classifier=replace(_tiny(4), mirror=False),
    windows=WindowSettings(sides=(16.0, 28.0), stride=0.5, crop=16, n_windows=8, batch_norm=True),
    windows_hidden=8,
    windows_recipe=_tiny(),
    rcnn=RCNNSettings(
        blocks=TINY_BLOCKS, hidden=12, side=16, padding=2, n_windows=16, fit_regions=12, norm_pictures=2,
        search=TINY_SEARCH,
    ),
    rcnn_recipe=_tiny(),
    spp=SPPSettings(
        blocks=TINY_BLOCKS, scales=(40,), target_side=16.0, levels=(1, 2), box_levels=(2,), fc=(8, 8), crop_sizes=(16,),
        norm_pictures=2, search=TINY_SEARCH,
    ),
    five_scales=(32, 36, 40, 44, 48),
    spp_crops_recipe=_tiny(),
    spp_fit_regions=12,
    spp_recipe=_tiny(),
    fast=SmallFastRCNNSettings(
        blocks=TINY_BLOCKS, scales=(1.0,), early=1, head=replace(SmallFastRCNNSettings().head, side=16, n_drawn=16),
        fc=(12, 12), search=TINY_SEARCH,
    ),
    fast_recipe=_tiny(),
    svd_ranks=(4, 4),
    faster=SmallSettings(
        blocks=TINY_BLOCKS,
        rpn=RPNSettings(
            sizes=((12.0, 24.0),), ratios=(1.0,), anchor_convention="detectron2", anchor_offset=0.5, hidden=8,
            n_drawn=16, pre_nms=(40, 40), post_nms=(16, 16), min_size=2.0,
        ),
        head=replace(SmallSettings().head, crops=CropSettings(aligned=True), side=3, n_drawn=16),
        scales=None,
        preparation=Preparation(),
        fc=(12, 12),
    ),
    faster_recipe=_tiny(),
    n_timed=2,
    timing_rounds=1,
    fc_rounds=2,
)  # fmt: skip

# CPU-seconds of the stages of a seed with the backend numba-cpu on one core, so that a progress bar can tell how long
# all of it will take: measured once, while other programs ran.
STAGE_SECONDS: dict[str, float] = {
    "scenes": 50,
    "proposals, train": 250,
    "proposals, test": 60,
    "classifier": 990,
    "faster": 760,
    "faster, test": 80,
    "fast": 450,
    "fast, test": 205,
    "fast_svd, test": 210,
    "spp_crops": 290,
    "spp_1": 105,
    "spp_1, machines": 210,
    "spp_1, test": 100,
    "spp_5": 600,
    "spp_5, machines": 600,
    "spp_5, test": 200,
    "rcnn_frozen": 140,
    "rcnn_frozen, machines": 130,
    "rcnn_frozen, test": 590,
    "rcnn": 350,
    "rcnn, machines": 120,
    "rcnn, test": 560,
    "sliding_window": 450,
    "sliding_window, test": 1100,
    "timing": 200,
    "timing, fully connected layers": 10,
}
