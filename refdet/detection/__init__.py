"""Floor 5: detectors, each a short composition of parts that exist by themselves.

The sliding window, R-CNN, SPP-net, Fast R-CNN, Faster R-CNN, Mask R-CNN and keypoint R-CNN; `refdet.detection.detected`
says what all of them can do, `refdet.detection.model_names` which there are ready-made. A pipeline on arrays returns
what a detector hands on; its twin with `_stages` returns everything that comes on the way, by name.
"""

from refdet.detection.detected import Detected, Detector
from refdet.detection.detections import DetectionStages, detections, detections_stages
from refdet.detection.fast_rcnn import FastRCNN
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.keypoint_coding import decode_keypoints, encode_keypoints
from refdet.detection.linear_svm import LinearSVM, train_linear_svm
from refdet.detection.model_file import load_model, save_model
from refdet.detection.preparation import Preparation, Prepared
from refdet.detection.rcnn import RCNN
from refdet.detection.region_warp import warp_region, warp_regions
from refdet.detection.resnet_c4 import fasterrcnn_resnet50_c4, maskrcnn_resnet50_c4
from refdet.detection.rpn_proposals import ProposalStages, rpn_proposals, rpn_proposals_stages
from refdet.detection.sliding_window import SlidingWindow
from refdet.detection.small_detectors import (
    SmallSettings,
    small_faster_rcnn,
    small_keypoint_rcnn,
    small_mask_rcnn,
)
from refdet.detection.spp_net import SPPNet
from refdet.detection.torchvision_detectors import (
    fasterrcnn_resnet50_fpn,
    keypointrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn,
)
from refdet.detection.truncated_svd import truncated_svd
from refdet.detection.vgg_faster_rcnn import fasterrcnn_vgg16

__all__ = [
    "RCNN",
    "Detected",
    "DetectionStages",
    "Detector",
    "FastRCNN",
    "FasterRCNN",
    "LinearSVM",
    "Preparation",
    "Prepared",
    "ProposalStages",
    "SPPNet",
    "SlidingWindow",
    "SmallSettings",
    "decode_keypoints",
    "detections",
    "detections_stages",
    "encode_keypoints",
    "fasterrcnn_resnet50_c4",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_vgg16",
    "keypointrcnn_resnet50_fpn",
    "load_model",
    "maskrcnn_resnet50_c4",
    "maskrcnn_resnet50_fpn",
    "rpn_proposals",
    "rpn_proposals_stages",
    "save_model",
    "small_faster_rcnn",
    "small_keypoint_rcnn",
    "small_mask_rcnn",
    "train_linear_svm",
    "truncated_svd",
    "warp_region",
    "warp_regions",
]
