"""The backend `numba-cuda`: which kernels it replaces, and how arrays come to the device and back.

It is the table that the entry point names; it loads only where its kernels can run.
"""

from collections.abc import Callable
from typing import Any

from refdet_numba.gpu import box_iou, conv2d, conv_transpose2d, device, max_pool2d, nms

device.refuse_without_device()

KERNELS: dict[str, Callable[..., Any]] = {
    "array.synchronize": device.synchronize,
    "array.to_device": device.to_device,
    "array.to_host": device.to_host,
    "box_iou": box_iou.box_iou,
    "class_nms": nms.class_nms,
    "conv2d.backward": conv2d.backward,
    "conv2d.forward": conv2d.forward,
    "conv_transpose2d.backward": conv_transpose2d.backward,
    "conv_transpose2d.forward": conv_transpose2d.forward,
    "max_pool2d.backward": max_pool2d.backward,
    "max_pool2d.forward": max_pool2d.forward,
    "nms": nms.nms,
    "nms_from_iou": nms.nms_from_iou,
}
