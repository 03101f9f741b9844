"""What lies in each cell of a crop: a second task for the classifier of objects, where masks are known.

    last map           C × s × s    → scores of every class, each place a block of n/s × n/s cells    ┐
    map before the     C' × 2s × 2s → scores likewise, n/2s × n/2s cells a place                      ┴ + → K × n × n
    last pooling

    L_cells = weight · mean over the cells in the picture of −log softmax(scores)[class there]

A class says little of a crop, and of a textured square hardly what is square about it; n² classes say which pixels are
the object, and which are like it and are not. Multi-task training of this kind is what raised the boxes of Mask R-CNN
over those of the same network without masks (He et al., 2017, table 3). The two maps and their sum are those of FCN
(Long, Shelhamer & Darrell, 2015, §4.2), with a transposed convolution whose windows do not overlap, instead of one that
begins as bilinear interpolation. Detectors take over the network without these scores.

Conventions: a cell has the class of the object whose mask has the pixel that the cell's centre lies in (half-open: the
pixel at (⌊x⌋, ⌊y⌋)); of several such objects, the last one's; 0, background, where there is none. Cells outside the
picture have no class. Nor has any cell of a picture whose masks are not known, or one of whose objects has a mask
without pixels, as COCO's may. Where no cell has a class the loss is 0, with gradients of 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.detection.ground_truth import GroundTruth
from refdet.features.backbones.maps import last_channels
from refdet.nn import ConvTranspose2d, MaxPool2d, Module, Sequential

UNKNOWN = -1


class CellScores(Module):
    """Scores of every class in n × n cells of a crop, from the last two maps of a network.

    Args:
        features: of the network, which ends in no pooling and has one at least.
        side: of its crops, in pixels.
        n_cells: n; a multiple of the side of the larger map.
        n_classes: K, the background included.
        rng: source of the weights.
        dtype: of the weights.
    """

    def __init__(
        self, features: Sequential, side: int, n_cells: int, n_classes: int, *, rng: np.random.Generator, dtype: Any
    ) -> None:
        super().__init__()
        poolings = [i for i, layer in enumerate(features) if isinstance(layer, MaxPool2d)]
        if not poolings:
            raise ValueError("CellScores: features must have a pooling, got none")
        self.last_pooling = poolings[-1]
        sides = side >> (len(poolings) - 1), side >> len(poolings)
        if n_cells % sides[0] or n_cells % sides[1]:
            raise ValueError(
                f"CellScores: cells must be a multiple of the sides of the last two maps, {sides[0]} and {sides[1]}, "
                f"got {n_cells}"
            )
        channels = last_channels(features[: self.last_pooling]), last_channels(features)
        self.early, self.late = (
            ConvTranspose2d(C, n_classes, n_cells // s, stride=n_cells // s, rng=rng, dtype=dtype)
            for C, s in zip(channels, sides, strict=True)
        )

    def scores(self, before: Tensor, last: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return scores (R, K, n, n) from the map before the last pooling and the last one."""
        return self.early(before, training=training, rng=rng) + self.late(last, training=training, rng=rng)


def classes_of_cells(boxes: Array, truth: GroundTruth, size: tuple[int, int], n_cells: int) -> Array:
    """Return the classes (R, n, n) int64 of the cells of crops (R, 4) of a picture of `size` (height, width).

    A picture of 2 × 2 pixels, the left half of which is a dog, and a crop that reaches as far again to the right:

    >>> dog = np.array([[[True, False], [True, False]]])
    >>> truth = GroundTruth(np.array([[0, 0, 1, 2]], np.float32), np.array([1]), dog, None, None)
    >>> classes_of_cells(np.array([[0.0, 0, 4, 2]]), truth, (2, 2), 4)[0, 0]
    array([ 1,  0, -1, -1])
    """
    H, W = size
    labels = np.full((len(boxes), n_cells, n_cells), UNKNOWN)
    if truth.masks is None or not truth.masks.any(axis=(1, 2)).all():
        return labels
    there = np.zeros((H, W), np.int64)
    for mask, label in zip(truth.masks, truth.classes, strict=True):
        there[mask] = label
    centres = (np.arange(n_cells) + 0.5) / n_cells
    x, y = (np.floor(boxes[:, i, None] + (boxes[:, i + 2] - boxes[:, i])[:, None] * centres) for i in (0, 1))
    column, row = x.astype(np.int64)[:, None, :], y.astype(np.int64)[:, :, None]
    inside = (column >= 0) & (column < W) & (row >= 0) & (row < H)
    return np.where(inside, there[row.clip(0, H - 1), column.clip(0, W - 1)], UNKNOWN)
