"""Run-length encoding of a binary mask, as COCO stores masks.

The mask (H, W) is read column by column, each column from the top. counts holds the lengths of the runs of equal
pixels in that order, by turns of False and of True pixels, beginning with False: counts[0] = 0 where the first pixel is
True. A mask without pixels has counts = [0].

Source: the COCO API, maskApi.c, rleEncode.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array


def forward(mask: Array) -> NDArray[np.int64]:
    """Return the counts, of shape (n,)."""
    height, width = mask.shape
    pixels = [bool(mask[row, column]) for column in range(width) for row in range(height)]
    runs = [(value, len(list(run))) for value, run in itertools.groupby(pixels)]
    counts = [length for _, length in runs]
    if not runs or runs[0][0]:  # there is always a first run of False, if need be of none
        counts.insert(0, 0)
    return np.array(counts, dtype=np.int64)
