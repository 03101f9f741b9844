"""Maps as a list of planes, which is how most of pooling and resizing sees them."""

from __future__ import annotations

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native


def planes_of(x: Array) -> Array:
    """Return (N·C, H, W), contiguous and in native byte order."""
    return native(x).reshape(x.shape[0] * x.shape[1], *x.shape[2:])
