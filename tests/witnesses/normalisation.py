"""Batch normalisation, local response normalisation, division by the Euclidean length, and dropout: sums by definition.

Gradients are written for a general divisor, so that one text serves for every way to make it:
y_i = s·x̂_i with x̂_i = d_i / n(q), d_i = x_i − μ, q a sum of squares; dn/dq is a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.question import Question, Skipped
from tests.witnesses._witness import Witness

Divisor = Callable[[float], tuple[float, float]]  # from a variance or a sum of squares to n and dn/dq


def over(numerator: float, denominator: float) -> float:
    """Divide as IEEE 754 does."""
    return float(np.float64(numerator) / np.float64(denominator))


def batch_norm(
    question: Question,
    *,
    divisor: Callable[[float, float], tuple[float, float]] = lambda v, e: (math.sqrt(v + e), 0.5 / math.sqrt(v + e)),
    least_eps: float = 0.0,
    always_batch: bool = False,
    unbiased: bool = False,
    other_share: bool = False,
    running: str = "",
) -> dict[str, Any]:
    """Normalise every channel.

    `divisor`: (v, eps) to n and dn/dv. `always_batch`: at inference too. `unbiased`: what normalises in training.
    `other_share`: what momentum is. `running`: "biased" or "unbiased", what the estimates remember.
    """
    x, weight, bias, old_mean, old_var = question.arguments.values()
    assert x is not None
    params, dy = question.params, question.incoming_gradient
    eps = max(params["eps"], least_eps)
    share = params["momentum"] if params["convention"] == "torch" else 1 - params["momentum"]  # of the new
    share = 1 - share if other_share else share
    running = running or ("unbiased" if params["convention"] == "torch" else "biased")
    answers: dict[str, Any] = {"y": np.zeros(x.shape)}
    if old_mean is not None and old_var is not None:
        answers |= {"new_running_mean": old_mean.astype(float), "new_running_var": old_var.astype(float)}
    if dy is not None:
        answers["dx"] = np.zeros(x.shape)
        answers |= {} if weight is None else {"dweight": np.zeros(len(weight))}
        answers |= {} if bias is None else {"dbias": np.zeros(len(bias))}
    for c in range(x.shape[1]):
        values = x[:, c].astype(float)
        m = values.size
        gamma = 1.0 if weight is None else float(weight[c])
        mean = math.fsum(values.flat) / m
        squares = math.fsum((v - mean) ** 2 for v in values.flat)
        by_batch = params["training"] or always_batch
        if by_batch:
            used_mean, d = mean, m - 1 if unbiased and params["training"] else m
            used_var = over(squares, d)
        else:
            assert old_mean is not None
            assert old_var is not None
            used_mean, used_var, d = float(old_mean[c]), float(old_var[c]), m
        n, slope = divisor(used_var, eps)
        centred = values - used_mean
        answers["y"][:, c] = gamma * centred / n + (0.0 if bias is None else float(bias[c]))
        if params["training"] and "new_running_mean" in answers:
            remembered = over(squares, m - 1 if running == "unbiased" else m)
            for name, new in (("new_running_mean", mean), ("new_running_var", remembered)):
                answers[name][c] = (1 - share) * answers[name][c] + share * new
        if dy is not None:
            g = dy[:, c].astype(float)
            dx = gamma * g / n
            if by_batch:
                dvar = -gamma * slope * float((g * centred).sum()) / n**2
                dx = dx - dx.mean() + dvar * 2 * centred / (d or math.nan)
            answers["dx"][:, c] = dx
            if weight is not None:
                answers["dweight"][c] = (g * centred).sum() / n
            if bias is not None:
                answers["dbias"][c] = g.sum()
    return answers


def beside_the_root(variance: float, eps: float) -> tuple[float, float]:
    """Return √v + ε, and its derivative, 0 where v is."""
    root = math.sqrt(variance)
    return root + eps, 0.5 / root if root else 0.0


def response_norm(question: Question, *, alpha: str = "", k: float | None = None, window: str = "") -> dict[str, Any]:
    """Divide by a power of the energy around, in the channels or, where there is no convention, in the plane.

    `alpha`: "divided" or "undivided" always; `k`: always this; `window`: "before" and "after" are where an even one
    has one more, "radius" is 2n + 1.
    """
    x, dy, params = question.arguments["x"], question.incoming_gradient, question.params
    assert x is not None
    size, beta = params["size"], params["beta"]
    convention = params.get("convention", "caffe")
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    if convention == "paper":
        before = after = size // 2
    elif convention == "torch":
        before, after = after, before
    if window == "radius":
        before = after = size
    elif window == "before" and convention != "paper":
        before, after = max(before, after), min(before, after)
    elif window == "after" and convention != "paper":
        before, after = min(before, after), max(before, after)
    across = "convention" in params
    divided = alpha == "divided" if alpha else convention != "paper"
    scale = params["alpha"] / ((size if across else size**2) if divided else 1)
    offset = params["k"] if k is None else k

    def around(index: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        n, c, *place = index
        if across:
            channels = range(max(c - before, 0), min(c + after + 1, x.shape[1]))
            yield from ((n, j, *place) for j in channels)
        else:
            ranges = (range(max(p - before, 0), min(p + after + 1, s)) for p, s in zip(place, x.shape[2:], strict=True))
            yield from ((n, c, *place_there) for place_there in product(*ranges))

    y, dx = np.zeros(x.shape), np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        neighbours = list(around(index))
        energy = offset + scale * math.fsum(float(x[j]) ** 2 for j in neighbours)
        y[index] = float(x[index]) * energy**-beta
        if dy is not None:
            dx[index] += float(dy[index]) * energy**-beta
            for j in neighbours:
                dx[j] -= (
                    float(dy[index] * np.float64(x[index])) * beta * energy ** (-beta - 1) * scale * 2 * float(x[j])
                )
    return {"y": y} if dy is None else {"y": y, "dx": dx}


def length(convention: str, eps: float, at_equality: float) -> Divisor:
    """Return n(q) and dn/dq for q the sum of squares; dn/dq is 0 at 0, and `at_equality` times itself at a clamp."""

    def inside(q: float) -> tuple[float, float]:
        return math.sqrt(q + eps), 0.5 / math.sqrt(q + eps)

    def outside(q: float) -> tuple[float, float]:
        return math.sqrt(q) + eps, 0.5 / math.sqrt(q) if q else 0.0

    def clamp(q: float) -> tuple[float, float]:
        root = math.sqrt(q)
        moves = at_equality if root == eps else float(root > eps)
        return max(root, eps), moves * 0.5 / root if root else 0.0

    def square(q: float) -> tuple[float, float]:
        return math.sqrt(max(q, eps)), 0.5 / math.sqrt(q) if q > eps else 0.0

    return {"inside": inside, "outside": outside, "clamp": clamp, "square": square}[convention]


def l2_normalize(
    question: Question, *, convention: str = "", at_equality: float = 0.0, whole_image: bool = False
) -> dict[str, Any]:
    """Divide by the length; `convention`: always this; `whole_image`: of all channels and positions."""
    x, scale = question.arguments.values()
    dy, params = question.incoming_gradient, question.params
    assert x is not None
    divisor = length(convention or params["convention"], params["eps"], at_equality)
    factor = np.ones(x.shape[1]) if scale is None else scale.astype(float)
    places = list(np.ndindex(*x.shape[2:]))
    y, dx, dscale = np.zeros(x.shape), np.zeros(x.shape), np.zeros(x.shape[1])
    for n in range(x.shape[0]):
        for vector in [places] if whole_image else [[place] for place in places]:
            members = [(n, c, *place) for c in range(x.shape[1]) for place in vector]
            q = math.fsum(float(x[i]) ** 2 for i in members)
            size, slope = divisor(q)
            for i in members:
                y[i] = factor[i[1]] * float(x[i]) / size
            if dy is None:
                continue
            dsize = -math.fsum(float(dy[i]) * factor[i[1]] * float(x[i]) for i in members) / size**2
            for i in members:
                dx[i] = float(dy[i]) * factor[i[1]] / size + dsize * slope * 2 * float(x[i])
                dscale[i[1]] += float(dy[i]) * float(x[i]) / size
    answers: dict[str, Any] = {"y": y}
    answers |= {} if dy is None else {"dx": dx}
    return answers if scale is None or dy is None else {**answers, "dscale": dscale}


def torch_normalize(question: Question) -> dict[str, Any]:
    """Run torch's `normalize` and its gradient."""
    import torch

    x, scale = question.arguments.values()
    if question.params["convention"] != "clamp":
        raise Skipped("torch clamps the length")
    assert x is not None
    leaf = torch.tensor(x, requires_grad=True)
    y = torch.nn.functional.normalize(leaf, p=2, dim=1, eps=question.params["eps"])
    if scale is not None:
        y = y * torch.tensor(scale).reshape(1, -1, *[1] * (x.ndim - 2))
    answers: dict[str, Array] = {"y": y.detach().numpy()}
    if question.incoming_gradient is not None:
        y.backward(torch.tensor(question.incoming_gradient))
        assert leaf.grad is not None
        answers["dx"] = leaf.grad.numpy()
    return answers


def dropout(question: Question, *, convention: str = "", keep_probability: bool = False) -> dict[str, Any]:
    """Remove units; `convention`: always this; `keep_probability`: p is that of keeping."""
    x, keep = question.arguments.values()
    dy, params = question.incoming_gradient, question.params
    assert x is not None
    kept = params["p"] if keep_probability else 1 - params["p"]
    inverted = (convention or params["convention"]) == "inverted"
    while_training = over(1.0, kept) if inverted else 1.0
    factor = while_training if params["training"] else 1.0 if inverted else kept

    def drop(values: Array) -> Array:
        if not params["training"]:
            return values.astype(float) * factor
        assert keep is not None
        return np.where(keep & (kept > 0), values.astype(float) * (factor if kept > 0 else 0.0), 0.0)

    return {"y": drop(x)} if dy is None else {"y": drop(x), "dx": drop(dy)}


CONFORMING = [
    ("batch_norm", batch_norm),
    ("local_response_norm", response_norm),
    ("local_response_norm_within_channel", response_norm),
    ("l2_normalize", l2_normalize),
    ("dropout", dropout),
]

BATCH_NORM: dict[str, tuple[str, dict[str, Any]]] = {
    "bn.eps=at_least_1.001e-5": (
        "TensorFlow, tensorflow/python/ops/nn_impl.py, fused_batch_norm: min_epsilon",
        {"least_eps": 1.001e-5},
    ),
    "bn.eps=outside": ("darknet, src/blas.c, normalize_cpu: sqrt(variance) + eps", {"divisor": beside_the_root}),
    "bn.frozen=batch": ("Keras 2, BatchNormalization: trainable=False keeps training", {"always_batch": True}),
    "bn.momentum=complement": ("Keras against PyTorch: the share of the old, of the new", {"other_share": True}),
    "bn.running_var=biased": ("Keras, batch_normalization.py: moments' variance", {"running": "biased"}),
    "bn.running_var=unbiased": ("PyTorch, BatchNorm2d: var_sum / (n - 1)", {"running": "unbiased"}),
    "bn.var=unbiased": ("darknet, src/blas.c, variance_cpu: 1./(batch * spatial - 1)", {"unbiased": True}),
}
LRN: dict[str, tuple[str, dict[str, Any]]] = {
    "lrn.alpha=divided": ("Caffe, src/caffe/layers/lrn_layer.cpp: alpha_ / size_", {"alpha": "divided"}),
    "lrn.alpha=undivided": ("TensorFlow, LRN: bias + alpha * sqr_sum", {"alpha": "undivided"}),
    "lrn.even=after": ("ONNX, LRN: from c - floor((n - 1) / 2) to c + ceil((n - 1) / 2)", {"window": "after"}),
    "lrn.even=before": ("PyTorch, local_response_norm: pads size // 2 before", {"window": "before"}),
    "lrn.k=1": ("Caffe, src/caffe/layers/lrn_layer.cpp: 1 + alpha / n * sum", {"k": 1.0}),
    "lrn.window=radius": ("TensorFlow, LRN: depth_radius channels on each side", {"window": "radius"}),
}
L2: dict[str, tuple[str, dict[str, Any]]] = {
    "l2.axes=image": ("SSD's Caffe, normalize_layer.cpp: across_spatial", {"whole_image": True}),
    "l2.clamp_grad=pass": ("PyTorch, clamp_min: grad * (self >= min)", {"at_equality": 1.0}),
    "l2.eps=clamp": ("PyTorch, normalize: norm.clamp_min(eps)", {"convention": "clamp"}),
    "l2.eps=inside": ("SSD's Caffe, normalize_layer.cpp: sum of squares + eps", {"convention": "inside"}),
    "l2.eps=outside": ("ssd.pytorch, layers/modules/l2norm.py: sqrt() + eps", {"convention": "outside"}),
    "l2.eps=square": ("TensorFlow, l2_normalize: rsqrt(max(square_sum, epsilon))", {"convention": "square"}),
}
DROPOUT: dict[str, tuple[str, dict[str, Any]]] = {
    "dropout.p=keep": ("TensorFlow 1, tf.nn.dropout: keep_prob", {"keep_probability": True}),
    "dropout.scale=inference": ("Krizhevsky et al. (2012), section 4.2", {"convention": "original"}),
    "dropout.scale=training": ("Caffe, src/caffe/layers/dropout_layer.cpp: scale_", {"convention": "inverted"}),
}
WITHIN = ("lrn.alpha=undivided", "lrn.k=1")

WITNESSES = [
    *(Witness(key, "batch_norm", about, partial(batch_norm, **how)) for key, (about, how) in BATCH_NORM.items()),
    *(Witness(key, "local_response_norm", about, partial(response_norm, **how)) for key, (about, how) in LRN.items()),
    *(
        Witness(key, "local_response_norm_within_channel", LRN[key][0], partial(response_norm, **LRN[key][1]))
        for key in WITHIN
    ),
    *(Witness(key, "l2_normalize", about, partial(l2_normalize, **how)) for key, (about, how) in L2.items()),
    Witness("l2.clamp_grad=pass", "l2_normalize", "torch.nn.functional.normalize", torch_normalize),
    *(Witness(key, "dropout", about, partial(dropout, **how)) for key, (about, how) in DROPOUT.items()),
]
