"""The backend `numba-cuda`: which kernels it replaces, and how arrays come to the device and back.

It is the table that the entry point names; it loads only where its kernels can run. A failure of the GPU inside one of
its functions is put into words there (`failures`).
"""

from collections.abc import Callable
from typing import Any

from refdet_numba.gpu import (
    anchors,
    avg_pool2d,
    box_iou,
    conv2d,
    conv_transpose2d,
    device,
    gather,
    gaussian_kernel,
    lattice_blur,
    lattice_embed,
    lattice_index,
    lattice_neighbourhood,
    lattice_slice,
    lattice_splat,
    max_pool2d,
    max_unpool2d,
    mean_field,
    nms,
    resize_bilinear,
    roi_align,
    roi_pool,
    soft_nms,
    spatial_pyramid_pool,
    truncated_gaussian,
)
from refdet_numba.gpu.failures import explained

device.refuse_without_device()

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "anchor_grid": anchors.anchor_grid,
    "array.synchronize": device.synchronize,
    "array.to_device": device.to_device,
    "array.to_host": device.to_host,
    "avg_pool2d.backward": avg_pool2d.backward,
    "avg_pool2d.forward": avg_pool2d.forward,
    "base_anchors": anchors.base_anchors,
    "box_iou": box_iou.box_iou,
    "class_nms": nms.class_nms,
    "conv2d.backward": conv2d.backward,
    "conv2d.forward": conv2d.forward,
    "conv_transpose2d.backward": conv_transpose2d.backward,
    "conv_transpose2d.forward": conv_transpose2d.forward,
    "gather.backward": gather.backward,
    "gather.forward": gather.forward,
    "gaussian_kernel.backward": gaussian_kernel.backward,
    "gaussian_kernel.forward": gaussian_kernel.forward,
    "lattice_blur.backward": lattice_blur.backward,
    "lattice_blur.forward": lattice_blur.forward,
    "lattice_embed.backward": lattice_embed.backward,
    "lattice_embed.forward": lattice_embed.forward,
    "lattice_index": lattice_index.lattice_index,
    "lattice_neighbourhood": lattice_neighbourhood.lattice_neighbourhood,
    "lattice_slice.backward": lattice_slice.backward,
    "lattice_slice.forward": lattice_slice.forward,
    "lattice_splat.backward": lattice_splat.backward,
    "lattice_splat.forward": lattice_splat.forward,
    "max_pool2d.backward": max_pool2d.backward,
    "max_pool2d.forward": max_pool2d.forward,
    "max_unpool2d.backward": max_unpool2d.backward,
    "max_unpool2d.forward": max_unpool2d.forward,
    "mean_field.backward": mean_field.backward,
    "mean_field.forward": mean_field.forward,
    "nms": nms.nms,
    "nms_from_iou": nms.nms_from_iou,
    "resize_bilinear.backward": resize_bilinear.backward,
    "resize_bilinear.forward": resize_bilinear.forward,
    "roi_align.backward": roi_align.backward,
    "roi_align.forward": roi_align.forward,
    "roi_pool.backward": roi_pool.backward,
    "roi_pool.forward": roi_pool.forward,
    "soft_nms": soft_nms.soft_nms,
    "spatial_pyramid_pool.backward": spatial_pyramid_pool.backward,
    "spatial_pyramid_pool.forward": spatial_pyramid_pool.forward,
    "truncated_gaussian.backward": truncated_gaussian.backward,
    "truncated_gaussian.forward": truncated_gaussian.forward,
}
KERNELS = {kernel: explained(kernel, function) for kernel, function in _FUNCTIONS.items()}
