"""What data sets other than ours call the joints of their figures, and which of them a mirror swaps, by hand."""

from __future__ import annotations

COCO_SWAPPED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)

# CrowdPose has fourteen joints, as stick figures have, and others; AP-10K seventeen, as COCO has
CROWD_POSE = (
    *(f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
      for side in ("left", "right")),
    "head", "neck",
)  # fmt: skip
CROWD_POSE_SWAPPED = (1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13)

AP_10K = (
    "left_eye", "right_eye", "nose", "neck", "root_of_tail", "left_shoulder", "left_elbow", "left_front_paw",
    "right_shoulder", "right_elbow", "right_front_paw", "left_hip", "left_knee", "left_back_paw", "right_hip",
    "right_knee", "right_back_paw",
)  # fmt: skip
AP_10K_SWAPPED = (1, 0, 2, 3, 4, 8, 9, 10, 5, 6, 7, 14, 15, 16, 11, 12, 13)
