"""Output sizes and padding: against counting, and published numbers."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refdet.core.geometry import (
    conv_output_size,
    conv_transpose_output_size,
    padding_pairs,
    pair,
    pool_output_size,
    same_padding,
    window_extent,
)

small = st.integers(0, 6)
positive = st.integers(1, 5)


@given(size=st.integers(1, 20), kernel=positive, stride=positive, before=small, after=small, dilation=positive)
def test_conv_counts_the_windows_that_fit(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int
) -> None:
    taps = [a * dilation for a in range(kernel)]
    starts = [i for i in range(0, size + before + after, stride) if i + taps[-1] < size + before + after]
    n = conv_output_size(size, kernel, stride=stride, before=before, after=after, dilation=dilation)
    assert max(n, 0) == len(starts)


@given(
    size=st.integers(1, 20), kernel=positive, stride=positive, padding=small, dilation=positive, output_padding=small
)
def test_conv_undoes_transposed_conv(
    size: int, kernel: int, stride: int, padding: int, dilation: int, output_padding: int
) -> None:
    assume(output_padding < stride)
    common = {"stride": stride, "before": padding, "after": padding, "dilation": dilation}
    larger = conv_transpose_output_size(size, kernel, output_padding=output_padding, **common)
    assert conv_output_size(larger, kernel, **common) == size


def test_published_sizes() -> None:
    """AlexNet conv1 on 227, VGG on 224, FCN's first convolution with pad 100 on 500, ResNet's stem."""
    none = {"before": 0, "after": 0, "dilation": 1}
    assert conv_output_size(227, 11, stride=4, **none) == 55
    assert conv_output_size(224, 3, stride=1, before=1, after=1, dilation=1) == 224
    assert conv_output_size(500, 3, stride=1, before=100, after=100, dilation=1) == 698
    assert conv_output_size(224, 7, stride=2, before=3, after=3, dilation=1) == 112
    # FCN-32s: 16 scores, kernel 64, stride 32
    assert conv_transpose_output_size(16, 64, stride=32, output_padding=0, **none) == 544


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad", "floor", "torch", "caffe"),
    [
        (55, 3, 2, 0, 27, 27, 27),  # AlexNet: (55 − 3)/2 is whole
        (6, 3, 2, 0, 2, 3, 3),  # the third window starts at 4 and overhangs by one
        (5, 1, 3, 0, 2, 2, 3),  # stride > kernel: a third window would start at 6, beyond the input
        (4, 2, 2, 1, 3, 3, 3),
        (5, 2, 2, 1, 3, 3, 3),  # ceil gives 4, but it would start at 6 = 5 + 1: both drop it
        (112, 3, 2, 1, 56, 57, 57),  # ResNet's pool is floor: 56
    ],
)
def test_pooling_sizes(size: int, kernel: int, stride: int, pad: int, floor: int, torch: int, caffe: int) -> None:
    def count(*, ceil_mode: bool, convention: str) -> int:
        return pool_output_size(
            size,
            kernel,
            stride=stride,
            before=pad,
            after=pad,
            dilation=1,
            ceil_mode=ceil_mode,
            convention=convention,
            pads_somewhere=pad > 0,
        )

    assert count(ceil_mode=False, convention="torch") == count(ceil_mode=False, convention="caffe") == floor
    assert count(ceil_mode=True, convention="torch") == torch
    assert count(ceil_mode=True, convention="caffe") == caffe


@given(size=st.integers(1, 30), kernel=positive, stride=positive, dilation=positive)
def test_same_padding_is_the_least_that_gives_ceil(size: int, kernel: int, stride: int, dilation: int) -> None:
    wanted = -(-size // stride)
    for convention in ("same_upper", "same_lower"):
        before, after = same_padding(size, kernel, stride=stride, dilation=dilation, convention=convention)
        assert 0 <= (after - before if convention == "same_upper" else before - after) <= 1
        assert conv_output_size(size, kernel, stride=stride, before=before, after=after, dilation=dilation) == wanted
        total = before + after
        if total:
            less = conv_output_size(size, kernel, stride=stride, before=total - 1, after=0, dilation=dilation)
            assert less < wanted


def test_window_extent() -> None:
    assert [window_extent(3, d) for d in (1, 2, 3)] == [3, 5, 7]


def test_accepted_forms_of_padding() -> None:
    common = {"size": (5, 6), "kernel_size": (3, 3), "stride": (1, 1), "dilation": (1, 1)}
    assert padding_pairs("op", 2, **common) == ((2, 2), (2, 2))
    assert padding_pairs("op", (1, 2), **common) == ((1, 1), (2, 2))
    assert padding_pairs("op", [(1, 2), (3, 4)], **common) == ((1, 2), (3, 4))
    assert padding_pairs("op", "valid", **common) == ((0, 0), (0, 0))
    assert padding_pairs("op", "same_upper", **common) == ((1, 1), (1, 1))


def test_bad_numbers() -> None:
    with pytest.raises(TypeError, match=r"op: stride must hold integers, got 1\.5"):
        pair("op", "stride", 1.5, low=1)
    with pytest.raises(TypeError, match="op: stride must hold integers, got True"):
        pair("op", "stride", True, low=1)
    with pytest.raises(ValueError, match=r"op: stride must be an integer or 2 of them, got \(1, 2, 3\)"):
        pair("op", "stride", (1, 2, 3), low=1)
    with pytest.raises(ValueError, match="op: stride must be at least 1, got 0"):
        pair("op", "stride", 0, low=1)
