"""Putting the objects of a picture on the background of another, so that no background tells what is in front of it.

    I'(p) = I(p)          where an object of the picture is, by its mask
          = B(p)          elsewhere: B is another picture without its own objects
    B(x, y) = O(x, y)             where that picture O has no object
            = O(W − 1 − x, y)     where it has one: what is there in its mirror image

For training on more than the pictures there are: n pictures make n² of objects and backgrounds.

Conventions:

- Objects are cut out by their masks, all of a picture together, without blending at the border. What hides a part of
  one is background: it stays behind, the object has a hole, and joints that it hid stay invisible.
- Where an object and its mirror image overlap, the background keeps pixels of the object, as do its blended borders.
- A label map is made as the picture is, of those of both.
- Boxes, classes, masks, joints and areas stay; so do proposals, although they were those of the old background.
- Only a picture all of whose objects have masks can be put on another, or lend its background, and only to one of the
  same size. Both must have a label map, or neither. Any other stays as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from refdet.core.check import Array, check_generator, check_number
from refdet.data.sample import Sample, check_sample

AnySample = TypeVar("AnySample", bound=Sample)


def on_background_of(sample: AnySample, other: Sample) -> AnySample:
    """Return the sample, its objects in front of the background of another, or itself where that cannot be.

    Args:
        sample: whose objects are seen.
        other: whose background is seen.

    >>> def picture(grey, masks):
    ...     n = len(masks)
    ...     boxes, masks = np.zeros((n, 4), np.float32), np.array(masks, np.bool_).reshape(n, 1, 4)
    ...     image = np.array(grey, np.uint8).reshape(1, 4, 1).repeat(3, axis=2)
    ...     return Sample("a.jpg", image, boxes, np.ones(n, np.int64), np.zeros(n, np.bool_), masks=masks)
    >>> figure, other = picture([1, 2, 3, 4], [[0, 1, 0, 0]]), picture([5, 6, 7, 8], [[1, 0, 0, 0]])
    >>> on_background_of(figure, other).image[0, :, 0]
    array([8, 2, 7, 8], dtype=uint8)
    """
    check_sample("on_background_of", "sample", sample)
    check_sample("on_background_of", "other", other)
    here, there = _where_objects_are(sample), _where_objects_are(other)
    labels, other_labels = sample.label_map, other.label_map
    if here is None or there is None or here.shape != there.shape or (labels is None) != (other_labels is None):
        return sample
    image = np.where(here[:, :, None], sample.image, _without_objects(other.image, there))
    if labels is not None and other_labels is not None:
        labels = np.where(here, labels, _without_objects(other_labels, there))
    return dataclasses.replace(sample, image=image, label_map=labels)


def exchange_backgrounds(
    samples: Sequence[AnySample], rng: np.random.Generator, *, probability: float = 0.5
) -> list[AnySample]:
    """Return the samples, each with the given probability on the background of another one of them.

    Args:
        samples: the pictures of a batch, as they are: a background is lent without the objects that it gets here.
        rng: source of two draws a sample, whether and of which; each other one is as likely.
        probability: in [0, 1].
    """
    check_generator("exchange_backgrounds", rng)
    check_number("exchange_backgrounds", "probability", probability, low=0, high=1)
    as_given = list(samples)
    for i, sample in enumerate(as_given):
        check_sample("exchange_backgrounds", f"item {i} of samples", sample)
    if len(as_given) < 2:
        return as_given
    exchanged = list[AnySample]()
    for i, sample in enumerate(as_given):
        is_exchanged, j = rng.random() < probability, int(rng.integers(len(as_given) - 1))
        other = as_given[j + (j >= i)]
        exchanged.append(on_background_of(sample, other) if is_exchanged else sample)
    return exchanged


def _where_objects_are(sample: Sample) -> Array | None:
    """Return the pixels (H, W) of all objects together; None if one has no mask."""
    if len(sample.boxes) == 0:
        return np.zeros(sample.size, np.bool_)
    if sample.masks is None or not sample.masks.any(axis=(1, 2)).all():
        return None
    return np.asarray(sample.masks.any(axis=0))


def _without_objects(pixels: Array, objects: Array) -> Array:
    """Return pixels (H, W) or (H, W, C), of which those of objects (H, W) come from the mirror image."""
    where = objects.reshape(*objects.shape, *[1] * (pixels.ndim - 2))
    return np.where(where, pixels[:, ::-1], pixels)
