"""Narrow versions of a network: every number of channels times one factor.

    scaled(C) = m · max(1, ⌊C · width / m + ½⌋)

m is 1 but for layers of several groups, which need a multiple of their number. The hidden units of fully connected
layers are scaled too; the channels of the image and the number of classes are not. The cost of a convolution falls with
the square of the factor. Howard et al., "MobileNets" (2017), §3.3, call the factor the width multiplier.
"""

from __future__ import annotations

import math

from refdet.core.check import check_number, integer


def scaled(channels: int, width: float, *, multiple: int = 1) -> int:
    """Return channels · width, rounded half up to a multiple of `multiple`, which it is at least.

    >>> scaled(64, 0.25), scaled(3, 0.5), scaled(64, 0.001), scaled(96, 0.0625, multiple=4)
    (16, 2, 1, 8)
    """
    C = integer("scaled", "channels", channels, low=1)
    m = integer("scaled", "multiple", multiple, low=1)
    factor = check_number("scaled", "width", width, low=0, open_low=True)
    return m * max(1, math.floor(C * factor / m + 0.5))
