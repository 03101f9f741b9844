"""Unpooling: every value goes back to the pixel that its switch names, zeros everywhere else.

    "add":   y[n, c, h, w] = Σ of x[n, c, i, j] over all (i, j) with switch[n, c, i, j] = h·W + w
    "last":  y[n, c, h, w] = the x[n, c, i, j] of the last such (i, j) in row-major order

Zeiler, Taylor & Fergus (2011); Zeiler & Fergus (2014), §2.1.

The two differ only where overlapping windows chose the same pixel. "add" is the adjoint of max pooling (with the
switches held fixed), sums in row-major order and in the dtype of x; its gradient is dy at each switch. "last" is what a
loop that writes does, as torch; only the value that was written last receives the gradient, the others 0.

A switch of −1 names no pixel: its value is dropped and receives gradient 0. Any other switch outside [0, H·W) is
refused, by the forward pass, which is where switches are read.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import (
    Array,
    check_choice,
    check_floating,
    check_gradient,
    check_integer,
    check_rank,
    check_shape,
    shape_of,
)
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Pair, pair
from refdet.core.kernel import kernel
from refdet.ops.pooling import add_at_switches, flat_pixels

OVERLAPS = ("add", "last")


class MaxUnpool2dResidual(NamedTuple):
    x: Array
    switches: Array


def _check(x: Array, switches: Array, *, output_size: Pair, overlap: str, keep_residual: bool) -> None:
    check_rank("max_unpool2d", "x", x, "N, C, h, w")
    check_floating("max_unpool2d", x=x)
    check_integer("max_unpool2d", switches=switches)
    check_shape("max_unpool2d", "switches", switches, shape_of(x), "one per element of x")
    check_choice("max_unpool2d", "overlap", overlap, OVERLAPS)


def _check_backward(
    residual: MaxUnpool2dResidual, dy: Array, *, needs: tuple[bool, bool], output_size: Pair, overlap: str
) -> None:
    check_gradient("max_unpool2d", dy, (*shape_of(residual.x)[:2], *output_size), residual.x)


@kernel("max_unpool2d.forward", check=_check)
def max_unpool2d_forward(
    x: Array, switches: Array, *, output_size: Pair, overlap: str, keep_residual: bool
) -> tuple[Array, MaxUnpool2dResidual | None]:
    """Return y (N, C, H, W)."""
    H, W = output_size
    outside = switches[(switches < -1) | (switches >= H * W)]
    if outside.size:
        raise ValueError(
            f"max_unpool2d: switches must be −1 or lie in [0, {H * W}) for an output of {H} × {W}, got {outside[0]}"
        )
    residual = MaxUnpool2dResidual(x, switches) if keep_residual else None
    if overlap == "add":
        return add_at_switches(x, switches, output_size), residual
    y = np.zeros((*x.shape[:2], H, W), np.result_type(x))
    pixels, writers = _last_writers(switches, output_size)
    y.reshape(-1)[pixels] = x.reshape(-1)[writers]
    return y, residual


@kernel("max_unpool2d.backward", check=_check_backward)
def max_unpool2d_backward(
    residual: MaxUnpool2dResidual, dy: Array, *, needs: tuple[bool, bool], output_size: Pair, overlap: str
) -> Gradients:
    """Every value that is seen in y receives dy of its pixel; the switches receive nothing."""
    x, switches = residual
    if not needs[0]:
        return None, None
    dx = np.zeros(x.shape, np.result_type(dy))
    if overlap == "add":
        kept, pixels = flat_pixels(switches, output_size)
        dx[kept] = dy.reshape(-1)[pixels]
    else:
        pixels, writers = _last_writers(switches, output_size)
        dx.reshape(-1)[writers] = dy.reshape(-1)[pixels]
    return dx, None


def _last_writers(switches: Array, output_size: Pair) -> tuple[Array, Array]:
    """Return the flat index of every pixel of y that some switch names, and that of the last such switch."""
    N, C = switches.shape[:2]
    kept, pixels = flat_pixels(switches, output_size)
    last = np.full(N * C * output_size[0] * output_size[1], -1, np.int64)
    np.maximum.at(last, pixels, np.flatnonzero(kept))
    written = np.flatnonzero(last >= 0)
    return written, last[written]


_max_unpool2d = differentiable(max_unpool2d_forward, max_unpool2d_backward)


def max_unpool2d(x: Tensor | Array, switches: Array, *, output_size: int | Pair, overlap: str = "add") -> Tensor:
    """Put every value back where max pooling found it.

    Args:
        x: (N, C, h, w), float32 or float64. switches: integers of the same shape, as `max_pool2d` returns them: h·W + w
            in a plane of the output, or −1.
        output_size: (H, W) of the output, or one int for both; the size of the plane that was pooled.
        overlap: what becomes of values that meet in a pixel: "add" (the adjoint of max pooling) or "last" (the last in
            row-major order stays).

    Returns:
        (N, C, H, W).

    >>> max_unpool2d(np.array([[[[5.0, 7.0]]]]), np.array([[[[1, 2]]]]), output_size=2).data[0, 0]
    array([[0., 5.],
           [7., 0.]])
    """
    size = pair("max_unpool2d", "output_size", output_size, low=0)
    return _max_unpool2d(x, switches, output_size=size, overlap=overlap)
