"""Boxes: overlap, coordinates, anchors, matching, sampling and suppression, all on plain arrays."""

from refdet.boxes.anchors import anchor_grid, base_anchors
from refdet.boxes.clip import clip_boxes
from refdet.boxes.convert import convert_boxes
from refdet.boxes.counting import count_boxes, count_pixels, count_windows
from refdet.boxes.default_boxes import DefaultBoxMaps, default_box_scales, default_boxes, ssd300, ssd512
from refdet.boxes.iou import box_iou
from refdet.boxes.large_enough import large_enough
from refdet.boxes.match_rcnn import match_rcnn
from refdet.boxes.match_rpn import match_rpn
from refdet.boxes.match_ssd import match_ssd
from refdet.boxes.nms import class_nms, nms, nms_from_iou
from refdet.boxes.regressor import fold_normalization, select_class
from refdet.boxes.sampling import hard_negatives, sample_balanced, sample_rois, sample_rpn
from refdet.boxes.soft_nms import soft_nms
from refdet.boxes.top_k import top_k
from refdet.boxes.transform import SCALE_CLAMP, decode_boxes, encode_boxes

__all__ = [
    "SCALE_CLAMP",
    "DefaultBoxMaps",
    "anchor_grid",
    "base_anchors",
    "box_iou",
    "class_nms",
    "clip_boxes",
    "convert_boxes",
    "count_boxes",
    "count_pixels",
    "count_windows",
    "decode_boxes",
    "default_box_scales",
    "default_boxes",
    "encode_boxes",
    "fold_normalization",
    "hard_negatives",
    "large_enough",
    "match_rcnn",
    "match_rpn",
    "match_ssd",
    "nms",
    "nms_from_iou",
    "sample_balanced",
    "sample_rois",
    "sample_rpn",
    "select_class",
    "soft_nms",
    "ssd300",
    "ssd512",
    "top_k",
]
