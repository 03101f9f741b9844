"""The parameters of a convolution, complete, with the plain ones as defaults."""

from __future__ import annotations

from typing import Any

import numpy as np

Pair = tuple[int, int]
NO_PADDING = ((0, 0), (0, 0))
SAME_3 = ((1, 1), (1, 1))


def conv_params(
    stride: Pair = (1, 1), padding: tuple[Pair, Pair] = NO_PADDING, dilation: Pair = (1, 1), groups: int = 1
) -> dict[str, Any]:
    """Return the parameters of `conv2d`."""
    return {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def random_conv_params(rng: np.random.Generator) -> dict[str, Any]:
    """Return random strides, paddings and dilations of 1 or 2, and 1 or 2 groups."""

    def two(low: int, high: int) -> Pair:
        first, second = (int(i) for i in rng.integers(low, high + 1, 2))
        return first, second

    return conv_params(two(1, 3), (two(0, 2), two(0, 2)), two(1, 2), int(rng.integers(1, 3)))
