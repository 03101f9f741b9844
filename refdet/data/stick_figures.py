"""Stick figures: synthetic people with the fourteen joints of deck 002, for pose estimation; the same bits everywhere.

| 0, 1 | 2, 3 | 4, 5 | 6, 7 | 8, 9 | 10, 11 | 12 | 13 |
|---|---|---|---|---|---|---|---|
| left, right foot | knee | hip | shoulder | elbow | hand | neck | head top |

A picture has one figure, seen from the front (with two eyes; its left side is at the right of the picture) or from
behind (without eyes, its left side at the left), and up to two of the shapes of `refdet.data.shapes` in front of it.

Conventions: a joint is (x, y) in continuous pixel coordinates, pixel (r, c) covering [c, c + 1) × [r, r + 1). It is
visible if it lies in the picture and no shape in front covers its pixel; limbs of the same figure hide nothing. The
box is the smallest one, half-open, around the figure's mask, which is what of it can be seen. Mirroring a picture of
width W sends x to W − x and swaps left and right: `SWAPPED[j]` is the joint that j becomes.

A picture is a `Sample` of one object, of class 1 and never difficult, without a label map: boxes (1, 4), masks
(1, H, W), joints (1, 14, 2), joints_visible (1, 14).
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, integer, integers
from refdet.data.canvas import Canvas
from refdet.data.lazy_sequence import LazySequence
from refdet.data.random_stream import RandomStream
from refdet.data.sample import Sample
from refdet.data.shapes import DEFAULT_SIZE, checked_size, make_outline, tight_box

FIGURE_CLASS_NAMES = ("background", "person")
PARTS = ("foot", "knee", "hip", "shoulder", "elbow", "hand")
JOINT_NAMES = (*(f"{side} {part}" for part in PARTS for side in ("left", "right")), "neck", "head top")
SWAPPED = (1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 12, 13)
NECK, HEAD_TOP = 12, 13
LIMBS = (
    (0, 2), (2, 4), (1, 3), (3, 5), (6, 8), (8, 10), (7, 9), (9, 11), (4, 5), (6, 7), (4, 6), (5, 7), (12, 13),
)  # fmt: skip
TORSO = (6, 5)  # left shoulder to right hip, the diameter that PDJ and DeepPose measure by

# The spread of annotators, as object keypoint similarity has it: limbs have the sigmas of COCO's ankles … wrists, neck
# and head that of its shoulders, as CrowdPose has it for the same fourteen joints (Li et al., "CrowdPose" (2019); its
# fork of the COCO API).
FOURTEEN_SIGMAS = (0.089, 0.089, 0.087, 0.087, 0.107, 0.107, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.079, 0.079)

# Lengths as shares of the figure's height, feet to head top, and the largest tan(φ/2) of a limb's tilt.
HEAD, TRUNK, THIGH, SHIN, UPPER_ARM, FOREARM = 0.17, 0.33, 0.26, 0.24, 0.18, 0.16
HALF_SHOULDERS, HALF_HIPS, THICKNESS, HEAD_RADIUS = 0.11, 0.07, 0.022, 0.075
LEAN, LEG, ARM = 0.15, 0.3, 0.9


class StickFigures(LazySequence[Sample]):
    """`n` pictures, each made when it is asked for, from the seed and its number alone.

    >>> figure = StickFigures(10, seed=0)[3]
    >>> figure.name, figure.joints.shape, JOINT_NAMES[0], JOINT_NAMES[SWAPPED[0]]
    ('stick figures 0/3', (1, 14, 2), 'left foot', 'right foot')
    """

    def __init__(self, n: int, *, seed: int, size: tuple[int, int] = DEFAULT_SIZE) -> None:
        super().__init__(integer("StickFigures", "n", n, low=0))
        self._seed = integer("StickFigures", "seed", seed, low=0)
        self._size = checked_size("StickFigures", size)
        self.joint_names = JOINT_NAMES

    def _item(self, i: int) -> Sample:
        return make_figure(self._seed, i, size=self._size)


def make_figure(seed: int, number: int, *, size: tuple[int, int] = DEFAULT_SIZE) -> Sample:
    """Return picture `number` of the data set with this seed, (height, width) = `size`, at least 32 × 32."""
    H, W = checked_size("make_figure", size)
    seeds = integers("make_figure", "seed and number", (seed, number), count=2, low=0, int64=False)
    stream = RandomStream(*seeds, H, W)
    canvas = Canvas(stream, H, W)
    is_front = stream.chance(0.6)
    height = stream.uniform(0.55, 0.9) * min(H, W)
    joints = _pose(stream, height, is_front)
    joints += _shift_into_picture(stream, joints, H, W)
    coverage = _painted(canvas, joints, height, is_front)
    in_front = np.zeros((H, W), np.bool_)
    for _ in range(stream.integer(0, 2)):
        in_front |= _shape_in_front(canvas, joints, height)
    column, row = np.floor(joints).astype(np.int64).T
    visible = (column >= 0) & (column < W) & (row >= 0) & (row < H)
    visible[visible] = ~in_front[row[visible], column[visible]]
    mask = (coverage >= 0.5) & ~in_front
    return Sample(
        name=f"stick figures {seeds[0]}/{seeds[1]}",
        image=canvas.finished(),
        boxes=np.array([tight_box(mask)], np.float32),
        classes=np.array([FIGURE_CLASS_NAMES.index("person")], np.int64),
        difficult=np.array([False]),
        masks=mask[None],
        joints=joints.astype(np.float32)[None],
        joints_visible=visible[None],
    )


def _pose(stream: RandomStream, height: float, is_front: bool) -> Array:
    """Return joints (14, 2) with the neck at the origin, y pointing down."""
    side_of_left = 1.0 if is_front else -1.0
    c, s = stream.tilt(LEAN)
    down, across = np.array([s, c]), np.array([c, -s]) * side_of_left  # across points to the figure's left
    joints = np.zeros((14, 2))
    joints[HEAD_TOP] = -HEAD * height * _turned(down, stream.tilt(LEAN))
    for side in (0, 1):
        outwards = across * (1 - 2 * side)
        foot, knee, hip, shoulder, elbow, hand = range(side, 12, 2)
        joints[shoulder] = HALF_SHOULDERS * height * outwards + 0.03 * height * down
        joints[hip] = TRUNK * height * down + HALF_HIPS * height * outwards
        joints[knee] = joints[hip] + THIGH * height * _turned(down, stream.tilt(LEG))
        joints[foot] = joints[knee] + SHIN * height * _turned(down, stream.tilt(LEG))
        joints[elbow] = joints[shoulder] + UPPER_ARM * height * _turned(down, stream.tilt(ARM))
        joints[hand] = joints[elbow] + FOREARM * height * _turned(down, stream.tilt(ARM))
    return joints


def _shift_into_picture(stream: RandomStream, joints: Array, H: int, W: int) -> Array:
    """Return where to put the neck: the figure may leave the picture by a tenth of its size on any side."""
    low, high = joints.min(axis=0), joints.max(axis=0)
    slack = 0.1 * (high - low)
    room_low, room_high = -low - slack, np.array([W, H]) - high + slack
    return np.array([stream.uniform(float(a), float(b)) for a, b in zip(room_low, room_high, strict=True)])


def _painted(canvas: Canvas, joints: Array, height: float, is_front: bool) -> Array:
    """Paint the figure; return its coverage of the picture."""
    H, W = canvas.height, canvas.width
    half = max(THICKNESS * height, 0.9)
    upwards, radius = (joints[HEAD_TOP] - joints[NECK]) / (HEAD * height), HEAD_RADIUS * height
    head = joints[HEAD_TOP] - radius * upwards

    def inside(y: Array, x: Array) -> Array:
        found = _in_disc(y, x, head, radius)
        for a, b in LIMBS:
            found = found | _in_capsule(y, x, joints[a], joints[b], half)
        return found

    coverage = canvas.coverage(inside, 0, 0, H, W)
    canvas.paint(coverage, canvas.contrasting_texture(coverage >= 0.5))
    if is_front:
        sideways = np.array([-upwards[1], upwards[0]])
        left_eye, right_eye = (head + 0.35 * radius * (upwards + sign * sideways) for sign in (-1.0, 1.0))
        size = max(0.2 * radius, 0.6)
        eyes = canvas.coverage(
            lambda y, x: _in_disc(y, x, left_eye, size) | _in_disc(y, x, right_eye, size), 0, 0, H, W
        )
        canvas.paint(eyes, np.full((H, W, 3), 20.0))
    return coverage


def _in_disc(y: Array, x: Array, centre: Array, radius: float) -> Array:
    dx, dy = x - centre[0], y - centre[1]
    return np.asarray(dx * dx + dy * dy <= radius * radius)


def _in_capsule(y: Array, x: Array, a: Array, b: Array, half: float) -> Array:
    """Say which points lie within `half` of the segment from a to b."""
    dx, dy = float(b[0] - a[0]), float(b[1] - a[1])
    t = np.clip(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    away_x, away_y = x - a[0] - t * dx, y - a[1] - t * dy
    return np.asarray(away_x * away_x + away_y * away_y <= half * half)


def _shape_in_front(canvas: Canvas, joints: Array, height: float) -> Array:
    """Paint one shape near a joint; return its mask."""
    joint = joints[canvas.stream.integer(0, 13)]
    radius = canvas.stream.uniform(0.05, 0.13) * height
    x, y = (float(v) + canvas.stream.uniform(-radius, radius) for v in joint)
    coverage, _ = make_outline(canvas, (y, x), radius)
    mask = coverage >= 0.5
    if mask.any():
        canvas.paint(coverage, canvas.contrasting_texture(mask))
    return mask


def _turned(direction: Array, rotation: tuple[float, float]) -> Array:
    c, s = rotation
    return np.array([c * direction[0] - s * direction[1], s * direction[0] + c * direction[1]])
