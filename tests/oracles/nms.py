"""Greedy non-maximum suppression of boxes: that of their overlaps.

Two empty boxes overlap by 0; a NaN coordinate makes the overlap NaN, which suppresses nothing. The order, the ties and
the comparison are those of `nms_from_iou`, the areas those of `box_iou`.

Source: deck 001.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles import box_iou, nms_from_iou
from tests.oracles._sums import Array


def forward(boxes: Array, scores: Array, *, threshold: float, offset: int) -> NDArray[np.int64]:
    """Return kept, shape (K,)."""
    iou = box_iou.forward(boxes, boxes, None, offset=offset, empty="zero")
    return nms_from_iou.forward(iou, scores, threshold=threshold)
