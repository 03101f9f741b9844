"""Floor 5: detectors, each a short composition of parts that exist by themselves.

The sliding window, R-CNN, SPP-net, Fast R-CNN, Faster R-CNN, Mask R-CNN and keypoint R-CNN; `refdet.detection.detected`
says what all of them can do, `refdet.detection.model_names` which there are ready-made. A pipeline on arrays returns
what a detector hands on; its twin with `_stages` returns everything that comes on the way, by name.
"""

from refdet.detection.detected import (
    Detected,
    Detector,
)
from refdet.detection.detections import (
    DetectionStages,
    detections,
    detections_stages,
)
from refdet.detection.fast_rcnn import FastRCNN
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.hourglass import Hourglass
from refdet.detection.joint_finder import JointFinder
from refdet.detection.keypoint_coding import (
    decode_keypoints,
    encode_keypoints,
)
from refdet.detection.keypoint_similarity import decode_keypoints_by_similarity
from refdet.detection.late_head import LateHead
from refdet.detection.linear_svm import (
    LinearSVM,
    train_linear_svm,
)
from refdet.detection.model_file import (
    load_model,
    save_model,
)
from refdet.detection.preparation import (
    Preparation,
    Prepared,
)
from refdet.detection.rcnn import (
    RCNN,
    small_rcnn,
)
from refdet.detection.rcnn_settings import RCNNSettings
from refdet.detection.region_warp import (
    warp_region,
    warp_regions,
)
from refdet.detection.resnet_c4 import (
    ResNetC4Settings,
    fasterrcnn_resnet50_c4,
    maskrcnn_resnet50_c4,
)
from refdet.detection.roi_heads import RoIHeads
from refdet.detection.roi_settings import (
    ExpectedJoints,
    HeadSettings,
)
from refdet.detection.rpn import RPN
from refdet.detection.rpn_proposals import (
    ProposalStages,
    rpn_proposals,
    rpn_proposals_stages,
)
from refdet.detection.rpn_settings import RPNSettings
from refdet.detection.sliding_window import (
    SlidingWindow,
    WindowSettings,
    small_sliding_window,
)
from refdet.detection.small_detectors import (
    SmallSettings,
    figure_settings,
    mask_settings,
    small_faster_rcnn,
    small_keypoint_rcnn,
    small_mask_rcnn,
)
from refdet.detection.small_fast_rcnn import (
    SmallFastRCNNSettings,
    small_fast_rcnn,
)
from refdet.detection.spp_net import (
    SPPNet,
    small_spp_net,
)
from refdet.detection.spp_settings import FIVE_SCALES, SPPSettings
from refdet.detection.torchvision_detectors import (
    TorchvisionSettings,
    fasterrcnn_resnet50_fpn,
    keypointrcnn_resnet50_fpn,
    maskrcnn_resnet50_fpn,
)
from refdet.detection.truncated_svd import truncated_svd
from refdet.detection.vgg_fast_rcnn import (
    VGGFastRCNNSettings,
    fastrcnn_vgg16,
)
from refdet.detection.vgg_faster_rcnn import (
    PyFasterSettings,
    fasterrcnn_vgg16,
)

__all__ = [
    "FIVE_SCALES",
    "RCNN",
    "RPN",
    "Detected",
    "DetectionStages",
    "Detector",
    "ExpectedJoints",
    "FastRCNN",
    "FasterRCNN",
    "HeadSettings",
    "Hourglass",
    "JointFinder",
    "LateHead",
    "LinearSVM",
    "Preparation",
    "Prepared",
    "ProposalStages",
    "PyFasterSettings",
    "RCNNSettings",
    "RPNSettings",
    "ResNetC4Settings",
    "RoIHeads",
    "SPPNet",
    "SPPSettings",
    "SlidingWindow",
    "SmallFastRCNNSettings",
    "SmallSettings",
    "TorchvisionSettings",
    "VGGFastRCNNSettings",
    "WindowSettings",
    "decode_keypoints",
    "decode_keypoints_by_similarity",
    "detections",
    "detections_stages",
    "encode_keypoints",
    "fasterrcnn_resnet50_c4",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_vgg16",
    "fastrcnn_vgg16",
    "figure_settings",
    "keypointrcnn_resnet50_fpn",
    "load_model",
    "mask_settings",
    "maskrcnn_resnet50_c4",
    "maskrcnn_resnet50_fpn",
    "rpn_proposals",
    "rpn_proposals_stages",
    "save_model",
    "small_fast_rcnn",
    "small_faster_rcnn",
    "small_keypoint_rcnn",
    "small_mask_rcnn",
    "small_rcnn",
    "small_sliding_window",
    "small_spp_net",
    "train_linear_svm",
    "truncated_svd",
    "warp_region",
    "warp_regions",
]
