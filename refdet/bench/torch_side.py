"""PyTorch on the CPU as a contestant.

Inputs become contiguous tensors in the layout given (NCHW) before the call; gradients are off; a gradient is computed
by calling the backward function itself, so that no graph is built inside the timed call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.bench.sides import Runnable, Unsupported
from refdet.bench.workloads import Inputs, Workload

Tensors = Mapping[str, Any]
Params = Mapping[str, Any]


class TorchSide:
    traces_memory = False

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.versions = {"torch": torch.__version__, "torch parallel backend": _parallel_backend(torch)}

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        import torch

        if workload.kernel not in KERNELS:
            raise Unsupported(f"refdet.bench knows no call of torch for {workload.kernel}")
        tensors = {
            name: None if array is None else torch.from_numpy(np.ascontiguousarray(array))
            for name, array in inputs.items()
        }
        call = KERNELS[workload.kernel](tensors, workload.params)
        return Runnable(call, lambda result: [t.numpy() for t in _as_tuple(result) if t is not None])


def _as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple | list) else (result,)


def _parallel_backend(torch: Any) -> str:
    """Read "OpenMP" out of torch's own description."""
    lines: list[str] = torch.__config__.parallel_info().splitlines()
    return next((line.partition(": ")[2] for line in lines if "parallel backend" in line), "unknown")


def _symmetric(padding: Any) -> list[int]:
    """Return (vertical, horizontal) padding; torch pads both ends alike."""
    if any(before != after for before, after in padding):
        raise Unsupported(f"torch's convolution pads both ends alike, the workload has {padding}")
    return [before for before, _ in padding]


def _conv2d_forward(tensors: Tensors, params: Params) -> Callable[[], Any]:
    from torch.nn.functional import conv2d

    x, weight, bias = tensors["x"], tensors["weight"], tensors["bias"]
    padding = _symmetric(params["padding"])
    stride, dilation, groups = params["stride"], params["dilation"], params["groups"]
    return lambda: conv2d(x, weight, bias, stride, padding, dilation, groups)


def _conv2d_backward(tensors: Tensors, params: Params) -> Callable[[], Any]:
    import torch

    x, weight, bias, dy = (tensors[name] for name in ("x", "weight", "bias", "dy"))
    bias_sizes = None if bias is None else list(bias.shape)
    padding, needs = _symmetric(params["padding"]), list(params["needs"])
    stride, dilation, groups = list(params["stride"]), list(params["dilation"]), params["groups"]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(dy, x, weight, bias_sizes, stride, padding, dilation, False, [0, 0], groups, needs)


KERNELS: Mapping[str, Callable[[Tensors, Params], Callable[[], Any]]] = {
    "conv2d.forward": _conv2d_forward,
    "conv2d.backward": _conv2d_backward,
}
