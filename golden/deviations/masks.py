"""Deviations of run-length encoded masks."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation


def _encode_rows(body: Body) -> Body:
    def rle_encode(mask: Array) -> Array:
        counts: Array = body(mask.T)
        return counts

    return rle_encode


def _decode_rows(body: Body) -> Body:
    def rle_decode(counts: Array, *, size: tuple[int, int]) -> Array:
        mask: Array = body(counts, size=size[::-1]).T
        return mask

    return rle_decode


def _nan_of_nothing(body: Body) -> Body:
    def rle_iou(
        counts: Array, starts: Array, other_counts: Array, other_starts: Array, *crowd: Any, **size: Any
    ) -> Array:
        iou = body(counts, starts, other_counts, other_starts, *crowd, **size)
        empty = [
            np.array([not c[first:stop][1::2].any() for first, stop in pairwise(s)], bool)
            for c, s in ((counts, starts), (other_counts, other_starts))
        ]
        return np.where(empty[0][:, None] & empty[1], np.nan, iou)

    return rle_iou


DEVIATIONS = [
    Deviation(
        key="rle.order=rows",
        title="masks are read along their rows, not down their columns",
        effect="The runs are those of the transposed mask.",
        who=("Danielwohlr/ai-inpainted-image-segmentation, src/transform_rle.py, mask2rle (NumPy's default flatten)",),
        change='Go down the first column, then down the second: mask.ravel(order="F").',
        kernels={"rle_encode": _encode_rows, "rle_decode": _decode_rows},
    ),
    Deviation(
        key="mask.iou_of_nothing=nan",
        title="the IoU of two empty masks is NaN instead of 0",
        effect="0/0 is not caught where both masks are empty, crowd region or not. An empty mask still has 0 with a "
        "crowd region that is not empty.",
        who=("matterport/Mask_RCNN, mrcnn/utils.py, compute_overlaps_masks",),
        change="Return 0 where nothing is shared, also for two empty masks.",
        kernels={"rle_iou": _nan_of_nothing},
    ),
]
