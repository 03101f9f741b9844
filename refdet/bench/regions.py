"""Cropping by regions to time: RoIAlign and RoIPool, forward and backward.

The setting of Fast and Faster R-CNN (Girshick 2015; Ren et al. 2015) and Mask R-CNN (He et al. 2017): one picture of
1088 × 800 pixels, its map of 256 channels at a sixteenth, 50 × 68, and 1000 proposals, each cropped to 7 × 7 bins.
RoIAlign takes 2 × 2 points a bin, as Mask R-CNN does, or about one a pixel (adaptive).

Proposals are drawn as those of an RPN: most of them lie in heaps, around one of 20 objects, moved and scaled at random;
one in four lies anywhere. Corners are multiples of 1/16 pixel, so that float32 holds every corner, and its place on the
map, exactly. RoIPool finds its bins in float32, the convention of the libraries (`refdet.ops.roi_pool`).

Work is counted by the definition: for a point of RoIAlign four pixels times their weights, added up, 8 operations, and
for RoIPool a comparison for each pixel of a bin. Forwards, the map is read once and the crops are written; backwards,
the crops are read and the map is written.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refdet.bench.workloads import Group, Inputs, Target, Work, Workload, n_bytes
from refdet.core.check import Array

CHANNELS, MAP_SIZE, STRIDE, N_ROIS, BINS = 256, (50, 68), 16, 1000, 7
N_OBJECTS = 20
GRID = 16  # positions per pixel
LEAST_SIDE = 16.0
TOLERANCE = 2e-5  # libraries compute weights in float32

POOL_PARAMS: dict[str, Any] = {
    "output_size": (BINS, BINS),
    "scale": 1 / STRIDE,
    "convention": "float32-bins",
}


def align_params(sampling_ratio: int) -> dict[str, Any]:
    """Return the parameters of RoIAlign as Mask R-CNN has them."""
    return {
        "output_size": (BINS, BINS),
        "scale": 1 / STRIDE,
        "sampling_ratio": sampling_ratio,
        "aligned": True,
        "border": "kernel",
        "reduction": "mean",
    }


def draw_rois(rng: np.random.Generator, *, n_rois: int = N_ROIS, size: tuple[int, int] | None = None) -> Array:
    """Draw proposals (R, 5) float32, rows (0, x1, y1, x2, y2), in a picture of `size` (height, width)."""
    H, W = size or (MAP_SIZE[0] * STRIDE, MAP_SIZE[1] * STRIDE)
    extent = np.array([W, H])
    centres, sides = _boxes(rng, N_OBJECTS, extent)
    which = rng.integers(0, N_OBJECTS, n_rois)
    near = centres[which] + 0.15 * sides[which] * rng.standard_normal((n_rois, 2))
    scaled = sides[which] * np.exp(0.25 * rng.standard_normal((n_rois, 2)))
    anywhere = rng.random((n_rois, 1)) < 0.25
    far, any_sides = _boxes(rng, n_rois, extent)
    centre, side = np.where(anywhere, far, near), np.where(anywhere, any_sides, scaled)
    side = np.clip(side, LEAST_SIDE, extent)
    low = np.clip(centre - side / 2, 0, extent - side)
    corners = np.rint(GRID * np.concatenate([low, low + side], axis=1)) / GRID
    return np.concatenate([np.zeros((n_rois, 1)), corners], axis=1).astype(np.float32)


def _boxes(rng: np.random.Generator, n: int, extent: Array) -> tuple[Array, Array]:
    """Draw centres anywhere, and sides of all sizes and of aspect ratios around 1, both (n, 2)."""
    scale = np.exp(rng.normal(math.log(120), 0.8, (n, 1)))
    return rng.random((n, 2)) * extent, scale * np.exp(rng.normal(0, 0.35, (n, 2)))


def draw_forward(rng: np.random.Generator, *, channels: int = CHANNELS, n_rois: int = N_ROIS) -> Inputs:
    """Draw x and rois."""
    x = rng.standard_normal((1, channels, *MAP_SIZE), dtype=np.float32)
    return {"x": x, "rois": draw_rois(rng, n_rois=n_rois)}


def draw_backward(rng: np.random.Generator, *, channels: int = CHANNELS, n_rois: int = N_ROIS) -> Inputs:
    """Draw x, rois and dy."""
    inputs = draw_forward(rng, channels=channels, n_rois=n_rois)
    return {**inputs, "dy": rng.standard_normal((n_rois, channels, BINS, BINS), dtype=np.float32)}


def _align_work(sampling_ratio: int) -> Any:
    def work(inputs: Inputs) -> Work:
        x, rois = _arrays(inputs)
        points = len(rois) * sampling_ratio**2
        if not sampling_ratio:
            points = int(np.ceil(_sides_on_map(rois) / BINS).prod(axis=1).sum())
        return Work(8 * x.shape[1] * BINS**2 * points, _bytes(x, rois, of_switches=0))

    return work


def _pool_forward_work(inputs: Inputs) -> Work:
    """Count pixels of bins: about, as corners are rounded to pixels, of which both belong to the region."""
    x, rois = _arrays(inputs)
    pixels = (
        np.maximum(np.floor(_sides_on_map(rois)) + 1, BINS).prod(axis=1).sum()
    )  # with fewer pixels, bins share them
    return Work(int(x.shape[1] * pixels), _bytes(x, rois, of_switches=8))


def _pool_backward_work(inputs: Inputs) -> Work:
    x, rois = _arrays(inputs)
    return Work(len(rois) * x.shape[1] * BINS**2, _bytes(x, rois, of_switches=8))


def _arrays(inputs: Inputs) -> tuple[Array, Array]:
    """Return x and rois, which are always there."""
    return np.asarray(inputs["x"]), np.asarray(inputs["rois"])


def _sides_on_map(rois: Array) -> Array:
    sides: Array = (rois[:, 3:] - rois[:, 1:3]).astype(np.float64) / STRIDE
    return sides


def _bytes(x: Array, rois: Array, *, of_switches: int) -> int:
    """Return the bytes of map, regions and crops; a switch, where there are any, has `of_switches` bytes."""
    crops: int = len(rois) * x.shape[1] * BINS**2
    return n_bytes(x, rois) + crops * (4 + of_switches)


def _workloads() -> tuple[Workload, ...]:
    found = []
    for name, op, what, params, forward_work, backward_work in (
        ("align", "roi_align", "RoIAlign, 2 × 2 points a bin", align_params(2), _align_work(2), _align_work(2)),
        ("adaptive", "roi_align", "RoIAlign, adaptive", align_params(0), _align_work(0), _align_work(0)),
        ("pool", "roi_pool", "RoIPool", POOL_PARAMS, _pool_forward_work, _pool_backward_work),
    ):
        for direction, draw, given, work in (
            ("forward", draw_forward, params, forward_work),
            ("backward", draw_backward, {**params, "needs": (True, False)}, backward_work),
        ):
            kernel = f"{op}.{direction}"
            found.append(Workload(f"roi/{name}-{direction}", what, kernel, draw, given, TOLERANCE, work=work))
    return tuple(found)


ROI = Group(
    "roi",
    "RoIAlign and RoIPool, 1000 regions of a map of 256 × 50 × 68, 7 × 7 bins, float32",
    _workloads(),
    (Target("numba-cpu", "torchvision", each=0.5), Target("numba-cuda", "torchvision", each=1.0)),
)
