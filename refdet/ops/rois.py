"""Regions of interest: what every op that crops features with them asks of them.

`rois` is (R, 5), rows (n, x1, y1, x2, y2): the image of the batch, as a whole number, and a box in the coordinates of
that image. `scale` is the size of the feature map over that of the image: 1/16 for VGG16's conv5, 1/32 in deck 001.
A region is given, not learned: it receives no gradient. What only the values of `rois` tell is checked by the public
ops, not by the kernels: coordinates are finite and images exist.
"""

from __future__ import annotations

import numpy as np

from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_floating, check_rank, shape_of
from refdet.core.geometry import Pair

FURTHEST = 2**31  # pixels of the map; beyond, no kernel with 32-bit corners could follow


def check_roi_shapes(op: str, x: Array, rois: Array) -> None:
    """Refuse what is not a map (N, C, H, W) and regions (R, 5) of one dtype."""
    check_rank(op, "x", x, "N, C, H, W")
    _check_rows(op, rois)
    check_floating(op, x=x, rois=rois)


def _check_rows(op: str, rois: Array) -> None:
    check_rank(op, "rois", rois, "R, 5")
    check_floating(op, rois=rois)
    if rois.shape[1] != 5:
        raise ValueError(f"{op}: rois must have rows (image, x1, y1, x2, y2), so shape (R, 5), got {shape_of(rois)}")


def crop_shape(x: Array, rois: Array, output_size: Pair) -> tuple[int, ...]:
    """Return (R, C, PH, PW)."""
    return (shape_of(rois)[0], shape_of(x)[1], *output_size)


def checked_rois(op: str, rois: Tensor | Array, *, n_images: int, scale: float) -> Tensor:
    """Return the regions, cut off from any gradient; refuse, by row, coordinates and images that do not exist."""
    regions = as_tensor(op, "rois", rois).detach()
    _check_rows(op, regions.data)
    images, corners = regions.data[:, 0], regions.data[:, 1:].astype(np.float64)
    with np.errstate(over="ignore"):
        near = np.all(np.abs(corners * scale) < FURTHEST, axis=1)  # false for NaN too
    whole = images == np.floor(images)
    known = (images >= 0) & (images < n_images)
    if not np.all(near & whole & known).item():  # one answer to wait for, where the regions lie on a device
        _refuse_unless(op, regions.data, near, f"times scale {scale:g}, coordinates must be finite and less than 2³¹")
        _refuse_unless(op, regions.data, whole, "the first number, the image, must be whole")
        _refuse_unless(
            op, regions.data, known, f"the first number, the image, must be one of the {n_images} of x from 0"
        )
    return regions


def _refuse_unless(op: str, rois: Array, good: Array, what: str) -> None:
    """Raise an error that names the first row that is not `good`, if there is one."""
    if not np.all(good):
        r = int(np.argmin(good))
        raise ValueError(f"{op}: rois[{r}]: {what}, got {tuple(rois[r].tolist())}")
