"""Rectangular bins, of any whole number of pixels, and the largest pixel of each.

`n_bins` bins divide `extent` pixels of an axis that begin at `start`; bin p takes the pixels

    start + ⌊p·extent/n_bins⌋ ≤ h < start + ⌈(p + 1)·extent/n_bins⌉

that exist. Neighbouring bins may share a pixel where n_bins does not divide the extent, and pixels repeat where there
are more bins than pixels. He et al., "Spatial pyramid pooling" (2014), §2.3, for a whole map; Girshick, "Fast R-CNN"
(2015), §2.1, for a region of it.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array

CONVENTIONS = ("exact", "float32-bins")


def bin_slices(start: int, extent: int, n_bins: int, size: int, *, convention: str) -> list[slice]:
    """Return the pixels of each bin, clipped to an axis of `size` pixels; a bin beyond its ends is empty.

    Under "float32-bins" the bounds are p · (extent / n_bins) with the quotient and the product rounded to float32.

    >>> bin_slices(2, 5, 2, 10, convention="exact")  # pixels 2 … 6; the one in the middle belongs to both
    [slice(2, 5, None), slice(4, 7, None)]
    """
    p = np.arange(n_bins)
    if convention == "exact":
        low, high = p * extent // n_bins, -(-(p + 1) * extent // n_bins)
    else:
        bin_size = np.float32(extent) / np.float32(n_bins)
        low = np.floor(p.astype(np.float32) * bin_size).astype(np.int64)
        high = np.ceil((p + 1).astype(np.float32) * bin_size).astype(np.int64)
    first, stop = np.clip(low + start, 0, size).tolist(), np.clip(high + start, 0, size).tolist()
    return [slice(a, b) for a, b in zip(first, stop, strict=True)]


def largest_in_bins(planes: Array, rows: list[slice], columns: list[slice], *, empty: float) -> tuple[Array, Array]:
    """Return the largest pixel of every bin of (…, H, W) planes and its index h·W + w, both (…, PH, PW).

    Of equal pixels the first in row-major order, or the first NaN if there is one. A bin without a pixel is `empty` and
    has the index −1.
    """
    W = planes.shape[-1]
    shape = (*planes.shape[:-2], len(rows), len(columns))
    y, switches = np.full(shape, empty, np.result_type(planes)), np.full(shape, -1, np.int64)
    for p, q in np.ndindex(len(rows), len(columns)):
        pixels = planes[..., rows[p], columns[q]]
        h, w = pixels.shape[-2:]
        if h * w == 0:
            continue
        pixels = pixels.reshape(*planes.shape[:-2], h * w)
        winner = np.argmax(pixels, axis=-1)
        y[..., p, q] = np.take_along_axis(pixels, winner[..., None], axis=-1)[..., 0]
        switches[..., p, q] = (rows[p].start + winner // w) * W + columns[q].start + winner % w
    return y, switches
