"""torchvision's C++ as a contestant: cropping by regions, suppression, and overlaps of boxes.

Gradients are computed by calling the backward function itself, as `torch_side` does. Imports NumPy, torch and
torchvision alone, so that it also runs in an interpreter that has no more (`--python torchvision=EXE`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.bench.sides import Runnable, Unsupported
from refdet.bench.torch_side import Device, Params, Tensors
from refdet.bench.workloads import Inputs, Workload
from refdet.core.check import Array


class TorchvisionSide:
    traces_memory = False

    def __init__(self, threads: int, device: str = "cpu") -> None:
        import torchvision  # whose operators this registers with torch

        self._device = Device(threads, device)
        self.versions = {"torchvision": str(torchvision.__version__), **self._device.versions}

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        if workload.kernel not in KERNELS:
            raise Unsupported(f"refdet.bench knows no call of torchvision for {workload.kernel}")
        call = KERNELS[workload.kernel](self._device.tensors(inputs), workload.params)
        return Runnable(self._device.finished(call), _outputs)


def _outputs(result: Any) -> list[Array]:
    """Return NumPy arrays; torchvision's switches are int32, refdet's int64."""
    results = result if isinstance(result, tuple | list) else (result,)
    arrays = [tensor.cpu().numpy() for tensor in results]
    return [array.astype(np.int64) if array.dtype.kind == "i" else array for array in arrays]


def _only(params: Params, **options: Any) -> None:
    for name, value in options.items():
        if params[name] != value:
            raise Unsupported(f"torchvision has {name}={value!r} alone, the workload has {params[name]!r}")


def _roi_align_options(params: Params) -> tuple[Any, ...]:
    _only(params, border="kernel", reduction="mean")
    return params["scale"], *params["output_size"]


def _roi_align_forward(tensors: Tensors, params: Params) -> Callable[[], Any]:
    import torch

    forward, (x, rois) = torch.ops.torchvision.roi_align, (tensors["x"], tensors["rois"])
    options = (*_roi_align_options(params), params["sampling_ratio"], params["aligned"])
    return lambda: forward(x, rois, *options)


def _roi_align_backward(tensors: Tensors, params: Params) -> Callable[[], Any]:
    import torch

    backward = torch.ops.torchvision._roi_align_backward
    x, rois, dy = tensors["x"], tensors["rois"], tensors["dy"]
    options = (*_roi_align_options(params), *x.shape, params["sampling_ratio"], params["aligned"])
    return lambda: backward(dy, rois, *options)


def _roi_pool_forward(tensors: Tensors, params: Params) -> Callable[[], Any]:
    import torch

    _only(params, convention="float32-bins")
    forward, (x, rois) = torch.ops.torchvision.roi_pool, (tensors["x"], tensors["rois"])
    options = (params["scale"], *params["output_size"])
    return lambda: forward(x, rois, *options)


def _roi_pool_backward(tensors: Tensors, params: Params) -> Callable[[], Any]:
    import torch

    _, switches = _roi_pool_forward(tensors, params)()
    backward = torch.ops.torchvision._roi_pool_backward
    x, rois, dy = tensors["x"], tensors["rois"], tensors["dy"]
    options = (params["scale"], *params["output_size"], *x.shape)
    return lambda: backward(dy, rois, switches, *options)


def _nms(tensors: Tensors, params: Params) -> Callable[[], Any]:
    import torch

    _only(params, offset=0)
    nms, boxes, scores = torch.ops.torchvision.nms, tensors["boxes"], tensors["scores"]
    return lambda: nms(boxes, scores, params["threshold"])


def _box_iou(tensors: Tensors, params: Params) -> Callable[[], Any]:
    import torchvision

    _only(params, offset=0)
    if tensors["crowd"] is not None:
        raise Unsupported("torchvision has no crowd regions")
    box_iou, boxes, others = torchvision.ops.box_iou, tensors["boxes"], tensors["others"]
    return lambda: box_iou(boxes, others)


KERNELS: Mapping[str, Callable[[Tensors, Params], Callable[[], Any]]] = {
    "box_iou": _box_iou,
    "nms": _nms,
    "roi_align.backward": _roi_align_backward,
    "roi_align.forward": _roi_align_forward,
    "roi_pool.backward": _roi_pool_backward,
    "roi_pool.forward": _roi_pool_forward,
}
