"""Deviations of matching: which anchors, proposals and default boxes are trained on which ground truth."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.wrapping import setting
from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation


def _must_exceed(body: Body) -> Body:
    """Match where IoU > threshold: where it is ≥ the next number."""

    def match_ssd(iou: Array, *, threshold: float, **params: Any) -> Any:
        above = np.nextafter(iou.dtype.type(threshold), iou.dtype.type(np.inf))
        return body(iou, threshold=float(above), **params)

    return match_ssd


def _best_of_truths(iou: Array, inside: Array | None) -> tuple[Array, Array]:
    """Return the overlaps of the anchors that take part, 0 elsewhere, and the best of each ground truth."""
    overlaps = np.where(np.isnan(iou), 0, iou)
    if inside is not None:
        overlaps = np.where(inside[:, None], overlaps, 0)
    return overlaps, np.max(overlaps, axis=0, initial=0)


def _only_the_first_best(body: Body) -> Body:
    """Force one anchor for each ground truth, the first of equals."""

    def match_rpn(iou: Array, inside: Array | None, *, force_best: bool, guard_zero: bool, **params: Any) -> Any:
        labels, matches = body(iou, inside, force_best=False, guard_zero=guard_zero, **params)
        overlaps, best = _best_of_truths(iou, inside)
        if force_best and len(overlaps):
            for truth in range(overlaps.shape[1]):
                anchor = np.argmax(overlaps[:, truth])
                if (best[truth] > 0 or not guard_zero) and (inside is None or inside[anchor]):
                    labels[anchor] = 1
        return labels, matches

    return match_rpn


def _matched_to_who_forces(body: Body) -> Body:
    """Match a forced positive to the ground truth that forces it; of several, to the last."""

    def match_rpn(iou: Array, inside: Array | None, **params: Any) -> Any:
        labels, matches = body(iou, inside, **params)
        for truth in range(iou.shape[1]):
            forced, _ = body(iou[:, truth : truth + 1], inside, **{**params, "positive": np.inf})
            matches[forced == 1] = truth
        return labels, matches

    return match_rpn


def _nan_is_best(body: Body) -> Body:
    """Compare as if a NaN were ∞."""
    return lambda iou, *arrays, **params: body(np.where(np.isnan(iou), iou.dtype.type(np.inf), iou), *arrays, **params)


def _all_take_part(body: Body) -> Body:
    return lambda iou, inside, **params: body(iou, None, **params)


DEVIATIONS = [
    Deviation(
        "match.cmp=gt",
        "asks for an IoU greater than the positive threshold, though ≥ was asked",
        "A box whose best IoU equals the threshold is not positive.",
        (
            "keras-frcnn, keras_frcnn/data_generators.py: curr_iou > C.rpn_max_overlap (in early versions > 0.7)",
            "deck 000; Liu et al. (2016), section 2.2: higher than a threshold",
        ),
        "Compare with ≥.",
        {"match_rpn": setting(comparison=">"), "match_rcnn": setting(comparison=">"), "match_ssd": _must_exceed},
    ),
    Deviation(
        "match.cmp=ge",
        "takes an IoU equal to the positive threshold for positive, though > was asked",
        "A box whose best IoU equals the threshold is positive.",
        (
            "py-faster-rcnn, lib/rpn/anchor_target_layer.py and lib/roi_data_layer/minibatch.py",
            "torchvision, torchvision/models/detection/_utils.py, Matcher",
        ),
        "Compare with >.",
        {"match_rpn": setting(comparison=">="), "match_rcnn": setting(comparison=">=")},
    ),
    Deviation(
        "match.low=0",
        "takes all proposals below the band of positives for negatives",
        "Proposals whose best IoU is below negative_low are background instead of ignored.",
        (
            "Detectron2, detectron2/config/defaults.py: MODEL.ROI_HEADS.IOU_THRESHOLDS = [0.5], IOU_LABELS = [0, 1]",
            "torchvision, torchvision/models/detection/_utils.py, Matcher: no lower bound of negatives",
        ),
        "Ignore proposals whose best IoU is below negative_low.",
        {"match_rcnn": setting(negative_low=0.0)},
    ),
    Deviation(
        "match.force=off",
        "makes no anchor positive for being the best of a ground truth",
        "A ground truth that no anchor overlaps enough has no positive.",
        ("keras-retinanet, keras_retinanet/utils/anchors.py, anchor_targets_bbox",),
        "Make the best anchors of every ground truth positive, whatever their IoU.",
        {"match_rpn": setting(force_best=False)},
    ),
    Deviation(
        "match.force=first",
        "makes only the first of equally good anchors of a ground truth positive",
        "Other anchors with the same IoU keep the label that their IoU gives.",
        (
            "matterport Mask R-CNN, model.py, build_rpn_targets in early versions: np.argmax(overlaps, axis=0)",
            "TensorFlow object detection API, object_detection/matchers/argmax_matcher.py: "
            "tf.argmax(similarity_matrix, 1)",
        ),
        "Make every anchor positive whose IoU equals the best of a ground truth.",
        {"match_rpn": _only_the_first_best},
    ),
    Deviation(
        "match.force=always",
        "makes the best anchors of a ground truth positive, though it was not asked",
        "Anchors below the positive threshold are positive.",
        ("py-faster-rcnn, lib/rpn/anchor_target_layer.py: labels[gt_argmax_overlaps] = 1",),
        "Let the thresholds alone decide where force_best is False.",
        {"match_rpn": setting(force_best=True)},
    ),
    Deviation(
        "match.forced_truth=forcing",
        "matches a forced positive to the ground truth that forces it",
        "An anchor that another ground truth overlaps more is regressed to the one that has nothing better; of "
        "several that force it, to the last. An anchor that its IoU makes positive anyway is matched so too.",
        ("mmdetection, mmdet/core/bbox/assigners/max_iou_assigner.py: assigned_gt_inds[max_iou_inds] = i + 1",),
        "Match every anchor to the ground truth that it overlaps most.",
        {"match_rpn": _matched_to_who_forces},
    ),
    Deviation(
        "match.inside=ignored",
        "lets anchors that cross the boundary of the image take part",
        "They are labelled like others, and may be the best of a ground truth.",
        (
            "torchvision, torchvision/models/detection/rpn.py, assign_targets_to_anchors",
            "Detectron2, detectron2/config/defaults.py: MODEL.RPN.BOUNDARY_THRESH = -1",
        ),
        "Label such anchors −1, and leave them out when looking for the best of a ground truth.",
        {"match_rpn": _all_take_part},
    ),
    Deviation(
        "match.nan=best",
        "takes NaN for the best IoU",
        "A box that has NaN with a ground truth is positive, whatever the threshold, and matched to the first such "
        "ground truth; that ground truth forces no other box.",
        (
            "torchvision 0.14, torchvision/models/detection/_utils.py, Matcher: run; NaN is the maximum, and neither < "
            "nor ≥ a threshold",
        ),
        "Count an IoU that is NaN as 0.",
        {"match_rpn": _nan_is_best, "match_rcnn": _nan_is_best},
    ),
    Deviation(
        "match.zero=unguarded",
        "makes untouched anchors positive for a ground truth that nothing touches",
        "A ground truth whose best IoU is 0 forces every anchor that has 0 with it.",
        (
            "py-faster-rcnn, lib/rpn/anchor_target_layer.py: overlaps == gt_max_overlaps",
            "torchvision, torchvision/models/detection/_utils.py, set_low_quality_matches_",
            "Detectron2, detectron2/modeling/matcher.py",
        ),
        "Force nothing where the best IoU of a ground truth is 0.",
        {"match_rpn": setting(guard_zero=False)},
    ),
    Deviation(
        "match.zero=guarded",
        "forces nothing where the best IoU is 0, though that was asked",
        "Anchors that touch nothing stay background.",
        (
            "faster-rcnn.pytorch, lib/model/rpn/anchor_target_layer.py: gt_max_overlaps[gt_max_overlaps==0] = 1e-5",
            "keras-frcnn, keras_frcnn/data_generators.py: no box with an IOU greater than zero",
        ),
        "Test for equality with the best IoU alone where guard_zero is False.",
        {"match_rpn": setting(guard_zero=True)},
    ),
    Deviation(
        "ssd.match=overwrite",
        "gives each ground truth its best box; later ones take it from earlier ones",
        "A ground truth may be left without a box, though a free one overlaps it.",
        ("ssd.pytorch, layers/box_utils.py, match", "torchvision, torchvision/models/detection/_utils.py, SSDMatcher"),
        "Match the best pair of all, remove both, and repeat.",
        {"match_ssd": setting(convention="torchvision")},
    ),
    Deviation(
        "ssd.match=bipartite",
        "matches the best pairs one by one, though later ones were asked to overwrite",
        "Every ground truth that overlaps a free box has one.",
        ("Caffe SSD, src/caffe/util/bbox_util.cpp, MatchBBox",),
        "Give each ground truth in turn the box that it overlaps most, from whoever has it.",
        {"match_ssd": setting(convention="caffe")},
    ),
]
