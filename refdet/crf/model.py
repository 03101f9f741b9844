"""The arrays of a fully connected CRF: which belong together, and how several kernels make three arrays of them.

    unary            (N, L)      ψ of every label at every point
    features         (N, D)      those of M kernels side by side; `dimensions` says how many columns each of them has
    compatibilities  (M, L, L)   μ of the kernels on top of each other

Kernels of refdet take a fixed number of arrays; the public functions take a list of features and one of compatibilities
(`columns_of` joins them so that gradients find their way back). Shapes and names are checked wherever a kernel is
called; values, such as NaN or positions that are no grid, by the public functions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import (
    Array,
    check_choice,
    check_flag,
    check_floating,
    check_rank,
    check_shape,
    integers,
    sequence,
    shape_of,
)
from refdet.crf.filters import EXPONENTS, FILTERS, Shape, check_grid
from refdet.crf.gaussian_kernel import check_points
from refdet.crf.lattice_embed import check_embeddable
from refdet.ops.shaping import concat, stack


class Columns(NamedTuple):
    """The features of several Gaussian kernels side by side, their compatibilities on top of each other."""

    features: Tensor  # (N, D)
    compatibilities: Tensor  # (M, L, L)
    dimensions: tuple[int, ...]


def columns_of(
    op: str, unary: Tensor, features: Sequence[Tensor | Array], compatibilities: Sequence[Tensor | Array]
) -> Columns:
    """Put the features of several kernels side by side, and stack their compatibilities."""
    for name, given in (("features", features), ("compatibilities", compatibilities)):
        if getattr(given, "ndim", 3) < 3:
            raise TypeError(f"{op}: {name} must be a list with one array per kernel, got a single one; write [{name}]")
    each_features = [as_tensor(op, "features", f) for f in sequence(op, "features", features)]
    each_compatibility = [
        as_tensor(op, "compatibilities", mu) for mu in sequence(op, "compatibilities", compatibilities)
    ]
    check_rank(op, "unary", unary.data, "N, L")
    n_points, n_labels = unary.shape
    if len(each_features) != len(each_compatibility):
        raise ValueError(
            f"{op}: one compatibility per kernel, got {len(each_compatibility)} for {len(each_features)} features"
        )
    for f, mu in zip(each_features, each_compatibility, strict=True):
        check_dtypes(op, unary.data, features=f.data, compatibilities=mu.data)
        check_rank(op, "features", f.data, "N, d")
        check_rows(op, unary.data, f.data)
        check_shape(op, "compatibilities", mu.data, (n_labels, n_labels), "L × L")
    dimensions = tuple(f.shape[1] for f in each_features)
    if not dimensions:
        none = Tensor(np.zeros((n_points, 0), unary.dtype)), Tensor(np.zeros((0, n_labels, n_labels), unary.dtype))
        return Columns(*none, dimensions)
    return Columns(concat(each_features, axis=1), stack(each_compatibility, axis=0), dimensions)


def check_dtypes(op: str, unary: Array, **arrays: Array) -> None:
    """Refuse arrays that are not float32 or float64 as the unary is, and say how to have them made like it."""
    check_floating(op, unary=unary)
    for name, x in arrays.items():
        check_floating(op, **{name: x})
        if x.dtype.name != unary.dtype.name:
            raise TypeError(
                f"{op}: unary is {unary.dtype.name} but {name} is {x.dtype.name}; position_features, "
                "bilateral_features, potts and their like take dtype=unary.dtype, or convert one of them with astype"
            )


def check_rows(op: str, unary: Array, features: Array) -> None:
    """Refuse features that have not one row per point of the unary; say which of them looks transposed."""
    (n_points, n_labels), (n_rows, d) = shape_of(unary), shape_of(features)
    if n_rows != n_points:
        suspect, columns = ("unary", n_labels) if n_points < n_rows else ("features", d)  # points outnumber the rest
        raise ValueError(
            f"{op}: unary has {n_points} rows but features have {n_rows}: rows are points"
            + (f"; {suspect} may be transposed" if columns == max(n_points, n_rows) else "")
        )


def each(op: str, name: str, value: str | Sequence[str], kernels: Sequence[object]) -> tuple[str, ...]:
    """Return one name for each of the kernels from one for all of them, or one each."""
    return (value,) * len(kernels) if isinstance(value, str) else tuple(sequence(op, name, value))


def leaves_out_self(exclude_self: bool | None, filters: Sequence[str]) -> bool:
    """Return `exclude_self`, by default whether every filter allows it: the papers' j ≠ i where it can be had."""
    return all(name == "exact" for name in filters) if exclude_self is None else exclude_self


def check_crf(
    op: str, unary: Array, features: Array, compatibilities: Array, dimensions: Sequence[int], normalisation: Any
) -> None:
    """Refuse arrays and kernels that do not belong together."""
    check_floating(op, unary=unary, features=features, compatibilities=compatibilities)
    check_rank(op, "unary", unary, "N, L")
    n_points, n_labels = shape_of(unary)
    columns = integers(op, "dimensions", dimensions, count=len(sequence(op, "dimensions", dimensions)), low=0)
    check_shape(op, "features", features, (n_points, sum(columns)), f"one row per point, columns {columns}")
    check_shape(op, "compatibilities", compatibilities, (len(columns), n_labels, n_labels), "L × L for every kernel")
    _check_choices(op, "normalisation", normalisation, tuple(EXPONENTS), len(columns))


def check_filters(
    op: str, names: Any, dimensions: Sequence[int], shape: Shape | None, exclude_self: bool, n_points: int
) -> None:
    """Refuse filters that do not exist, or that these points do not allow."""
    _check_choices(op, "filters", names, FILTERS, len(dimensions))
    if check_flag(op, "exclude_self", exclude_self):
        for name in names:
            if name != "exact":
                reason = "the lattice's response at the point itself is not 1" if name == "lattice" else "not defined"
                raise ValueError(f"{op}: exclude_self needs the filter 'exact', got {name!r}: {reason}")
    if shape is None and "truncated" in names:
        raise ValueError(f"{op}: a truncated filter needs shape, the (H, W) of the image; got None")
    if shape is not None:
        H, W = integers(op, "shape", shape, count=2, low=0)
        if n_points != H * W:
            raise ValueError(f"{op}: shape {shape} has {H * W} pixels, but there are {n_points} points")
    for name, d in zip(names, dimensions, strict=True):
        if name == "truncated" and d != 2:
            raise ValueError(f"{op}: a truncated filter needs 2 features, the position (x, y), got {d}")
        if name == "lattice" and d == 0:
            raise ValueError(f"{op}: a lattice filter needs at least one feature, got 0")


def check_features(op: str, features: Array, name: str, shape: Shape | None) -> None:
    """Refuse what no filter can work with: NaN and ±∞, too many points for a matrix, no grid for a truncated filter."""
    finite = np.isfinite(features)
    if not np.all(finite):
        i = int(np.argmin(np.all(finite, axis=1)))
        raise ValueError(f"{op}: features must be finite, got {features[i].tolist()} at point {i}")
    if name == "lattice":
        check_embeddable(op, features)
    if name == "exact":
        check_points(op, len(features), features.dtype.itemsize)
    if name == "truncated" and shape is not None:
        check_grid(op, features, shape)


def _check_choices(op: str, name: str, values: Any, choices: Sequence[str], count: int) -> None:
    if len(sequence(op, name, values)) != count:
        raise ValueError(f"{op}: {name} must have one entry for each of the {count} kernels, got {values!r}")
    for value in values:
        check_choice(op, name, value, choices)
