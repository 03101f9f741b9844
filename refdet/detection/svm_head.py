"""Detection by support vector machines on features of regions: what R-CNN and SPP-net share.

    scale = 20 / mean ‖f‖                   so that the constant C means the same for every network
    z_c = w_cᵀ (scale · f) + b_c            the margin of class c; each class has a machine against all that is not it
    detections                              `refdet.detection.region_detections`

For class c the positives are the boxes of its objects, exactly, and the negatives are regions with IoU < 0.3 with every
object of the class; what is in between is ignored (`refdet.detection.hard_negative_mining` finds the hard ones). The
boxes of all objects, difficult or not, are among these regions, before the others, as in R-CNN's code; not so where
`objects_as_negatives` of the mining is false.

Girshick et al., "Rich feature hierarchies" (2014), §2.3 and appendix B, and its code; He et al., "Spatial pyramid
pooling" (2014), §4.2; decks 000 to 002.

Conventions: class 0 is the background, has no machine, and scores −∞, as does a class of which training saw no object.
An IoU of exactly 0.3 makes no negative. An object that is difficult is no positive, and a region that overlaps it by
0.3 or more no negative. The mean of the norms is that of all regions but the objects, or of the objects where there are
no others; where it is 0 the scale is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from refdet.boxes.iou import box_iou
from refdet.core.check import Array, check_floating, check_integer, check_shape, integer
from refdet.detection.detected import Detected
from refdet.detection.hard_negative_mining import HardNegatives, MiningSettings
from refdet.detection.region_detections import DetectionSettings, Move, detect_regions
from refdet.nn.module import Module


class RegionFeatures(NamedTuple):
    """What a picture of R regions and G objects gives to the machines, and to the box regressors.

    The last two are for box regressors that look at another layer, as R-CNN's do; where they are None the regressors
    look at the same one.
    """

    features: Array  # (R, F), float32 or float64
    boxes: Array  # (R, 4), in pixels of the picture
    truth_boxes: Array  # (G, 4), likewise
    truth_classes: Array  # (G,) integers, from 1 on
    truth_features: Array  # (G, F)
    difficult: Array  # (G,) bool
    box_features: Array | None = None  # (R, F')
    truth_box_features: Array | None = None  # (G, F')

    def for_regressors(self) -> Array:
        """Return (R + G, F'), what box regressors look at: that of the regions, then that of the objects."""
        of_regions = self.features if self.box_features is None else self.box_features
        of_truths = self.truth_features if self.truth_box_features is None else self.truth_box_features
        return np.concatenate([of_regions, of_truths])


class SVMHead(Module):
    """A linear machine per class on features of one length. All that is learned are buffers, saved with the network."""

    weight: Array  # (K, F)
    bias: Array  # (K,)
    known: Array  # (K,) bool, which classes have a machine
    feature_scale: Array  # ()

    def __init__(
        self,
        n_classes: int,
        n_features: int,
        *,
        mining: MiningSettings | None = None,
        settings: DetectionSettings | None = None,
        feature_norm: float = 20.0,
        dtype: Any = np.float32,
    ) -> None:
        """Make a head that knows no class yet.

        Args:
            n_classes: K, the background included, which has the number 0.
            n_features: F.
            mining: how the machines are trained.
            settings: from scores to detections.
            feature_norm: to which the mean norm of the features is scaled.
            dtype: of what is stored; training computes in float64.
        """
        super().__init__()
        K, F = integer("SVMHead", "n_classes", n_classes, low=1), integer("SVMHead", "n_features", n_features, low=1)
        self.mining, self.settings, self.feature_norm = mining or MiningSettings(), settings, feature_norm
        self.add_buffer("weight", np.zeros((K, F), dtype))
        self.add_buffer("bias", np.zeros(K, dtype))
        self.add_buffer("known", np.zeros(K, np.bool_))
        self.add_buffer("feature_scale", np.ones((), dtype))

    def fit(
        self,
        images: Iterable[RegionFeatures],
        *,
        truths: Iterable[RegionFeatures] | None = None,
        also: Callable[[RegionFeatures], None] | None = None,
    ) -> None:
        """Train all machines in two walks over the pictures: one for the objects, one for the hard negatives.

        Args:
            images: what begins anew each time it is walked over, such as a list; the mining depends on the order.
            truths: for the first walk, if the features of all regions are not to be computed twice: the same pictures,
                of which most may come without regions. The mean norm is that of the regions that are there.
            also: called with each picture of the second walk; box regressors take their examples so.
        """
        if isinstance(images, Iterator):
            raise TypeError("SVMHead.fit: images are walked over twice; pass a list or the like, not an iterator")
        positives, norm = self._objects(images if truths is None else truths)
        if not np.isfinite(norm):
            raise ValueError("SVMHead.fit: features must be finite, got NaN or an infinity")
        scale = self.feature_norm / norm if norm > 0 else 1.0
        miners = {c: HardNegatives(scale * x, self.mining) for c, x in positives.items() if len(x)}
        for regions in images:
            self._check(regions)
            features, boxes = regions.features, regions.boxes
            if self.mining.objects_as_negatives:
                features = np.concatenate([regions.truth_features, features])
                boxes = np.concatenate([regions.truth_boxes, boxes])
            features = scale * features.astype(np.float64)
            for c, miner in miners.items():
                miner.add(features[self._is_negative(boxes, regions, c)])
            if also is not None:
                also(regions)
        weight, bias, known = (np.zeros_like(x) for x in (self.weight, self.bias, self.known))
        for c, miner in miners.items():
            machine = miner.finish()
            weight[c], bias[c], known[c] = machine.weight, machine.bias, True
        self.weight, self.bias, self.known = weight, bias, known
        self.feature_scale = np.array(scale, self.feature_scale.dtype)

    def score(self, features: Array) -> Array:
        """Return (R, K), the margins of (R, F) features; −∞ for the background and for classes without a machine."""
        check_floating("SVMHead.score", features=features)
        check_shape("SVMHead.score", "features", features, (len(features), self.weight.shape[1]), "one row a region")
        dtype = features.dtype
        margins = (features * self.feature_scale.astype(dtype)) @ self.weight.T.astype(dtype) + self.bias.astype(dtype)
        scores: Array = np.where(self.known, margins, np.array(-np.inf, dtype))
        return scores

    def detections(self, features: Array, boxes: Array, size: tuple[int, int], *, move: Move | None = None) -> Detected:
        """Detect in a picture of (height, width) pixels from the features (R, F) of its regions (R, 4).

        `move` is that of `detect_regions`: the box regressors, for instance.
        """
        return detect_regions(self.score(features), boxes, size, settings=self.settings, move=move)

    def _objects(self, images: Iterable[RegionFeatures]) -> tuple[dict[int, Array], float]:
        """Return the features of the objects of each class, and the mean norm of all features."""
        K, F = self.weight.shape
        found: dict[int, list[Array]] = {c: [np.zeros((1, F))[:0]] for c in range(1, K)}
        region_norms, truth_norms = [np.zeros(0)], [np.zeros(0)]
        for regions in images:
            self._check(regions)
            of_truths = regions.truth_features.astype(np.float64)
            for c in found:
                found[c].append(of_truths[(regions.truth_classes == c) & ~regions.difficult])
            region_norms.append(np.linalg.norm(regions.features.astype(np.float64), axis=1))
            truth_norms.append(np.linalg.norm(of_truths, axis=1))
        norms = np.concatenate(region_norms)
        norms = norms if len(norms) else np.concatenate(truth_norms)
        return {c: np.concatenate(x) for c, x in found.items()}, float(norms.mean()) if len(norms) else 0.0

    def _is_negative(self, boxes: Array, regions: RegionFeatures, c: int) -> Array:
        """Return which boxes (B, 4) overlap no object of class c, difficult ones included, by too much."""
        objects = regions.truth_boxes[regions.truth_classes == c]
        iou = box_iou(boxes.astype(np.float64), objects.astype(np.float64))
        negative: Array = np.max(iou, axis=1, initial=0.0) < self.mining.negative_below
        return negative

    def _check(self, regions: RegionFeatures) -> None:
        op, because = "SVMHead.fit", "see RegionFeatures"
        (K, F), R, G = self.weight.shape, len(regions.boxes), len(regions.truth_boxes)
        check_shape(op, "features", regions.features, (R, F), because)
        check_shape(op, "truth_features", regions.truth_features, (G, F), because)
        check_integer(op, truth_classes=regions.truth_classes)
        check_shape(op, "truth_classes", regions.truth_classes, (G,), because)
        check_shape(op, "difficult", regions.difficult, (G,), because)
        outside = (regions.truth_classes < 1) | (regions.truth_classes >= K)
        if outside.any():
            raise ValueError(
                f"{op}: truth_classes must lie in 1 … {K - 1}, got {int(regions.truth_classes[np.argmax(outside)])}"
            )
