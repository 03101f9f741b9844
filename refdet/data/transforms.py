"""What happens to a picture and its annotation before a network sees them.

Every transform takes a `Sample` and returns a new one of the same kind (of a `Scene` a `Scene`); those that draw take a
`numpy.random.Generator`.

Conventions:

- Resizing: the scale makes the shorter side `short`, unless the longer one, rounded, would then exceed `long`; then it
  makes the longer side `long` (Fast R-CNN, §5.2: 600 and 1000). Sides are rounded half up, exactly. Pixels are
  interpolated bilinearly with half-pixel centres, without antialiasing (`refdet.ops.resize_bilinear`; OpenCV's
  default); masks and label maps take the pixel that the centre of the new one lies in, the later one on the line
  between two. Coordinates are multiplied by new side / old side, axis by axis, so that they keep their place on the
  pixels; py-faster-rcnn multiplies by the scale instead, up to half a pixel away at the border. Areas are multiplied
  by both of these.
- Mirroring: x becomes W − x, because coordinates are continuous (pixel *indices* go to W − 1 − x). A left joint becomes
  a right one: `swapped[j]` is the joint that j becomes, and j what that one becomes.
- Mean: subtracted from values in 0 … 255, in the order of channels that is asked for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from refdet import ops
from refdet.autograd.tensor import no_grad
from refdet.boxes.mirrored import mirrored_boxes
from refdet.core.check import (
    Array,
    as_index,
    check_choice,
    check_generator,
    check_number,
    check_rank,
    check_shape,
    integer,
    integers,
    sequence,
    shape_of,
)
from refdet.data.sample import Sample, check_sample

AnySample = TypeVar("AnySample", bound=Sample)

FAST_RCNN_MEAN_BGR = (102.9801, 115.9465, 122.7717)  # of the released code; VGG-16's own is 103.939, 116.779, 123.68
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def resized_size(size: tuple[int, int], *, short: int = 600, long: int = 1000) -> tuple[int, int]:
    """Return (height, width) after resizing the short side under a limit for the long one.

    Args:
        size: (height, width) before.
        short: pixels of the shorter side afterwards, at least 1.
        long: the most pixels of the longer side.

    >>> resized_size((375, 500)), resized_size((200, 500))
    ((600, 800), (400, 1000))
    """
    height, width = integers("resized_size", "size", size, count=2, low=1)
    numerator = integer("resized_size", "short", short, low=1)
    limit = integer("resized_size", "long", long, low=1)
    denominator, longer = sorted((height, width))
    if _rounded(numerator * longer, denominator) > limit:
        numerator, denominator = limit, longer
    new_height, new_width = (max(_rounded(numerator * side, denominator), 1) for side in (height, width))
    return new_height, new_width


def resize(sample: AnySample, size: tuple[int, int]) -> AnySample:
    """Return the sample at another size; the image becomes float32.

    Coordinates and areas are computed in float64 and rounded once, so that what lies on the border stays there.

    Args:
        sample: any; its boxes, masks, label map, joints, proposals and areas are resized with the image.
        size: (height, width) afterwards, in pixels, at least 1 each.
    """
    check_sample("resize", "sample", sample)
    H, W = integers("resize", "size", size, count=2, low=1)
    if 0 in sample.size:
        raise ValueError(
            f"resize: {sample.name} must have a pixel, got a picture of {sample.size[0]} × {sample.size[1]}"
        )
    ratio = np.array([W / sample.size[1], H / sample.size[0]])
    areas = sample.areas
    with no_grad():
        planes = ops.resize_bilinear(_planes(sample.image), (H, W))
    rows, columns = (_nearest(new, old) for new, old in zip((H, W), sample.size, strict=True))
    return dataclasses.replace(
        sample,
        image=np.ascontiguousarray(planes.data[0].transpose(1, 2, 0)),
        boxes=(sample.boxes * np.tile(ratio, 2)).astype(sample.boxes.dtype),
        proposals=None
        if sample.proposals is None
        else (sample.proposals * np.tile(ratio, 2)).astype(sample.proposals.dtype),
        masks=None if sample.masks is None else sample.masks[:, rows[:, None], columns],
        label_map=None if sample.label_map is None else sample.label_map[rows[:, None], columns],
        joints=None if sample.joints is None else (sample.joints * ratio).astype(sample.joints.dtype),
        areas=None if areas is None else (areas.astype(np.float64) * ratio.prod()).astype(areas.dtype),
    )


def resize_short_side(sample: AnySample, *, short: int = 600, long: int = 1000) -> AnySample:
    """Return the sample with its short side `short`, or its long side `long` where that limits it.

    Args:
        sample: any; its boxes, masks, label map, joints, proposals and areas are resized with the image.
        short: pixels of the shorter side afterwards, at least 1.
        long: the most pixels of the longer side; `resized_size` gives the size that follows.
    """
    check_sample("resize_short_side", "sample", sample)
    return resize(sample, resized_size(sample.size, short=short, long=long))


def mirror(sample: AnySample, *, swapped: Sequence[int] | None = None) -> AnySample:
    """Return the sample seen in a mirror, left and right exchanged.

    Args:
        sample: any; its boxes, masks, label map, joints and proposals are mirrored with the image.
        swapped: K integers, entry j the joint that joint j becomes (the left hand the right one) and j what that one
            becomes; for stick figures `refdet.data.stick_figures.SWAPPED`. A sample with joints needs it, others do
            not read it.
    """
    check_sample("mirror", "sample", sample)
    return dataclasses.replace(
        sample,
        image=np.ascontiguousarray(sample.image[:, ::-1]),
        boxes=mirrored_boxes(sample.boxes, sample.size[1]),
        proposals=None if sample.proposals is None else mirrored_boxes(sample.proposals, sample.size[1]),
        masks=None if sample.masks is None else np.ascontiguousarray(sample.masks[:, :, ::-1]),
        label_map=None if sample.label_map is None else np.ascontiguousarray(sample.label_map[:, ::-1]),
        **_mirrored_joints(sample, swapped),
    )


def random_mirror(
    sample: AnySample, rng: np.random.Generator, *, probability: float = 0.5, swapped: Sequence[int] | None = None
) -> AnySample:
    """Return the sample, mirrored with the given probability, or else itself.

    Args:
        sample: any.
        rng: source of one draw.
        probability: in [0, 1].
        swapped: what left and right joints become, as in `mirror`.
    """
    check_sample("random_mirror", "sample", sample)
    check_generator("random_mirror", rng)
    check_number("random_mirror", "probability", probability, low=0, high=1)
    return mirror(sample, swapped=swapped) if rng.random() < probability else sample


def photometric(
    sample: AnySample,
    rng: np.random.Generator,
    *,
    brightness: float = 32.0,
    contrast: float = 0.5,
    saturation: float = 0.5,
    probability: float = 0.5,
) -> AnySample:
    """Return the sample with other brightness, contrast and saturation, each changed with the given probability.

    In this order: add a number in ±brightness; multiply by one in 1 ± contrast; move every pixel away from its luma
    (BT.601) by a factor in 1 ± saturation. Then clip to 0 … 255; the image becomes float32. The three and their ranges
    are those of SSD's released code (Liu et al., 2016), which draws whether contrast comes second or last, changes the
    saturation in HSV, and changes the hue as well.

    Args:
        sample: any; all but its image stays.
        rng: source of the draws: whether each of the three is changed, and by how much.
        brightness: in [0, 255]; the largest number that is added or subtracted.
        contrast: in [0, 1]; how far the factor of all values may be from 1.
        saturation: in [0, 1]; how far the factor of the distance from luma may be from 1.
        probability: in [0, 1], for each of the three on its own.
    """
    check_sample("photometric", "sample", sample)
    check_generator("photometric", rng)
    check_number("photometric", "brightness", brightness, low=0, high=255)
    for name, spread in (("contrast", contrast), ("saturation", saturation), ("probability", probability)):
        check_number("photometric", name, spread, low=0, high=1)
    image = sample.image.astype(np.float32)
    if rng.random() < probability:
        image = image + np.float32(rng.uniform(-brightness, brightness))
    if rng.random() < probability:
        image = image * np.float32(rng.uniform(1 - contrast, 1 + contrast))
    if rng.random() < probability:
        grey = (image * np.array(LUMA, np.float32)).sum(axis=2, keepdims=True)
        image = grey + (image - grey) * np.float32(rng.uniform(1 - saturation, 1 + saturation))
    return dataclasses.replace(sample, image=np.clip(image, 0, 255))


def recoloured(sample: AnySample, rng: np.random.Generator) -> AnySample:
    """Return the sample with its colour channels in another order, and each of them inverted with probability ½.

    For pictures whose colours mean nothing, such as the synthetic ones: of each there are 6 · 2³ = 48. An inverted
    value v becomes 255 − v; the dtype stays.

    Args:
        sample: any; all but its image stays.
        rng: source of the draws: first of the order, then of what is inverted.
    """
    check_sample("recoloured", "sample", sample)
    check_generator("recoloured", rng)
    image = sample.image[:, :, rng.permutation(3)]
    inverted = rng.random(3) < 0.5
    image[:, :, inverted] = 255 - image[:, :, inverted]
    return dataclasses.replace(sample, image=image)


def network_input(image: Array, *, mean: Sequence[float], order: str) -> Array:
    """Return an image (H, W, 3), red first, as a network takes it: (3, H, W) float32, less the mean.

    Args:
        image: red, green, blue in 0 … 255.
        mean: one finite number per channel, in the given order.
        order: "RGB", or "BGR" as Caffe's models have it.

    >>> image = np.array([[[100, 120, 140]]], np.uint8)
    >>> network_input(image, mean=(40, 20, 0), order="BGR").ravel()
    array([100., 100., 100.], dtype=float32)
    """
    check_choice("network_input", "order", order, ("RGB", "BGR"))
    check_rank("network_input", "image", image, "H, W, 3")
    check_shape("network_input", "image", image, (*shape_of(image)[:2], 3), "three channels")
    listed = sequence("network_input", "mean", mean)
    if len(listed) != 3:
        raise ValueError(f"network_input: mean must have 3 numbers, got {mean!r}")
    means = np.array([check_number("network_input", "mean", number) for number in listed], np.float32)
    channels = image if order == "RGB" else image[:, :, ::-1]
    return np.ascontiguousarray((channels.astype(np.float32) - means).transpose(2, 0, 1))


def _mirrored_joints(sample: Sample, swapped: Sequence[int] | None) -> dict[str, Any]:
    if sample.joints is None:
        return {}
    K = sample.joints.shape[1]
    order = mirror_order(swapped, K)
    if order is None:
        raise ValueError(
            f"mirror: {sample.name} has {K} joints, so that swapped must be an order of 0 … {K - 1} that undoes "
            f"itself, got {swapped!r}"
        )
    joints = sample.joints[:, order]
    joints[:, :, 0] = sample.size[1] - joints[:, :, 0]
    visible = sample.joints_visible
    return {"joints": joints, "joints_visible": None if visible is None else visible[:, order]}


def mirror_order(swapped: object, n_joints: int) -> list[int] | None:
    """Return what each joint is in a mirror, if that is an order of all of them that undoes itself; else None.

    >>> mirror_order((1, 0, 2), 3), mirror_order((1, 2, 0), 3)
    ([1, 0, 2], None)
    """
    order = _listed_integers(swapped)
    if order is None or sorted(order) != list(range(n_joints)) or any(order[order[j]] != j for j in range(n_joints)):
        return None
    return order


def _listed_integers(values: object) -> list[int] | None:
    """Return the entries of a list, tuple or array of integers; None for anything else."""
    if not isinstance(values, Sequence) and not (isinstance(values, np.ndarray) and values.ndim == 1):
        return None
    found = [i for i in map(as_index, values) if i is not None]
    return found if len(found) == len(values) else None


def _planes(image: Array) -> Array:
    return np.ascontiguousarray(image.astype(np.float32).transpose(2, 0, 1)[None])


def _nearest(new: int, old: int) -> Array:
    """Return for every pixel of the new axis the old pixel that its centre lies in."""
    centres: Array = (2 * np.arange(new) + 1) * old // (2 * new)  # ⌊(i + ½)·old/new⌋
    return centres


def _rounded(numerator: int, denominator: int) -> int:
    """Return the quotient rounded half up, exactly."""
    return (2 * numerator + denominator) // (2 * denominator)
