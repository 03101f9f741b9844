"""Correlation's transpose with respect to its weights: every dy meets the pixels that its window read.

Which algorithm computes it depends on shapes alone. Winograd's and the direct one multiply values that the definition
does not bring together; where that made a result that is not finite, the matrix products decide.
"""

from __future__ import annotations

from refdet.core.check import Array
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.small_maps import small_maps_pay, weight_adjoint_of_small_maps
from refdet_numba.cpu.weight_adjoint_by_gemm import weight_adjoint_by_gemm
from refdet_numba.cpu.weight_adjoint_by_winograd import weight_adjoint_by_winograd, winograd_pays
from refdet_numba.cpu.weight_adjoint_by_winograd_5x5 import weight_adjoint_by_winograd_5x5
from refdet_numba.cpu.weight_adjoint_directly import directly_pays, weight_adjoint_directly
from refdet_numba.cpu.winograd_5x5 import pays as pays_5x5


def correlate_weight_adjoint(x: Array, dy: Array, geometry: Geometry) -> Array:
    """Return dweight (O, C/g, kh, kw) from x (N, C, H, W) and dy (N, O, Ho, Wo)."""
    dweight = None
    if directly_pays(x.shape, dy.shape, geometry):
        dweight = weight_adjoint_directly(x, dy, geometry)
    elif small_maps_pay(x.shape[0], (x.shape[1], dy.shape[1]), x.shape[2:], geometry):
        dweight = weight_adjoint_of_small_maps(x, dy, geometry)
    elif winograd_pays(x.shape, dy.shape, geometry):
        dweight = weight_adjoint_by_winograd(x, dy, geometry)
    elif pays_5x5(x.shape, dy.shape[1], dy.shape[2:], geometry):
        dweight = weight_adjoint_by_winograd_5x5(x, dy, geometry)
    return weight_adjoint_by_gemm(x, dy, geometry) if dweight is None else dweight
