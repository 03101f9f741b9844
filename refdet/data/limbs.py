"""Which joints belong together: joined by limbs, or as left and right of one part.

COCO's joints are nose; eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left before right. Its limbs are the
"skeleton" of the category "person" in its files, counted from 0 (Lin et al., "Microsoft COCO", 2014).

Names of joints are compared word by word: "left_shoulder", "Left shoulder", "left-shoulder" and "leftShoulder" are the
same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

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
OTHER_SIDE = {"left": "right", "right": "left", "l": "r", "r": "l"}


def same_joints(names: Sequence[str], others: Sequence[str]) -> bool:
    """Say whether these are the same joints in the same order.

    >>> same_joints(["nose", "left_eye"], ["nose", "left eye"]), same_joints(["left_eye", "nose"], ["nose", "left eye"])
    (True, False)
    """
    return [_words(name) for name in names] == [_words(name) for name in others]


def swapped_of(joint_names: Sequence[str]) -> tuple[int, ...] | None:
    """Return what each joint becomes in a mirror, by the names; None where they do not say it.

    A name in which a word is "left", "right", "l" or "r" becomes the one with the other side in its place; all other
    joints stay what they are. The names do not say it where one with a side has no counterpart, two are the same, or
    none has a side. Nor do they where a side is part of a word, as in "lefthip".

    >>> swapped_of(["nose", "left_eye", "right_eye"]), swapped_of(["hipL", "tail", "hipR"])
    ((0, 2, 1), (2, 1, 0))
    >>> swapped_of(["nose", "left eye"]) is None, swapped_of(["1", "2"]) is None
    (True, True)
    """
    names = [_words(name) for name in joint_names]
    number = {name: j for j, name in enumerate(names)}
    mirrored = [tuple(OTHER_SIDE.get(word, word) for word in name) for name in names]
    if len(number) < len(names) or mirrored == names or not all(name in number for name in mirrored):
        return None
    if any(side in word != side for name in names for word in name for side in ("left", "right")):
        return None
    return tuple(number[name] for name in mirrored)


def limbs_of(joint_names: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return the pairs of joints that are joined, of stick figures and COCO's people; none of others.

    >>> limbs_of(JOINT_NAMES)[0], limbs_of(COCO_JOINT_NAMES)[-1], limbs_of(["nose", "tail"])
    ((0, 2), (4, 6), ())
    """
    if same_joints(joint_names, COCO_JOINT_NAMES):
        return COCO_LIMBS
    return LIMBS if same_joints(joint_names, JOINT_NAMES) else ()


def _words(name: str) -> tuple[str, ...]:
    """Return the words of a name, without case; a capital after a small letter begins one, as in leftHip."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return tuple(word for word in re.split(r"[\W_]+", apart.casefold()) if word)
