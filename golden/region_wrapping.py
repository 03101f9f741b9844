"""Deviations that move regions before they are sampled, wrapped around both passes alike.

Regions are moved in float64, in image coordinates, where half a pixel of the map is ½/scale.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.deviation import Body

Params = dict[str, Any]
Change = Callable[[Array, Params], tuple[Array, Params]]  # regions and parameters: as asked → as answered
Kernels = dict[str, Callable[[Body], Body]]


class Crop(functools.partial[Any]):
    """A body that crops."""


def forward_of_changed(change: Change, *, of_crops: bool = False) -> Callable[[Body], Body]:
    """Run the forward pass on what the change makes of regions and parameters; `of_crops`: also where it crops."""

    def wrap(body: Body) -> Body:
        if isinstance(body, Crop) and not of_crops:
            return body

        def forward(x: Array, rois: Array, **params: Any) -> Any:
            moved, changed = change(rois.astype(np.float64), params)
            y, residual = body(x, moved, **changed)
            return y, residual and residual._replace(rois=rois)

        return forward

    return wrap


def backward_of_changed(change: Change, *, of_crops: bool = False) -> Callable[[Body], Body]:
    """Run the backward pass likewise."""

    def wrap(body: Body) -> Body:
        if isinstance(body, Crop) and not of_crops:
            return body

        def backward(residual: Any, dy: Array, *, needs: tuple[bool, ...], **params: Any) -> Any:
            moved, changed = change(residual.rois.astype(np.float64), params)
            return body(residual._replace(rois=moved), dy, needs=needs, **changed)

        return backward

    return wrap


def rows_first(rois: Array, params: Params) -> tuple[Array, Params]:
    """Read (image, x1, y1, x2, y2) as (image, y1, x1, y2, x2)."""
    return rois[:, [0, 2, 1, 4, 3]], params


def where_asked(name: str, asked: Any, done: Any) -> Change:
    """Do something else where a parameter asks for one thing."""
    return lambda rois, params: (rois, {**params, name: done} if params[name] == asked else params)


def slices_between(bounds: Any, start: int, extent: int, n_bins: int, size: int) -> list[slice]:
    """Return what of `size` pixels lies in each bin, from first to last of `bounds(p, start, extent, n_bins)`."""
    first, stop = bounds(np.arange(n_bins), start, extent, n_bins)
    pairs = zip(np.clip(first, 0, size).tolist(), np.clip(stop, 0, size).tolist(), strict=True)
    return [slice(a, b) for a, b in pairs]
