"""The windows that layers slide over a picture, read off the layers themselves.

What `refdet.features.receptive_field` says of a list of windows then holds of the network that is run: its stride, its
receptive fields and their centres come from the numbers that convolve.

Conventions: layers that look at one pixel, or that only normalise, slide no window, as in that module (local response
normalisation within a channel does read its neighbours). Windows must be alike on both axes, with as much padding
before as after. A layer that is none of these must say what it slides by a method `windows()`; others are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from refdet.core.geometry import Pair, padding_pairs, pair
from refdet.features.receptive_field import Window
from refdet.nn import Apply, AvgPool2d, BatchNorm2d, Conv2d, Dropout, L2Normalize, MaxPool2d, Module, Sequential
from refdet.ops.activations import leaky_relu, relu, sigmoid, tanh
from refdet.ops.local_response_norm import local_response_norm
from refdet.ops.local_response_norm_within_channel import local_response_norm_within_channel

NO_WINDOW = (relu, leaky_relu, sigmoid, tanh, local_response_norm, local_response_norm_within_channel)


@runtime_checkable
class Windowed(Protocol):
    """A part that knows the windows it slides, one after the other."""

    def windows(self) -> list[Window]:
        """Return them from the picture on."""


def windows(*layers: Module) -> list[Window]:
    """Return what the layers slide, one after the other.

    >>> from refdet import nn
    >>> rng = np.random.default_rng(0)
    >>> windows(nn.Sequential(nn.Conv2d(3, 2, 3, padding=1, rng=rng), nn.ReLU()), nn.MaxPool2d(2))
    [Window(kernel=3, stride=1, padding=1, dilation=1), Window(kernel=2, stride=2, padding=0, dilation=1)]
    """
    return [window for layer in layers for window in _windows(layer)]


def windows_until(named: Mapping[str, Window], last: str) -> list[Window]:
    """Return the windows from the picture to the layer named `last`, which is one of them.

    >>> windows_until({"conv1": Window(11, 4), "pool1": Window(3, 2), "conv2": Window(5, 1, 2)}, "pool1")
    [Window(kernel=11, stride=4, padding=0, dilation=1), Window(kernel=3, stride=2, padding=0, dilation=1)]
    """
    names = list(named)
    if last not in names:
        raise ValueError(f"windows_until: last must be one of {', '.join(names)}, got {last!r}")
    return [named[name] for name in names[: names.index(last) + 1]]


def _windows(layer: Module) -> list[Window]:
    if isinstance(layer, Windowed):
        return layer.windows()
    if isinstance(layer, Sequential):
        return windows(*layer)
    if isinstance(layer, Conv2d):
        height, width = layer.weight.shape[2:]
        return [_window(layer, (height, width), layer.options)]
    if isinstance(layer, MaxPool2d):
        return [_window(layer, layer.kernel_size, _side_by_side(layer.kernel_size, layer.options))]
    if isinstance(layer, AvgPool2d):
        kernel: Pair = layer.options["kernel_size"]
        return [_window(layer, kernel, _side_by_side(kernel, layer.options))]
    if isinstance(layer, (BatchNorm2d, Dropout, L2Normalize)) or getattr(layer, "function", None) in NO_WINDOW:
        return []
    shown = layer.function.__name__ if isinstance(layer, Apply) else type(layer).__name__
    raise TypeError(f"windows: what {shown} slides over the picture is not known; give it a method windows()")


def _side_by_side(kernel: Pair, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a pooling, whose windows lie side by side unless a stride is given."""
    return {**options, "stride": kernel if options.get("stride") is None else options["stride"]}


def _window(layer: Module, kernel: Pair, options: Mapping[str, Any]) -> Window:
    """Return the window along either axis."""
    strides = pair("windows", "stride", options.get("stride", 1), low=1)
    dilations = pair("windows", "dilation", options.get("dilation", 1), low=1)
    padding = options.get("padding", 0)
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"windows: the padding of a layer must be a number, got {padding!r}, which depends on the map")
    pads = padding_pairs("windows", padding, size=(1, 1), kernel_size=kernel, stride=strides, dilation=dilations)
    axes = {(kernel[i], strides[i], *pads[i], dilations[i]) for i in (0, 1)}
    (F, S, before, after, D), *others = axes
    if others or before != after:
        raise ValueError(
            f"windows: a {type(layer).__name__} must have one window for both axes, with as much padding before as "
            f"after, got kernel {kernel}, stride {strides}, padding {pads}, dilation {dilations}"
        )
    return Window(F, S, before, D)
