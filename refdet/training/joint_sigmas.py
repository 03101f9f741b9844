"""How far annotators spread for each kind of joint: the σ of object keypoint similarity, by the names of the joints."""

from __future__ import annotations

from collections.abc import Sequence

from refdet.data.limbs import COCO_JOINT_NAMES, same_joints
from refdet.data.stick_figures import FOURTEEN_SIGMAS, JOINT_NAMES
from refdet.metrics.object_keypoint_similarity import COCO_SIGMAS


def sigmas_of(joint_names: Sequence[str]) -> tuple[float, ...] | None:
    """Return the sigmas of joints of these names, in this order; None where they are not known.

    >>> sigmas_of(JOINT_NAMES)[:2], sigmas_of(["left_eye", "right_eye"]) is None
    ((0.089, 0.089), True)
    """
    if same_joints(joint_names, COCO_JOINT_NAMES):
        return COCO_SIGMAS
    return FOURTEEN_SIGMAS if same_joints(joint_names, JOINT_NAMES) else None
