"""The binary mask of a run-length code, as COCO stores masks.

Pixel p = column * H + row of the mask (H, W) lies in the run i with

    counts[0] + ... + counts[i-1] <= p < counts[0] + ... + counts[i],

and is True where i is odd. The counts add up to H W; a run may be of length 0.

Source: the COCO API, maskApi.c, rleDecode.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sizes import Pair
from tests.oracles._sums import Array


def forward(counts: Array, *, size: Pair) -> NDArray[np.bool_]:
    """Return the mask, of shape size = (H, W)."""
    mask = np.zeros(size, dtype=np.bool_)
    place, value = 0, False
    for count in counts:
        for _ in range(int(count)):
            column, row = divmod(place, size[0])
            mask[row, column] = value
            place += 1
        value = not value
    return mask
