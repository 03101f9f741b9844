"""Which joints belong together, for drawing: of stick figures with 14 joints, and of COCO's people with 17.

COCO's joints are nose; eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left before right. Its limbs are the
"skeleton" of the category "person" in its files, counted from 0 (Lin et al., "Microsoft COCO", 2014).
"""

from __future__ import annotations

from refdet.data.stick_figures import JOINT_NAMES, LIMBS

COCO_JOINT_NAMES = (
    "nose",
    *(f"{side} {part}" for part in ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
      for side in ("left", "right")),
)  # fmt: skip
COCO_LIMBS = (
    (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
    (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
)  # fmt: skip
COCO_SWAPPED = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)


def limbs_of(n_joints: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs of joints that are joined, of a figure of that many joints; none where they are not known.

    >>> limbs_of(14)[0], limbs_of(17)[-1], limbs_of(5)
    ((0, 2), (4, 6), ())
    """
    return {len(JOINT_NAMES): LIMBS, len(COCO_JOINT_NAMES): COCO_LIMBS}.get(n_joints, ())
