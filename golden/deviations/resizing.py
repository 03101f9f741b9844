"""How resizing differs: coordinates, rounding, kernel, border, antialiasing.

Along one axis resizing is a matrix, outputs × inputs. Deviations of the border and of the width of the kernel are
choices in making that matrix; the others are parameters that are ignored.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from golden.op_wrapping import Params, both, pairs
from golden.wrapping import Wrap, setting
from refdet.core.check import Array
from refdet.ops.interpolation import source_coordinates
from refdet.ops.resize import ResizeResidual
from refdet.verify.deviation import Body, Deviation

ALL = ("resize_nearest", "resize_bilinear", "resize_bicubic")
SMOOTH = ("resize_bilinear", "resize_bicubic")


def kernel(distance: Array, a: float | None) -> Array:
    """Return the triangle for a = None, else the cubic kernel of Keys."""
    d = np.absolute(distance)
    weight: Array
    if a is None:
        weight = np.maximum(1 - d, 0)
        return weight
    near, far = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def axis_matrix(
    n_in: int,
    n_out: int,
    ratio: float,
    coordinates: str,
    a: float | None,
    border: str,  # "clamp": taps outside read the border pixel; "zero": they read 0; "renormalised": they are left out
    antialias: bool,  # widen the kernel by the distance of the outputs
) -> Array:
    """Return the weight that each output gives to each input, (n_out, n_in)."""
    c = source_coordinates(n_in, n_out, ratio=ratio, coordinates=coordinates)
    step = c[1] - c[0] if n_out > 1 else ratio
    if antialias and step > 1:
        inside: Array = kernel((np.arange(n_in) - c[:, None]) / step, a)
        return _normalised(inside)
    reach = 3  # more than the taps of any kernel lie outside
    taps = np.arange(-reach, n_in + reach)
    weights = kernel(taps - c[:, None], a)
    inside = weights[:, reach : reach + n_in].copy()
    if border == "clamp":
        inside[:, 0] += np.sum(weights[:, :reach], axis=1)
        inside[:, -1] += np.sum(weights[:, reach + n_in :], axis=1)
    return _normalised(inside) if border == "renormalised" else inside


def _normalised(weights: Array) -> Array:
    """Divide by the sum of each row."""
    normalised: Array = weights / np.sum(weights, axis=1, keepdims=True)
    return normalised


def matrices(x: Array, params: Params, border: str, antialias: bool) -> tuple[Array, Array]:
    """Return the matrices of the rows and of the columns."""
    axes = zip(x.shape[2:], params["size"], params["ratio"], strict=True)
    rows, columns = (
        axis_matrix(n, n_out, r, params["coordinates"], params.get("a"), border, antialias).astype(x.dtype)
        for n, n_out, r in axes
    )
    return rows, columns


def forward(
    x: Array, *, keep_residual: bool, border: str = "clamp", antialias: bool = False, **params: Any
) -> tuple[Array, ResizeResidual | None]:
    """y = R x Cᵀ."""
    rows, columns = matrices(x, params, border, antialias)
    return rows @ x @ columns.T, ResizeResidual(x) if keep_residual else None


def backward(
    residual: ResizeResidual, dy: Array, *, needs: Any, border: str = "clamp", antialias: bool = False, **params: Any
) -> tuple[Array]:
    """dx = Rᵀ dy C."""
    rows, columns = matrices(residual.x, params, border, antialias)
    return (rows.T @ dy @ columns,)


def choosing(*algorithms: str, **choice: Any) -> dict[str, Wrap]:
    """Wrap with the matrices above and a choice, added to those that were made before."""

    def wrapping(transcription: Body) -> Wrap:
        def wrap(body: Body) -> Body:
            literal = body if isinstance(body, functools.partial) else transcription
            return functools.partial(literal, **choice)

        return wrap

    return pairs(wrapping(forward), wrapping(backward), *algorithms)


def ratio_of_sizes(body: Body) -> Body:
    """Compute coordinates from the sizes alone."""

    def resized(first: Any, *rest: Any, size: Any, ratio: Any, **params: Any) -> Any:
        height, width = (first.x if isinstance(first, ResizeResidual) else first).shape[2:]
        return body(first, *rest, size=size, ratio=(height / size[0], width / size[1]), **params)

    return resized


def rounding(name: str, who: tuple[str, ...]) -> Deviation:
    """Describe an implementation that always rounds in one way."""
    rule = {
        "floor": ("down", "⌊c⌋"),
        "round_prefer_floor": ("to the nearest, halves down", "⌈c − ½⌉"),
        "round_prefer_ceil": ("to the nearest, halves up", "⌊c + ½⌋"),
    }[name]
    return Deviation(
        f"resize.nearest={name}",
        f"rounds coordinates {rule[0]}, whatever rounding says",
        f"Output i reads pixel {rule[1]} of its coordinate c.",
        who,
        "Round as the parameter rounding says; in ONNX it is nearest_mode.",
        both(setting(rounding=name), "resize_nearest"),
    )


def coordinate(name: str, formula: str, who: tuple[str, ...]) -> Deviation:
    """Describe an implementation that always computes coordinates in one way."""
    return Deviation(
        f"resize.coord={name}",
        f"computes coordinates by {formula}, whatever is asked for",
        f"Output i reads at {formula}, r being the ratio of sizes: the whole picture is shifted or stretched by part "
        "of a pixel.",
        who,
        "Compute coordinates as the parameter says: half_pixel (i + ½)·r − ½, asymmetric i·r, align_corners "
        "i·(n_in − 1)/(n_out − 1).",
        both(setting(coordinates=name), *ALL),
    )


DEVIATIONS = [
    Deviation(
        "resize.antialias=yes",
        "widens the kernel where it makes the picture smaller",
        "With r > 1 every output is a mean over r times as many pixels; enlarging is not affected.",
        (
            "Pillow, src/libImaging/Resample.c: support scaled by filterscale",
            "torchvision, transforms.Resize with antialias=True: vision#2950",
        ),
        "Leave the kernel as wide as it is: two taps, or four, around each coordinate.",
        choosing(*SMOOTH, antialias=True),
    ),
    Deviation(
        "resize.border=renormalised",
        "leaves taps outside the picture out, and divides by the weights of the others",
        "Near the border cubic interpolation differs; linear interpolation does not.",
        (
            "Pillow, src/libImaging/Resample.c: weights are normalised over the pixels inside",
            "TensorFlow 2, tf.image.resize with bicubic; ONNX Resize with exclude_outside=1",
        ),
        "Let a tap outside read the border pixel with its weight unchanged.",
        choosing("resize_bicubic", border="renormalised"),
    ),
    Deviation(
        "resize.border=zero",
        "reads 0 outside the picture",
        "Outputs near the border are darker, where some of their taps lie outside.",
        (
            "FCN (Long, Shelhamer & Darrell), surgery.py: upsampling by a bilinear transposed convolution",
            "PyTorch, torch.nn.functional.grid_sample with its default padding_mode='zeros'",
        ),
        "Let a tap outside read the border pixel.",
        choosing(*SMOOTH, border="zero"),
    ),
    coordinate(
        "align_corners",
        "i·(n_in − 1)/(n_out − 1)",
        (
            "darknet, src/image.c, resize_image: w_scale = (im.w - 1)/(w - 1)",
            "PyTorch before 0.4, torch.nn.functional.upsample",
        ),
    ),
    coordinate(
        "asymmetric",
        "i·r",
        (
            "TensorFlow 1, tf.image.resize_bilinear with its default half_pixel_centers=False",
            "TensorRT 6 and 7, IResizeLayer: TensorRT#273",
        ),
    ),
    coordinate(
        "half_pixel",
        "(i + ½)·r − ½",
        ("OpenCV, cv::resize", "TensorFlow 2, tf.image.resize", "ONNX Resize by default"),
    ),
    Deviation(
        "resize.cubic=-0.5",
        "uses the cubic kernel with a = −0.5, whatever a is",
        "Edges overshoot less than with −0.75.",
        ("Pillow, src/libImaging/Resample.c, bicubic_filter", "TensorFlow 2, tf.image.resize: Keys' kernel"),
        "Use the parameter a: in ONNX cubic_coeff_a.",
        both(setting(a=-0.5), "resize_bicubic"),
    ),
    Deviation(
        "resize.cubic=-0.75",
        "uses the cubic kernel with a = −0.75, whatever a is",
        "Edges overshoot more than with −0.5.",
        ("OpenCV, modules/imgproc/src/resize.cpp, interpolateCubic", "PyTorch, aten/src/ATen/native/UpSample.h"),
        "Use the parameter a: in ONNX cubic_coeff_a.",
        both(setting(a=-0.75), "resize_bicubic"),
    ),
    rounding("floor", ("PyTorch, F.interpolate mode='nearest'", "OpenCV, cv::resize with INTER_NEAREST")),
    rounding("round_prefer_floor", ("ONNX, Resize with its default nearest_mode",)),
    rounding(
        "round_prefer_ceil",
        ("Pillow, Image.resize with NEAREST, and PyTorch's 'nearest-exact': ⌊(i + ½)·r⌋ at half-pixel coordinates",),
    ),
    Deviation(
        "resize.ratio=sizes",
        "takes the ratio of sizes, where a scale was given",
        "Where the scale does not give a whole number of pixels, the picture is stretched a little to fill them.",
        (
            "OpenCV, modules/imgproc/src/resize.cpp: inv_scale from the size of the output",
            "PyTorch, F.interpolate with recompute_scale_factor=True; TensorFlow, tf.image.resize",
        ),
        "Use the ratio as it is given, 1/scale, not in/out.",
        both(ratio_of_sizes, *ALL),
    ),
]
