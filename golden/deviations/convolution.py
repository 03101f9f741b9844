"""How convolutions and fully connected layers differ: flipped kernels, symmetric padding, the layout of weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.op_wrapping import Params, changing, fitted
from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.conv2d import output_size as conv_size
from refdet.ops.conv_transpose2d import output_size as conv_transpose_size
from refdet.verify.deviation import Body, Deviation

SIZES: dict[str, Callable[..., Pair]] = {"conv2d": conv_size, "conv_transpose2d": conv_transpose_size}


def turned(weight: Array) -> Array:
    """Turn every kernel by 180°."""
    return weight[:, :, ::-1, ::-1]


def flip_forward(body: Body) -> Body:
    """Convolve with turned kernels."""

    def forward(x: Array, weight: Array, bias: Array | None, **params: Any) -> Any:
        return body(x, turned(weight), bias, **params)

    return forward


def flip_backward(body: Body) -> Body:
    """Turn the gradient of the turned kernels back."""

    def backward(residual: Any, dy: Array, **params: Any) -> Any:
        dx, dweight, dbias = body(residual, dy, **params)
        return dx, None if dweight is None else turned(dweight), dbias

    return backward


def symmetric(params: Params) -> Params:
    """Pad both sides of an axis by the larger of the two numbers."""
    vertical, horizontal = (max(sides) for sides in params["padding"])
    return {"padding": ((vertical, vertical), (horizontal, horizontal))}


def resized(algorithm: str, change: Any) -> dict[str, Any]:
    """Wrap both kernels with changed parameters, and fit the gradient to the output that they make."""

    def wrap_backward(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, needs: Any, **params: Any) -> Any:
            params |= change(params)
            geometry = {name: value for name, value in params.items() if name != "groups"}
            size = SIZES[algorithm](residual.x, residual.weight, **geometry)
            shape = (*dy.shape[:2], *size)
            return body(residual, fitted(dy, shape), needs=needs, **params)

        return backward

    return {f"{algorithm}.forward": changing(change), f"{algorithm}.backward": wrap_backward}


def in_out_forward(body: Body) -> Body:
    """Read the numbers of the weight as (inputs, outputs)."""

    def forward(x: Array, weight: Array, bias: Array | None, *, keep_residual: bool) -> Any:
        O, F = weight.shape
        return body(x, np.reshape(weight, (F, O)).T, bias, keep_residual=keep_residual)

    return forward


def in_out_backward(body: Body) -> Body:
    """Lay the gradient of the weight out as the numbers were read."""

    def backward(residual: Any, dy: Array, *, needs: Any) -> Any:
        dx, dweight, dbias = body(residual, dy, needs=needs)
        return dx, None if dweight is None else np.reshape(dweight.T, dweight.shape), dbias

    return backward


DEVIATIONS = [
    Deviation(
        "conv.flip=yes",
        "turns the kernel by 180° (a convolution in the mathematical sense)",
        "Every kernel is read from its last tap to its first, so unsymmetric filters answer their mirror images. "
        "1 × 1 kernels are not affected.",
        (
            "Theano, theano/tensor/nnet/__init__.py: conv2d has filter_flip=True by default",
            "Lasagne, lasagne/layers/conv.py: Conv2DLayer has flip_filters=True by default",
            "SciPy, scipy.signal.convolve2d (correlate2d does not flip)",
        ),
        "Multiply pixel (i·s + a·d, j·s + b·d) by tap (a, b), or turn the weights: w[:, :, ::-1, ::-1].",
        {"conv2d.forward": flip_forward, "conv2d.backward": flip_backward},
    ),
    Deviation(
        "conv.pad=symmetric",
        "pads both sides of an axis alike, by the larger of the two numbers",
        "Where padding differs between the two ends of an axis, every window lies elsewhere: shifted, with stride 2 "
        "without a change of the output's size.",
        (
            "Caffe, src/caffe/layers/base_conv_layer.cpp: one pad per axis",
            "darknet, src/convolutional_layer.c: one pad for all sides",
            "taehoonlee/tensornets#25: TensorFlow's SAME pads at the bottom and right, ports of its models do not",
        ),
        "Pad each side by its own number, for instance with an explicit padding of the input first.",
        {**resized("conv2d", symmetric), **resized("conv_transpose2d", symmetric)},
    ),
    Deviation(
        "deconv.flip=yes",
        "turns the kernel of a transposed convolution by 180°",
        "The stamps that the pixels leave are turned: the input was spread out with zeros and then *correlated* with "
        "the kernel, where the transpose of a correlation convolves. Symmetric kernels hide it.",
        (
            "JAX, jax.lax.conv_transpose with its default transpose_kernel=False",
            "Flax, flax.linen.ConvTranspose with its default transpose_kernel=False",
        ),
        "Put tap (a, b) of the stamp of pixel (i, j) at (i·s + a·d, j·s + b·d); in JAX set transpose_kernel=True.",
        {"conv_transpose2d.forward": flip_forward, "conv_transpose2d.backward": flip_backward},
    ),
    Deviation(
        "deconv.output_padding=none",
        "ignores output_padding, so the output is smaller",
        "The rows and columns that output_padding adds at the bottom and right are missing.",
        ("Caffe, src/caffe/layers/deconv_layer.cpp: the size is s·(h − 1) + extent − 2·pad",),
        "Make the output output_padding larger at the bottom and right; windows that reach there write there.",
        resized("conv_transpose2d", lambda _: {"output_padding": (0, 0)}),
    ),
    Deviation(
        "linear.weight=in_out",
        "reads the weight as (inputs, outputs)",
        "The numbers of the weight, in the order of the file, are taken for the transposed matrix; where it is square "
        "even its shape says nothing.",
        (
            "Keras, keras/layers/core/dense.py: the kernel is (inputs, outputs)",
            "darknet, src/parser.c, load_connected_weights: transposes what old weight files hold",
        ),
        "Read the weight as (outputs, inputs) in row-major order: y = x Wᵀ + b.",
        {"linear.forward": in_out_forward, "linear.backward": in_out_backward},
    ),
]
