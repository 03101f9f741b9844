"""Max pooling of 2 × 2 pixels into one, which halves a map: no pixel is in two windows, none is padding.

    p = the larger of x[2i, 2j] and x[2i, 2j + 1],  q = that of x[2i + 1, 2j] and x[2i + 1, 2j + 1]
    y[i, j] = the larger of p and q

with the index h·W + w beside it. Of two numbers the second wins if it is larger, or NaN where the first is none: so the
first one in row-major order is kept, as everywhere. A last row or column that fills no window is not read.

Workspace: none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.geometry import Pair
from refdet.ops.pooling import PoolingWindows
from refdet_numba.cpu.compiling import compiled_parallel


def halves(windows: PoolingWindows, size: Pair) -> bool:
    """Return whether these windows halve a map of this size."""
    is_2x2 = windows.kernel_size == windows.stride == (2, 2) and windows.dilation == (1, 1)
    return is_2x2 and windows.padding == ((0, 0), (0, 0)) and windows.output_size(size) == (size[0] // 2, size[1] // 2)


@compiled_parallel
def halve(x: Any, y: Any, switches: Any) -> None:
    """Fill y and switches (planes, H // 2, W // 2) from x (planes, H, W)."""
    Ho, Wo = y.shape[1:]
    W = x.shape[2]
    for plane in prange(x.shape[0]):
        for i in range(Ho):
            upper, lower = x[plane, 2 * i], x[plane, 2 * i + 1]
            largest, switch = y[plane, i], switches[plane, i]
            for j in range(np.uint64(Wo)):  # unsigned: no index counts from the end
                even = np.uint64(2) * j
                odd = even + np.uint64(1)
                a, b, c, d = upper[even], upper[odd], lower[even], lower[odd]
                b_wins = (b > a) | ((b != b) & (a == a))
                d_wins = (d > c) | ((d != d) & (c == c))
                p, q = b if b_wins else a, d if d_wins else c
                q_wins = (q > p) | ((q != q) & (p == p))
                largest[j] = q if q_wins else p
                switch[j] = 2 * i * W + np.int64(even) + (W + d_wins if q_wins else np.int64(b_wins))
