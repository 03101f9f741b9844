"""Slicing, which is the transpose of splatting: all its sums are in `lattice_splat`.

Corners are added in their order, in the dtype of z, so that y has the bits of the reference; and so has the gradient of
z, a splat.

Workspace: none; for the gradient of z the scaled dy and that of splatting.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array
from refdet.crf.lattice_index import check_numbers
from refdet.crf.lattice_slice import LatticeSliceResidual
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.lattice_splat import interpolated, products, spread


def forward(
    z: Array, weights: Array, ids: Array, *, scale: float, keep_residual: bool
) -> tuple[Array, LatticeSliceResidual | None]:
    """Return y, (N, V)."""
    check_numbers("lattice_slice", "ids", ids, len(z))
    y = interpolated(z, weights, ids, float(scale))
    return y, LatticeSliceResidual(z, weights, ids) if keep_residual else None


def backward(
    residual: LatticeSliceResidual, dy: Array, *, needs: tuple[bool, bool, bool], scale: float
) -> tuple[Array | None, ...]:
    """Every point hands its gradient to its vertices; ids receive none."""
    z, weights, ids = residual
    check_numbers("lattice_slice", "ids", ids, len(z))
    scaled = native(dy) * np.result_type(dy).type(scale)
    return (
        spread(scaled, weights, ids, len(z)) if needs[0] else None,
        products(scaled, z, ids) if needs[1] else None,
        None,
    )
