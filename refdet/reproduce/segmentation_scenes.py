"""Scenes for the experiment on segmentation, those of `refdet.data.shapes`, and what a network sees of a picture.

On these scenes neither colour nor texture tells a class, nor even an object from the background: outlines do. A network
has minutes to learn that an outline looks the same in every pair of colours, so it is given outlines beside colours:

    channels 0 … 2   (red, green, blue − 128) / 64
    channels 3 … 5   m − 1,   (Gxx − Gyy) / m,   2 Gxy / m        m = √(Gxx + Gyy + ε)

Gxx, Gyy and Gxy are the sums over the three colours of dx², dy² and dx·dy, with dx and dy from Sobel's filters: m is
the strength of an edge, the other two are m cos 2φ and m sin 2φ for a gradient in one colour at the angle φ. They
are the same whichever side is the brighter one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.data.shapes import Scene, Shapes
from refdet.reproduce.progress import OnProgress, Progress
from refdet.reproduce.segmentation_settings import Settings

N_CHANNELS = 6
GREY, SPREAD = 128.0, 64.0  # of colours: inputs of about unit variance
FAINT = 0.02  # ε: the square of an edge below which its direction says little


class Split(NamedTuple):
    """Some scenes: what a CRF sees, what a network sees, and the truth."""

    images: Array  # (N, H, W, 3) uint8
    inputs: Array  # (N, 6, H, W) float32
    label_maps: Array  # (N, H, W) int64

    def __len__(self) -> int:
        return len(self.images)  # not the number of fields


class Splits(NamedTuple):
    """Scenes to train, to tune and to measure on; those of training with their boxes as well."""

    train: Split
    validation: Split
    test: Split
    boxed: Sequence[Scene]


def make_scenes(settings: Settings, seed: int, on_progress: OnProgress) -> Splits:
    """Paint the scenes of a seed: first those of training, then those of validation and of the test."""
    sizes = (settings.n_train, settings.n_validation, settings.n_test)
    scenes: list[Scene] = []
    for scene in Shapes(sum(sizes), seed=seed, size=(settings.side, settings.side)):
        scenes.append(scene)
        on_progress(Progress("scenes", len(scenes), sum(sizes)))
    bounds = np.cumsum((0, *sizes)).tolist()
    train, validation, test = (_split(scenes[a:b]) for a, b in pairwise(bounds))
    return Splits(train, validation, test, scenes[: settings.n_train])


def _split(scenes: Sequence[Scene]) -> Split:
    images = np.stack([scene.image for scene in scenes])
    return Split(images, network_channels(images), np.stack([scene.label_map for scene in scenes]))


def network_channels(images: Array) -> Array:
    """Return what a network sees of pictures (N, H, W, 3), as above: (N, 6, H, W) float32."""
    colours = np.moveaxis((images.astype(np.float32) - np.float32(GREY)) / np.float32(SPREAD), 3, 1)
    height, width = colours.shape[2:]
    padded = np.pad(colours, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")

    def moved(y: int, x: int) -> Array:
        return padded[:, :, 1 + y : 1 + y + height, 1 + x : 1 + x + width]

    dx = sum(w * (moved(t, 1) - moved(t, -1)) for t, w in ((-1, 0.25), (0, 0.5), (1, 0.25)))
    dy = sum(w * (moved(1, t) - moved(-1, t)) for t, w in ((-1, 0.25), (0, 0.5), (1, 0.25)))
    xx, yy, xy = (np.sum(a * b, axis=1) for a, b in ((dx, dx), (dy, dy), (dx, dy)))  # each (N, H, W)
    m = np.sqrt(xx + yy + np.float32(FAINT))
    edges = np.stack([m - 1, (xx - yy) / m, 2 * xy / m], axis=1)
    return np.concatenate([colours, edges], axis=1).astype(np.float32)
