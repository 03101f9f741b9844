"""Resizing by one matrix for each axis: y = R x Cᵀ, dx = Rᵀ dy C."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.question import Question, Skipped
from tests.witnesses._witness import Witness

ROUND = {
    "floor": math.floor,
    "ceil": math.ceil,
    "round_prefer_floor": lambda c: math.ceil(c - Fraction(1, 2)),
    "round_prefer_ceil": lambda c: math.floor(c + Fraction(1, 2)),
}


@dataclass(frozen=True)
class How:
    """What libraries do differently, whatever they are asked for; the defaults are the definition."""

    coordinates: str = ""  # always these
    rounding: str = ""  # always this one
    a: float | None = None  # always this one
    border: str = "clamp"  # a tap outside: "clamp", "zero", or "renormalised", without it
    by_sizes: bool = False  # the ratio is in / out
    antialias: bool = False  # the kernel is wider where there are fewer pixels afterwards


CONFORMS = How()


def coordinate(i: int, n_in: int, n_out: int, ratio: Fraction, kind: str) -> Fraction:
    """Return where output i looks."""
    if kind == "align_corners":
        return Fraction(i * (n_in - 1), n_out - 1) if n_out > 1 else Fraction(0)
    return i * ratio if kind == "asymmetric" else (2 * i + 1) * ratio / 2 - Fraction(1, 2)


def triangle(s: float) -> float:
    """Return the kernel of linear interpolation."""
    return max(0.0, 1.0 - abs(s))


def keys(s: float, a: float) -> float:
    """Return Keys' cubic kernel, by Horner's rule."""
    s = abs(s)
    if s >= 2:
        return 0.0
    return ((a + 2) * s - (a + 3)) * s * s + 1 if s <= 1 else ((s - 5) * s + 8) * s * a - 4 * a


def matrix(question: Question, axis: int, how: How) -> Array:
    """Return the weights of one axis, (out, in)."""
    x, params = question.arguments["x"], question.params
    assert x is not None
    n_in, n_out, given = x.shape[2 + axis], params["size"][axis], params["ratio"][axis]
    exact = Fraction(n_in, n_out)
    ratio = exact if how.by_sizes or given == n_in / n_out else Fraction(given)
    kind = how.coordinates or params["coordinates"]
    # PyTorch, UpSample.h, area_pixel_compute_scale: what widens the kernel is the distance from output to output
    step = Fraction(n_in - 1, n_out - 1) if kind == "align_corners" and n_out > 1 else ratio
    weights = np.zeros((n_out, n_in))
    for i in range(n_out):
        c = coordinate(i, n_in, n_out, ratio, kind)
        if question.algorithm == "resize_nearest":
            weights[i, min(max(ROUND[how.rounding or params["rounding"]](c), 0), n_in - 1)] = 1.0
            continue
        width = max(1.0, float(step)) if how.antialias else 1.0
        radius = math.ceil((1 if question.algorithm == "resize_bilinear" else 2) * width)
        taps = range(math.floor(c) - radius, math.floor(c) + radius + 2)
        if question.algorithm == "resize_bilinear":
            at = {k: triangle(float(k - c) / width) for k in taps}
        else:
            at = {k: keys(float(k - c) / width, params["a"] if how.a is None else how.a) for k in taps}
        if how.border != "clamp" or width > 1:
            at = {k: w for k, w in at.items() if 0 <= k < n_in}
        total = sum(at.values()) if how.border == "renormalised" or width > 1 else 1.0
        for k, w in at.items():
            weights[i, min(max(k, 0), n_in - 1)] += w / total
    return weights


def resize(question: Question, how: How = CONFORMS) -> dict[str, Any]:
    """Resize both axes."""
    x, dy = question.arguments["x"], question.incoming_gradient
    assert x is not None
    rows, columns = (matrix(question, axis, how) for axis in (0, 1))
    y = (rows @ x.astype(np.float64) @ columns.T).astype(x.dtype)
    return {"y": y} if dy is None else {"y": y, "dx": (rows.T @ dy.astype(np.float64) @ columns).astype(x.dtype)}


def torch_antialias(question: Question) -> dict[str, Any]:
    """Resize by torch with antialias=True, which knows half-pixel centres and the ratio of sizes."""
    import torch

    x, dy, params = question.arguments["x"], question.incoming_gradient, question.params
    assert x is not None
    if params["coordinates"] != "half_pixel":
        raise Skipped("antialias goes with half-pixel centres")
    if any(r != n_in / n_out for r, n_in, n_out in zip(params["ratio"], x.shape[2:], params["size"], strict=True)):
        raise Skipped("the ratio is that of the sizes")
    leaf = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = torch.nn.functional.interpolate(leaf, size=params["size"], mode="bilinear", antialias=True)
    answers = {"y": y.detach().numpy()}
    if dy is None:
        return answers
    y.backward(torch.tensor(dy, dtype=torch.float64))
    assert leaf.grad is not None
    return {**answers, "dx": leaf.grad.numpy()}


CONFORMING = [("resize_nearest", resize), ("resize_bilinear", resize), ("resize_bicubic", resize)]

HOW = {
    "resize.antialias=yes": ("Pillow, src/libImaging/Resample.c: support * filterscale", How(antialias=True)),
    "resize.border=renormalised": ("Pillow, src/libImaging/Resample.c: weights by ww", How(border="renormalised")),
    "resize.border=zero": ("PyTorch, grid_sample with padding_mode='zeros'", How(border="zero")),
    "resize.coord=align_corners": ("darknet, src/image.c, resize_image: (im.w - 1) / (w - 1)", How("align_corners")),
    "resize.coord=asymmetric": ("TensorFlow 1, resize_bilinear: LegacyScaler, x * scale", How("asymmetric")),
    "resize.coord=half_pixel": ("OpenCV, resize.cpp: (dx + 0.5) * scale_x - 0.5", How("half_pixel")),
    "resize.cubic=-0.5": ("Pillow, src/libImaging/Resample.c, bicubic_filter: a -0.5", How(a=-0.5)),
    "resize.cubic=-0.75": ("OpenCV, resize.cpp, interpolateCubic: A = -0.75f", How(a=-0.75)),
    "resize.nearest=floor": ("PyTorch, interpolate with mode='nearest': floor", How(rounding="floor")),
    "resize.nearest=round_prefer_ceil": ("floor(c + 1/2) as in Pillow", How(rounding="round_prefer_ceil")),
    "resize.nearest=round_prefer_floor": ("ONNX, Resize by default: ceil(c - 1/2)", How(rounding="round_prefer_floor")),
    "resize.ratio=sizes": ("OpenCV, resize.cpp: inv_scale_x = dsize.width / ssize.width", How(by_sizes=True)),
}
EVERY = ("resize_nearest", "resize_bilinear", "resize_bicubic")
ONLY = {
    "resize.antialias=yes": EVERY[1:],
    "resize.border=renormalised": EVERY[2:],
    "resize.border=zero": EVERY[1:],
    "resize.cubic=-0.5": EVERY[2:],
    "resize.cubic=-0.75": EVERY[2:],
    **{key: EVERY[:1] for key in HOW if key.startswith("resize.nearest")},
}

WITNESSES = [
    Witness(key, algorithm, source, partial(resize, how=how))
    for key, (source, how) in HOW.items()
    for algorithm in ONLY.get(key, EVERY)
] + [
    Witness(
        "resize.antialias=yes",
        "resize_bilinear",
        "torch.nn.functional.interpolate with antialias=True",
        torch_antialias,
    )
]
