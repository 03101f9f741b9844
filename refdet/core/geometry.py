"""Output sizes and padding of everything that slides a window: the one place where they are rounded.

Along one axis, `size` pixels are padded by `before` and `after`; the window has `kernel` taps, `dilation` apart, so its
extent is `dilation·(kernel − 1) + 1`; windows start `stride` apart at padded coordinate 0.

| rule | number of windows |
|---|---|
| convolution, floor pooling | ⌊(size + before + after − extent) / stride⌋ + 1 |
| ceil pooling | the same with ⌈·⌉, so the last window may overhang the padded extent; then a rule below |
| `"torch"` | the last window is dropped if it starts at or beyond size + before |
| `"caffe"` | the same, but only if the layer pads at all: without padding an empty last window may stay |
| transposed convolution | (size − 1)·stride − before − after + extent + output_padding |
| SAME | ⌈size / stride⌉, padded least; the odd pixel at the end (`"same_upper"`) or the start (`"same_lower"`) |

Sources: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016); Caffe `pooling_layer.cpp`;
torch `Pool.h`; ONNX `Conv` (auto_pad). Sizes are `(height, width)`; padding is `((top, bottom), (left, right))`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refdet.core.check import check_choice, integer, integers

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

POOLING_CONVENTIONS = ("torch", "caffe")
SAME = ("same_upper", "same_lower")


def window_extent(kernel: int, dilation: int) -> int:
    """Return how many pixels a window of `kernel` taps spans.

    >>> window_extent(3, dilation=2)
    5
    """
    return dilation * (kernel - 1) + 1


def conv_output_size(size: int, kernel: int, *, stride: int, before: int, after: int, dilation: int) -> int:
    """Return the number of windows that fit into the padded axis; zero or less means none.

    >>> conv_output_size(224, 7, stride=2, before=3, after=3, dilation=1)
    112
    """
    return (size + before + after - window_extent(kernel, dilation)) // stride + 1


def check_windows_fit(
    op: str, n_windows: Pair, *, size: Sequence[int], kernel_size: Sequence[int], dilation: Pair, padding: Padding
) -> None:
    """Refuse a plane of `size` over which there is no window.

    >>> check_windows_fit("conv2d", (1, 1), size=(3, 3), kernel_size=(3, 3), dilation=(1, 1), padding=((0, 0), (0, 0)))
    """
    if min(n_windows) < 1:
        raise ValueError(
            f"{op}: the output would be {n_windows[0]} × {n_windows[1]}: "
            f"the kernel {kernel_size[0]} × {kernel_size[1]} with dilation {dilation} "
            f"does not fit into x {size[0]} × {size[1]} with padding {padding}"
        )


def conv_transpose_output_size(
    size: int, kernel: int, *, stride: int, before: int, after: int, output_padding: int, dilation: int
) -> int:
    """Return the size of the map from which a convolution with the same parameters makes `size`.

    Convolution's floor forgets up to stride − 1 pixels; `output_padding` says how many there were.

    >>> conv_transpose_output_size(112, 7, stride=2, before=3, after=3, output_padding=1, dilation=1)
    224
    """
    return (size - 1) * stride - before - after + window_extent(kernel, dilation) + output_padding


def pool_output_size(
    size: int,
    kernel: int,
    *,
    stride: int,
    before: int,
    after: int,
    dilation: int,
    ceil_mode: bool,
    convention: str,
    pads_somewhere: bool,
) -> int:
    """Return the number of pooling windows; `pads_somewhere`: some side of either axis pads (Caffe asks for that).

    >>> common = {"stride": 2, "before": 0, "after": 0, "dilation": 1, "convention": "torch", "pads_somewhere": False}
    >>> pool_output_size(6, 3, ceil_mode=False, **common), pool_output_size(6, 3, ceil_mode=True, **common)
    (2, 3)
    """
    room = size + before + after - window_extent(kernel, dilation)
    if not ceil_mode:
        return room // stride + 1
    n_windows = -(-room // stride) + 1
    starts_beyond_input = (n_windows - 1) * stride >= size + before
    if starts_beyond_input and (convention == "torch" or pads_somewhere):
        n_windows -= 1
    return n_windows


def same_padding(size: int, kernel: int, *, stride: int, dilation: int, convention: str) -> Pair:
    """Return the least `(before, after)` that gives ⌈size / stride⌉ windows.

    >>> same_padding(224, 7, stride=2, dilation=1, convention="same_upper")
    (2, 3)
    >>> same_padding(224, 7, stride=2, dilation=1, convention="same_lower")
    (3, 2)
    """
    n_windows = -(-size // stride)
    total = max(0, (n_windows - 1) * stride + window_extent(kernel, dilation) - size)
    less, more = total // 2, total - total // 2
    return (less, more) if convention == "same_upper" else (more, less)


def check_geometry(op: str, *, padding: Padding | None = None, groups: int | None = None, **pairs: Pair) -> None:
    """Refuse params of a kernel that are not canonical: pairs of integers ≥ 1, padding of two pairs ≥ 0, groups ≥ 1.

    >>> check_geometry("conv2d", stride=(1, 2), dilation=(1, 1), padding=((0, 1), (0, 0)), groups=1)
    """
    for name, value in pairs.items():
        if not isinstance(value, tuple):
            raise TypeError(f"{op}: {name} must be (vertical, horizontal), got {value!r}")
        integers(op, name, value, count=2, low=1)
    if padding is not None:
        if not isinstance(padding, tuple) or len(padding) != 2 or not all(isinstance(p, tuple) for p in padding):
            raise TypeError(f"{op}: padding must be ((top, bottom), (left, right)), got {padding!r}")
        for sides in padding:
            integers(op, "padding", sides, count=2, low=0)
    if groups is not None:
        integer(op, "groups", groups, low=1)


def pair(op: str, name: str, value: Any, *, low: int) -> Pair:
    """Return `(vertical, horizontal)` from an int or a pair of ints.

    >>> pair("conv2d", "stride", 2, low=1)
    (2, 2)
    """
    vertical, horizontal = integers(op, name, value, count=2, low=low)
    return vertical, horizontal


def padding_pairs(
    op: str, value: Any, *, size: Sequence[int], kernel_size: Pair, stride: Pair, dilation: Pair
) -> Padding:
    """Return `((top, bottom), (left, right))` from any of the accepted forms.

    An int; `(vertical, horizontal)`; `((top, bottom), (left, right))`; `"valid"` (none); `"same_upper"`, `"same_lower"`
    (see above), which depend on the `size` of the input.

    >>> padding_pairs("conv2d", (1, 2), size=(9, 9), kernel_size=(3, 5), stride=(1, 1), dilation=(1, 1))
    ((1, 1), (2, 2))
    """
    if isinstance(value, str):
        check_choice(op, "padding", value, ("valid", *SAME))
        if value == "valid":
            return (0, 0), (0, 0)
        vertical, horizontal = (
            same_padding(n, k, stride=s, dilation=d, convention=value)
            for n, k, s, d in zip(size, kernel_size, stride, dilation, strict=True)
        )
        return vertical, horizontal
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(v, Sequence) for v in value):
        return pair(op, "padding", value[0], low=0), pair(op, "padding", value[1], low=0)
    vertical_pad, horizontal_pad = pair(op, "padding", value, low=0)
    return (vertical_pad, vertical_pad), (horizontal_pad, horizontal_pad)
