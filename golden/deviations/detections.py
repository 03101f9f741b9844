"""Deviations of the last steps of a detector: which column of the scores is the background's."""

from __future__ import annotations

from golden.wrapping import setting
from refdet.verify.deviation import Deviation

DEVIATIONS = [
    Deviation(
        "cls.background=first",
        "takes the first column of the scores for the background's, though it was another",
        "The first class is dropped, a background in the last column becomes a class, and classes count from 1.",
        (
            "torchvision, torchvision/models/detection/roi_heads.py: drops column 0",
            "py-faster-rcnn and Detectron, whose class 0 is __background__",
        ),
        "Leave out the column that is the background's, and count classes by the columns of the scores.",
        {"detections": setting(background="first")},
    ),
    Deviation(
        "cls.background=last",
        "takes the last column of the scores for the background's, though it was another",
        "The last class is dropped, a background in the first column becomes class 0, and classes count from 0.",
        (
            "Detectron2, detectron2/modeling/roi_heads/fast_rcnn.py: scores[:, :-1]",
            "mmdetection since 2.0, docs/compatibility.md: class K is the background",
        ),
        "Leave out the column that is the background's, and count classes by the columns of the scores.",
        {"detections": setting(background="last")},
    ),
]
