"""Where the pixels of a network's maps lie on the image: sizes and crop offsets, from the layers themselves.

A `Grid` is one axis of a map: how many pixels it has, and the map from a pixel to the image. `through` carries it
through a layer, which is asked for its kernel, stride, padding and dilation; nothing is computed on pixels.

| layer | pixels | coordinate on the image |
|---|---|---|
| convolution, pooling | as `refdet.core.geometry` says | centre of the window, then as its input |
| transposed convolution | the same | back from the centre of what a pixel paints, then as its input |
| ReLU, dropout | unchanged | unchanged |

Two maps of one stride are laid on each other by dropping as many pixels in front as their coordinates differ by
(`offset_onto`). The authors' code finds the offsets of FCN's crops in the same way (Long, Shelhamer & Darrell, "Fully
convolutional networks for semantic segmentation", 2015, and Caffe's `coord_map.py`).

Conventions: those of `refdet.core.coordinate_map`. One axis at a time, the vertical one of each layer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from refdet.core.check import integer
from refdet.core.coordinate_map import IDENTITY, CoordinateMap, crop_offset, window_centre
from refdet.core.geometry import conv_output_size, conv_transpose_output_size, padding_pairs, pair, pool_output_size
from refdet.nn import Conv2d, ConvTranspose2d, Dropout, MaxPool2d, Module, ReLU, Sequential
from refdet.segmentation.bilinear import BilinearUpsampling


class Grid(NamedTuple):
    """One axis of a map: its pixels, and where they lie on the image."""

    size: int
    to_image: CoordinateMap


def image_grid(size: int) -> Grid:
    """Return the grid of an image of `size` pixels, at least 1."""
    return Grid(integer("image_grid", "size", size, low=1), IDENTITY)


def through(layer: Module, grid: Grid) -> Grid:
    """Return the grid of what `layer` makes of a map.

    >>> from refdet import nn
    >>> size, to_image = through(nn.MaxPool2d(2, ceil_mode=True), image_grid(5))
    >>> size, to_image(0), to_image(2)
    (3, Fraction(1, 2), Fraction(9, 2))
    """
    if isinstance(layer, Sequential):
        for part in layer:
            grid = through(part, grid)
        return grid
    if isinstance(layer, (ReLU, Dropout)):
        return grid
    if isinstance(layer, Conv2d):
        return _convolved(int(layer.weight.shape[2]), layer.options, grid)
    if isinstance(layer, MaxPool2d):
        return _pooled(layer.kernel_size[0], layer.options, grid)
    if isinstance(layer, (ConvTranspose2d, BilinearUpsampling)):
        return _upsampled(int(layer.weight.shape[2]), layer.options, grid)
    raise TypeError(f"through: how a {type(layer).__name__} moves pixels is not known")


def offset_onto(cropped: Grid, reference: Grid) -> int:
    """Return how many pixels to drop in front of `cropped` so that `reference` lies on it; refuse where it cannot.

    >>> from refdet import nn
    >>> image = image_grid(5)
    >>> offset_onto(through(nn.Conv2d(1, 1, 3, padding=4, rng=np.random.default_rng(0)), image), image)
    3
    """
    offset = crop_offset(cropped.to_image, reference.to_image)
    if offset + reference.size > cropped.size:
        raise ValueError(
            f"offset_onto: {reference.size} pixels are needed from pixel {offset} on, and there are {cropped.size}"
        )
    return offset


def _convolved(kernel: int, options: dict[str, Any], grid: Grid) -> Grid:
    stride, dilation, (before, after) = _window(kernel, options, grid.size)
    size = conv_output_size(grid.size, kernel, stride=stride, before=before, after=after, dilation=dilation)
    if size < 1:
        raise ValueError(
            f"through: a convolution of {kernel} taps does not fit into {grid.size} pixels with padding "
            f"{(before, after)}"
        )
    centre = window_centre(kernel, stride=stride, padding=before, dilation=dilation)
    return Grid(size, centre.then(grid.to_image))


def _pooled(kernel: int, options: dict[str, Any], grid: Grid) -> Grid:
    given = {**options, "stride": kernel if options.get("stride") is None else options["stride"]}
    stride, dilation, (before, after) = _window(kernel, given, grid.size)
    size = pool_output_size(
        grid.size,
        kernel,
        stride=stride,
        before=before,
        after=after,
        dilation=dilation,
        ceil_mode=options.get("ceil_mode", False),
        convention=options.get("convention", "torch"),
        pads_somewhere=before + after > 0,
    )
    if size < 1:
        raise ValueError(f"through: a pooling window of {kernel} does not fit into {grid.size} pixels")
    centre = window_centre(kernel, stride=stride, padding=before, dilation=dilation)
    return Grid(size, centre.then(grid.to_image))


def _upsampled(kernel: int, options: dict[str, Any], grid: Grid) -> Grid:
    stride, dilation, (before, after) = _window(kernel, options, grid.size)
    extra = pair("through", "output_padding", options.get("output_padding", 0), low=0)[0]
    size = conv_transpose_output_size(
        grid.size, kernel, stride=stride, before=before, after=after, output_padding=extra, dilation=dilation
    )
    if size < 1:
        raise ValueError(
            f"through: a transposed convolution of {kernel} taps leaves no pixel of {grid.size} with padding "
            f"{(before, after)}"
        )
    centre = window_centre(kernel, stride=stride, padding=before, dilation=dilation)
    return Grid(size, centre.inverse().then(grid.to_image))


def _window(kernel: int, options: dict[str, Any], size: int) -> tuple[int, int, tuple[int, int]]:
    """Return stride, dilation and (before, after) of a layer's options, for the vertical axis."""
    strides = pair("through", "stride", options.get("stride", 1), low=1)
    dilations = pair("through", "dilation", options.get("dilation", 1), low=1)
    padding = padding_pairs(
        "through",
        options.get("padding", 0),
        size=(size, size),
        kernel_size=(kernel, kernel),
        stride=strides,
        dilation=dilations,
    )
    return strides[0], dilations[0], padding[0]
