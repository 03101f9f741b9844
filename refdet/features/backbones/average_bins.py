"""A map of any size averaged into P × P bins, so that fully connected layers can follow.

    y[p, q] = mean of x[h, w] over ⌊p·H/P⌋ ≤ h < ⌈(p + 1)·H/P⌉ and ⌊q·W/P⌋ ≤ w < ⌈(q + 1)·W/P⌉

The bins are those of spatial pyramid pooling (`refdet.ops.bins`), which takes maxima. torchvision puts such a layer,
torch's AdaptiveAvgPool2d, in front of the fully connected layers of AlexNet and VGG, which then take pictures of any
size; a map that is P × P already passes unchanged.

Conventions: bins share a pixel where P does not divide the size, and repeat pixels where there are more bins than
pixels. As bins are rectangles, rows are averaged first and columns then, in the dtype of x.
"""

from __future__ import annotations

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import integer
from refdet.nn import Module
from refdet.ops.bins import bin_slices
from refdet.ops.shaping import stack


def average_bins(x: Tensor, n_bins: int) -> Tensor:
    """Return the mean of each bin, (N, C, H, W) → (N, C, P, P), for H and W of at least 1.

    Three pixels in two bins, which share the one in the middle:

    >>> average_bins(Tensor(np.array([[[[0.0, 2.0, 6.0]]]])), 2).data[0, 0]
    array([[1., 4.],
           [1., 4.]])
    """
    P = integer("average_bins", "n_bins", n_bins, low=1)
    if x.ndim != 4 or min(x.shape[2:]) < 1:
        raise ValueError(f"average_bins: x must be maps (N, C, H, W) with H and W of at least 1, got shape {x.shape}")
    for axis, size in ((2, x.shape[2]), (3, x.shape[3])):
        if size != P:
            bins = bin_slices(0, size, P, size, convention="exact")
            x = stack([x[(slice(None),) * axis + (pixels,)].mean(axis=axis) for pixels in bins], axis=axis)
    return x


class AverageBins(Module):
    """`average_bins` as a layer: torch's AdaptiveAvgPool2d."""

    def __init__(self, n_bins: int) -> None:
        super().__init__()
        self.n_bins = integer("AverageBins", "n_bins", n_bins, low=1)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Average."""
        return average_bins(x, self.n_bins)
