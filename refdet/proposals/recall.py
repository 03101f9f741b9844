"""How many objects a set of proposals finds.

    recall = objects with a proposal of IoU ≥ the threshold in their picture / objects in all pictures

Each object counts once, whichever proposal finds it, and one proposal may find several. Without any object it is NaN.
An IoU is computed in the wider dtype of a picture's proposals and objects, to which the threshold is rounded, too; an
IoU of NaN finds nothing.
Hosang et al., "What makes for effective detection proposals?", PAMI 38(4), 2016, §4.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.boxes.iou import box_iou
from refdet.core.check import Array, check_number, check_sequence


def proposal_recall(proposals: Sequence[Array], truths: Sequence[Array], *, iou: float = 0.7) -> float:
    """Return the share of the objects that a proposal overlaps enough.

    Args:
        proposals: for each picture, boxes (R, 4), xyxy, float32 or float64.
        truths: for each picture, the boxes (G, 4) of its objects, float32 or float64, not necessarily the same.
        iou: in [0, 1], from how much on a proposal finds an object.

    Returns:
        The recall, from 0 to 1; NaN if there is no object in any picture.

    A box of 4 × 1 in one of 4 × 2 has an IoU of 1/2; the second object is missed:

    >>> proposal_recall([np.array([[0.0, 0, 4, 1]])], [np.array([[0.0, 0, 4, 2], [6, 0, 8, 2]])], iou=0.5)
    0.5
    """
    check_number("proposal_recall", "iou", iou, low=0, high=1)
    check_sequence("proposal_recall", "proposals", proposals)
    check_sequence("proposal_recall", "truths", truths)
    if len(proposals) != len(truths):
        raise ValueError(
            f"proposal_recall: proposals and truths must be of the same pictures, got {len(proposals)} "
            f"and {len(truths)} of them"
        )
    found = n_truths = 0
    for i, (boxes, objects) in enumerate(zip(proposals, truths, strict=True)):
        check_boxes("proposal_recall", **{f"proposals[{i}]": boxes})
        check_boxes("proposal_recall", **{f"truths[{i}]": objects})
        dtype = np.result_type(boxes, objects)
        overlaps = box_iou(boxes.astype(dtype), objects.astype(dtype))
        found += int((overlaps >= float(iou)).any(axis=0).sum())
        n_truths += len(objects)
    return found / n_truths if n_truths else math.nan
