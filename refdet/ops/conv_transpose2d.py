"""Transposed convolution: the map from dy to dx of a convolution, as a layer of its own.

With weights (Cin, Cout/g, kh, kw), which convolution would call (O, C/g, kh, kw),

    y[n, c, i·s + a·d − top, j·s + b·d − left] += x[n, o, i, j] · w[o, c, a, b]        for every i, j, a, b
    Ho = (H − 1)·s − top − bottom + d(kh − 1) + 1 + output_padding

Zeiler, Krishnan, Taylor & Fergus (2010); Long, Shelhamer & Darrell (2015) for learned upsampling. Weight layout as in
torch and ONNX.

Conventions: `padding` is the padding of the convolution that this one transposes, so it *crops* the output. That
convolution's floor forgets up to s − 1 pixels; `output_padding` (smaller than the larger of stride and dilation)
restores them at the bottom and right. While output_padding < s, `conv_transpose2d(·, w)` is the exact adjoint of
`conv2d(·, w)` on inputs of its output's size: ⟨conv2d(x, w), y⟩ = ⟨x, conv_transpose2d(y, w)⟩. (From s on, which a
dilation > s allows, that convolution has more outputs than y.)
"""

from __future__ import annotations

from typing import Any, NamedTuple

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import (
    Array,
    check_floating,
    check_gradient,
    check_rank,
    check_shape,
    integer,
    integers,
    shape_of,
)
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Padding, Pair, check_geometry, conv_transpose_output_size, padding_pairs, pair
from refdet.core.kernel import kernel
from refdet.core.summation import total
from refdet.ops.correlation import Geometry, correlate, correlate_input_adjoint, correlate_weight_adjoint


class ConvTranspose2dResidual(NamedTuple):
    x: Array
    weight: Array
    bias: Array | None


def output_size(x: Array, weight: Array, stride: Pair, padding: Padding, output_padding: Pair, dilation: Pair) -> Pair:
    """Return (Ho, Wo)."""
    height, width = (
        conv_transpose_output_size(n, k, stride=s, before=p[0], after=p[1], output_padding=e, dilation=d)
        for n, k, s, p, e, d in zip(
            x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation, strict=True
        )
    )
    return height, width


def _check(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    keep_residual: bool,
) -> None:
    check_rank("conv_transpose2d", "x", x, "N, Cin, H, W")
    check_rank("conv_transpose2d", "weight", weight, "Cin, Cout/groups, kh, kw")
    check_floating("conv_transpose2d", optional=("bias",), x=x, weight=weight, bias=bias)
    check_geometry("conv_transpose2d", stride=stride, padding=padding, dilation=dilation, groups=groups)
    integers("conv_transpose2d", "output_padding", output_padding, count=2, low=0)
    shapes = f"(shapes {shape_of(weight)}, {shape_of(x)})"
    if weight.shape[0] != x.shape[1]:
        raise ValueError(f"conv_transpose2d: weight has {weight.shape[0]} input channels, x has {x.shape[1]} {shapes}")
    if x.shape[1] % groups:
        raise ValueError(f"conv_transpose2d: groups must divide the {x.shape[1]} channels of x, got {groups} {shapes}")
    if 0 in weight.shape[2:] or 0 in x.shape[2:]:
        raise ValueError(f"conv_transpose2d: neither x nor the kernel may have a side of 0 {shapes}")
    if bias is not None:
        check_shape("conv_transpose2d", "bias", bias, (int(weight.shape[1]) * groups,), "one per output channel")
    for extra, s, d in zip(output_padding, stride, dilation, strict=True):
        if extra >= max(s, d):
            raise ValueError(
                f"conv_transpose2d: output_padding must be smaller than the larger of stride {stride} "
                f"and dilation {dilation}, got {output_padding}"
            )
    size = output_size(x, weight, stride, padding, output_padding, dilation)
    if min(size) < 1:
        raise ValueError(
            f"conv_transpose2d: the output would be {size[0]} × {size[1]}: padding {padding} crops everything that x "
            f"{x.shape[2]} × {x.shape[3]} and the kernel {weight.shape[2]} × {weight.shape[3]} make"
        )


def _check_backward(
    residual: ConvTranspose2dResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool],
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
) -> None:
    x, weight, _ = residual
    size = output_size(x, weight, stride, padding, output_padding, dilation)
    check_gradient("conv_transpose2d", dy, (int(x.shape[0]), int(weight.shape[1]) * groups, *size), x)


@kernel("conv_transpose2d.forward", check=_check)
def conv_transpose2d_forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    keep_residual: bool,
) -> tuple[Array, ConvTranspose2dResidual | None]:
    """Return y (N, Cout, Ho, Wo): what `correlate` would map back to x."""
    size = output_size(x, weight, stride, padding, output_padding, dilation)
    y = correlate_input_adjoint(x, weight, size, Geometry(weight.shape[2:], stride, padding, dilation, groups))
    if bias is not None:
        y = y + bias[:, None, None]
    return y, ConvTranspose2dResidual(x, weight, bias) if keep_residual else None


@kernel("conv_transpose2d.backward", check=_check_backward)
def conv_transpose2d_backward(
    residual: ConvTranspose2dResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool],
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
) -> Gradients:
    """Return dx, the convolution of dy; dweight, with x and dy in exchanged roles; and dbias, the sum of dy."""
    x, weight, _ = residual
    geometry = Geometry(weight.shape[2:], stride, padding, dilation, groups)
    dx = correlate(dy, weight, x.shape[2:], geometry) if needs[0] else None
    dweight = correlate_weight_adjoint(dy, x, geometry) if needs[1] else None
    dbias = total(dy, (0, 2, 3)) if needs[2] else None
    return dx, dweight, dbias


_conv_transpose2d = differentiable(conv_transpose2d_forward, conv_transpose2d_backward)


def conv_transpose2d(
    x: Tensor | Array,
    weight: Tensor | Array,
    bias: Tensor | Array | None = None,
    *,
    stride: int | Pair = 1,
    padding: Any = 0,
    output_padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Spread every pixel of `x`, times `weight`, over the window that a convolution would have read.

    Args:
        x: (N, Cin, H, W), float32 or float64.
        weight: (Cin, Cout/groups, kh, kw), of the dtype of x.
        bias: (Cout,) or None.
        stride: int or (vertical, horizontal): the distance between the windows.
        padding: int; (vertical, horizontal); ((top, bottom), (left, right)): how much of each side is cropped.
        output_padding: int or (bottom, right): how much is added there again.
        dilation: distance between the taps, int or (vertical, horizontal).
        groups: number of groups of channels that do not see each other.

    Returns:
        (N, Cout, Ho, Wo).

    Doubling the size by repetition:

    >>> x = np.array([[[[1.0, 2.0]]]])
    >>> conv_transpose2d(x, np.ones((1, 1, 2, 2)), stride=2).data[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    x, weight = as_tensor("conv_transpose2d", "x", x), as_tensor("conv_transpose2d", "weight", weight)
    check_rank("conv_transpose2d", "weight", weight.data, "Cin, Cout/groups, kh, kw")
    strides = pair("conv_transpose2d", "stride", stride, low=1)
    dilations = pair("conv_transpose2d", "dilation", dilation, low=1)
    if isinstance(padding, str):
        raise ValueError(f"conv_transpose2d: padding must be given in pixels, got {padding!r}")
    kernel_size = (weight.shape[2], weight.shape[3])
    pads = padding_pairs(
        "conv_transpose2d", padding, size=(1, 1), kernel_size=kernel_size, stride=strides, dilation=dilations
    )
    extra = pair("conv_transpose2d", "output_padding", output_padding, low=0)
    n_groups = integer("conv_transpose2d", "groups", groups, low=1)
    return _conv_transpose2d(
        x, weight, bias, stride=strides, padding=pads, output_padding=extra, dilation=dilations, groups=n_groups
    )
