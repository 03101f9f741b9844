"""How far annotators spread for each kind of joint: the σ of object keypoint similarity, by the names of the joints."""

from __future__ import annotations

from collections.abc import Sequence

from refdet.data.limbs import COCO_JOINT_NAMES, same_joints
from refdet.data.stick_figures import JOINT_NAMES
from refdet.metrics.object_keypoint_similarity import COCO_SIGMAS

# Of the joints of `refdet.data.stick_figures`: feet, knees, hips, shoulders, elbows, hands, neck, top of the head. The
# limbs have the sigmas of COCO's ankles … wrists, neck and head that of its shoulders, as CrowdPose has it for the same
# fourteen joints (Li et al., "CrowdPose" (2019); its fork of the COCO API).
FOURTEEN_SIGMAS = (0.089, 0.089, 0.087, 0.087, 0.107, 0.107, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.079, 0.079)


def sigmas_of(joint_names: Sequence[str]) -> tuple[float, ...] | None:
    """Return the sigmas of joints of these names, in this order; None where they are not known.

    >>> sigmas_of(JOINT_NAMES)[:2], sigmas_of(["left_eye", "right_eye"]) is None
    ((0.089, 0.089), True)
    """
    if same_joints(joint_names, COCO_JOINT_NAMES):
        return COCO_SIGMAS
    return FOURTEEN_SIGMAS if same_joints(joint_names, JOINT_NAMES) else None
