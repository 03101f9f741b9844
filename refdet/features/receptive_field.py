"""Receptive fields: which pixels of the image a pixel of a feature map sees, and where their centre is.

For layers p = 1 … L with filter size F_p, stride S_p, padding P_p and dilation D_p (a dilated filter counts as one of
size D_p(F_p − 1) + 1):

    r_L = 1 + Σ_p (F_p − 1) Π_{q<p} S_q                              its size
    i₀ = α_L (i_L − 1) + β_L                                          its centre, counted from 1
    α_L = Π_p S_p                                                     the stride on the image
    β_L = 1 + Σ_p (Π_{q<p} S_q) ((F_p − 1)/2 − P_p)                   the centre of the first response

Source: deck 000, "How to compute the center of the receptive field", after Lenc & Vedaldi, "R-CNN minus R" (2015). The
deck's simple solution, padding ⌊F/2⌋ everywhere so that response (x, y) is centred at (Sx, Sy), is the special case
β = 1; it is exact for odd F, and every even F moves the centre by −S/2, S being the stride in front of it.

Conventions: layers are listed from the image on; one axis at a time; ReLU and normalisation are left out. Ceil-mode
pooling changes how many responses there are, not where they look. A receptive field may reach into the padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from refdet.core.check import Array, as_index, check_choice, check_floating
from refdet.core.coordinate_map import IDENTITY, CoordinateMap, window_centre
from refdet.core.geometry import window_extent


class Window(NamedTuple):
    """One layer that slides a window: convolution or pooling, along one axis."""

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def receptive_field_size(layers: Sequence[Window]) -> int:
    """Return r_L: how many pixels one response sees.

    Two 3 × 3 convolutions see as much as one of 5 × 5 (deck 000):

    >>> receptive_field_size([Window(3)]), receptive_field_size([Window(3), Window(3)])
    (3, 5)
    """
    return 1 + sum((window_extent(F, D) - 1) * alpha(layers[:p]) for p, (F, _, _, D) in enumerate(_checked(layers)))


def alpha(layers: Sequence[Window]) -> int:
    """Return α_L: by how many pixels of the image the receptive fields of two neighbouring responses are apart."""
    return math.prod(S for _, S, _, _ in _checked(layers))


def beta(layers: Sequence[Window]) -> Fraction:
    """Return β_L: the centre of the first response's receptive field, the first pixel being 1.

    A 3 × 3 convolution with padding 1, then 2 × 2 pooling with stride 2; then 4 × 4 pooling with stride 4:

    >>> layers = [Window(3, padding=1), Window(2, 2), Window(4, 4)]
    >>> float(beta(layers[:2])), float(beta(layers)), alpha(layers)
    (1.5, 4.5, 8)
    """
    offset = Fraction(0)
    for p, (F, _, P, D) in enumerate(_checked(layers)):
        offset += alpha(layers[:p]) * (Fraction(window_extent(F, D) - 1, 2) - P)
    return 1 + offset


def image_centre(layers: Sequence[Window]) -> CoordinateMap:
    """Return the map from a response to the centre of its receptive field, both counted from 0: i ↦ α·i + β − 1.

    The first response of AlexNet's first pooling layer sees 19 pixels, with pixel 9 in their middle:

    >>> image_centre([Window(11, 4), Window(3, 2)])(0)
    Fraction(9, 1)
    """
    to_image = IDENTITY
    for F, S, P, D in reversed(_checked(layers)):  # the last layer is the first step of the way back
        to_image = to_image.then(window_centre(F, stride=S, padding=P, dilation=D))
    return to_image


def receptive_field(layers: Sequence[Window], first: int, last: int | None = None) -> tuple[int, int]:
    """Return the pixels that responses `first` to `last` see, as a half-open interval; it may reach into the padding.

    >>> receptive_field([Window(3, padding=1)], 0), receptive_field([Window(3, padding=1)], 0, 7)
    ((-1, 2), (-1, 9))
    """
    start, stop = first, first if last is None else last
    for F, S, P, D in reversed(_checked(layers)):
        start, stop = S * start - P, S * stop - P + window_extent(F, D) - 1
    return start, stop + 1


def project_points(points: Array, layers: Sequence[Window], *, convention: str = "rf_centre") -> Array:
    """Return where points of the image lie on the feature map, both counted from 0 at the centre of the first pixel.

    | convention | coordinate | |
    |---|---|---|
    | `"scale"` | x / S | the deck's simple solution; RoI pooling |
    | `"rf_centre"` | (x − (β − 1)) / α | the response whose receptive field has its centre at x |
    | `"half_pixel"` | (x + ½) / S − ½ | both grids cover the same area, as in resizing and aligned RoIAlign |

    Args:
        points: any shape, float32 or float64.
        layers: the way from the image to the feature map; S = α is the product of their strides.
        convention: one of the three.

    Returns:
        An array of the shape and dtype of points; S and β are exact, so that a centre that is a whole pixel goes to a
        whole response.

    >>> points, layers = np.array([0.0, 1.5, 8.0]), [Window(2, 2), Window(2, 2)]
    >>> project_points(points, layers, convention="scale").tolist(), project_points(points, layers).tolist()
    ([0.0, 0.375, 2.0], [-0.375, 0.0, 1.625])
    """
    check_floating("project_points", points=points)
    check_choice("project_points", "convention", convention, ("scale", "rf_centre", "half_pixel"))
    S = Fraction(alpha(layers))
    to_image = {
        "scale": CoordinateMap(S, Fraction(0)),
        "rf_centre": image_centre(layers),
        "half_pixel": CoordinateMap(S, (S - 1) / 2),  # x = S·(i + ½) − ½
    }[convention]
    projected: Array = (points - float(to_image.shift)) / float(to_image.scale)  # its inverse would multiply by 1/α
    return projected


def _checked(layers: Sequence[Window]) -> Sequence[Window]:
    """Return the layers; refuse one that is no window."""
    for p, layer in enumerate(layers):
        F, S, P, D = layer
        if None in map(as_index, layer) or min(F, S, D) < 1 or P < 0:
            raise ValueError(
                f"receptive_field: layer {p} must have integer kernel, stride and dilation ≥ 1 and padding ≥ 0, "
                f"got {tuple(layer)}"
            )
    return layers
