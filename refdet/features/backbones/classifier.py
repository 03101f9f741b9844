"""What AlexNet, ZF and VGG have in common: convolutions, a map of one size, fully connected layers.

    logits = classifier(flatten(pool(features(x))))

The fully connected layers fix the size of the map, not the convolutions (He et al., "Spatial pyramid pooling", 2014,
§2.1). What stands between them decides which pictures are taken: `SameSize` those of one size, `AverageBins` and
`Pyramid` any that leave a map. A detector takes `features` alone (`OneMap`) and puts RoI pooling there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import integer, sequence
from refdet.nn import Module, Sequential
from refdet.ops.spatial_pyramid_pool import spatial_pyramid_pool


class Classifier(Module):
    """A network that gives each picture (N, 3, H, W) its logits (N, n_classes)."""

    def __init__(self, features: Sequential, pool: Module, classifier: Sequential) -> None:
        super().__init__()
        self.features, self.pool, self.classifier = features, pool, classifier

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the logits."""
        x = self.pool(self.features(x, training=training, rng=rng), training=training, rng=rng)
        return self.classifier(x.flatten(1), training=training, rng=rng)


class SameSize(Module):
    """The map as it is, which must be `side` × `side`."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = integer("SameSize", "side", side, low=1)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return x, or refuse it."""
        if x.shape[2:] != (self.side, self.side):
            raise ValueError(
                f"Classifier: pictures must be of a size that leaves a map of {self.side} × {self.side} pixels, got "
                f"one that leaves {x.shape[2]} × {x.shape[3]}"
            )
        return x


class Pyramid(Module):
    """`ops.spatial_pyramid_pool` without its switches: (N, C, H, W) → (N, C · Σ k²)."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple(integer("Pyramid", "levels", k, low=1) for k in sequence("Pyramid", "levels", levels))

    @property
    def n_bins(self) -> int:
        """How many bins all levels have together: 50 for 1, 2, 3 and 6."""
        return sum(k * k for k in self.levels)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Take the maximum of every bin."""
        return spatial_pyramid_pool(x, self.levels)[0]
