"""Metrics of detection, segmentation, classification, pose and verification; they take arrays and records."""

from refdet.metrics.average_precision import average_precision
from refdet.metrics.classification import IlsvrcError, ilsvrc_error, top_k_error
from refdet.metrics.coco import evaluate_coco
from refdet.metrics.coco_box_iou import coco_box_iou
from refdet.metrics.coco_evaluation import CocoEvaluation
from refdet.metrics.coco_match import coco_match
from refdet.metrics.detection_confusion import detection_confusion
from refdet.metrics.error_types import ErrorTypes, error_types
from refdet.metrics.match_detections import match_detections
from refdet.metrics.object_keypoint_similarity import object_keypoint_similarity
from refdet.metrics.pose import pcp, pdj
from refdet.metrics.precision_recall import precision_recall
from refdet.metrics.records import Detections, GroundTruths, Task
from refdet.metrics.roc import roc_curve, true_accept_rate
from refdet.metrics.segmentation import (
    SegmentationScores,
    accumulate_confusion,
    class_iu,
    confusion_matrix,
    segmentation_scores,
)
from refdet.metrics.verification_folds import FoldResults, true_accept_rate_by_folds, verification_accuracy
from refdet.metrics.voc import ClassEvaluation, LabelledBoxes, ScoredBoxes, VocEvaluation, evaluate_voc

__all__ = [
    "ClassEvaluation",
    "CocoEvaluation",
    "Detections",
    "ErrorTypes",
    "FoldResults",
    "GroundTruths",
    "IlsvrcError",
    "LabelledBoxes",
    "ScoredBoxes",
    "SegmentationScores",
    "Task",
    "VocEvaluation",
    "accumulate_confusion",
    "average_precision",
    "class_iu",
    "coco_box_iou",
    "coco_match",
    "confusion_matrix",
    "detection_confusion",
    "error_types",
    "evaluate_coco",
    "evaluate_voc",
    "ilsvrc_error",
    "match_detections",
    "object_keypoint_similarity",
    "pcp",
    "pdj",
    "precision_recall",
    "roc_curve",
    "segmentation_scores",
    "top_k_error",
    "true_accept_rate",
    "true_accept_rate_by_folds",
    "verification_accuracy",
]
