"""Resizing of feature maps and images: nearest, bilinear, bicubic.

    y[n, c, i, j] = Σ_k Σ_l w_row[i, k] · w_column[j, l] · x[n, c, row[i, k], column[j, l]]

with the taps and weights of `refdet/ops/interpolation.py`, where coordinates, roundings and borders are defined. All
three are linear in x, so the gradient adds dy back to the taps, with the same weights.

What others call these (no antialiasing anywhere):

| here | elsewhere |
|---|---|
| nearest, asymmetric, floor | torch `"nearest"`, TensorFlow 1 |
| nearest, half_pixel, round_prefer_ceil | torch `"nearest-exact"`, PIL: ⌊(i + ½)·r⌋ |
| nearest, half_pixel, round_prefer_floor | the default of ONNX `Resize` |
| bilinear, half_pixel / align_corners | torch with align_corners=False / True; OpenCV `INTER_LINEAR` is the former |
| bicubic, half_pixel, a = −¾ | torch, OpenCV, ONNX by default |
| bicubic, half_pixel, a = −½ | Keys; PIL and TensorFlow 2 away from the border, where they leave out the taps outside |

Coordinates are exact here where they are whole numbers, and float32 in torch and ONNX Runtime, which may therefore
choose another nearest pixel there. Where a scale leaves the size of an axis as it is (9 pixels by 1.1), torch's nearest
and bilinear and ONNX Runtime's linear copy that axis; here it is resampled at r = 1/scale. A NaN pixel reaches every
output that has it among its taps, also with weight 0. An empty batch, or no channel, gives an empty output; an image or
an output without a pixel is refused.
"""

from __future__ import annotations

from typing import NamedTuple

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import (
    Array,
    check_choice,
    check_floating,
    check_gradient,
    check_number,
    check_rank,
    integers,
    shape_of,
)
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Pair
from refdet.core.kernel import kernel
from refdet.ops.interpolation import (
    COORDINATES,
    ROUNDINGS,
    Ratio,
    Taps,
    cubic_taps,
    interpolate,
    interpolate_adjoint,
    linear_taps,
    nearest_taps,
    size_and_ratio,
    source_coordinates,
)


class ResizeResidual(NamedTuple):
    x: Array


def _check(op: str, x: Array, size: Pair, ratio: Ratio, coordinates: str) -> None:
    check_rank(op, "x", x, "N, C, H, W")
    check_floating(op, x=x)
    if 0 in x.shape[2:]:
        raise ValueError(f"{op}: x must have at least one pixel, got shape {shape_of(x)}")
    integers(op, "size", size, count=2, low=1)
    for r in ratio:
        check_number(op, "ratio", r, low=0, open_low=True)
    check_choice(op, "coordinates", coordinates, COORDINATES)


def _check_gradient(op: str, residual: ResizeResidual, dy: Array, size: Pair) -> None:
    N, C = shape_of(residual.x)[:2]
    check_gradient(op, dy, (N, C, *size), residual.x)


def _coordinates(x: Array, size: Pair, ratio: Ratio, coordinates: str) -> list[tuple[Array, int]]:
    """Return the source coordinates of each axis and the length of that axis."""
    return [
        (source_coordinates(n_in, n_out, ratio=r, coordinates=coordinates), n_in)
        for n_in, n_out, r in zip(x.shape[2:], size, ratio, strict=True)
    ]


# nearest


def _check_nearest(x: Array, *, size: Pair, ratio: Ratio, coordinates: str, rounding: str, keep_residual: bool) -> None:
    _check("resize_nearest", x, size, ratio, coordinates)
    check_choice("resize_nearest", "rounding", rounding, ROUNDINGS)


def _check_nearest_backward(
    residual: ResizeResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    size: Pair,
    ratio: Ratio,
    coordinates: str,
    rounding: str,
) -> None:
    _check_gradient("resize_nearest", residual, dy, size)


def _nearest(x: Array, size: Pair, ratio: Ratio, coordinates: str, rounding: str) -> list[Taps]:
    return [nearest_taps(c, n, x.dtype, rounding=rounding) for c, n in _coordinates(x, size, ratio, coordinates)]


@kernel("resize_nearest.forward", check=_check_nearest)
def resize_nearest_forward(
    x: Array, *, size: Pair, ratio: Ratio, coordinates: str, rounding: str, keep_residual: bool
) -> tuple[Array, ResizeResidual | None]:
    """Return x (N, C, H, W) at `size`, every output a copy of one pixel."""
    rows, columns = _nearest(x, size, ratio, coordinates, rounding)
    return interpolate(x, rows, columns), ResizeResidual(x) if keep_residual else None


@kernel("resize_nearest.backward", check=_check_nearest_backward)
def resize_nearest_backward(
    residual: ResizeResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    size: Pair,
    ratio: Ratio,
    coordinates: str,
    rounding: str,
) -> Gradients:
    """Each pixel receives the sum over its copies."""
    rows, columns = _nearest(residual.x, size, ratio, coordinates, rounding)
    return (interpolate_adjoint(dy, rows, columns, residual.x.shape[2:]),)


# bilinear


def _check_bilinear(x: Array, *, size: Pair, ratio: Ratio, coordinates: str, keep_residual: bool) -> None:
    _check("resize_bilinear", x, size, ratio, coordinates)


def _check_bilinear_backward(
    residual: ResizeResidual, dy: Array, *, needs: tuple[bool], size: Pair, ratio: Ratio, coordinates: str
) -> None:
    _check_gradient("resize_bilinear", residual, dy, size)


def _bilinear(x: Array, size: Pair, ratio: Ratio, coordinates: str) -> list[Taps]:
    return [linear_taps(c, n, x.dtype) for c, n in _coordinates(x, size, ratio, coordinates)]


@kernel("resize_bilinear.forward", check=_check_bilinear)
def resize_bilinear_forward(
    x: Array, *, size: Pair, ratio: Ratio, coordinates: str, keep_residual: bool
) -> tuple[Array, ResizeResidual | None]:
    """Return x (N, C, H, W) at `size`, every output between the 2 × 2 pixels around it."""
    rows, columns = _bilinear(x, size, ratio, coordinates)
    return interpolate(x, rows, columns), ResizeResidual(x) if keep_residual else None


@kernel("resize_bilinear.backward", check=_check_bilinear_backward)
def resize_bilinear_backward(
    residual: ResizeResidual, dy: Array, *, needs: tuple[bool], size: Pair, ratio: Ratio, coordinates: str
) -> Gradients:
    """Each pixel receives the gradient of every output that read it, with the weight it had there."""
    rows, columns = _bilinear(residual.x, size, ratio, coordinates)
    return (interpolate_adjoint(dy, rows, columns, residual.x.shape[2:]),)


# bicubic


def _check_bicubic(x: Array, *, size: Pair, ratio: Ratio, coordinates: str, a: float, keep_residual: bool) -> None:
    _check("resize_bicubic", x, size, ratio, coordinates)
    check_number("resize_bicubic", "a", a)


def _check_bicubic_backward(
    residual: ResizeResidual, dy: Array, *, needs: tuple[bool], size: Pair, ratio: Ratio, coordinates: str, a: float
) -> None:
    _check_gradient("resize_bicubic", residual, dy, size)


def _bicubic(x: Array, size: Pair, ratio: Ratio, coordinates: str, a: float) -> list[Taps]:
    return [cubic_taps(c, n, x.dtype, a=a) for c, n in _coordinates(x, size, ratio, coordinates)]


@kernel("resize_bicubic.forward", check=_check_bicubic)
def resize_bicubic_forward(
    x: Array, *, size: Pair, ratio: Ratio, coordinates: str, a: float, keep_residual: bool
) -> tuple[Array, ResizeResidual | None]:
    """Return x (N, C, H, W) at `size`, by Keys' kernel on the 4 × 4 pixels around each output."""
    rows, columns = _bicubic(x, size, ratio, coordinates, a)
    return interpolate(x, rows, columns), ResizeResidual(x) if keep_residual else None


@kernel("resize_bicubic.backward", check=_check_bicubic_backward)
def resize_bicubic_backward(
    residual: ResizeResidual, dy: Array, *, needs: tuple[bool], size: Pair, ratio: Ratio, coordinates: str, a: float
) -> Gradients:
    """Each pixel receives the gradient of every output that read it, with the weight it had there."""
    rows, columns = _bicubic(residual.x, size, ratio, coordinates, a)
    return (interpolate_adjoint(dy, rows, columns, residual.x.shape[2:]),)


_resize_nearest = differentiable(resize_nearest_forward, resize_nearest_backward)
_resize_bilinear = differentiable(resize_bilinear_forward, resize_bilinear_backward)
_resize_bicubic = differentiable(resize_bicubic_forward, resize_bicubic_backward)


def resize_nearest(
    x: Tensor | Array,
    size: int | Pair | None = None,
    *,
    scale: float | Ratio | None = None,
    coordinates: str = "asymmetric",
    rounding: str = "floor",
) -> Tensor:
    """Resize by copying, for every output, the pixel its coordinate rounds to.

    Args:
        x: (N, C, H, W), float32 or float64.
        size: (height, width) of the output, or one integer for both. Or else
        scale: a number or (vertical, horizontal); the output has ⌊in · scale⌋ pixels and r = 1/scale exactly, though
            in/out may be larger.
        coordinates: "asymmetric", "half_pixel" or "align_corners", which uses the sizes alone.
        rounding: "floor", "ceil", "round_prefer_floor" or "round_prefer_ceil" (they differ at a half).

    Returns:
        (N, C, Ho, Wo). The defaults are torch's "nearest"; half_pixel with round_prefer_ceil is its "nearest-exact",
        half_pixel with round_prefer_floor the default of ONNX.

    >>> resize_nearest(np.array([[[[1.0, 2.0]]]]), (1, 5)).data
    array([[[[1., 1., 1., 2., 2.]]]])
    """
    out, ratio = size_and_ratio("resize_nearest", x, size, scale)
    return _resize_nearest(x, size=out, ratio=ratio, coordinates=coordinates, rounding=rounding)


def resize_bilinear(
    x: Tensor | Array,
    size: int | Pair | None = None,
    *,
    scale: float | Ratio | None = None,
    coordinates: str = "half_pixel",
) -> Tensor:
    """Resize by linear interpolation along both axes.

    Args:
        x: (N, C, H, W), float32 or float64. size, scale: as for `resize_nearest`.
        coordinates: "half_pixel", "align_corners" or "asymmetric".

    Returns:
        (N, C, Ho, Wo).

    >>> resize_bilinear(np.array([[[[0.0, 8.0]]]]), (1, 4)).data
    array([[[[0., 2., 6., 8.]]]])
    """
    out, ratio = size_and_ratio("resize_bilinear", x, size, scale)
    return _resize_bilinear(x, size=out, ratio=ratio, coordinates=coordinates)


def resize_bicubic(
    x: Tensor | Array,
    size: int | Pair | None = None,
    *,
    scale: float | Ratio | None = None,
    coordinates: str = "half_pixel",
    a: float = -0.75,
) -> Tensor:
    """Resize by cubic convolution along both axes.

    Args:
        x: (N, C, H, W), float32 or float64. size, scale: as for `resize_nearest`.
        coordinates: "half_pixel", "align_corners" or "asymmetric".
        a: the slope of the kernel at distance 1: −0.75 as in torch, OpenCV and ONNX's default; −0.5 is Keys' choice,
            also PIL's and TensorFlow's.

    Returns:
        (N, C, Ho, Wo); outputs may lie outside the range of the inputs.

    Halfway between two pixels the weights are (a/8, ½ − a/8, ½ − a/8, a/8), here −1/16 and 9/16:

    >>> resize_bicubic(np.array([[[[0.0, 0.0, 16.0, 0.0, 0.0]]]]), (1, 9), coordinates="align_corners", a=-0.5).data
    array([[[[ 0., -1.,  0.,  9., 16.,  9.,  0., -1.,  0.]]]])
    """
    out, ratio = size_and_ratio("resize_bicubic", x, size, scale)
    return _resize_bicubic(x, size=out, ratio=ratio, coordinates=coordinates, a=a)
