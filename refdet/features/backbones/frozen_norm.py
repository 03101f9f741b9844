"""Batch normalisation as a constant: what a detector makes of the batch normalisation of its pretrained backbone.

    y = a·x + b    with a = γ / √(σ² + ε) and b = β − a·μ, one of each per channel

A detector is trained on one or two images at a time, too few for statistics; so γ, β, μ and σ² all keep what
classification has learned (He, Zhang, Ren & Sun 2016, appendix A). This is torchvision's `FrozenBatchNorm2d`;
`BatchNorm2d(frozen=True)` keeps μ and σ² alone, and goes on learning γ and β.

Conventions: γ, β, μ and σ² are buffers under the names of `BatchNorm2d`: they are in the state, no optimiser sees them,
and weights fit both. ε may be 0, as in torchvision's detectors trained on COCO, whose σ² is then all that keeps a
division by 0 away: a channel of variance 0 is refused. a and b are computed in the dtype of the buffers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_number, integer
from refdet.nn import Module
from refdet.nn.init import check_dtype


class FrozenBatchNorm2d(Module):
    """Scale and shift every channel by constants; `training` changes nothing.

    A channel of mean 3 and variance 4:

    >>> norm = FrozenBatchNorm2d(1, eps=0.0)
    >>> norm.load_state_dict({"running_mean": np.array([3.0]), "running_var": np.array([4.0])}, strict=False)
    >>> norm(np.array([[[[3.0, 5.0]]]], np.float32)).data
    array([[[[0., 1.]]]], dtype=float32)
    """

    def __init__(self, n_channels: int, *, eps: float = 1e-5, dtype: Any = np.float32) -> None:
        super().__init__()
        C = integer("FrozenBatchNorm2d", "n_channels", n_channels, low=1)
        dtype = check_dtype("FrozenBatchNorm2d", dtype)
        self.eps = check_number("FrozenBatchNorm2d", "eps", eps, low=0)
        self.weight: Array
        self.bias: Array
        self.running_mean: Array
        self.running_var: Array
        self.add_buffer("weight", np.ones(C, dtype))
        self.add_buffer("bias", np.zeros(C, dtype))
        self.add_buffer("running_mean", np.zeros(C, dtype))
        self.add_buffer("running_var", np.ones(C, dtype))

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Compute a·x + b."""
        variance = self.running_var + self.running_var.dtype.type(self.eps)
        if not (variance > 0).all():
            channel = int(np.argmin(variance > 0))
            raise ValueError(
                f"FrozenBatchNorm2d: running_var + eps must be positive, got {variance[channel]} in channel {channel}"
            )
        scale = self.weight / np.sqrt(variance)
        shift = self.bias - self.running_mean * scale
        return x * Tensor(scale.reshape(1, -1, 1, 1)) + Tensor(shift.reshape(1, -1, 1, 1))
