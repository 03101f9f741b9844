"""The sliding-window detector: every window at several scales is cut out, classified, and suppressed class by class.

    windows: √area a, height over width r:   h = ⌊a·√r + ½⌋,  w = ⌊a/√r + ½⌋,  one every ⌊q·side + ½⌋ ≥ 1 pixels
    crop of S × S pixels → network → softmax over background and K classes
    score > threshold → non-maximum suppression of each class → the best of all

"The straightforward solution" of deck 002, deck 001 ("apply a CNN to many different crops of the image, CNN classifies
each crop as object or background") and deck 004 ("parse image at several locations and scales"): the baseline that the
other detectors are compared with. It shares nothing between windows, and the box of a detection is its window.

Training draws `n_windows` of every picture, at most the share `positive_fraction` of them with an object and the rest
background, labelled by `refdet.detection.window_labels`; with `include_truth` the boxes of the objects are among the
windows (deck 004: "crop objects from the images"). The loss, `class`, is the mean cross-entropy of the windows that
were drawn, 0 where there are none.

Conventions: windows lie inside the picture; one that does not fit is not there. A crop is taken by
`refdet.ops.roi_align`, aligned, as many points per bin as it has pixels: bilinear where the window is smaller than the
crop, a mean over the bin where it is larger; at the border of the window the neighbouring pixels have a part. Windows
are classified `batch` at a time, which changes no result beyond rounding. A network that is frozen as a whole runs as
at test, also in training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor, no_grad
from refdet.boxes.sampling import sample_balanced
from refdet.core.check import Array, check_choice, check_generator, check_number, integer
from refdet.data.sample import Sample
from refdet.detection.composition import check_limit, is_learning
from refdet.detection.detected import Detected
from refdet.detection.detections import detections
from refdet.detection.ground_truth import GroundTruth, ground_truth
from refdet.detection.preparation import Preparation
from refdet.detection.window_labels import centre_labels, overlap_labels
from refdet.features.backbones.vgg import vgg_features
from refdet.nn import Flatten, Linear, Module, ReLU, Sequential
from refdet.ops.roi_align import roi_align
from refdet.ops.softmax import softmax
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy
from refdet.proposals.windows import sliding_windows

LABELS = ("overlap", "centre")


@dataclass(frozen=True)
class WindowSettings:
    """Which windows are looked at, how they are labelled, and what is reported; for pictures of 128 × 128.

    Attributes:
        preparation: from pictures to batches; windows are in pixels of the batch.
        sides: √area of the windows, in pixels.
        ratios: height over width.
        stride: from one window to the next, as a share of the side in that direction.
        crop: S, pixels.
        labels: "overlap" or "centre", see `refdet.detection.window_labels`.
        positive: IoU from which a window shows the object, for "overlap".
        negative_high: IoU below which it shows the background, likewise; between them it is not drawn.
        n_windows: drawn of each picture in training.
        positive_fraction: the most of them that show an object.
        include_truth: whether the boxes of the objects are among the windows in training.
        channels: of the convolutions of the small network, each with a pooling; others bring their own.
        hidden: width of its fully connected layer.
        batch_norm: whether its convolutions are normalised.
        batch: windows that are classified at once in detection.
        score_threshold: a probability must be greater.
        pre_nms: the best of each class that enter the suppression.
        nms_threshold: IoU above which a window goes.
        post_nms: the best of all classes that are reported.
    """

    preparation: Preparation = field(default_factory=Preparation)
    sides: tuple[float, ...] = (12.0, 18.0, 27.0, 40.0, 60.0, 88.0)
    ratios: tuple[float, ...] = (0.6, 1.0, 1.67)
    stride: float = 0.25
    crop: int = 24
    labels: str = "overlap"
    positive: float = 0.5
    negative_high: float = 0.4
    n_windows: int = 32
    positive_fraction: float = 0.5
    include_truth: bool = True
    channels: tuple[int, ...] = (16, 32, 64)
    hidden: int = 128
    batch_norm: bool = True
    batch: int = 512
    score_threshold: float = 0.05
    pre_nms: int | None = 400
    nms_threshold: float = 0.3
    post_nms: int | None = 100

    def __post_init__(self) -> None:
        op = "WindowSettings"
        for name in ("sides", "ratios"):
            for value in getattr(self, name):
                check_number(op, name, value, low=0, open_low=True)
        check_number(op, "stride", self.stride, low=0, open_low=True)
        check_choice(op, "labels", self.labels, LABELS)
        for name in ("crop", "batch", "hidden", "n_windows"):
            integer(op, name, getattr(self, name), low=1)
        for name in ("positive", "negative_high", "positive_fraction", "nms_threshold"):
            check_number(op, name, getattr(self, name), low=0, high=1)
        check_number(op, "score_threshold", self.score_threshold)
        for name in ("pre_nms", "post_nms"):
            check_limit(op, name, getattr(self, name))


def window_pyramid(size: tuple[int, int], *, sides: Sequence[float], ratios: Sequence[float], stride: float) -> Array:
    """List the windows of several scales and shapes over a picture.

    Args:
        size: of the picture, (height, width).
        sides: √area of the windows, in pixels.
        ratios: height over width.
        stride: from one window to the next, as a share of the side in that direction.

    Returns:
        (R, 4) float32, rows (x1, y1, x2, y2) of whole numbers: side after side, ratio after ratio, row-major. A window
        that is larger than the picture is not there.

    An area of 4 pixels, twice as high as wide, is 3 × 1 (2.8 × 1.4, rounded), half a side apart, at least 1 pixel:

    >>> window_pyramid((4, 2), sides=[2.0], ratios=[2.0], stride=0.5)
    array([[0., 0., 1., 3.],
           [1., 0., 2., 3.]], dtype=float32)
    """
    kinds = []
    for side in sides:
        for ratio in ratios:
            h, w = (max(1, int(np.floor(side * factor + 0.5))) for factor in (ratio**0.5, ratio**-0.5))
            step = (max(1, int(np.floor(stride * h + 0.5))), max(1, int(np.floor(stride * w + 0.5))))
            kinds.append(sliding_windows(size, [(h, w)], stride=step))
    return np.concatenate([np.zeros((0, 4)), *kinds]).astype(np.float32)


class SlidingWindow(Module):
    """A classifier of crops, `network`, and the windows it is shown; a `Detector`."""

    def __init__(self, class_names: Sequence[str], network: Module, *, settings: WindowSettings | None = None) -> None:
        """Take a network that turns crops (N, 3, S, S) into logits (N, K + 1), the background first."""
        super().__init__()
        self.class_names = tuple(class_names)
        self.settings = WindowSettings() if settings is None else settings
        self.network = network

    def windows(self, size: tuple[int, int]) -> Array:
        """Return the windows (R, 4) of a prepared picture of (height, width) = `size`."""
        s = self.settings
        return _windows(size, tuple(s.sides), tuple(s.ratios), s.stride)

    def crops(self, images: Array, windows: Array, pictures: Array) -> Array:
        """Return (R, 3, S, S), the windows (R, 4) of the pictures (R,) of a batch (N, 3, H, W)."""
        rois = np.concatenate([pictures[:, None], windows], axis=1).astype(images.dtype)
        with no_grad():
            return roi_align(images, rois, self.settings.crop, aligned=True, sampling_ratio=0).data

    def labels(self, windows: Array, truth: GroundTruth) -> Array:
        """Return (R,) int64: the class that each window shows, 0, or −1 to leave it out."""
        s = self.settings
        if s.labels == "centre":
            return centre_labels(windows, truth.boxes, truth.classes, masks=truth.masks)
        return overlap_labels(windows, truth.boxes, truth.classes, positive=s.positive, negative_high=s.negative_high)

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Return the cross-entropy of balanced windows of a batch, `class`."""
        check_generator("SlidingWindow.losses", rng)
        s = self.settings
        prepared = s.preparation(samples, rng=rng)
        windows, labels, pictures = [], [], []
        for n, sample in enumerate(prepared.samples):
            truth = ground_truth(sample, n_classes=len(self.class_names))
            shown = self.windows(prepared.sizes[n])
            if s.include_truth:
                shown = np.concatenate([shown, truth.boxes])
            label = self.labels(shown, truth)
            drawn = np.concatenate(
                sample_balanced(label, n=s.n_windows, positive_fraction=s.positive_fraction, rng=rng)
            )
            windows.append(shown[drawn])
            labels.append(label[drawn])
            pictures.append(np.full(len(drawn), n))
        crops = self.crops(prepared.images_for(self), np.concatenate(windows), np.concatenate(pictures))
        is_training = is_learning(self.network) and len(crops) > 0  # nothing has no statistics
        logits = self.network(crops, training=is_training, rng=rng)
        return {"class": softmax_cross_entropy(logits, np.concatenate(labels), normalize="full")}

    def scores(self, images: Array, windows: Array) -> Array:
        """Return the probabilities (R, K + 1) of windows of the only picture of a batch, some at a time."""
        first = np.zeros(len(windows), np.int64)
        parts = [np.zeros((0, len(self.class_names)), np.float32)]
        with no_grad():
            for start in range(0, len(windows), self.settings.batch):
                part = slice(start, start + self.settings.batch)
                logits = self.network(self.crops(images, windows[part], first[part]))
                parts.append(softmax(logits, axis=1).data)
        return np.concatenate(parts)

    def detect(self, image: Array) -> Detected:
        """Classify all windows of a picture (H, W, 3), red first, in 0 … 255."""
        s = self.settings
        prepared = s.preparation.picture(image)
        windows = self.windows(prepared.sizes[0])
        of_windows = self.scores(prepared.images_for(self), windows)
        windows = windows.astype(of_windows.dtype, copy=False)
        boxes, scores, classes = detections(
            windows,
            np.zeros_like(windows),
            of_windows,
            height=prepared.sizes[0][0],
            width=prepared.sizes[0][1],
            weights=(1, 1, 1, 1),
            score_threshold=s.score_threshold,
            pre_nms=s.pre_nms,
            nms_threshold=s.nms_threshold,
            post_nms=s.post_nms,
        )
        return Detected((boxes / prepared.ratio(0)).astype(np.float32), scores.astype(np.float32), classes)


@lru_cache(maxsize=16)
def _windows(size: tuple[int, int], sides: tuple[float, ...], ratios: tuple[float, ...], stride: float) -> Array:
    """Remember the windows of the last sizes of pictures; nobody writes into them."""
    windows = window_pyramid(size, sides=sides, ratios=ratios, stride=stride)
    windows.flags.writeable = False
    return windows


def small_window_classifier(
    n_classes: int,
    *,
    crop: int = 24,
    channels: Sequence[int] = (16, 32, 64),
    hidden: int = 128,
    batch_norm: bool = True,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Sequential:
    """Return a classifier of crops: blocks of VGG with one convolution each, then two fully connected layers.

    Args:
        n_classes: the background included.
        crop: S, pixels; halved, rounding down, by every pooling.
        channels: of the convolutions.
        hidden: width of the first fully connected layer.
        batch_norm: whether every convolution is normalised.
        rng: source of the weights.
        dtype: of the parameters.
    """
    blocks, side = [(width, 1) for width in channels], crop >> len(channels)
    if side == 0:
        raise ValueError(f"small_window_classifier: {len(blocks)} poolings leave nothing of {crop} pixels")
    return Sequential(
        features=vgg_features(blocks, batch_norm=batch_norm, rng=rng, dtype=dtype),
        flatten=Flatten(),
        fc=Linear(channels[-1] * side * side, hidden, rng=rng, dtype=dtype),
        relu=ReLU(),
        score=Linear(hidden, n_classes, rng=rng, dtype=dtype),
    )


def small_sliding_window(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: WindowSettings | None = None,
    dtype: Any = np.float32,
) -> SlidingWindow:
    """Return a sliding-window detector with a small network of fresh weights.

    Args:
        class_names: of the background, then of the classes.
        rng: source of the weights.
        settings: its numbers; None for those of `WindowSettings`.
        dtype: of the weights.
    """
    s = settings or WindowSettings()
    network = small_window_classifier(
        len(class_names),
        crop=s.crop,
        channels=s.channels,
        hidden=s.hidden,
        batch_norm=s.batch_norm,
        rng=rng,
        dtype=dtype,
    )
    return SlidingWindow(class_names, network, settings=s)
