"""The colour spaces in which Selective Search looks at a picture.

Every function takes red, green and blue from 0 to 255, (H, W, 3), and returns three channels from 0 to 255, so that one
threshold k suits all of them.

    hsv         hue (360° is 255), saturation, value
    lab         CIE L*a*b* of sRGB under D65: 255/100 · L*, a* + 128, b* + 128
    rgi         r = R/(R + G + B), g = G/(R + G + B), intensity
    hue         the hue, three times
    intensity   0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), three times

Uijlings et al., "Selective Search for Object Recognition", IJCV 104(2), 2013, §3.2 and Table 1. That one channel stands
three times is the authors' way, and makes its distances √3 times as long. Their L*a*b* is that of MATLAB, under D50;
their r and g are stretched, so that each reaches from 0 to 255 in every picture.
0/0 is decided so: a grey pixel has hue 0, a black one also saturation 0 and r = g = 1/3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from refdet.core.check import Array

# Linear red, green, blue to XYZ: the primaries of sRGB (ITU-R BT.709), to six digits. The rows add up to D65's white.
XYZ_OF_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]], np.float64
)
WHITE = XYZ_OF_RGB.sum(axis=1)


def hsv(rgb: Array) -> Array:
    """Return hue, saturation and value.

    >>> hsv(np.array([[[255.0, 0, 0], [0, 255, 0], [100, 50, 100], [7, 7, 7]]]))[0].tolist()
    [[0.0, 255.0, 255.0], [85.0, 255.0, 255.0], [212.5, 127.5, 100.0], [0.0, 0.0, 7.0]]
    """
    red, green, blue = np.moveaxis(rgb, 2, 0)
    value = rgb.max(axis=2)
    chroma = value - rgb.min(axis=2)
    sixth = _divide(
        np.where(value == red, green - blue, np.where(value == green, blue - red, red - green)), chroma, otherwise=0
    )
    sixth = sixth + np.where(value == red, 0, np.where(value == green, 2, 4))
    hue = np.where(chroma == 0, 0, sixth) / 6 % 1
    saturation = _divide(chroma, value, otherwise=0)
    return np.stack([255 * hue, 255 * saturation, value], axis=2)


def lab(rgb: Array) -> Array:
    """Return lightness and the two opponent colours.

    >>> lab(np.array([[[255.0, 255, 255], [0, 0, 0]]]))[0].round(6).tolist()
    [[255.0, 128.0, 128.0], [0.0, 128.0, 128.0]]
    """
    encoded = rgb / 255
    linear = np.where(encoded > 0.04045, ((encoded + 0.055) / 1.055) ** 2.4, encoded / 12.92)
    ratio = linear @ XYZ_OF_RGB.T / WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(root, 2, 0)
    return np.stack([(116 * y - 16) * 255 / 100, 500 * (x - y) + 128, 200 * (y - z) + 128], axis=2)


def rgi(rgb: Array) -> Array:
    """Return the shares of red and green, and the intensity.

    >>> rgi(np.array([[[51.0, 102, 102], [0, 0, 0]]]))[0].round(3).tolist()
    [[51.0, 102.0, 86.751], [85.0, 85.0, 0.0]]
    """
    shares = _divide(rgb, rgb.sum(axis=2, keepdims=True), otherwise=1 / 3)
    return np.stack([255 * shares[:, :, 0], 255 * shares[:, :, 1], _intensity(rgb)], axis=2)


def hue(rgb: Array) -> Array:
    """Return the hue in all three channels."""
    return np.repeat(hsv(rgb)[:, :, :1], 3, axis=2)


def intensity(rgb: Array) -> Array:
    """Return the intensity in all three channels."""
    return np.repeat(_intensity(rgb)[:, :, None], 3, axis=2)


COLOUR_SPACES: Mapping[str, Callable[[Array], Array]] = {
    "hsv": hsv,
    "lab": lab,
    "rgi": rgi,
    "hue": hue,
    "intensity": intensity,
}


def _intensity(rgb: Array) -> Array:
    return 0.299 * rgb[:, :, 0] + 0.587 * rgb[:, :, 1] + 0.114 * rgb[:, :, 2]


def _divide(numerator: Array, denominator: Array, *, otherwise: float) -> Array:
    """Return the quotient, and `otherwise` where the denominator is 0."""
    zero = denominator == 0
    return np.where(zero, otherwise, numerator / np.where(zero, 1, denominator))
