"""The one algebra of coordinate maps: where the pixels of one grid lie on another, along one axis.

Every layer that slides a window is an affine map  x ↦ scale·x + shift  between the coordinates of its input and those
of its output. Such maps compose and can be inverted, and everything that asks "where is this on the image?" is a
composition of them: the centre of a receptive field, a box on a feature map, the offset of a crop in FCN.

| grid to grid | map of coordinates |
|---|---|
| window with taps F, stride S, padding P, dilation D: output → input | i ↦ S·i + (D(F − 1)/2 − P), its centre |
| the same, transposed: input → output | i ↦ S·i + (D(F − 1)/2 − P) |
| crop that drops `offset` pixels in front: input → output | x ↦ x − offset |

Conventions: pixels are counted from 0, and coordinate i is the *centre* of pixel i. (Papers that count from 1 add 1 on
both sides; refdet's boxes measure from the corner of pixel 0, which is half a pixel before its centre.) Numbers are
exact fractions, so that an offset that should be an integer is one.

Source: Lenc & Vedaldi, "R-CNN minus R" (2015), appendix; deck 000, "How to compute the center of the receptive field".
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple, overload

from refdet.core.check import Array


class CoordinateMap(NamedTuple):
    """x ↦ scale·x + shift.

    A 3 × 3 convolution with padding 1, and a 2 × 2 pooling with stride 2 after it: back through both, last layer first.

    >>> to_image = window_centre(2, stride=2).then(window_centre(3, padding=1))
    >>> to_image(0), to_image(1)
    (Fraction(1, 2), Fraction(5, 2))
    """

    scale: Fraction
    shift: Fraction

    @overload
    def __call__(self, x: int | Fraction) -> Fraction: ...
    @overload
    def __call__(self, x: Array) -> Array: ...
    def __call__(self, x: int | Fraction | Array) -> Fraction | Array:
        """Return where x goes: exactly for integers and fractions, in the dtype of x for an array of floats."""
        if isinstance(x, (int, Fraction)):
            return self.scale * x + self.shift
        return float(self.scale) * x + float(self.shift)

    def then(self, following: CoordinateMap) -> CoordinateMap:
        """Return the map that applies this one, and `following` to its result.

        >>> double, one_more = CoordinateMap(Fraction(2), Fraction(0)), CoordinateMap(Fraction(1), Fraction(1))
        >>> double.then(one_more)(10), one_more.then(double)(10)
        (Fraction(21, 1), Fraction(22, 1))
        """
        return CoordinateMap(following.scale * self.scale, following.scale * self.shift + following.shift)

    def inverse(self) -> CoordinateMap:
        """Return the map back.

        >>> CoordinateMap(Fraction(2), Fraction(1)).inverse()(21)
        Fraction(10, 1)
        """
        return CoordinateMap(1 / self.scale, -self.shift / self.scale)


IDENTITY = CoordinateMap(Fraction(1), Fraction(0))


def window_centre(kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> CoordinateMap:
    """Return the map from an output pixel to the centre of its window on the input.

    The same map takes an input pixel of the *transposed* window to the centre of what it paints on its output. An even
    extent has its centre between two pixels:

    >>> window_centre(3, stride=2, padding=1)(5), window_centre(2, stride=2)(5)
    (Fraction(10, 1), Fraction(21, 2))
    """
    return CoordinateMap(Fraction(stride), Fraction(dilation * (kernel - 1), 2) - padding)


def crop(offset: int) -> CoordinateMap:
    """Return the map from a pixel of the input to the same pixel of a crop that drops `offset` pixels in front."""
    return CoordinateMap(Fraction(1), Fraction(-offset))


def crop_offset(cropped: CoordinateMap, reference: CoordinateMap) -> int:
    """Return how many pixels to drop in front of one grid so that it lies on another, pixel by pixel.

    Both maps lead from their grid to a common one (the image, say).

    >>> image_to_padded = crop(-100)
    >>> crop_offset(image_to_padded.inverse(), IDENTITY)
    100
    """
    onto = reference.then(cropped.inverse())  # a pixel of the reference, on the grid to be cropped
    if onto.scale != 1:
        raise ValueError(
            f"crop_offset: the grids must have the same stride, one pixel of the reference is {onto.scale} pixels"
        )
    if onto.shift.denominator != 1 or onto.shift < 0:
        raise ValueError(f"crop_offset: the offset must be an integer of at least 0, got {onto.shift}")
    return int(onto.shift)
