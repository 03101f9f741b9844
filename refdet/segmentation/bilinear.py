"""Upsampling by a transposed convolution that starts as linear interpolation.

A transposed convolution of stride s and kernel k = 2s paints a tent of half width s around every pixel:

    w[a] = 1 − |a − (s − ½)| / s,     W[c, c] = w ⊗ w,     W[c, c'] = 0 for c ≠ c'

The output, s(H + 1) × s(W + 1) pixels, is a sum of tents: the linear interpolation of the input, as if that went on in
zeros. So the s pixels before the first centre and after the last one fade towards 0, and the taps of W[c, c] add up to
s². To interpolate in two steps is not the same as at once: see `refdet.segmentation.fcn`.

Source: Long, Shelhamer & Darrell, "Fully convolutional networks for semantic segmentation" (2015), §3.3; their file
`surgery.py`, which writes the diagonal and leaves the rest at 0; the weights are `refdet.nn.init.bilinear_upsampling`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import check_flag, integer
from refdet.nn import Module, Parameter
from refdet.nn.init import bilinear_upsampling
from refdet.ops.conv_transpose2d import conv_transpose2d


class BilinearUpsampling(Module):
    """Make each of C maps `factor` times finer: weight (C, C, 2·factor, 2·factor), no bias, no crop.

    Args:
        n_channels: C.
        factor: s, the stride, at least 1.
        learned: whether the weight is a parameter that training changes, every pair of channels, or stays as it is.

    Two pixels, twice as many in between and around them; the second row gets three quarters (the first, one quarter):

    >>> up = BilinearUpsampling(1, 2, learned=False, dtype=np.float64)
    >>> up(np.array([[[[16.0, 32.0]]]])).data[0, 0, 1]
    array([ 3.,  9., 15., 21., 18.,  6.])
    """

    def __init__(self, n_channels: int, factor: int, *, learned: bool, dtype: Any = np.float32) -> None:
        super().__init__()
        C = integer("BilinearUpsampling", "n_channels", n_channels, low=1)
        s = integer("BilinearUpsampling", "factor", factor, low=1)
        learned = check_flag("BilinearUpsampling", "learned", learned)
        self.weight = Parameter(bilinear_upsampling(C, 2 * s, dtype=dtype), requires_grad=learned)
        self.options: dict[str, Any] = {"stride": s}

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Paint a tent around every pixel."""
        return conv_transpose2d(x, self.weight, **self.options)
