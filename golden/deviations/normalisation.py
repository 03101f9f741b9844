"""How local response and L2 normalisation, and dropout, differ: scale and place of windows, the place of ε, factors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.op_wrapping import Params, both, changing
from golden.wrapping import Wrap, setting
from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation

# local response normalisation


class Widened(int):
    """The size of a window that is wider than asked: α is divided by the size that was asked."""

    asked: int


def size_asked(params: Params) -> int:
    """Return n, whatever became of the window."""
    size: int = params["size"]
    return size.asked if isinstance(size, Widened) else size


def undivided(params: Params) -> Params:
    """Multiply α by n where the convention divides by it."""
    return {} if params["convention"] == "paper" else {"alpha": params["alpha"] * size_asked(params)}


def divided(params: Params) -> Params:
    """Divide α by n where the convention does not."""
    return {"alpha": params["alpha"] / size_asked(params)} if params["convention"] == "paper" else {}


def size_is_radius(params: Params) -> Params:
    """Take 2n + 1 channels, and divide α by n all the same."""
    n = params["size"]
    size = Widened(2 * n + 1)
    size.asked = n
    return {"size": size, "alpha": params["alpha"] * (1 if params["convention"] == "paper" else size / n)}


def even_as(convention: str) -> Wrap:
    """Return a wrapper that places a window of even size as one convention does."""
    return changing(
        lambda params: {"convention": convention} if params["convention"] in ("torch", "onnx") else {},
    )


# L2 normalisation


def one_position(x: Array) -> Array:
    """Make all channels and positions of an image one vector: (N, C, ...) -> (N, C·P)."""
    return np.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


def repeated(scale: Array | None, x: Array) -> Array | None:
    """Repeat the scale of each channel for its positions."""
    return None if scale is None else np.repeat(scale, math.prod(x.shape[2:]))


def image_forward(body: Body) -> Body:
    """Divide an image by the length of all its numbers."""

    def forward(x: Array, scale: Array | None, **params: Any) -> Any:
        y, residual = body(one_position(x), repeated(scale, x), **params)
        return np.reshape(y, x.shape), residual and type(residual)(x, scale)

    return forward


def image_backward(body: Body) -> Body:
    """Return the gradient of that."""

    def backward(residual: Any, dy: Array, **params: Any) -> Any:
        x, scale = residual
        dx, dscale = body(type(residual)(one_position(x), repeated(scale, x)), one_position(dy), **params)
        if dscale is not None:
            dscale = np.sum(np.reshape(dscale, (x.shape[1], math.prod(x.shape[2:]))), axis=1)
        return None if dx is None else np.reshape(dx, x.shape), dscale

    return backward


def pass_at_equality(body: Body) -> Body:
    """Let the gradient of ‖x‖ pass where ‖x‖ = ε, by the next smaller ε."""

    def backward(residual: Any, dy: Array, *, eps: float, **params: Any) -> Any:
        less = float(np.nextafter(residual.x.dtype.type(eps), residual.x.dtype.type(0)))
        return body(residual, dy, eps=less if params["convention"] == "clamp" else eps, **params)

    return backward


LRN = "local_response_norm"
TF_LRN = "TensorFlow, tf.nn.local_response_normalization"
SSD_CAFFE = "weiliu89/caffe (SSD), src/caffe/layers/normalize_layer.cpp"

DEVIATIONS = [
    Deviation(
        "lrn.alpha=divided",
        "divides α by the size of the window under convention paper too",
        "The normalisation is weaker: α = 1e-4 with n = 5 acts like 2e-5.",
        (
            "Caffe, src/caffe/layers/lrn_layer.cpp: alpha_over_size; caffe#1453",
            "PyTorch, torch.nn.functional.local_response_norm",
        ),
        "Multiply Σ x² by α, not α/n; or give α·n.",
        both(changing(divided), LRN),
    ),
    Deviation(
        "lrn.alpha=undivided",
        "does not divide α by the size of the window",
        "The normalisation is stronger, n times (n² within a channel).",
        (TF_LRN, "cuda-convnet, whose layers of type rnorm follow the paper"),
        "Multiply Σ x² by α/n (α/n² within a channel); or give α/n.",
        {
            **both(changing(undivided), LRN),
            **both(changing(lambda p: {"alpha": p["alpha"] * p["size"] ** 2}), f"{LRN}_within_channel"),
        },
    ),
    Deviation(
        "lrn.even=after",
        "places a window of even size with one more channel after its own",
        "With an even size, and the convention of torch, every window lies one channel too far on.",
        ("ONNX, LRN: ⌊(n − 1)/2⌋ before, ⌈(n − 1)/2⌉ after",),
        "Under convention torch let the window begin ⌊n/2⌋ channels before its own.",
        both(even_as("onnx"), LRN),
    ),
    Deviation(
        "lrn.even=before",
        "places a window of even size with one more channel before its own",
        "With an even size, and the convention of ONNX, every window lies one channel too far back.",
        ("PyTorch, torch.nn.functional.local_response_norm: pads size // 2 before",),
        "Under convention onnx let the window begin ⌊(n − 1)/2⌋ channels before its own.",
        both(even_as("torch"), LRN),
    ),
    Deviation(
        "lrn.k=1",
        "takes k = 1, whatever k is",
        "Outputs are too large where k is larger, as in AlexNet, where it is 2.",
        ("Caffe, src/caffe/layers/lrn_layer.cpp: within a channel, and between channels before k was added",),
        "Add k to the scaled sum of squares.",
        both(setting(k=1.0), LRN, f"{LRN}_within_channel"),
    ),
    Deviation(
        "lrn.window=radius",
        "takes the size of the window for its half-width",
        "The window holds 2n + 1 channels, n on each side; α is divided by n, where it is, as before.",
        (f"{TF_LRN}: depth_radius; tensorflow/models#1536",),
        "Let the window hold n channels: depth_radius = (n − 1)/2.",
        both(changing(size_is_radius), LRN),
    ),
    Deviation(
        "l2.axes=image",
        "divides by the length of the whole image, not of the channels at each position",
        "All positions of an image are divided by one number.",
        (f"{SSD_CAFFE}: across_spatial, true by default",),
        "Sum the squares over the channels alone; in that layer set across_spatial: false.",
        {"l2_normalize.forward": image_forward, "l2_normalize.backward": image_backward},
    ),
    Deviation(
        "l2.clamp_grad=pass",
        "lets the gradient of the length pass where it equals ε",
        "Under convention clamp, at a vector of length ε exactly, the gradient along the vector is 0.",
        ("PyTorch 2.13, torch.nn.functional.normalize: clamp_min passes the gradient where norm ≥ ε",),
        "Treat the divisor as a constant where the length is ≤ ε.",
        {"l2_normalize.backward": pass_at_equality},
    ),
    Deviation(
        "l2.eps=clamp",
        "divides by max(‖x‖, ε), whatever the convention",
        "ε has no effect on vectors that are longer; shorter ones differ.",
        ("PyTorch, torch.nn.functional.normalize",),
        "Put ε where the convention says: √(Σ x² + ε) for inside, ‖x‖ + ε for outside.",
        both(setting(convention="clamp"), "l2_normalize"),
    ),
    Deviation(
        "l2.eps=inside",
        "divides by √(Σ x² + ε), whatever the convention",
        "Every vector comes out shorter than by a clamp, and a small ε counts as √ε.",
        (SSD_CAFFE,),
        "Put ε where the convention says: max(‖x‖, ε) for clamp, ‖x‖ + ε for outside.",
        both(setting(convention="inside"), "l2_normalize"),
    ),
    Deviation(
        "l2.eps=outside",
        "divides by ‖x‖ + ε, whatever the convention",
        "Every vector comes out shorter than by a clamp.",
        ("ssd.pytorch (amdegroot), layers/modules/l2norm.py: sqrt() + self.eps",),
        "Put ε where the convention says: max(‖x‖, ε) for clamp, √(Σ x² + ε) for inside.",
        both(setting(convention="outside"), "l2_normalize"),
    ),
    Deviation(
        "l2.eps=square",
        "divides by √max(Σ x², ε)",
        "ε bounds the square of the length: vectors shorter than √ε differ.",
        ("TensorFlow, tf.math.l2_normalize, and Keras ports of SSD by K.l2_normalize",),
        "Put ε where the convention says: max(‖x‖, ε) for clamp, √(Σ x² + ε) for inside, ‖x‖ + ε for outside.",
        both(changing(lambda p: {"convention": "clamp", "eps": math.sqrt(p["eps"])}), "l2_normalize"),
    ),
    Deviation(
        "dropout.p=keep",
        "takes p for the probability of keeping",
        "What is kept is divided by p instead of 1 − p; at p = ½ it is the same.",
        ("TensorFlow 1, tf.nn.dropout: keep_prob",),
        "Divide by 1 − p; or give 1 − p.",
        both(changing(lambda p: {"p": 1 - p["p"]}), "dropout"),
    ),
    Deviation(
        "dropout.scale=inference",
        "scales by 1 − p at inference, whatever the convention",
        "Under the inverted convention training lacks the factor 1/(1 − p), and inference has a factor 1 − p.",
        ("Krizhevsky, Sutskever & Hinton (2012), section 4.2",),
        "Under convention inverted divide by 1 − p while training, and do nothing at inference.",
        both(setting(convention="original"), "dropout"),
    ),
    Deviation(
        "dropout.scale=training",
        "scales by 1/(1 − p) while training, whatever the convention",
        "Under the original convention training has a factor 1/(1 − p) too many, and inference lacks 1 − p.",
        ("Caffe, src/caffe/layers/dropout_layer.cpp: scale_", "PyTorch, torch.nn.functional.dropout"),
        "Under convention original keep what is kept as it is while training, and multiply by 1 − p at inference.",
        both(setting(convention="inverted"), "dropout"),
    ),
]
