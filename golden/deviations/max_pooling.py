"""How max pooling differs: what an empty window answers, what padding and NaN do, who wins a tie, how a pixel is named.

What the switches are called in the answer, they stay indices of pixels in the residual: gradients go to the pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import numpy as np

from golden.deviations.pooling import CAFFE, DARKNET, regridded, undropped, windows_of
from golden.op_wrapping import Params, both, fitted
from golden.wrapping import Wrap, setting
from refdet.core.check import Array
from refdet.ops.bins import bin_slices
from refdet.ops.correlation import pad_plane
from refdet.ops.pooling import output_shape
from refdet.verify.deviation import Body, Deviation

FLT_MAX = float(np.finfo(np.float32).max)


def only(algorithm: str, wraps: dict[str, Wrap]) -> dict[str, Wrap]:
    """Return the wrappers of one algorithm."""
    return {name: wrap for name, wrap in wraps.items() if name.startswith(f"{algorithm}.")}


def darknet_padding(params: Params) -> Params:
    """Pad by k − 1 in all, the smaller half first, whatever was asked for."""
    vertical, horizontal = (((k - 1) // 2, k - 1 - (k - 1) // 2) for k in params["kernel_size"])
    return {"padding": (vertical, horizontal)}


def on_outputs(change: Callable[..., tuple[Array, Array]]) -> Wrap:
    """Return a wrapper of a forward kernel that answers `change(x, y, switches, params)`; the gradient is as it was."""

    def wrap(body: Body) -> Body:
        def forward(x: Array, **params: Any) -> Any:
            (y, switches), residual = body(x, **params)
            return change(x, y, switches, params), residual

        return forward

    return wrap


def empty_is_zero(x: Array, y: Array, switches: Array, params: Params) -> tuple[Array, Array]:
    """Answer 0 for a window without a pixel."""
    return np.where(switches < 0, np.zeros_like(y), y), switches


def never_drop(x: Array, y: Array, switches: Array, params: Params) -> tuple[Array, Array]:
    """Keep last windows that begin behind the pixels."""
    shape = (*y.shape[:2], *undropped(x.shape[2:], params))
    return fitted(y, shape, -np.inf), fitted(switches, shape, -1)


def pixels_of(x: Array, switches: Array) -> Array:
    """Return the pixel that each switch names; any pixel for −1."""
    planes = x.reshape(*x.shape[:2], x.shape[2] * x.shape[3])
    where = np.maximum(switches, 0).reshape(*switches.shape[:2], int(np.prod(switches.shape[2:])))
    return np.take_along_axis(planes, where, axis=2).reshape(switches.shape)


def kept(residual: Any, x: Array, switches: Array) -> Any:
    """Keep these switches for the gradient, of the windows that there should be."""
    return residual and type(residual)(x, fitted(switches, residual.switches.shape, -1))


def from_flt_max(body: Body) -> Body:
    """Search from −FLT_MAX on, without a pixel: what is not larger is not found."""

    def forward(x: Array, **params: Any) -> Any:
        (y, switches), residual = body(x, **params)
        nothing = y == -np.inf
        y, switches = np.where(nothing, np.full_like(y, -FLT_MAX), y), np.where(nothing, -1, switches)
        return (y, switches), kept(residual, x, switches)

    return forward


def first_pixel_at_zero(body: Body) -> Body:
    """Search from −FLT_MAX on, and answer 0 at pixel 0 where nothing is larger."""

    def forward(x: Array, **params: Any) -> Any:
        (y, switches), residual = body(x, **params)
        nothing = (y <= -FLT_MAX) & (x.shape[2] * x.shape[3] > 0)
        y, switches = np.where(nothing, np.zeros_like(y), y), np.where(nothing, 0, switches)
        return (y, switches), kept(residual, x, switches)

    return forward


def nan_loses(body: Body) -> Body:
    """Compare as if a NaN were −∞; a window of NaN alone has no pixel."""

    def forward(x: Array, **params: Any) -> Any:
        (y, switches), residual = body(np.where(np.isnan(x), np.full_like(x, -np.inf), x), **params)
        if x.size:
            switches = np.where(np.isnan(pixels_of(x, switches)) & (y == -np.inf), -1, switches)
        return (y, switches), kept(residual, x, switches)

    return forward


def last_nan(body: Body) -> Body:
    """Remember the last NaN of a window instead of its first."""

    def forward(x: Array, **params: Any) -> Any:
        (y, switches), residual = body(x, **params)
        H, W = x.shape[2:]
        index, switches = np.arange(H * W).reshape(H, W), switches.copy()
        for window, pixels in windows_of(params).taps((H, W)):
            here = switches[:, :, *window]  # a view
            np.copyto(here, index[pixels], where=np.isnan(x[:, :, *pixels]))
        return (y, switches), kept(residual, x, switches)

    return forward


def global_last_nan(body: Body) -> Body:
    """Remember the last NaN of a plane."""

    def forward(x: Array, **params: Any) -> Any:
        (y, switches), residual = body(x, **params)
        planes = np.isnan(x.reshape(*switches.shape[:2], math.prod(x.shape[2:])))
        last = np.max(np.where(planes, np.arange(planes.shape[2]), -1), axis=2, initial=-1).reshape(switches.shape)
        switches = np.where(last < 0, switches, last)
        return (y, switches), kept(residual, x, switches)

    return forward


def pyramid_last_nan(body: Body) -> Body:
    """Remember the last NaN of each bin."""

    def forward(x: Array, *, levels: tuple[int, ...], **params: Any) -> Any:
        (y, switches), residual = body(x, levels=levels, **params)
        N, C, H, W = x.shape
        numbers = np.where(np.isnan(x), np.arange(H * W).reshape(H, W), -1)
        last = [
            np.max(numbers[:, :, rows, columns], axis=(2, 3), initial=-1)
            for k in levels
            for rows, columns in product(*(bin_slices(0, n, k, n, convention="exact") for n in (H, W)))
        ]  # level by level, (N, C) each
        starts = np.cumsum([0, *(k * k for k in levels)])
        of_levels = [np.stack(last[a:b], axis=2).reshape(N, C * (b - a)) for a, b in pairwise(starts)]
        latest = np.concatenate(of_levels, axis=1)
        switches = np.where(latest < 0, switches, latest)
        return (y, switches), kept(residual, x, switches)

    return forward


def zeros_compete(body: Body) -> Body:
    """Pad with zeros first, then take the maximum without padding; a zero that wins has no pixel."""

    def forward(x: Array, *, padding: Any, **params: Any) -> Any:
        (top, _), (left, _) = padding
        (H, W), (Ho, Wo) = x.shape[2:], output_shape(x, windows_of({"padding": padding, **params}))[2:]
        xp = pad_plane(x, padding, 0.0)
        (y, switches), residual = body(xp, padding=((0, 0), (0, 0)), **params)
        y, switches = y[:, :, :Ho, :Wo], switches[:, :, :Ho, :Wo]
        row, column = switches // xp.shape[3] - top, switches % xp.shape[3] - left
        real = (switches >= 0) & (row >= 0) & (row < H) & (column >= 0) & (column < W)
        switches = np.where(real, row * W + column, -1)
        return (y, switches), residual and type(residual)(x, switches)

    return forward


def in_tensor(x: Array, y: Array, switches: Array, params: Params) -> tuple[Array, Array]:
    """Count pixels from the first one of the batch."""
    N, C, H, W = x.shape
    planes = (np.arange(N * C) * (H * W)).reshape(N, C, *(1,) * (switches.ndim - 2))
    return y, np.where(switches < 0, switches, planes + switches)


def in_image(x: Array, y: Array, switches: Array, params: Params) -> tuple[Array, Array]:
    """Take an index into the image for one into the batch, of which the pixels before the plane are subtracted."""
    images = (np.arange(len(x)) * math.prod(x.shape[1:])).reshape(len(x), 1, 1, 1)
    return y, np.where(switches < 0, switches, switches - images)


def in_nhwc(x: Array, y: Array, switches: Array, params: Params) -> tuple[Array, Array]:
    """Count the pixels of an image (H, W, C)."""
    C = x.shape[1]
    channel = np.arange(C).reshape(1, C, *(1,) * (switches.ndim - 2))
    return y, np.where(switches < 0, switches, switches * C + channel)


def in_window(x: Array, y: Array, switches: Array, params: Params) -> tuple[Array, Array]:
    """Count the taps of the window; a pixel that is none of them keeps its number."""
    (top, _), (left, _) = params["padding"]
    (kh, kw), (sh, sw), (dh, dw) = params["kernel_size"], params["stride"], params["dilation"]
    i, j = (np.arange(n) for n in switches.shape[2:])
    a = (switches // x.shape[3] + top - i[:, None] * sh) // dh
    b = (switches % x.shape[3] + left - j * sw) // dw
    is_tap = (switches >= 0) & (a >= 0) & (a < kh) & (b >= 0) & (b < kw)
    return y, np.where(is_tap, a * kw + b, switches)


def ties_share(share: bool) -> Wrap:
    """Return a wrapper that gives every maximum of a window the gradient, whole or in equal shares."""

    def wrap(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, needs: Any, **params: Any) -> Any:
            x, switches = residual
            windows = list(windows_of(params).taps(x.shape[2:]))
            largest = np.where(switches < 0, np.nan, pixels_of(x, switches)) if x.size else dy
            lost = np.isnan(largest) & (switches >= 0) & share  # 0/0: a NaN equals nothing
            tied = [(x[:, :, *pixels] == largest[:, :, *window]) | lost[:, :, *window] for window, pixels in windows]
            count = np.zeros(dy.shape)
            for (window, _), is_tied in zip(windows, tied, strict=True):
                count[:, :, *window] += is_tied
            part = dy / np.where(lost, np.nan, np.maximum(count, 1)).astype(dy.dtype) if share else dy
            dx = np.zeros_like(x)
            for (window, pixels), is_tied in zip(windows, tied, strict=True):
                dx[:, :, *pixels] += np.where(is_tied, part[:, :, *window], np.zeros((), dy.dtype))
            return (dx,)

        return backward

    return wrap


def global_ties_share(share: bool) -> Wrap:
    """Return the same for the one window of global pooling."""

    def wrap(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, needs: Any, keepdims: bool) -> Any:
            x, switches = residual
            if not x.size:
                return body(residual, dy, needs=needs, keepdims=keepdims)
            N, C = x.shape[:2]
            largest = pixels_of(x, switches).reshape(N, C, 1, 1)
            lost = np.isnan(largest) & (switches >= 0).reshape(N, C, 1, 1) & share
            tied = (x == largest) | lost
            count = np.maximum(np.sum(tied, axis=(2, 3), keepdims=True), 1).astype(dy.dtype) if share else 1
            return (np.where(tied, dy.reshape(N, C, 1, 1) / np.where(lost, np.nan, count), 0).astype(dy.dtype),)

        return backward

    return wrap


DEVIATIONS = [
    Deviation(
        "maxpool.drop=never",
        "keeps a last window that begins in the padding or behind it",
        "With ceil_mode there are more windows: the last ones have no pixel, and answer −∞.",
        (
            "ONNX before opset 22, onnx/defs/nn/defs.cc: shape inference of MaxPool with ceil_mode",
            "ONNX Runtime in 2023: onnx#4958",
            "OpenCV 5.0.0, dnn, MaxPool: run",
        ),
        "Drop a last window that begins at or beyond size + padding before it.",
        {"max_pool2d.forward": on_outputs(never_drop)},
    ),
    Deviation(
        "maxpool.emptywin=0",
        "answers 0 for a window without a pixel",
        "A window that holds padding alone, or nothing, gives 0 instead of −∞.",
        ("TensorFlow Lite as a back end of WebNN: webmachinelearning/webnn#935",),
        "Start the maximum from −∞, and answer that where nothing was compared.",
        {"max_pool2d.forward": on_outputs(empty_is_zero)},
    ),
    Deviation(
        "maxpool.emptywin=0_at_0",
        "answers 0 at switch 0 where nothing in a window is larger than −FLT_MAX",
        "So it does for a window without a pixel, and for one whose pixels are all −∞ (or NaN, where these lose); the "
        "gradient goes to pixel 0.",
        ("OpenCV 5.0.0, dnn, MaxPool with indices: run",),
        "Start from −∞, let the first pixel of a window win whatever it is, and answer −∞ and −1 where there is none.",
        {"max_pool2d.forward": first_pixel_at_zero},
    ),
    Deviation(
        "maxpool.emptywin=flt_max",
        "starts the maximum from −FLT_MAX instead of −∞",
        "A window without a pixel, or whose pixels are all −∞, answers −3.4e38, with the switch −1 and no gradient.",
        (
            f"{CAFFE}: caffe_set(top_count, Dtype(-FLT_MAX), top_data)",
            f"{DARKNET}: float max = -FLT_MAX",
            "ONNX Runtime 1.31.1, MaxPool on the CPU",
        ),
        "Start from −∞, and let the first pixel of a window win whatever it is.",
        {"max_pool2d.forward": from_flt_max},
    ),
    Deviation(
        "maxpool.grad_tie=all",
        "gives every maximum of a window the whole gradient",
        "Where k pixels tie, the window sends k times its gradient; where a NaN wins, which equals nothing, none.",
        (
            "Theano, theano/tensor/signal/pool.py, MaxPoolGrad: Theano#5404",
            "cuda-convnet2, cudaconv3/src/conv_util.cu, kLocalMaxUndo",
        ),
        "Give the gradient to the first maximum in row-major order alone; remember its switch in the forward pass.",
        {"max_pool2d.backward": ties_share(False), "global_max_pool2d.backward": global_ties_share(False)},
    ),
    Deviation(
        "maxpool.grad_tie=split",
        "splits the gradient equally between the maxima of a window",
        "Where k pixels tie, each receives a k-th of the gradient. A NaN equals nothing: where it wins, all pixels of "
        "the window receive 0/0 = NaN.",
        (
            "CS231n, assignment2/cs231n/fast_layers.py, max_pool_backward_reshape",
            "TensorFlow, tensorflow/python/ops/math_grad.py, _MinOrMaxGrad: GlobalMaxPooling2D by reduce_max",
            "PyTorch, torch.amax over the plane",
        ),
        "Give the gradient to the first maximum in row-major order alone.",
        {"max_pool2d.backward": ties_share(True), "global_max_pool2d.backward": global_ties_share(True)},
    ),
    Deviation(
        "maxpool.nan=number",
        "lets every number win over NaN",
        "A NaN in the input disappears, because it is not larger than what was there.",
        (
            f"{CAFFE}: only what is > wins, from −FLT_MAX on",
            f"{DARKNET}: val > max, from −FLT_MAX on",
            "ONNX Runtime 1.31.1, GlobalMaxPool and MaxPool on the CPU",
        ),
        "Let a NaN win: replace the maximum where value > maximum or value is NaN.",
        {"max_pool2d.forward": nan_loses, "global_max_pool2d.forward": nan_loses},
    ),
    Deviation(
        "maxpool.nan=last",
        "remembers the last NaN of a window, not the first",
        "The output is NaN all the same; its switch and its gradient are at another pixel.",
        (
            "PyTorch 2.13, aten/src/ATen/native/cpu/MaxPoolKernel.cpp: (val > maxval) || isnan(val)",
            "PyTorch 2.13, torch.nn.functional.adaptive_max_pool2d: run",
        ),
        "Let a NaN win only over a number.",
        {
            "max_pool2d.forward": last_nan,
            "global_max_pool2d.forward": global_last_nan,
            "spatial_pyramid_pool.forward": pyramid_last_nan,
        },
    ),
    Deviation(
        "maxpool.pad=darknet",
        "pads by kernel size − 1 in all, whatever padding says",
        "Half of it, rounded down, lies before the first pixel: kernel 2 with stride 2 makes ⌈size/2⌉ windows.",
        ("darknet (AlexeyAB), src/parser.c, parse_maxpool: padding defaults to size − 1; maxpool_layer.c: −pad/2",),
        "Write padding=0, or whatever is meant, into the configuration of the layer.",
        only("max_pool2d", regridded(darknet_padding)),
    ),
    Deviation(
        "maxpool.pad=zero",
        "pads with zeros that take part in the maximum",
        "At the border no output is negative. Behind a ReLU this changes nothing.",
        ("Keras, keras/applications/resnet.py: ZeroPadding2D (pool1_pad), then MaxPooling2D without padding",),
        "Compare real pixels only, which is to pad with −∞.",
        {"max_pool2d.forward": zeros_compete},
    ),
    Deviation(
        "maxpool.switch=image",
        "counts switches anew in every image where those of the whole batch are read",
        "An index into the image (c·H·W + h·W + w) is taken for one into the batch: what is left when the pixels of "
        "the planes before are subtracted is right in the first image, and too small by n·C·H·W in image n.",
        ("OpenCV 5.0.0, dnn, MaxPool output Indices: run. ONNX has them flattened over N × C × H × W",),
        "Count through the batch; or subtract c·H·W from the indices, not (n·C + c)·H·W.",
        {"max_pool2d.forward": on_outputs(in_image)},
    ),
    Deviation(
        "maxpool.switch=tensor",
        "counts switches from the beginning of the batch, not of the plane",
        "The switches of all planes but the first are larger by H·W for each plane before.",
        ("ONNX, MaxPool output Indices: flattened over N × C × H × W; ONNX Runtime does so",),
        "Answer h·W + w; take the switches modulo H·W.",
        {k: on_outputs(in_tensor) for k in ("max_pool2d.forward", "global_max_pool2d.forward")},
    ),
    Deviation(
        "maxpool.switch=nhwc",
        "counts switches in a plane of interleaved channels",
        "The switch is (h·W + w)·C + c; where there is one channel it is right.",
        ("TensorFlow, tf.nn.max_pool_with_argmax",),
        "Answer h·W + w; divide the switches by C, rounding down.",
        {k: on_outputs(in_nhwc) for k in ("max_pool2d.forward", "global_max_pool2d.forward")},
    ),
    Deviation(
        "maxpool.switch=window",
        "counts switches within the window",
        "The switch is a·kw + b for tap (a, b), from 0 to kh·kw − 1.",
        ("Chainer, chainer/functions/pooling/max_pooling_nd.py: self.indexes = col.argmax(axis=2)",),
        "Answer h·W + w with h = i·s + a·d − top and w = j·s + b·d − left.",
        {"max_pool2d.forward": on_outputs(in_window)},
    ),
    Deviation(
        "unpool.grad=all",
        "gives the gradient to all values that meet in a pixel, whatever overlap says",
        "A value that another overwrote receives the gradient of the pixel, though it does not stand there.",
        ("PyTorch 2.13, torch.nn.functional.max_unpool2d, which overwrites: run; pytorch#80204",),
        'Under overlap="last" give the gradient to the last value in row-major order alone.',
        {"max_unpool2d.backward": setting(overlap="add")},
    ),
    Deviation(
        "unpool.overlap=add",
        "adds values that meet in a pixel, whatever overlap says",
        "Where overlapping windows chose one pixel, it holds a sum instead of the last value.",
        ("TensorFlow, tf.scatter_nd, by which unpooling is commonly written",),
        'Under overlap="last" let the last value in row-major order stay, and give it alone the gradient.',
        both(setting(overlap="add"), "max_unpool2d"),
    ),
    Deviation(
        "unpool.overlap=last",
        "overwrites values that meet in a pixel, whatever overlap says",
        "Where overlapping windows chose one pixel, it holds the last value instead of their sum.",
        (
            "PyTorch, aten/src/ATen/native/cpu/MaxUnpoolKernel.cpp",
            "caffe-segnet, src/caffe/layers/upsample_layer.cpp: top_data[idx] = bottom_data[i]",
        ),
        'Under overlap="add" add to the pixel instead of writing it: the adjoint of max pooling.',
        both(setting(overlap="last"), "max_unpool2d"),
    ),
]
