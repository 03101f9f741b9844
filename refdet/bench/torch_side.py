"""PyTorch as a contestant, on the CPU or on a GPU.

Inputs become contiguous tensors in the layout given (NCHW), on the device, before the call; gradients are off; a
gradient is computed by calling the backward function itself, so that no graph is built inside the timed call. On a GPU
arithmetic is float32 throughout (TF32 is off), cuDNN may choose its algorithm by trying (`benchmark`), which happens
while warming up, and a call ends when the device has finished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.bench.detectors import BINS, FORWARD, STRIDE
from refdet.bench.sides import Runnable, Unsupported
from refdet.bench.workloads import Inputs, Workload

Tensors = Mapping[str, Any]
Params = Mapping[str, Any]


class Device:
    """Where torch computes, "cpu" or "cuda", and how it is set up there."""

    def __init__(self, threads: int, name: str) -> None:
        import torch

        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        self.name = name
        self.versions = {"torch": str(torch.__version__)}
        if name == "cpu":
            backend = f"{_parallel_backend(torch)}, {torch.get_num_threads()} threads"
            self.versions["torch parallel backend"] = backend
            return
        if not torch.cuda.is_available():
            built = torch.version.cuda
            why = "finds no GPU" if built else "is built without CUDA"
            raise RuntimeError(f"torch {torch.__version__} {why}; --device cuda needs one that has both")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = True
        self.versions |= {
            "CUDA": str(torch.version.cuda),
            "cuDNN": str(torch.backends.cudnn.version()),
            "GPU": str(torch.cuda.get_device_name()),
        }

    def tensors(self, inputs: Inputs) -> Tensors:
        """Return the arrays as contiguous tensors on the device."""
        import torch

        return {
            name: None if array is None else torch.from_numpy(np.ascontiguousarray(array)).to(self.name)
            for name, array in inputs.items()
        }

    def finished(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """Return the call such that it ends when the device has finished."""
        if self.name == "cpu":
            return call
        import torch

        synchronize = torch.cuda.synchronize

        def finished() -> Any:
            result = call()
            synchronize()
            return result

        return finished


class TorchSide:
    traces_memory = False

    def __init__(self, threads: int, device: str = "cpu") -> None:
        self._device = Device(threads, device)
        self.versions = self._device.versions

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        if workload.kernel not in KERNELS:
            raise Unsupported(f"refdet.bench knows no call of torch for {workload.kernel}")
        call = KERNELS[workload.kernel](self._device.tensors(inputs), workload.params)
        return Runnable(
            self._device.finished(call), lambda result: [t.cpu().numpy() for t in _as_tuple(result) if t is not None]
        )


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


def _faster_rcnn(tensors: Tensors, params: Params) -> Callable[[], Any]:
    import torch
    from torch.nn.functional import adaptive_max_pool2d, conv2d, linear, max_pool2d, relu

    def layer(name: str) -> tuple[Any, Any]:
        return tensors[f"{name}.weight"], tensors[f"{name}.bias"]

    prefix = "backbone.features."
    places = sorted({int(name.split(".")[2]) for name in tensors if name.startswith(prefix)})
    image, corners = tensors["image"], (tensors["proposals"] / STRIDE).int().tolist()

    def call() -> Any:
        x, before = image, 0
        for i in places:
            if i - before == 3:  # a convolution, its ReLU, and a pooling
                x = max_pool2d(x, 2)
            x, before = relu(conv2d(x, *layer(f"{prefix}{i}"), padding=1)), i
        t = relu(conv2d(x, *layer("rpn.head.conv.0.0"), padding=1))
        objectness, transforms = (conv2d(t, *layer(f"rpn.head.{name}")) for name in ("cls_logits", "bbox_pred"))
        k = objectness.shape[1] // 2
        of_anchors = (objectness[:, k:] - objectness[:, :k]).permute(0, 2, 3, 1).reshape(1, -1)
        crops = [adaptive_max_pool2d(x[:, :, y1 : y2 + 1, x1 : x2 + 1], BINS) for x1, y1, x2, y2 in corners]
        hidden = torch.cat(crops).flatten(1)
        for name in ("fc6", "fc7"):
            hidden = relu(linear(hidden, *layer(f"roi_heads.box_head.{name}")))
        logits, deltas = (linear(hidden, *layer(f"roi_heads.box_predictor.{n}")) for n in ("cls_score", "bbox_pred"))
        return of_anchors, transforms.permute(0, 2, 3, 1).reshape(1, -1, 4), logits, deltas

    return call


KERNELS: Mapping[str, Callable[[Tensors, Params], Callable[[], Any]]] = {
    "conv2d.forward": _conv2d_forward,
    "conv2d.backward": _conv2d_backward,
    FORWARD: _faster_rcnn,
}
