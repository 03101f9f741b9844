"""One picture with what is known about it: what readers give, transforms change, and training eats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from refdet.core.check import Array, check_shape, is_array, not_an_array, shape_of

OPTIONAL = ("masks", "label_map", "joints", "joints_visible", "proposals", "areas")
BACKGROUND = "background"  # the name of class 0
KINDS = {"u": "unsigned integers", "i": "integers", "f": "floats", "b": "booleans"}


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture of H × W pixels with R objects; what is optional is None where it is unknown.

    Coordinates are continuous, in pixels: pixel (r, c) covers [c, c + 1) × [r, r + 1), boxes are half-open.

    Attributes:
        name: of the picture, for messages.
        image: (H, W, 3), red, green and blue, uint8 or floats in 0 … 255.
        boxes: (R, 4) float32, (x1, y1, x2, y2) in pixels.
        classes: (R,) int64, the class of each object; 0 is the background.
        difficult: (R,) bool, the objects that VOC's evaluation leaves out.
        masks: (R, H, W) bool, the pixels of each object.
        label_map: (H, W) int64, the class of each pixel; 255 is "ignore".
        joints: (R, K, 2) float32, (x, y) in pixels of the K joints of each object.
        joints_visible: (R, K) bool, which of them can be seen.
        proposals: (P, 4) of the dtype of the boxes, regions in which an object may be, likewise in pixels.
        areas: (R,) floats, the area of the outline of each object, in pixels, as COCO's files give it for evaluation.
    """

    name: str
    image: Array
    boxes: Array
    classes: Array
    difficult: Array
    masks: Array | None = None
    label_map: Array | None = None
    joints: Array | None = None
    joints_visible: Array | None = None
    proposals: Array | None = None
    areas: Array | None = None

    def __post_init__(self) -> None:
        if not is_array(self.image):
            raise not_an_array(f"sample {self.name!r}", "image", self.image)
        if self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(
                f"sample {self.name!r}: image must have shape (H, W, 3), red first, got {shape_of(self.image)}"
            )
        H, W = shape_of(self.image)[:2]
        if not is_array(self.boxes):
            raise not_an_array(f"sample {self.name!r}", "boxes", self.boxes)
        R = shape_of(self.boxes)[0] if self.boxes.ndim else 0
        P = len(self.proposals) if self.proposals is not None and self.proposals.ndim else 0
        K = self.joints.shape[1] if self.joints is not None and self.joints.ndim == 3 else 0
        wanted: dict[str, tuple[tuple[int, ...], str]] = {  # shape, and kinds of dtype
            "image": ((H, W, 3), "uf"),
            "boxes": ((R, 4), "f"),
            "classes": ((R,), "iu"),
            "difficult": ((R,), "b"),
            "masks": ((R, H, W), "b"),
            "label_map": ((H, W), "iu"),
            "joints": ((R, K, 2), "f"),
            "joints_visible": ((R, K), "b"),
            "proposals": ((P, 4), "f"),
            "areas": ((R,), "f"),
        }
        for field, (shape, kinds) in wanted.items():
            array = getattr(self, field)
            if array is None and field in OPTIONAL:
                continue
            check_shape(f"sample {self.name!r}", field, array, shape, "see refdet.data.sample")
            if array.dtype.kind not in kinds:
                words = " or ".join(KINDS[kind] for kind in kinds)
                raise TypeError(f"sample {self.name!r}: {field} must hold {words}, got {array.dtype.name}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the picture."""
        return int(self.image.shape[0]), int(self.image.shape[1])


def check_sample(op: str, name: str, value: object) -> None:
    """Refuse what is not a Sample."""
    if not isinstance(value, Sample):
        raise TypeError(f"{op}: {name} must be a Sample, got {type(value).__name__}")


def require_usable(sample: Sample) -> Sample:
    """Return the sample; refuse boxes without area and what is not a number, by the name of the picture.

    >>> image, one = np.zeros((4, 4, 3), np.uint8), np.ones(1, np.int64)
    >>> boxes = np.array([[1, 1, 1, 3]], np.float32)
    >>> require_usable(Sample("a.jpg", image, boxes, one, one == 0))
    Traceback (most recent call last):
    ValueError: a.jpg: object 0 must have a finite box of positive area, got [1.0, 1.0, 1.0, 3.0]
    """
    sides = sample.boxes[:, 2:] - sample.boxes[:, :2]
    good = np.isfinite(sample.boxes).all(axis=1) & (sides > 0).all(axis=1)
    if not good.all():
        i = int(np.argmin(good))
        raise ValueError(
            f"{sample.name}: object {i} must have a finite box of positive area, got {sample.boxes[i].tolist()}"
        )
    return sample
