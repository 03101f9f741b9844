"""Machines and box regressors behind any network that gives features of regions: the last stage of R-CNN and SPP-net.

    fit       for each picture: its proposals and its objects → network → features
              → a support vector machine per class, a box regressor per class
    detect    proposals → network → features → margin of every class → boxes moved by the regressor of the class → NMS

What the network is, how it is trained and which of its layers are looked at is the business of a detector
(`refdet.detection.rcnn`, `refdet.detection.spp_net`): it answers `see_regions`.

Girshick, Donahue, Darrell & Malik, "Rich feature hierarchies for accurate object detection and semantic segmentation"
(2014), §2.3 and appendix C; He, Zhang, Ren & Sun, "Spatial pyramid pooling in deep convolutional networks" (2014),
§4.1; decks 000 to 002.

Conventions: `fit` draws nothing and takes the pictures in their order; the network must not change any more. Before it,
and where it found no object, detections have the scores of the softmax, their boxes as they are. What it learns are
buffers, so that one file holds them and the network. Machines learn from objects alone as positives, box regressors
from objects and regions; what exactly is said in `refdet.detection.svm_head` and `refdet.detection.ridge_boxes`.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import Array, check_choice, integer
from refdet.data.sample import Sample
from refdet.detection.detected import Detected
from refdet.detection.ground_truth import ground_truth
from refdet.detection.hard_negative_mining import MiningSettings
from refdet.detection.region_detections import DetectionSettings, detect_regions
from refdet.detection.ridge_boxes import BoxRegressor
from refdet.detection.set_wide_threshold import set_wide_thresholds
from refdet.detection.svm_head import RegionFeatures, SVMHead
from refdet.detection.with_proposals import (
    SMALL_PICTURES,
    Propose,
    SelectiveSearch,
    checked_proposals,
    proposals_of,
)
from refdet.nn import Module
from refdet.ops.softmax import softmax

SCORES = ("machines", "softmax")


@dataclass(frozen=True)
class MachineSettings:
    """The numbers of machines and box regressors, which every detector that has them adds its own to.

    Attributes:
        ridge: λ of the box regressors.
        pair_iou: above which a region teaches a box regressor.
        regress: whether boxes are moved by the regressors.
        feature_norm: to which the mean norm of features is scaled.
        norm_pictures: of how many pictures, or up to twice as many, the regions are looked at for that mean.
        scores: "machines", or "softmax" of the network itself.
        softmax_threshold: above which a probability is reported.
        mining: how the machines are trained.
        detection: from scores to detections.
        search: finds the proposals of a picture that comes without.
    """

    ridge: float = 1000.0
    pair_iou: float = 0.6
    regress: bool = True
    feature_norm: float = 20.0
    norm_pictures: int = 200
    scores: str = "machines"
    softmax_threshold: float = 0.05
    mining: MiningSettings = field(default_factory=MiningSettings)
    detection: DetectionSettings = field(default_factory=lambda: DetectionSettings(top=50))
    search: SelectiveSearch = SMALL_PICTURES

    def __post_init__(self) -> None:
        op = type(self).__name__
        integer(op, "norm_pictures", self.norm_pictures, low=1)
        check_choice(op, "scores", self.scores, SCORES)


class SeenRegions(NamedTuple):
    """What a network says of R regions of a picture."""

    for_machines: Array  # (R, F)
    for_regressors: Array  # (R, F')
    logits: Array  # (R, K), of its own softmax


class MachinesOnRegions(Module, ABC):
    """A detector of proposals that others find; what is not there yet is the network, its losses and `see_regions`."""

    settings: MachineSettings
    svm: SVMHead
    box_regressor: BoxRegressor

    def __init__(self, class_names: Sequence[str], settings: MachineSettings, propose: Propose | None) -> None:
        """Begin a detector of these classes, the background first; `add_machines` when its network is there.

        Args:
            class_names: of the background, then of the classes.
            settings: all numbers.
            propose: finds the proposals of a picture that comes without; None for `settings.search`.
        """
        super().__init__()
        self.class_names, self.settings = tuple(class_names), settings
        self.propose: Propose = settings.search if propose is None else propose

    def add_machines(self, machine_width: int, regressor_width: int, *, dtype: Any) -> None:
        """Put untrained machines and box regressors behind layers of these widths, F and F'."""
        K, s = len(self.class_names), self.settings
        self.svm = SVMHead(
            K, machine_width, mining=s.mining, settings=s.detection, feature_norm=s.feature_norm, dtype=dtype
        )
        self.box_regressor = BoxRegressor(
            K, regressor_width, ridge=s.ridge, above=s.pair_iou, feature_norm=s.feature_norm, dtype=dtype
        )

    @abstractmethod
    def see_regions(self, image: Array, boxes: Array) -> SeenRegions:
        """Show the network the regions (R, 4) of a picture (H, W, 3), as in detection; R may be 0."""

    def fit_regions(self, proposals: Array) -> Array:
        """Return those of the proposals (P, 4) of a picture that `fit` looks at: all, if a detector says nothing."""
        return proposals

    # what it learns

    def fit(self, samples: Sequence[Sample], *, progress: Callable[[int], None] | None = None) -> None:
        """Train the machines and the box regressors on samples with proposals, after the network is trained.

        Args:
            samples: in the order in which they are looked at, twice: first for the objects, then for the rest.
            progress: called with the number of pictures after each one of the second time.
        """
        if not isinstance(samples, Sequence):
            raise TypeError(f"{type(self).__name__}.fit: samples are looked at twice; pass a list or the like")
        numbers = count(1)

        def also(regions: RegionFeatures) -> None:
            self.box_regressor.add(
                regions.for_regressors(),
                np.concatenate([regions.boxes, regions.truth_boxes]),
                regions.truth_boxes,
                regions.truth_classes,
                regions.difficult,
            )
            if progress is not None:
                progress(next(numbers))

        self.box_regressor.forget()
        every = max(1, len(samples) // self.settings.norm_pictures)
        self.svm.fit(_Pictures(self, samples), truths=_Pictures(self, samples, every), also=also)
        self.box_regressor.finish()

    def region_features(self, sample: Sample, *, with_regions: bool = True) -> RegionFeatures:
        """Return what machines and box regressors learn of a picture: its proposals, if wanted, and its objects."""
        truth, proposals = ground_truth(sample, n_classes=len(self.class_names)), proposals_of(sample)
        boxes = self.fit_regions(proposals) if with_regions else proposals[:0]
        seen, R = self.see_regions(sample.image, np.concatenate([boxes, truth.boxes])), len(boxes)
        return RegionFeatures(
            seen.for_machines[:R],
            boxes,
            truth.boxes,
            truth.classes,
            seen.for_machines[R:],
            sample.difficult,
            seen.for_regressors[:R],
            seen.for_regressors[R:],
        )

    # what it finds

    def detect(self, image: Array, proposals: Array | None = None, *, at_least: Array | None = None) -> Detected:
        """Find the objects in a picture (H, W, 3), red first, in 0 … 255, among proposals (P, 4) in its pixels.

        `at_least` is that of `detect_regions`: what `thresholds_of_set` says of the pictures of a test, for instance.
        """
        s, size = self.settings, (int(image.shape[0]), int(image.shape[1]))
        boxes, seen = self._see(image, proposals)
        scores, settings = self._score(seen)

        def move(rows: Array, c: int) -> Array:
            return self.box_regressor.predict(seen.for_regressors[rows], boxes[rows], c)

        return detect_regions(
            scores, boxes, size, settings=settings, move=move if s.regress else None, at_least=at_least
        )

    def thresholds_of_set(
        self, samples: Sequence[Sample], *, per_picture: int = 40, progress: Callable[[int], None] | None = None
    ) -> Array:
        """Return (K,), the least score of each class that may stay in these pictures: `set_wide_thresholds`.

        Args:
            samples: all pictures of a test. The network sees each of them now, and once more in `detect`.
            per_picture: how many regions of a class stay for each picture.
            progress: called with the number of pictures after each one.
        """

        def scores() -> Iterator[Array]:
            for i in range(len(samples)):
                sample = samples[i]
                yield self._score(self._see(sample.image, sample.proposals)[1])[0]
                if progress is not None:
                    progress(i + 1)

        top_per_class = self.settings.detection.top_per_class
        return set_wide_thresholds(scores(), top_per_class=top_per_class, per_picture=per_picture)

    def _see(self, image: Array, proposals: Array | None) -> tuple[Array, SeenRegions]:
        """Return the proposals (P, 4) of a picture, found where there are none, and what the network says of them."""
        op = f"{type(self).__name__}.detect"
        boxes = checked_proposals(op, self.propose(image) if proposals is None else proposals)
        return boxes, self.see_regions(image, boxes)

    def _score(self, seen: SeenRegions) -> tuple[Array, DetectionSettings]:
        """Return the scores (R, K) of regions, of machines or the softmax, and how they become detections."""
        s = self.settings
        if s.scores == "machines" and self.svm.known.any():
            return self.svm.score(seen.for_machines), s.detection
        probabilities: Array = softmax(seen.logits, axis=1).data
        return probabilities, dataclasses.replace(s.detection, score_threshold=s.softmax_threshold)


class _Pictures:
    """What `SVMHead.fit` walks over: pictures whose features are computed each time, regions only of every n-th."""

    def __init__(self, model: MachinesOnRegions, samples: Sequence[Sample], every: int = 1) -> None:
        self.model, self.samples, self.every = model, samples, every

    def __iter__(self) -> Iterator[RegionFeatures]:
        for i in range(len(self.samples)):
            yield self.model.region_features(self.samples[i], with_regions=i % self.every == 0)
