"""Floor 5: detection pipelines, short compositions of the functions on boxes.

Each returns what a detector hands on; its twin with `_stages` returns everything that comes on the way, by name.
"""

from refdet.detection.detections import DetectionStages, detections, detections_stages
from refdet.detection.rpn_proposals import ProposalStages, rpn_proposals, rpn_proposals_stages

__all__ = [
    "DetectionStages",
    "ProposalStages",
    "detections",
    "detections_stages",
    "rpn_proposals",
    "rpn_proposals_stages",
]
