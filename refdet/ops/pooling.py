"""The windows that pooling slides over a plane, and the switches that say which pixel of the plane won.

Window (i, j) of a k × k pooling with stride s and dilation d reads, at tap (a, b), the pixel

    (i·s + a·d − top, j·s + b·d − left)

which is a real pixel only if it lies in the H × W plane. `PoolingWindows.taps` goes through the k² taps in row-major
order; for each, the windows with a real pixel under that tap form a rectangle, and so do, s apart, their pixels.
Pooling works on these rectangles, so neither padding nor the overhang of a ceil window is ever stored.

A switch is the index h·W + w of a pixel of an unpadded plane, or −1 for none. The switches that an op returns are those
that its gradient reads, and so they are read-only where their array type, like NumPy's, can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from refdet.core.check import Array, check_choice, check_flag, check_floating, check_rank, shape_of
from refdet.core.geometry import POOLING_CONVENTIONS, Padding, Pair, check_windows_fit, pool_output_size

Rectangle = tuple[slice, slice]


@dataclass(frozen=True)
class PoolingWindows:
    """How the windows lie on a plane; `refdet.core.geometry` has the rules for their number."""

    kernel_size: Pair
    stride: Pair
    padding: Padding
    dilation: Pair
    ceil_mode: bool
    convention: str

    def output_size(self, size: Pair) -> Pair:
        """Return the number of windows over a plane of `size`, (Ho, Wo)."""
        height, width = (
            pool_output_size(
                n,
                k,
                stride=s,
                before=p[0],
                after=p[1],
                dilation=d,
                ceil_mode=self.ceil_mode,
                convention=self.convention,
                pads_somewhere=self.padding != ((0, 0), (0, 0)),
            )
            for n, k, s, p, d in zip(size, self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        )
        return height, width

    def taps(self, size: Pair) -> Iterator[tuple[Rectangle, Rectangle]]:
        """Yield, per tap in row-major order, the windows with a real pixel under it and those pixels.

        Windows of two taps over 1 × 4 pixels, the first of them one pixel before the plane, the second two further on:

        >>> windows = PoolingWindows((1, 2), (1, 2), ((0, 0), (1, 0)), (1, 1), ceil_mode=False, convention="torch")
        >>> for (_, columns), (_, columns_read) in windows.taps((1, 4)):
        ...     print(columns, columns_read)
        slice(1, 2, None) slice(1, 2, 2)
        slice(0, 2, None) slice(0, 3, 2)
        """
        Ho, Wo = self.output_size(size)
        (top, _), (left, _) = self.padding
        for a in range(self.kernel_size[0]):
            rows, rows_read = _reach(a * self.dilation[0] - top, size[0], Ho, self.stride[0])
            for b in range(self.kernel_size[1]):
                columns, columns_read = _reach(b * self.dilation[1] - left, size[1], Wo, self.stride[1])
                yield (rows, columns), (rows_read, columns_read)


def _reach(offset: int, size: int, n_windows: int, stride: int) -> tuple[slice, slice]:
    """Return the windows i < n_windows with 0 ≤ i·stride + offset < size, and the pixels i·stride + offset."""
    first = max(0, -(offset // stride))  # ⌈−offset / stride⌉
    stop = min(n_windows, -((offset - size) // stride))
    if stop <= first:
        return slice(0, 0), slice(0, 0)
    return slice(first, stop), slice(first * stride + offset, (stop - 1) * stride + offset + 1, stride)


def check_windows(op: str, x: Array, windows: PoolingWindows) -> None:
    """Refuse what is not a floating-point (N, C, H, W), an unknown convention, and a plane without any window."""
    check_rank(op, "x", x, "N, C, H, W")
    check_floating(op, x=x)
    check_choice(op, "convention", windows.convention, POOLING_CONVENTIONS)
    check_flag(op, "ceil_mode", windows.ceil_mode)
    check_windows_fit(
        op,
        windows.output_size(x.shape[2:]),
        size=x.shape[2:],
        kernel_size=windows.kernel_size,
        dilation=windows.dilation,
        padding=windows.padding,
    )


def output_shape(x: Array, windows: PoolingWindows) -> tuple[int, ...]:
    """Return (N, C, Ho, Wo)."""
    return (*shape_of(x)[:2], *windows.output_size(x.shape[2:]))


def read_only(switches: Array) -> Array:
    """Return a view that cannot be written to; an array of another library's type as it is."""
    if isinstance(switches, np.ndarray):
        switches = switches.view()
        switches.flags.writeable = False
    return switches


def add_at_switches(values: Array, switches: Array, size: Pair) -> Array:
    """Return (N, C, H, W): every value of (N, C, h, w) added to the pixel that its switch names, zeros elsewhere.

    Values that meet in a pixel are added in row-major order and in their own dtype, so the result is the same on every
    run; `np.bincount` would accumulate in float64 whatever the dtype.
    """
    N, C = values.shape[:2]
    planes = np.zeros((N, C, *size), np.result_type(values))
    kept, pixels = flat_pixels(switches, size)
    np.add.at(planes.reshape(-1), pixels, values[kept])
    return planes


def flat_pixels(switches: Array, size: Pair) -> tuple[Array, Array]:
    """Return where (N, C, h, w) switches name a pixel, and the index of that pixel in flattened (N, C, H, W) planes."""
    N, C = switches.shape[:2]
    plane_starts = np.arange(N * C).reshape(N, C, 1, 1) * (size[0] * size[1])
    kept = switches >= 0
    pixels = (plane_starts + switches.astype(np.int64, copy=False))[kept]
    return kept, pixels
