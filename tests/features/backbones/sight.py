"""What a response of a network sees, found by trying."""

from __future__ import annotations

import numpy as np

from refdet.features.receptive_field import Window, receptive_field
from refdet.nn import Module


def assert_sees_what_its_windows_say(layers: Module, found: list[Window], *, size: tuple[int, int], i: int) -> None:
    """Light single columns of a black picture of `size`: response i of an axis answers to those of its field alone.

    All weights become 1, so that a lit pixel can only add: a response is above 0 if and only if it sees the pixel. The
    field must lie inside the picture.
    """
    for _, module in layers.named_modules():
        for name, parameter in module.named_parameters():
            if "." not in name and name == "weight":
                parameter.data = np.ones_like(parameter.data)
    first, stop = receptive_field(found, i)
    columns = [first - 1, first, stop - 1, stop]
    assert columns[0] >= 0
    assert columns[-1] < size[1]
    pictures = np.zeros((4, 3, *size), np.float32)
    for picture, column in zip(pictures, columns, strict=True):
        picture[:, :, column] = 1
    seen = layers(pictures).data[..., i].max(axis=(1, 2)) > 0
    assert seen.tolist() == [False, True, True, False]
