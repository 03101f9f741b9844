"""Truncated SVD of fully connected layers: one layer becomes two thinner ones, and detection becomes faster.

    W ≈ U_t Σ_t V_tᵀ              W (u, v), of rank t:  U_t (u, t),  Σ_t (t, t),  V_t (v, t)
    y = W x + b ≈ U_t ((Σ_t V_tᵀ) x) + b
    layer L: Σ_t V_tᵀ, without bias         layer U: U_t, with the bias b of W

    parameters: u·v → t·(u + v)             ‖W − U_t Σ_t V_tᵀ‖₂ = σ_{t+1}

| of VGG-16 | u × v | t | parameters | fewer by |
|---|---|---|---|---|
| fc6 | 4096 × 25088 | 1024 | 102 760 448 → 29 884 416 | 3.44 |
| fc7 | 4096 × 4096 | 256 | 16 777 216 → 2 097 152 | 8 |

Girshick, "Fast R-CNN" (2015), §3.1 and §4.4, and the program of its authors, `compress_net.py`, whose names the two
layers have (`fc6_L`, `fc6_U`). mAP falls from 66.9 to 66.6 there, and nothing is trained again.

Conventions: the error is the least that any matrix of rank t has (Eckart & Young, 1936), in the spectral norm and in
Frobenius', √(σ²_{t+1} + σ²_{t+2} + …); with t the rank of W it is rounding alone. The factors are unique at most up to
the sign of each column of U_t and V_t; only their product is compared. The decomposition is NumPy's, in the dtype of W.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np

from refdet.core.check import Array, check_floating, check_rank, integer, shape_of
from refdet.nn import Linear, Module, Sequential

AnyModule = TypeVar("AnyModule", bound=Module)


class Factors(NamedTuple):
    """W ≈ outer · inner, and what is lost."""

    inner: Array  # Σ_t V_tᵀ, (t, v)
    outer: Array  # U_t, (u, t)
    error: float  # σ_{t+1}, the spectral norm of the difference; 0 where t = min(u, v)


def truncated_svd(weight: Array, rank: int) -> Factors:
    """Return the best approximation of a matrix by one of a given rank, in two factors.

    Args:
        weight: W, (u, v), float32 or float64, finite.
        rank: t, from 1 to min(u, v).

    A matrix of rank 1 loses nothing:

    >>> inner, outer, error = truncated_svd(np.array([[3.0, 4.0], [6.0, 8.0]]), 1)
    >>> np.round(outer @ inner, 12), round(error, 12)
    (array([[3., 4.],
           [6., 8.]]), 0.0)
    """
    op = "truncated_svd"
    check_floating(op, weight=weight)
    check_rank(op, "weight", weight, "u, v")
    t = integer(op, "rank", rank, low=1)
    if t > min(shape_of(weight)):
        raise ValueError(f"{op}: rank must be at most {min(shape_of(weight))} for a matrix {shape_of(weight)}, got {t}")
    if not np.isfinite(weight).all():
        raise ValueError(f"{op}: weight must be finite")
    U, sigma, Vt = np.linalg.svd(weight, full_matrices=False)
    return Factors(sigma[:t, None] * Vt[:t], np.ascontiguousarray(U[:, :t]), float(sigma[t]) if t < len(sigma) else 0.0)


def n_parameters(u: int, v: int, rank: int | None = None) -> int:
    """Count the weights of a layer from v to u numbers, whole or, given a rank, in two layers; biases are not counted.

    >>> n_parameters(4096, 25088), n_parameters(4096, 25088, 1024)
    (102760448, 29884416)
    """
    return u * v if rank is None else rank * (u + v)


def two_layers(layer: Linear, rank: int) -> Sequential:
    """Return the layers L and U that approximate a fully connected one; they own new arrays of its dtype.

    They learn where its weights do: both are frozen if those are, its bias by itself.
    """
    if not isinstance(layer, Linear):
        raise TypeError(f"two_layers: layer must be a Linear, got {type(layer).__name__}")
    weight = layer.weight.data
    inner, outer, _ = truncated_svd(weight, rank)
    (u, v), has_bias, unused = shape_of(weight), layer.bias is not None, np.random.default_rng(0)
    first = Linear(v, len(inner), bias=False, rng=unused, dtype=weight.dtype)
    second = Linear(len(inner), u, bias=has_bias, rng=unused, dtype=weight.dtype)
    first.weight.data, second.weight.data = inner, outer
    if layer.bias is not None and second.bias is not None:
        second.bias.data = np.copy(layer.bias.data)
        second.bias.requires_grad = layer.bias.requires_grad
    first.weight.requires_grad = second.weight.requires_grad = layer.weight.requires_grad
    return Sequential(L=first, U=second)


def with_truncated_layers(model: AnyModule, ranks: Mapping[str, int]) -> AnyModule:
    """Return a copy of a network in which the named layers are two, of the given ranks; the model stays as it is.

    Args:
        model: any, such as a `FastRCNN`, whose layers are "roi_heads.box_head.fc6" and "roi_heads.box_head.fc7".
        ranks: path of a Linear → t; a rank above min(u, v) is refused.

    The copy has names of its own, `roi_heads.box_head.fc6.L.weight`: to load its checkpoint, make the copy first.
    """
    new = copy.deepcopy(model)
    for path, rank in ranks.items():
        parent_path, _, name = path.rpartition(".")
        modules = {module_path.removesuffix("."): module for module_path, module in new.named_modules()}
        layer = modules.get(path)
        if not path or not isinstance(layer, Linear):
            layers = [found for found, module in modules.items() if isinstance(module, Linear)]
            raise ValueError(
                f"with_truncated_layers: {path!r} must be a fully connected layer of {type(model).__name__}: "
                f"one of {', '.join(layers) or 'none'}"
            )
        setattr(modules[parent_path], name, two_layers(layer, rank))
    return new
