"""Output sizes along one axis, by counting the windows that the definition admits.

Positions are padded coordinates: the axis has `before + size + after` of them and the real pixels are
`before ... before + size - 1`. Window number i starts at `i * stride`; its taps are `dilation` apart.
"""

Pair = tuple[int, int]  # (vertical, horizontal)
Padding = tuple[Pair, Pair]  # ((top, bottom), (left, right))


def conv_output_size(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Count the windows that lie entirely inside the padded axis."""
    padded_size = before + size + after
    return sum(start + dilation * (kernel - 1) < padded_size for start in range(0, padded_size, stride))


def pool_output_size(
    size: int,
    kernel: int,
    stride: int,
    before: int,
    after: int,
    dilation: int,
    ceil_mode: bool,
    convention: str,
    any_padding: bool,
) -> int:
    """Count the pooling windows; `any_padding` says whether either axis is padded.

    With `ceil_mode` a window may overhang the padded axis by less than one stride, but the last one is dropped
    if it starts beyond the real pixels, in the end padding or further ("caffe" drops it only if there is padding).
    """
    padded_size = before + size + after
    window_size = dilation * (kernel - 1) + 1
    allowed_overhang = stride - 1 if ceil_mode else 0
    starts = [
        start
        for start in range(0, padded_size + allowed_overhang, stride)
        if start + window_size - padded_size <= allowed_overhang
    ]
    if ceil_mode and (convention == "torch" or any_padding) and starts and starts[-1] >= before + size:
        starts.pop()
    return len(starts)
