"""Intersection over union of every box with every other.

    iou[i, j] = |A_i and B_j| / |A_i or B_j|,    |A or B| = |A| + |B| - |A and B|

where |.| is the area, max(0, x2 - x1 + o) max(0, y2 - y1 + o) with the offset o, of a box or of the intersection
(max x1, max y1, min x2, min y2). For a crowd B_j the denominator is |A_i|: the part of the box that lies in the crowd.

0/0 is 0 with empty="zero" and NaN with empty="nan", for a crowd too. A NaN coordinate in either box gives NaN, whatever
`empty` says. Infinite coordinates follow IEEE arithmetic: two boxes of infinite area give NaN.

Source: Everingham et al., "The PASCAL Visual Object Classes Challenge", section 4.2; crowds: Lin et al., "Microsoft
COCO", its evaluation code.
"""

import numpy as np

from tests.oracles._boxes import iou, rows
from tests.oracles._sums import Array, Float64Array


def forward(boxes: Array, others: Array, crowd: Array | None, *, offset: int, empty: str) -> Float64Array:
    """Return iou, shape (N, M)."""
    y = np.zeros((len(boxes), len(others)))
    for i, a in enumerate(rows(boxes)):
        for j, b in enumerate(rows(others)):
            y[i, j] = iou(a, b, offset, crowd=crowd is not None and bool(crowd[j]), empty=empty)
    return y
