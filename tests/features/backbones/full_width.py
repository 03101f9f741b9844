"""What a network is made of: its numbers at full width, without a network of that size, its maps, its dropout."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refdet.nn import Dropout, Module, Sequential


def parameter_count(net: Module) -> int:
    """Return how many numbers are learned."""
    return sum(parameter.size for parameter in net.parameters())


def full_width_count(build: Callable[[float], Module], divisor: int) -> int:
    """Return the number of parameters at width 1 from those at k/divisor, k = 1, 2, 3; it must divide all channels.

    Weights between two scaled layers grow with the square of the width, those from the picture and to the classes and
    all biases with the width: the count is a polynomial of degree 2, which three values determine (Newton's form).
    """
    one, two, three = (parameter_count(build(k / divisor)) for k in (1, 2, 3))
    steps = divisor - 1
    return one + steps * (two - one) + steps * (steps - 1) // 2 * (three - 2 * two + one)


def map_sides(features: Sequential, side: int) -> dict[str, int]:
    """Return the side of the square map after every layer, by the layer's name, for a square picture."""
    x = np.zeros((1, 3, side, side), np.float32)
    sides = {}
    for name, layer in features.parts():
        x = layer(x).data
        height, sides[name] = x.shape[2:]
        assert height == sides[name]
    return sides


def dropped(net: Module) -> dict[str, float]:
    """Return the share that each dropout of the network drops, by its path."""
    return {path.removesuffix("."): part.p for path, part in net.named_modules() if isinstance(part, Dropout)}
