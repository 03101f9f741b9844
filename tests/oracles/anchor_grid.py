"""The anchors of all positions of a map.

    anchor (h, w, a) = base[a] + (u, v, u, v),    u = (w + offset) sw,    v = (h + offset) sh

in the order (h, w, a), a fastest, for a map of size (H, W) with stride (sh, sw).

Source: Ren et al., "Faster R-CNN", section 3.1.1.
"""

import numpy as np

from tests.oracles._boxes import rows
from tests.oracles._sums import Array, Float64Array


def forward(base: Array, *, size: tuple[int, int], stride: tuple[float, float], offset: float) -> Float64Array:
    """Return the anchors, shape (H W A, 4)."""
    anchors = []
    for h, w in np.ndindex(size):
        u, v = (w + offset) * stride[1], (h + offset) * stride[0]
        anchors += [(x1 + u, y1 + v, x2 + u, y2 + v) for x1, y1, x2, y2 in rows(base)]
    return np.array(anchors, dtype=np.float64).reshape(-1, 4)
