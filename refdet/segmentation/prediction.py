"""Label maps and class probabilities from a network that gives logits for every pixel.

    label(i) = argmax_c x_i[c],     p_i[c] = exp x_i[c] / Σ_c' exp x_i[c']

Images are taken one at a time, so that they may be of any sizes. Of equal logits the first class wins; before training,
when all score layers are 0, that is the background. A NaN counts as the largest, as for `numpy.argmax`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from refdet.autograd.tensor import no_grad
from refdet.core.check import Array, check_floating, check_rank
from refdet.nn import Module
from refdet.ops.softmax import softmax


def predict(model: Module, images: Iterable[Array] | Array) -> list[Array]:
    """Return the label map of each image.

    Args:
        model: gives (1, C, H, W) for (1, 3, H, W), an `FCN` for instance (or any number of channels instead of 3).
        images: arrays (3, H, W), float32 or float64 as the model's parameters; a list, or one array (N, 3, H, W). For
            pictures (H, W, 3) see `refdet.data.network_input`.

    Returns:
        An (H, W) array of int64 for each image.
    """
    return [np.argmax(logits, axis=0).astype(np.int64, copy=False) for logits in _logits("predict", model, images)]


def class_probabilities(model: Module, images: Iterable[Array] | Array) -> list[Array]:
    """Return, for each image, the softmax of its logits, (C, H, W): what a conditional random field starts from.

    The arguments are those of `predict`; probabilities have the dtype of the logits.
    """
    return [softmax(logits, axis=0).data for logits in _logits("class_probabilities", model, images)]


def _logits(op: str, model: Module, images: Iterable[Array] | Array) -> Iterator[Array]:
    if not isinstance(model, Module):
        raise TypeError(f"{op}: model must be a Module, got {type(model).__name__}")
    if not isinstance(images, Iterable):
        raise TypeError(f"{op}: images must be a list of arrays or one array, got {type(images).__name__}")
    for i, image in enumerate(images):
        name = f"image {i}"
        check_rank(op, name, image, "C, H, W")
        check_floating(op, **{name: image})
        with no_grad():
            logits = model(image[None]).data
        yield logits[0]
