"""Slicing, which is the transpose of splatting: all its sums are in `lattice_splat`.

Workspace: for the gradient of z the scaled dy and that of splatting.
"""

from __future__ import annotations

from typing import Any

from refdet.crf.lattice_slice import LatticeSliceResidual
from refdet_numba.gpu.lattice_splat import by_vertex, interpolated, products, spread


def forward(
    z: Any, weights: Any, ids: Any, *, scale: float, keep_residual: bool
) -> tuple[Any, LatticeSliceResidual | None]:
    """Return y, (N, V)."""
    return interpolated(z, weights, ids, scale), LatticeSliceResidual(z, weights, ids) if keep_residual else None


def backward(
    residual: LatticeSliceResidual, dy: Any, *, needs: tuple[bool, bool, bool], scale: float
) -> tuple[Any | None, ...]:
    """Every point hands its gradient to its vertices; ids receive none."""
    z, weights, ids = residual
    scaled = dy * dy.dtype.type(scale)
    return (
        spread(scaled, weights, by_vertex(ids, len(z))) if needs[0] else None,
        products(scaled, z, ids) if needs[1] else None,
        None,
    )
