"""PyTorch: layers, losses and array functions, with the gradients of its autograd.

Left out are the parameters that torch has no word for: padding of one side only, Caffe's window counts, bicubic with
another a than −¾. Where its documentation leaves open what it does (equal scores in `topk`), it is asked all the same.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from refdet.verify.adapters import Adapter
from refdet.verify.adapters.table import import_library, need, no_argument, only, same_ends, scale_of, table_adapter
from refdet.verify.adapters.torch_arrays import CALLS as ARRAY_CALLS
from refdet.verify.adapters.torch_tensors import REFUSALS, Call, Tensors, answering
from refdet.verify.question import Question, Skipped

ADVICE = "install it with: pip install torch"


def load(argument: str) -> Adapter:
    """Return the adapter of the installed torch, on the CPU and one thread."""
    no_argument("torch", argument)
    torch = import_library("torch", ADVICE)
    torch.set_num_threads(1)
    calls = {**ARRAY_CALLS, **CALLS}
    return table_adapter("torch", {"torch": str(torch.__version__)}, answering(torch, torch, calls), REFUSALS)


def _conv2d(torch: Any, t: Tensors, q: Question) -> Any:
    p = q.params
    padding = same_ends("torch", p["padding"])
    function = torch.nn.functional.conv2d
    return function(t["x"], t["weight"], t["bias"], p["stride"], padding, p["dilation"], p["groups"])


def _conv_transpose2d(torch: Any, t: Tensors, q: Question) -> Any:
    p = q.params
    options = {name: p[name] for name in ("stride", "output_padding", "groups", "dilation")}
    padding = same_ends("torch", p["padding"])
    return torch.nn.functional.conv_transpose2d(t["x"], t["weight"], t["bias"], padding=padding, **options)


def _max_pool2d(torch: Any, t: Tensors, q: Question) -> Any:
    p = q.params
    only("torch", q, convention="torch")
    options = {name: p[name] for name in ("kernel_size", "stride", "dilation", "ceil_mode")}
    padding = same_ends("torch", p["padding"])
    y, switches = torch.nn.functional.max_pool2d(t["x"], padding=padding, return_indices=True, **options)
    return {"y": y, "switches": switches}


def _avg_pool2d(torch: Any, t: Tensors, q: Question) -> Any:
    p = q.params
    only("torch", q, convention="torch")
    options = {name: p[name] for name in ("kernel_size", "stride", "ceil_mode", "count_include_pad")}
    return torch.nn.functional.avg_pool2d(t["x"], padding=same_ends("torch", p["padding"]), **options)


def _global_avg_pool2d(torch: Any, t: Tensors, q: Question) -> Any:
    y = torch.nn.functional.adaptive_avg_pool2d(t["x"], 1)
    return y if q.params["keepdims"] else y[:, :, 0, 0]


def _global_max_pool2d(torch: Any, t: Tensors, q: Question) -> Any:
    y, switches = torch.nn.functional.adaptive_max_pool2d(t["x"], 1, return_indices=True)
    if not q.params["keepdims"]:
        y, switches = y[:, :, 0, 0], switches[:, :, 0, 0]
    return {"y": y, "switches": switches}


def _spatial_pyramid_pool(torch: Any, t: Tensors, q: Question) -> Any:
    pool = torch.nn.functional.adaptive_max_pool2d
    levels = [pool(t["x"], k, return_indices=True) for k in q.params["levels"]]
    y, switches = (torch.cat([torch.flatten(level[i], 1) for level in levels], 1) for i in (0, 1))
    return {"y": y, "switches": switches}


def _max_unpool2d(torch: Any, t: Tensors, q: Question) -> Any:
    """At stride 1 the kernel has this size for the output to have the size asked for; torch uses neither otherwise."""
    size, x = q.params["output_size"], t["x"]
    kernel_size = [out - n + 1 for out, n in zip(size, x.shape[2:], strict=True)]
    with _one_thread(torch):
        return torch.nn.functional.max_unpool2d(x, t["switches"], kernel_size, 1, output_size=size)


@contextlib.contextmanager
def _one_thread(torch: Any) -> Iterator[None]:
    """Give torch one thread: of values that meet in a pixel several threads keep now the one, now the other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _linear(torch: Any, t: Tensors, q: Question) -> Any:
    return torch.nn.functional.linear(t["x"], t["weight"], t["bias"])


def _batch_norm(torch: Any, t: Tensors, q: Question) -> Any:
    p = q.params
    only("torch", q, convention="torch")
    mean, var = (None if r is None else r.clone() for r in (t["running_mean"], t["running_var"]))
    y = torch.nn.functional.batch_norm(
        t["x"], mean, var, t["weight"], t["bias"], p["training"], momentum=p["momentum"], eps=p["eps"]
    )
    return {"y": y, "new_running_mean": mean, "new_running_var": var}


def _local_response_norm(torch: Any, t: Tensors, q: Question) -> Any:
    """Torch divides alpha by the size: the paper's α is α·size there, and its even window one channel wider."""
    p, size, alpha = q.params, q.params["size"], q.params["alpha"]
    if p["convention"] == "paper":
        size += 1 - size % 2
        alpha *= size
    elif size % 2 == 0:
        only("torch", q, convention="torch")
    return torch.nn.functional.local_response_norm(t["x"], size, alpha, p["beta"], p["k"])


def _l2_normalize(torch: Any, t: Tensors, q: Question) -> Any:
    only("torch", q, convention="clamp")
    y = torch.nn.functional.normalize(t["x"], dim=1, eps=q.params["eps"])
    return y if t["scale"] is None else y * t["scale"].reshape(-1, *[1] * (y.ndim - 2))


def _dropout(torch: Any, t: Tensors, q: Question) -> Any:
    only("torch", q, convention="inverted")
    need(not q.params["training"], "torch draws the units that it drops itself")
    return torch.nn.functional.dropout(t["x"], q.params["p"], training=False)


def _softmax(torch: Any, t: Tensors, q: Question) -> Any:
    return torch.softmax(t["x"], q.params["axis"])


def _log_softmax(torch: Any, t: Tensors, q: Question) -> Any:
    return torch.log_softmax(t["x"], q.params["axis"])


def _softmax_cross_entropy(torch: Any, t: Tensors, q: Question) -> Any:
    only("torch", q, normalize=["weight", "sum", "none"])
    ignored = q.params["ignore_label"]
    return torch.nn.functional.cross_entropy(
        t["logits"],
        t["labels"],
        t["weight"],
        reduction="mean" if q.params["normalize"] == "weight" else q.params["normalize"],
        **({} if ignored is None else {"ignore_index": ignored}),
    )


def _binary_cross_entropy(torch: Any, t: Tensors, q: Question) -> Any:
    function = torch.nn.functional.binary_cross_entropy_with_logits
    return function(t["logits"], t["targets"], t["weight"], reduction=q.params["reduction"])


def _regression_loss(name: str, *options: str) -> Call:
    def call(torch: Any, t: Tensors, q: Question) -> Any:
        function = getattr(torch.nn.functional, name)
        chosen = {option: q.params[option] for option in options}
        return function(t["x"], t["target"], reduction=q.params["reduction"], **chosen)

    return call


def _hinge(torch: Any, t: Tensors, q: Question) -> Any:
    """max(0, −y (s − 0) + margin): the ranking of the scores against 0."""
    only("torch", q, power=1)
    zeros = torch.zeros_like(t["scores"])
    function = torch.nn.functional.margin_ranking_loss
    return function(t["scores"], zeros, t["signs"], margin=q.params["margin"], reduction=q.params["reduction"])


def _interpolate(torch: Any, t: Tensors, q: Question, mode: str, *, align_corners: bool | None = None) -> Any:
    scale, function = scale_of(q), torch.nn.functional.interpolate
    if scale is None:
        return function(t["x"], size=q.params["size"], mode=mode, align_corners=align_corners)
    reached = tuple(math.floor(n * s) for n, s in zip(t["x"].shape[2:], scale, strict=True))
    need(reached == q.params["size"], f"torch has no size beside the scale; this one leads to {reached}")
    return function(t["x"], scale_factor=scale, mode=mode, align_corners=align_corners)


def _resize_nearest(torch: Any, t: Tensors, q: Question) -> Any:
    modes = {("asymmetric", "floor"): "nearest", ("half_pixel", "round_prefer_ceil"): "nearest-exact"}
    choice = q.params["coordinates"], q.params["rounding"]
    if choice not in modes:
        raise Skipped(f"torch has no nearest with coordinates and rounding {choice}")
    return _interpolate(torch, t, q, modes[choice])


def _resize_bilinear(torch: Any, t: Tensors, q: Question) -> Any:
    only("torch", q, coordinates=["half_pixel", "align_corners"])
    return _interpolate(torch, t, q, "bilinear", align_corners=q.params["coordinates"] == "align_corners")


def _resize_bicubic(torch: Any, t: Tensors, q: Question) -> Any:
    only("torch", q, coordinates=["half_pixel", "align_corners"], a=-0.75)
    return _interpolate(torch, t, q, "bicubic", align_corners=q.params["coordinates"] == "align_corners")


def _top_k(torch: Any, t: Tensors, q: Question) -> Any:
    return torch.topk(t["scores"], min(q.params["k"], len(t["scores"]))).indices


CALLS: dict[str, Call] = {
    "avg_pool2d": _avg_pool2d,
    "batch_norm": _batch_norm,
    "binary_cross_entropy_with_logits": _binary_cross_entropy,
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "dropout": _dropout,
    "global_avg_pool2d": _global_avg_pool2d,
    "global_max_pool2d": _global_max_pool2d,
    "hinge": _hinge,
    "l1": _regression_loss("l1_loss"),
    "l2_normalize": _l2_normalize,
    "linear": _linear,
    "local_response_norm": _local_response_norm,
    "log_softmax": _log_softmax,
    "max_pool2d": _max_pool2d,
    "max_unpool2d": _max_unpool2d,
    "resize_bicubic": _resize_bicubic,
    "resize_bilinear": _resize_bilinear,
    "resize_nearest": _resize_nearest,
    "smooth_l1": _regression_loss("smooth_l1_loss", "beta"),
    "softmax": _softmax,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "spatial_pyramid_pool": _spatial_pyramid_pool,
    "squared_error": _regression_loss("mse_loss"),
    "top_k": _top_k,
}
