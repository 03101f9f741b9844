"""The hot paths, each with who is compared with whom: what `refdet bench all` runs, and the table that it fills.

The limits are targets of the groups.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HotPath:
    """A comparison that `refdet bench all` makes."""

    title: str
    group: str
    side: str
    against: str
    device: str = "cpu"


HOT_PATHS = (
    HotPath("3×3 convolutions of VGG-16", "conv-vgg16", "numba-cpu", "torch"),
    HotPath("other convolutions", "conv-other", "numba-cpu", "torch"),
    HotPath("gradients of convolutions", "conv-backward", "numba-cpu", "torch"),
    HotPath("RoIAlign and RoIPool, forward and backward", "roi", "numba-cpu", "torchvision"),
    HotPath("non-maximum suppression", "nms", "numba-cpu", "torchvision"),
    HotPath("overlaps of boxes", "iou", "numba-cpu", "torchvision"),
    HotPath("Selective Search and EdgeBoxes", "proposals", "numba-cpu", "reference"),
    HotPath("dense CRF", "crf", "numba-cpu", "pydensecrf"),
    HotPath("Faster R-CNN on VGG-16, 600 × 1000", "faster-vgg16", "numba-cpu", "torch"),
    HotPath("COCO's evaluation", "coco", "numba-cpu", "faster-coco-eval"),
    HotPath("COCO's evaluation", "coco", "numba-cpu", "pycocotools"),
    HotPath("3×3 convolutions of VGG-16 by the NumPy reference", "conv-vgg16", "reference", "torch"),
    HotPath("other convolutions by the NumPy reference", "conv-other", "reference", "torch"),
    HotPath("3×3 convolutions of VGG-16 on a GPU", "conv-vgg16", "numba-cuda", "torch", "cuda"),
    HotPath("other convolutions on a GPU", "conv-other", "numba-cuda", "torch", "cuda"),
    HotPath("gradients of convolutions on a GPU", "conv-backward", "numba-cuda", "torch", "cuda"),
    HotPath("RoIAlign and RoIPool on a GPU", "roi", "numba-cuda", "torchvision", "cuda"),
    HotPath("non-maximum suppression on a GPU", "nms", "numba-cuda", "torchvision", "cuda"),
    HotPath("overlaps of boxes on a GPU", "iou", "numba-cuda", "torchvision", "cuda"),
    HotPath("dense CRF on a GPU, against a CPU", "crf", "numba-cuda", "pydensecrf", "cuda"),
)


def hot_paths(device: str) -> list[HotPath]:
    """Return those of a device, "cpu" or "cuda"."""
    return [path for path in HOT_PATHS if path.device == device]


def find_hot_path(group: str, side: str, against: str) -> HotPath | None:
    """Return the hot path that a comparison is, if it is one."""
    return next((p for p in HOT_PATHS if (p.group, p.side, p.against) == (group, side, against)), None)
