"""How losses of single elements differ: what a mean divides by, factors, derivatives at kinks, logarithms of 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.op_wrapping import Params, both, changing, pairs
from golden.wrapping import Wrap, setting
from refdet.core.check import Array
from refdet.ops.binary_cross_entropy import BinaryCrossEntropyResidual
from refdet.ops.loss_reduction import gradient_of_losses, reduce_losses
from refdet.verify.deviation import Body, Deviation

BCE = "binary_cross_entropy_with_logits"
ELEMENTWISE = ("l1", "smooth_l1", "squared_error", "hinge", BCE)

Factor = Callable[[Params], float]

# 1e-7 and 1 − 1e-7 as float32 has them; 1 minus the latter is 2⁻²³
LEAST_P, LARGEST_P = float(np.float32(1e-7)), float(np.float32(1) - np.float32(1e-7))


def times(forward: Factor, backward: Factor, *algorithms: str) -> dict[str, Wrap]:
    """Wrap losses by a factor on the loss and one on its gradient, which depend on the parameters."""

    def wrap_forward(body: Body) -> Body:
        def scaled(*arrays: Any, **params: Any) -> Any:
            loss, residual = body(*arrays, **params)
            return loss * np.asarray(forward(params), loss.dtype), residual

        return scaled

    def wrap_backward(body: Body) -> Body:
        def scaled(residual: Any, dy: Array, **params: Any) -> Any:
            return body(residual, dy * np.asarray(backward(params), dy.dtype), **params)

        return scaled

    return pairs(wrap_forward, wrap_backward, *algorithms)


def mean_over(count: Callable[[Any], int], *algorithms: str) -> dict[str, Wrap]:
    """Wrap losses so that "mean" is the sum over `count(arrays)`."""

    def wrap_forward(body: Body) -> Body:
        def forward(*arrays: Any, reduction: str, **params: Any) -> Any:
            if reduction != "mean" or not count(arrays):  # the mean of nothing is the body's
                return body(*arrays, reduction=reduction, **params)
            loss, residual = body(*arrays, reduction="sum", **params)
            return loss / loss.dtype.type(count(arrays)), residual

        return forward

    def wrap_backward(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, reduction: str, **params: Any) -> Any:
            if reduction != "mean":
                return body(residual, dy, reduction=reduction, **params)
            return body(residual, dy / dy.dtype.type(count(residual)), reduction="sum", **params)

        return backward

    return pairs(wrap_forward, wrap_backward, *algorithms)


def nonzero_weights(arrays: Any) -> int:
    """Return the number of weights other than 0, of all elements where there are none."""
    weight = arrays[2]
    return max(int(np.count_nonzero(np.ones(arrays[0].shape) if weight is None else weight)), 1)


def empty_mean_is_zero(body: Body) -> Body:
    """Answer 0 for the mean of nothing."""

    def forward(x: Array, *arrays: Any, reduction: str, **params: Any) -> Any:
        return body(x, *arrays, reduction="sum" if x.size == 0 and reduction == "mean" else reduction, **params)

    return forward


def sigma(params: Params) -> Params:
    """Read β as σ, with β = 1/σ², ∞ for 0."""
    return {"beta": 1 / params["beta"] ** 2 if params["beta"] else np.inf}


def l1_slope_at_zero(body: Body) -> Body:
    """Let the derivative of |x − t| by x at 0 be 1."""

    def backward(residual: Any, dy: Array, *, needs: Any, reduction: str, **params: Any) -> Any:
        x, target = residual.x, residual.target
        if params.get("beta", 0) == 0:  # else the loss has a derivative there
            equal = x == target
            x, target = np.where(equal, np.ones_like(x), x), np.where(equal, np.zeros_like(x), target)
        return body(residual._replace(x=x, target=target), dy, needs=needs, reduction=reduction, **params)

    return backward


def hinge_slope_at_kink(slope: float) -> Wrap:
    """Return a wrapper with another share of the gradient where y·s = m."""

    def wrap(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, needs: Any, margin: float, power: int, reduction: str) -> Any:
            (ds, _) = body(residual, dy, needs=needs, margin=margin, power=power, reduction=reduction)
            scores, signs = residual
            at_kink = -signs * slope * gradient_of_losses(dy, scores, reduction)
            return np.where((signs * scores == margin) & (power == 1), at_kink, ds), None

        return backward

    return wrap


# binary cross-entropy by way of probabilities


def by_probability(form: str) -> dict[str, Wrap]:
    """Wrap binary cross-entropy: −t·log p − (1 − t)·log(1 − p) with p = σ(x), in one of three forms."""

    def losses_and_slopes(x: Array, t: Array) -> tuple[Array, Array, Array]:
        """Return the loss, and its derivatives by x and t."""
        with np.errstate(all="ignore"):
            p = 1 / (1 + np.exp(-x))
            slope = p - t
            if form == "clip":
                clipped = np.clip(p, LEAST_P, LARGEST_P).astype(x.dtype)
                slope = np.where(clipped == p, slope, np.zeros_like(slope))
                p = clipped
            log_p, log_not_p = np.log(p), np.log(1 - p)
            by_target = log_not_p - log_p
            if form == "clamp":
                log_p, log_not_p = np.maximum(log_p, -100), np.maximum(log_not_p, -100)
                # the derivative by p, with its denominator bounded below, times that of p
                slope = (p - t) / np.maximum(p * (1 - p), 1e-12).astype(x.dtype) * (p * (1 - p))
            return -t * log_p - (1 - t) * log_not_p, slope, by_target

    def forward(x: Array, t: Array, weight: Array | None, *, reduction: str, keep_residual: bool) -> Any:
        losses, _, _ = losses_and_slopes(x, t)
        residual = BinaryCrossEntropyResidual(x, t, weight) if keep_residual else None
        return reduce_losses(losses if weight is None else losses * weight, reduction), residual

    def backward(residual: BinaryCrossEntropyResidual, dy: Array, *, needs: Any, reduction: str) -> Any:
        x, t, weight = residual
        _, by_x, by_t = losses_and_slopes(x, t)
        g = gradient_of_losses(dy, x, reduction) * (1 if weight is None else weight)
        return g * by_x if needs[0] else None, g * by_t if needs[1] else None, None

    return {f"{BCE}.forward": lambda _: forward, f"{BCE}.backward": lambda _: backward}


DARKNET = "darknet, src/blas.c"

DEVIATIONS = [
    Deviation(
        "loss.empty=0",
        "answers 0 for the mean of nothing",
        "Where there is no element, the mean is 0 instead of NaN.",
        (
            "fvcore, fvcore/nn/smooth_l1_loss.py: loss.mean() if loss.numel() > 0 else 0.0 * loss.sum()",
            "TensorFlow 1, tf.losses: _safe_mean",
        ),
        "Divide by the number of elements, 0; or state that the mean of nothing is 0.",
        {f"{a}.forward": empty_mean_is_zero for a in ELEMENTWISE},
    ),
    Deviation(
        "loss.mean=batch",
        "divides a mean by the number of examples, not of elements",
        "The loss and its gradient are too large by the number of elements of an example.",
        (
            "Caffe, euclidean_loss_layer.cpp, hinge_loss_layer.cpp, sigmoid_cross_entropy_loss_layer.cpp: / num",
            "caffe-fast-rcnn, smooth_l1_loss_layer.cpp",
        ),
        "Divide by the number of elements.",
        mean_over(lambda arrays: len(arrays[0]), *ELEMENTWISE),
    ),
    Deviation(
        "loss.mean=nonzero",
        "divides a mean by the number of weights that are not 0",
        "Where weights of 0 leave elements out, the loss is larger. The mean of nothing, or of weights that are all "
        "0, is 0.",
        ("TensorFlow 1, tf.losses with its default Reduction.SUM_BY_NONZERO_WEIGHTS",),
        "Divide by the number of elements, whatever their weights.",
        mean_over(nonzero_weights, BCE),
    ),
    Deviation(
        "loss.mean=sum",
        "answers the sum for a mean",
        "The loss and its gradient are too large by the number of elements.",
        ("MatConvNet, matlab/vl_nnloss.m: y = sum(t(:))",),
        "Divide by the number of elements.",
        both(changing(lambda p: {"reduction": "sum"} if p["reduction"] == "mean" else {}), *ELEMENTWISE),
    ),
    Deviation(
        "l1.grad_zero=1",
        "gives |x − t| the derivative 1 at 0",
        "Where x = t, the gradient of x is dy instead of 0.",
        (f"{DARKNET}, l1_cpu: delta = diff > 0 ? 1 : -1, diff being t − x",),
        "Let the gradient be 0 where x = t.",
        {"l1.backward": l1_slope_at_zero, "smooth_l1.backward": l1_slope_at_zero},
    ),
    Deviation(
        "smoothl1.beta=1",
        "takes β = 1, whatever β is",
        "Losses are quadratic up to a distance of 1.",
        (f"{DARKNET}, smooth_l1_cpu", "PyTorch before 1.6, torch.nn.SmoothL1Loss; Fast R-CNN, eq. 3"),
        "Be quadratic where |d| < β, with d²/(2β).",
        both(setting(beta=1.0), "smooth_l1"),
    ),
    Deviation(
        "smoothl1.beta=sigma",
        "takes β for σ, where β = 1/σ²",
        "Losses are quadratic up to 1/β² instead of β; at β = 1 it is the same, and at β = 0 losses and gradients are "
        "0 (quadratic up to ∞).",
        (
            "caffe-fast-rcnn, src/caffe/layers/smooth_L1_loss_layer.cu: smooth_l1_loss_param.sigma",
            "MXNet, src/operator/mshadow_op.h, smooth_l1_loss: scalar is σ; py-faster-rcnn, train.prototxt: sigma: 3.0",
        ),
        "Give σ = 1/√β, or be quadratic where |d| < β.",
        both(changing(sigma), "smooth_l1"),
    ),
    Deviation(
        "huber.scale=beta",
        "multiplies smooth L1 by β",
        "This is Huber's loss: d²/2 below β, β·(|d| − β/2) above.",
        ("PyTorch, torch.nn.HuberLoss", "TensorFlow, tf.keras.losses.Huber"),
        "Divide by β.",
        times(lambda p: p["beta"], lambda p: p["beta"], "smooth_l1"),
    ),
    Deviation(
        "smoothl1.loss=doubled",
        "doubles the loss, but not its gradient",
        "Losses are d² and 2|d| − 1 with the gradient of half of that.",
        (f"{DARKNET}, smooth_l1_cpu: error = diff * diff, delta = diff",),
        "Halve the loss: d²/(2β), and |d| − β/2.",
        times(lambda p: 2.0, lambda p: 1.0, "smooth_l1"),
    ),
    Deviation(
        "squared.scale=half",
        "halves the loss and its gradient",
        "The loss is d²/2 and the gradient d.",
        ("Caffe, src/caffe/layers/euclidean_loss_layer.cpp: dot / num / 2",),
        "Multiply by 2.",
        times(lambda p: 0.5, lambda p: 0.5, "squared_error"),
    ),
    Deviation(
        "squared.scale=half_gradient",
        "answers d² with the gradient d",
        "The gradient is half of what the loss says.",
        (f"{DARKNET}, l2_cpu: error = diff * diff, delta = diff",),
        "Double the gradient: d(d²)/dd = 2d.",
        times(lambda p: 1.0, lambda p: 0.5, "squared_error"),
    ),
    Deviation(
        "hinge.kink=active",
        "passes the gradient where the margin is just met",
        "Where y·s = m the gradient is −y instead of 0.",
        (
            "Keras, keras/losses: maximum(1 - y_true * y_pred, 0) on TensorFlow, whose maximum gives ties to the first",
            "PyTorch 2.13, (m - y * s).clamp(min=0)",
        ),
        "Pass the gradient where y·s < m only.",
        {"hinge.backward": hinge_slope_at_kink(1.0)},
    ),
    Deviation(
        "hinge.kink=half",
        "passes half of the gradient where the margin is just met",
        "Where y·s = m the gradient is −y/2 instead of 0.",
        ("Optax, optax.hinge_loss: jnp.maximum(0, 1 - s * y), which splits ties",),
        "Pass the gradient where y·s < m only.",
        {"hinge.backward": hinge_slope_at_kink(0.5)},
    ),
    Deviation(
        "bce.log=clamp100",
        "takes the logarithm of σ(x), not below −100",
        "Losses end at 100, and the gradient of the logit vanishes where σ(x) rounds to 0 or 1. That of the target is "
        "log(1 − p) − log p without the limit, ±∞ there.",
        ("PyTorch, aten/src/ATen/native/Loss.cpp, binary_cross_entropy of a sigmoid",),
        "Compute max(x, 0) − x·t + log(1 + e^(−|x|)) from the logit: torch.nn.BCEWithLogitsLoss.",
        by_probability("clamp"),
    ),
    Deviation(
        "bce.log=clip1e-7",
        "clips σ(x) to [1e-7, 1 − 1e-7] before taking logarithms",
        "Losses end at 16, and the gradient of the logit is 0 where the probability is clipped; that of the target is "
        "log(1 − p) − log p of the clipped p.",
        ("Keras 3, keras/src/backend/torch/nn.py, binary_crossentropy with from_logits=False: clip by epsilon()",),
        "Compute max(x, 0) − x·t + log(1 + e^(−|x|)) from the logit: from_logits=True.",
        by_probability("clip"),
    ),
    Deviation(
        "bce.log=unclamped",
        "takes the logarithm of σ(x) as it is rounded",
        "Where σ(x) rounds to 0 or 1 losses are infinite or NaN.",
        (f"{DARKNET}, logistic_x_ent_cpu: -t*log(p) - (1-t)*log(1-p)",),
        "Compute max(x, 0) − x·t + log(1 + e^(−|x|)) from the logit.",
        by_probability("naive"),
    ),
]
