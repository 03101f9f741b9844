"""Two-dimensional convolution, as cross-correlation.

    y[n, o, i, j] = b[o] + Σ_{c < C/g, a, b} w[o, c, a, b] · xp[n, g(o)·C/g + c, i·s + a·d, j·s + b·d]
    g(o) = ⌊o / (O/g)⌋,     Ho = ⌊(H + top + bottom − d(kh − 1) − 1) / s⌋ + 1

Deck 003 writes it without a flip: x_ij = Σ_a Σ_b ω_ab y_(i+a)(j+b). Krizhevsky, Sutskever & Hinton (2012) for groups;
Yu & Koltun (2016) for dilation.

Conventions: padding is zeros, and may differ on all four sides; pixels that no window reaches (stride > kernel) get
gradient 0; an empty batch gives an empty output; sums accumulate in the input's dtype, that of the bias
gradient pairwise whatever the layout in memory. An output size ≤ 0 is refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_floating, check_gradient, check_rank, check_shape, integer, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Padding, Pair, check_geometry, check_windows_fit, conv_output_size, padding_pairs, pair
from refdet.core.kernel import kernel
from refdet.core.summation import total
from refdet.ops.correlation import Geometry, correlate, correlate_input_adjoint, correlate_weight_adjoint


class Conv2dResidual(NamedTuple):
    x: Array
    weight: Array
    bias: Array | None


def output_size(x: Array, weight: Array, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    """Return (Ho, Wo)."""
    height, width = (
        conv_output_size(n, k, stride=s, before=p[0], after=p[1], dilation=d)
        for n, k, s, p, d in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    )
    return height, width


def _check(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    keep_residual: bool,
) -> None:
    check_rank("conv2d", "x", x, "N, C, H, W")
    check_rank("conv2d", "weight", weight, "O, C/groups, kh, kw")
    check_floating("conv2d", optional=("bias",), x=x, weight=weight, bias=bias)
    check_geometry("conv2d", stride=stride, padding=padding, dilation=dilation, groups=groups)
    shapes = f"(shapes {shape_of(weight)}, {shape_of(x)})"
    (_, C), (O, C_per_group) = x.shape[:2], weight.shape[:2]
    if C % groups or O % groups:
        raise ValueError(
            f"conv2d: groups must divide the {C} channels of x and the {O} of the output, got {groups} {shapes}"
        )
    if C_per_group * groups != C:
        each = f" in each of {groups} groups" if groups > 1 else ""
        raise ValueError(f"conv2d: weight has {C_per_group} input channels{each}, x has {C} {shapes}")
    if 0 in weight.shape[2:]:
        raise ValueError(f"conv2d: weight must have a kernel of at least 1 × 1, got shape {shape_of(weight)}")
    if bias is not None:
        check_shape("conv2d", "bias", bias, (O,), "one per output channel")
    size = output_size(x, weight, stride, padding, dilation)
    check_windows_fit(
        "conv2d", size, size=x.shape[2:], kernel_size=weight.shape[2:], dilation=dilation, padding=padding
    )


def _check_backward(
    residual: Conv2dResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> None:
    x, weight, _ = residual
    size = output_size(x, weight, stride, padding, dilation)
    check_gradient("conv2d", dy, (int(x.shape[0]), int(weight.shape[0]), *size), x)


@kernel("conv2d.forward", check=_check)
def conv2d_forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    keep_residual: bool,
) -> tuple[Array, Conv2dResidual | None]:
    """Return y (N, O, Ho, Wo)."""
    geometry = Geometry(weight.shape[2:], stride, padding, dilation, groups)
    y = correlate(x, weight, output_size(x, weight, stride, padding, dilation), geometry)
    if bias is not None:
        y += bias[:, None, None]
    return y, Conv2dResidual(x, weight, bias) if keep_residual else None


@kernel("conv2d.backward", check=_check_backward)
def conv2d_backward(
    residual: Conv2dResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Gradients:
    """Return dx, dweight and db[o] = Σ_{n,i,j} dy[n, o, i, j]."""
    x, weight, _ = residual
    geometry = Geometry(weight.shape[2:], stride, padding, dilation, groups)
    dx = correlate_input_adjoint(dy, weight, x.shape[2:], geometry) if needs[0] else None
    dweight = correlate_weight_adjoint(x, dy, geometry) if needs[1] else None
    dbias = total(dy, (0, 2, 3)) if needs[2] else None
    return dx, dweight, dbias


_conv2d = differentiable(conv2d_forward, conv2d_backward)


def conv2d(
    x: Tensor | Array,
    weight: Tensor | Array,
    bias: Tensor | Array | None = None,
    *,
    stride: int | Pair = 1,
    padding: Any = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Slide `weight` over `x` and take the inner product at every position.

    Args:
        x: (N, C, H, W), float32 or float64. weight: (O, C/groups, kh, kw), of the dtype of x. bias: (O,) or None.
        stride: int or (vertical, horizontal). padding: int; (vertical, horizontal); ((top, bottom), (left, right));
        "valid"; "same_upper" (TensorFlow's SAME: an odd
            pixel goes to the bottom and right); "same_lower".
        dilation: distance between the taps, int or (vertical, horizontal).
        groups: number of groups of channels that do not see each other; groups = C is depthwise.

    Returns:
        (N, O, Ho, Wo).

    The sum of each 2 × 2 window of 0 … 8:

    >>> conv2d(np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))).data[0, 0]
    array([[ 8., 12.],
           [20., 24.]])
    """
    x, weight = as_tensor("conv2d", "x", x), as_tensor("conv2d", "weight", weight)
    check_rank("conv2d", "x", x.data, "N, C, H, W")
    check_rank("conv2d", "weight", weight.data, "O, C/groups, kh, kw")
    strides, dilations = pair("conv2d", "stride", stride, low=1), pair("conv2d", "dilation", dilation, low=1)
    pads = padding_pairs(
        "conv2d",
        padding,
        size=x.shape[2:],
        kernel_size=(weight.shape[2], weight.shape[3]),
        stride=strides,
        dilation=dilations,
    )
    n_groups = integer("conv2d", "groups", groups, low=1)
    return _conv2d(x, weight, bias, stride=strides, padding=pads, dilation=dilations, groups=n_groups)
