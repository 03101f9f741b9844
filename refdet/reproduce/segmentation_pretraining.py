"""The first stage of the experiment on segmentation: the backbone learns to tell single objects.

FCN starts from a network that was trained to classify (Long, Shelhamer & Darrell, 2015, §4.1). On these scenes that
matters: FCNs of this size that started from random values and saw colours only stayed on the background for as long as
there was time. The classifier sees the objects of the training scenes, each cut out by its box with some context and
resized, and pieces of background: six shapes and "none", all equally often. It is no other data than FCN's own.

FCN takes over the backbone. It does not take over fc6, unlike the paper: fc6's window, 4 × 4 pixels of the last map,
would need crops of 97 pixels at least, four times as costly; the classifier has a window of 2 × 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from refdet import ops
from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.data.shapes import Scene
from refdet.reproduce.progress import OnProgress
from refdet.reproduce.segmentation_descent import descend
from refdet.reproduce.segmentation_scenes import GREY, network_channels
from refdet.reproduce.segmentation_settings import N_CLASSES, Settings
from refdet.segmentation.vgg import VGGClassifier

CONTEXT = (1.05, 1.7)  # side of a crop, in longer sides of the box
SHIFT = 0.12  # of the longer side: by how much a crop is off the centre of the box
LEAST_SIDES = (7, 12)  # pixels of the shorter and of the longer side of a box that is used
BACKGROUND_SIDES = (16, 48)  # pixels of a crop of background
CLEAR = 0.2  # of its side: how far around its centre it has no object
CROPS_EACH = 2  # of an object, and tries for pieces of background in a scene


class Crops(NamedTuple):
    """Pictures of single objects, or of none."""

    images: Array  # (N, side, side, 3) uint8
    labels: Array  # (N,) int64, 0 for none


def cut_crops(scenes: Sequence[Scene], side: int, rng: np.random.Generator) -> Crops:
    """Cut the objects out of scenes, and some background."""
    images, labels = [], []
    for scene in scenes:
        for (x1, y1, x2, y2), label in zip(scene.boxes.tolist(), scene.classes.tolist(), strict=True):
            shorter, longer = sorted((x2 - x1, y2 - y1))
            if shorter < LEAST_SIDES[0] or longer < LEAST_SIDES[1]:
                continue
            for _ in range(CROPS_EACH):
                centre = np.array([y1 + y2, x1 + x2]) / 2 + rng.uniform(-SHIFT, SHIFT, 2) * longer
                images.append(resized_crop(scene.image, centre, rng.uniform(*CONTEXT) * longer, side))
                labels.append(label)
        for _ in range(CROPS_EACH):
            extent = rng.uniform(*BACKGROUND_SIDES)
            centre = rng.uniform(extent / 4, np.array(scene.label_map.shape) - extent / 4)
            top, left = np.maximum(centre - CLEAR * extent, 0).astype(int)
            bottom, right = (centre + CLEAR * extent).astype(int) + 1
            if not scene.label_map[top:bottom, left:right].any():
                images.append(resized_crop(scene.image, centre, extent, side))
                labels.append(0)
    return Crops(np.stack(images), np.array(labels))


def resized_crop(image: Array, centre: Array, extent: float, side: int) -> Array:
    """Return a square of a picture, `extent` pixels long, as side × side pixels: bilinear, grey around the picture."""
    padded = np.pad(image.astype(np.float32), ((1, 1), (1, 1), (0, 0)), constant_values=GREY)
    steps = ((np.arange(side) + 0.5) / side - 0.5) * extent + 0.5  # + 0.5: of a pixel's centre, and of the padding
    lines, weights = [], []
    for along, n in zip(centre, image.shape[:2], strict=True):
        at = np.clip(along + steps, 0, n + 1)
        low = np.minimum(np.floor(at).astype(int), n)
        lines.append((low, low + 1))
        weights.append((at - low).astype(np.float32))
    y, x = weights[0][:, None, None], weights[1][None, :, None]
    (top, bottom), (left, right) = lines
    upper = padded[np.ix_(top, left)] * (1 - x) + padded[np.ix_(top, right)] * x
    lower = padded[np.ix_(bottom, left)] * (1 - x) + padded[np.ix_(bottom, right)] * x
    resized: Array = np.floor(upper * (1 - y) + lower * y + 0.5).astype(np.uint8)
    return resized


def pretrain(
    settings: Settings, scenes: Sequence[Scene], seed: int, on_progress: OnProgress
) -> tuple[VGGClassifier, list[float]]:
    """Return a classifier trained on crops of the scenes, and the loss of each step."""
    rng = np.random.default_rng([seed, 4])
    crops = cut_crops(scenes, settings.crop_side, rng)
    of_class = [np.flatnonzero(crops.labels == label) for label in np.unique(crops.labels)]
    plan = replace(settings.plan, fc_kernel=-(-settings.crop_side // settings.plan.stride))
    classifier = VGGClassifier(N_CLASSES, plan=plan, rng=rng)

    def batch_loss() -> Tensor:
        classes = rng.integers(len(of_class), size=settings.crop_batch_size)
        chosen = np.array([rng.choice(of_class[k]) for k in classes])
        images = np.rot90(crops.images[chosen], int(rng.integers(4)), axes=(1, 2))
        images = images[:, :, :: rng.choice((-1, 1)), rng.permutation(3)]
        logits = classifier(network_channels(images), training=True, rng=rng)
        return ops.softmax_cross_entropy(logits, crops.labels[chosen])

    losses = descend(
        "classifier",
        classifier.named_parameters(),
        batch_loss,
        n_steps=settings.crop_steps,
        lr=settings.crop_lr,
        on_progress=on_progress,
    )
    return classifier, losses
