"""Moving a picture, and all that is known of it, by an affine map about its middle: turned, sheared, of another size.

    p' = m + A·(p − m),    m = (W/2, H/2)
    A  = s · [[cos φ, −sin φ], [sin φ, cos φ]] · [[a, 0], [0, 1/a]] · [[1, h], [0, 1]]

For training on more than the pictures there are, where things lean and are of other proportions. The picture keeps its
size; as y points down, positive angles turn clockwise.

Conventions:

- A pixel is what the old picture has where its centre comes from: interpolated bilinearly between the centres of the
  old ones, and beyond the outermost of these what they are. The image becomes float32. Nothing is averaged, also where
  the picture becomes smaller.
- Of masks and label maps it is the pixel which that place lies in, half-open; there is no mask outside the old picture,
  and the label there is 255, "ignore". A label map of int8, which does not hold 255, is refused.
- The box of an object with a mask is the smallest one around its moved mask. Otherwise, and for proposals, it is the
  smallest one around the four moved corners, clipped: its sides are 1.28 times as long for a square turned by 20°.
- Objects and proposals of which nothing is left in the picture are left out. Joints keep their place even outside, but
  are not visible there; the right and the lower border are outside. Areas are multiplied by det A.
- Left stays left: a map with det A ≤ 0 is refused; for mirror images see `refdet.data.transforms.mirror`.
- Coordinates are computed in float64 and rounded once. A box that is not a number is left out as well: whether a sample
  can be trained on is asked before it is moved (`require_usable`).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np

from refdet.boxes.clip import clip_boxes
from refdet.core.check import Array, check_generator, check_number, shape_of
from refdet.data.sample import Sample, check_sample
from refdet.data.shapes import tight_box

AnySample = TypeVar("AnySample", bound=Sample)
IGNORED = 255
# One for each object; `visible` is a scene's.
OF_OBJECTS = ("boxes", "classes", "difficult", "masks", "joints", "joints_visible", "areas", "visible")


@dataclass(frozen=True)
class AffineRange:
    """How far pictures are moved at random: each number is drawn from ± the one given here.

    Attributes:
        turn: φ in degrees, at most 180.
        scale: log s.
        stretch: log a.
        shear: h.
    """

    turn: float = 0.0
    scale: float = 0.0
    stretch: float = 0.0
    shear: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("turn", 180.0), ("scale", 1.0), ("stretch", 1.0), ("shear", 1.0)):
            object.__setattr__(self, name, check_number("AffineRange", name, getattr(self, name), low=0, high=most))

    def draw(self, rng: np.random.Generator) -> Array:
        """Return A (2, 2), of four draws.

        >>> AffineRange(turn=20.0).draw(np.random.default_rng(0)).round(3)
        array([[ 0.995, -0.095],
               [ 0.095,  0.995]])
        """
        turn, log_s, log_a, h = (rng.uniform(-most, most) for most in dataclasses.astuple(self))
        a = math.exp(log_a)
        stretched = np.array([[a, 0.0], [0.0, 1 / a]]) @ np.array([[1.0, h], [0.0, 1.0]])
        drawn: Array = math.exp(log_s) * (rotation(turn) @ stretched)
        return drawn


def turn(sample: AnySample, degrees: float) -> AnySample:
    """Return the sample, turned clockwise.

    Args:
        sample: any.
        degrees: of a full turn's 360.

    >>> image, one = np.zeros((4, 4, 3), np.uint8), np.ones(1, np.int64)
    >>> turn(Sample("a.jpg", image, np.array([[0, 0, 4, 1]], np.float32), one, one == 0), 90).boxes
    array([[3., 0., 4., 4.]], dtype=float32)
    """
    check_sample("turn", "sample", sample)
    return _moved("turn", sample, rotation(check_number("turn", "degrees", degrees)))


def affine(sample: AnySample, A: Array) -> AnySample:
    """Return the sample, moved by p' = m + A·(p − m).

    Args:
        sample: any.
        A: (2, 2), of x and y, with a positive determinant.

    >>> image, one = np.zeros((4, 4, 3), np.uint8), np.ones(1, np.int64)
    >>> half = np.array([[0.5, 0.0], [0.0, 0.5]])
    >>> affine(Sample("a.jpg", image, np.array([[0, 0, 4, 2]], np.float32), one, one == 0), half).boxes
    array([[1., 1., 3., 2.]], dtype=float32)
    """
    check_sample("affine", "sample", sample)
    matrix = np.asarray(A)
    if matrix.dtype.kind not in "fiu" or shape_of(matrix) != (2, 2) or not np.isfinite(matrix).all():
        raise ValueError(f"affine: A must be a matrix (2, 2) of finite numbers, got {A!r}")
    matrix = matrix.astype(np.float64)
    if not _determinant(matrix) > 0:
        raise ValueError(f"affine: A must have a positive determinant, so that left stays left, got {matrix.tolist()}")
    return _moved("affine", sample, matrix)


def random_affine(sample: AnySample, rng: np.random.Generator, *, within: AffineRange) -> AnySample:
    """Return the sample, moved by a map that is drawn.

    Args:
        sample: any.
        rng: source of four draws.
        within: how far.
    """
    check_sample("random_affine", "sample", sample)
    check_generator("random_affine", rng)
    if not isinstance(within, AffineRange):
        raise TypeError(f"random_affine: within must be an AffineRange, got {within!r}")
    return _moved("random_affine", sample, within.draw(rng))


def _moved(op: str, sample: AnySample, A: Array) -> AnySample:
    _check_labels(op, sample)
    by = AboutMiddle(A, sample.size)
    places = by.origins()
    joints, visible, proposals, areas = sample.joints, sample.joints_visible, sample.proposals, sample.areas
    if joints is not None:
        joints = by.points(joints).astype(joints.dtype)
        if visible is not None:
            visible = visible & ((joints >= 0) & (joints < sample.size[::-1])).all(axis=2)
    if proposals is not None:
        proposals = by.boxes(proposals)
        proposals = proposals[_has_area(proposals)]
    boxes, masks = by.boxes(sample.boxes), sample.masks
    kept = _has_area(boxes)
    if masks is not None:
        had_one, masks = masks.any(axis=(1, 2)), _taken(masks, places, outside=False)
        has_one = masks.any(axis=(1, 2))
        kept = np.where(had_one, has_one, kept)
        for i in np.flatnonzero(has_one):
            boxes[i] = tight_box(masks[i])
    moved: dict[str, Any] = {
        "image": interpolated(sample.image, places),
        "boxes": boxes,
        "masks": masks,
        "label_map": None if sample.label_map is None else _taken(sample.label_map, places, outside=IGNORED),
        "joints": joints,
        "joints_visible": visible,
        "areas": None if areas is None else (areas * _determinant(A)).astype(areas.dtype),
        "proposals": proposals,
    }
    of_objects = {name: moved.get(name, getattr(sample, name, None)) for name in OF_OBJECTS}
    moved |= {name: value[kept] for name, value in of_objects.items() if value is not None}
    return dataclasses.replace(sample, **moved)


def _check_labels(op: str, sample: Sample) -> None:
    """Refuse a label map whose dtype does not hold the label of what was outside the picture."""
    labels = sample.label_map
    if labels is not None and np.iinfo(labels.dtype).max < IGNORED:
        raise TypeError(
            f"{op}: the label map of {sample.name} must be of a dtype that holds {IGNORED}, the label of what was "
            f"outside, got {labels.dtype.name}; convert it with astype"
        )


def rotation(degrees: float) -> Array:
    """Return the matrix (2, 2) that turns (x, y) by an angle, clockwise as y points down."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def _determinant(A: Array) -> float:
    (a, b), (c, d) = A.tolist()
    return float(a * d - b * c)


class AboutMiddle(NamedTuple):
    """Moves points and boxes by A about the middle of a picture of (height, width) = `size`."""

    A: Array
    size: tuple[int, int]

    def points(self, xy: Array) -> Array:
        """Return p' of points (…, 2)."""
        m = np.array(self.size[::-1]) / 2
        moved: Array = m + (xy - m) @ self.A.T
        return moved

    def origins(self) -> Array:
        """Return the places (H, W, 2), x and y, which the centres of the new pixels come from."""
        H, W = self.size
        centres = np.stack(np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5), axis=-1)
        (a, b), (c, d) = self.A.tolist()
        inverse = np.array([[d, -b], [-c, a]]) / _determinant(self.A)
        return self._replace(A=inverse).points(centres)

    def boxes(self, boxes: Array) -> Array:
        """Return the smallest boxes (B, 4) around the moved corners, clipped."""
        x1, y1, x2, y2 = boxes.T.astype(np.float64)
        corners = np.stack([np.stack([x, y], axis=1) for x, y in ((x1, y1), (x2, y1), (x1, y2), (x2, y2))], axis=1)
        corners = self.points(corners)  # (B, 4, 2)
        around = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        return clip_boxes(around.astype(boxes.dtype), height=self.size[0], width=self.size[1])


def _taken(maps: Array, places: Array, *, outside: int | bool) -> Array:
    """Return of maps (…, H, W) the pixel that each place lies in; `outside` where there is none."""
    H, W = maps.shape[-2:]
    column, row = np.floor(places).astype(np.int64).transpose(2, 0, 1)
    inside = (column >= 0) & (column < W) & (row >= 0) & (row < H)
    return np.where(inside, maps[..., row.clip(0, H - 1), column.clip(0, W - 1)], np.array(outside, maps.dtype))


def _has_area(boxes: Array) -> Array:
    return np.asarray((boxes[:, 2:] > boxes[:, :2]).all(axis=1))


def interpolated(image: Array, places: Array) -> Array:
    """Return the image (H, W, 3) at places (H, W, 2), its pixels' values being those at their centres."""
    H, W = image.shape[:2]
    x, y = (places - 0.5).astype(np.float32).transpose(2, 0, 1)
    x, y = x.clip(0, W - 1), y.clip(0, H - 1)
    left, top = (np.floor(v).astype(np.int64) for v in (x, y))
    right, bottom = np.minimum(left + 1, W - 1), np.minimum(top + 1, H - 1)
    u, v = (x - left)[..., None].astype(np.float32), (y - top)[..., None].astype(np.float32)
    values = image.astype(np.float32)
    upper = values[top, left] * (1 - u) + values[top, right] * u
    lower = values[bottom, left] * (1 - u) + values[bottom, right] * u
    interpolated: Array = upper * (1 - v) + lower * v
    return interpolated
