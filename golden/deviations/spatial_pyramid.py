"""Deviations of spatial pyramid pooling, and of SPP-net's windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.region_wrapping import Kernels, slices_between
from refdet.core.check import Array
from refdet.ops.spatial_pyramid_pool import SpatialPyramidPoolResidual
from refdet.verify.deviation import Body, Deviation

LOWEST = float(np.finfo(np.float32).min)


def _from_zero(body: Body) -> Body:
    def forward(x: Array, **params: Any) -> Any:
        (y, switches), residual = body(x, **params)
        above = ~(y <= 0)
        y, switches = np.where(above, y, 0).astype(y.dtype), np.where(above, switches, -1)
        return (y, switches), residual and residual._replace(switches=switches)

    return forward


def _pyramid_between(bounds: Callable[[Array, int, int], tuple[Array, Array]], empty: float) -> Callable[[Body], Body]:
    """Pool every level in bins from first to last of `bounds(p, n_pixels, n_bins)`."""

    def wrap(body: Body) -> Body:
        def forward(x: Array, *, levels: tuple[int, ...], keep_residual: bool) -> Any:
            ys, where = [], []
            for k in levels:
                rows, columns = (
                    slices_between(lambda p, _, size, n: bounds(p, size, n), 0, size, k, size) for size in x.shape[2:]
                )
                y, switches = np.full((*x.shape[:2], k, k), empty, x.dtype), np.full((*x.shape[:2], k, k), -1)
                for p, q in np.ndindex(k, k):
                    pixels = x[:, :, rows[p], columns[q]]
                    h, w = pixels.shape[2:]
                    if h * w:
                        (y[:, :, p, q], place), _ = body(pixels, levels=(1,), keep_residual=False)
                        at = (rows[p].start + place // w) * x.shape[3] + columns[q].start + place % w
                        switches[:, :, p, q] = np.where(place < 0, -1, at)
                ys.append(y.reshape(len(x), x.shape[1] * k * k))
                where.append(switches.reshape(len(x), x.shape[1] * k * k))
            y, switches = np.concatenate(ys, axis=1), np.concatenate(where, axis=1)
            return (y, switches), SpatialPyramidPoolResidual(x, switches) if keep_residual else None

        return forward

    return wrap


def _padded_bounds(p: Array, n_pixels: int, n_bins: int) -> tuple[Array, Array]:
    kernel = -(-n_pixels // n_bins)
    padding = (kernel * n_bins - n_pixels + 1) // 2
    return p * kernel - padding, (p + 1) * kernel - padding


def _rounded_bounds(p: Array, n_pixels: int, n_bins: int) -> tuple[Array, Array]:
    step = n_pixels / n_bins
    return np.rint(p * step).astype(np.int64), np.rint((p + 1) * step).astype(np.int64)


def _in_order(axes: tuple[int, int, int]) -> Kernels:
    """Write each level (channel, row, column) with these axes from the slowest to the fastest."""

    def places(C: int, levels: tuple[int, ...]) -> Array:
        found, start = [], 0
        for k in levels:
            found.append(start + np.arange(C * k * k).reshape(C, k, k).transpose(axes).ravel())
            start += C * k * k
        return np.concatenate(found)

    def wrap_forward(body: Body) -> Body:
        def forward(x: Array, *, levels: tuple[int, ...], keep_residual: bool) -> Any:
            (y, switches), residual = body(x, levels=levels, keep_residual=keep_residual)
            chosen = places(x.shape[1], levels)
            return (y[:, chosen], switches[:, chosen]), residual

        return forward

    def wrap_backward(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, needs: tuple[bool, ...], levels: tuple[int, ...]) -> Any:
            chosen = places(residual.x.shape[1], levels)
            return body(residual, dy[:, np.argsort(chosen)], needs=needs, levels=levels)

        return backward

    return {"spatial_pyramid_pool.forward": wrap_forward, "spatial_pyramid_pool.backward": wrap_backward}


def _windows(convention: str) -> Kernels:
    def wrap(body: Body) -> Body:
        return lambda boxes, **params: body(boxes, **{**params, "convention": convention})

    return {"project_windows": wrap}


DEVIATIONS = [
    Deviation(
        "spp.from=0",
        "starts the maximum of a bin from 0",
        "Bins of negative features are 0, and have no gradient. Behind a ReLU nothing changes.",
        ("SPP_net, utils/spm_pool/spm_pool_caffe_mex.cpp: memset(pooled_cache, 0); its features come from a ReLU",),
        "Start from the first pixel of the bin, or from −∞.",
        {"spatial_pyramid_pool.forward": _from_zero},
    ),
    Deviation(
        "spp.bins=padded",
        "pools disjoint windows of ⌈n/k⌉ pixels over a map that is padded to k windows",
        "Windows begin at p·K − ⌊(K·k − n + 1)/2⌋ with K = ⌈n/k⌉. Bins share no pixel; where k does not divide the "
        "map, the first and last are cut short, or are empty: −3.4e38 (−FLT_MAX), with the switch −1.",
        ("Caffe, src/caffe/layers/spp_layer.cpp, GetPoolingParam, and pooling_layer.cpp",),
        "Let bin p take the pixels ⌊p·n/k⌋ ≤ · < ⌈(p + 1)·n/k⌉ (adaptive max pooling).",
        {"spatial_pyramid_pool.forward": _pyramid_between(_padded_bounds, LOWEST)},
    ),
    Deviation(
        "spp.bins=rounded",
        "rounds the bounds of bins to the nearest pixel, so that they share none",
        "Where k does not divide the map, bins have a row or column less; with more bins than pixels some are empty.",
        ("keras-spp, spp/SpatialPyramidPooling.py and spp/RoiPooling.py: K.cast(K.round(x1), 'int32')",),
        "Round the lower bound of a bin down and the upper one up.",
        {"spatial_pyramid_pool.forward": _pyramid_between(_rounded_bounds, -np.inf)},
    ),
    Deviation(
        "spp.order=columns",
        "writes each level column by column, with all channels of a bin together",
        "The numbers are right, and stand elsewhere: (level, column, row, channel).",
        ("keras-spp, spp/RoiPooling.py: for ix …: for jy …: outputs.append, x1 from ix",),
        "Flatten each level as (channel, row, column).",
        _in_order((2, 1, 0)),
    ),
    Deviation(
        "spp.order=rows",
        "writes each level row by row, with all channels of a bin together",
        "The numbers are right, and stand elsewhere: (level, row, column, channel).",
        ("keras-spp, spp/SpatialPyramidPooling.py: for jy …: for ix …: outputs.append",),
        "Flatten each level as (channel, row, column).",
        _in_order((1, 2, 0)),
    ),
    Deviation(
        "spp.window=paper",
        "projects windows by the paper's rule, where the released code's was asked",
        "Windows begin and end about a response elsewhere.",
        ("He, Zhang, Ren & Sun (2014), appendix A, and ports made from it",),
        "Use the offsets first_centre and margin: ⌊(x₀ − o₀ + o)/S + ½⌋ + 1 … ⌈(x₁ − o₀ − o)/S − ½⌉ + 1, from 1.",
        _windows("paper"),
    ),
    Deviation(
        "spp.window=released",
        "projects windows by the released code's rule, where the paper's was asked",
        "Windows begin and end about a response elsewhere.",
        ("SPP_net, utils/spm_pool/spm_pool_caffe_mex.cpp and utils/spm_pool/spm_response_boxes.m: offset0 and offset",),
        "Use ⌊x₀/S⌋ + 1 … ⌈x₁/S⌉ − 1.",
        _windows("released"),
    ),
]
