"""Round to float32, to the nearest and of two equally near to the one with an even significand; or widen to float64.

    y = n 2^e,    2^23 <= |x| / 2^e < 2^24 (e = -149 below the normal range),    n the integer nearest to x / 2^e

Beyond the largest float32 lies inf. The gradient is handed back as if there were no rounding, in the type of x.

Source: IEEE 754, roundTiesToEven.
"""

import math

import numpy as np

from tests.oracles._sums import Array


def forward(x: Array, *, dtype: str) -> Array:
    """Return y in `dtype`, the shape of x."""
    y = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        y[i] = _nearest_float32(float(x[i])) if dtype == "float32" else float(x[i])
    return y.astype(dtype)


def backward(x: Array, *, dy: Array, dtype: str) -> tuple[Array]:
    """Return (dx,)."""
    return (forward(dy, dtype="float32" if x.dtype.itemsize == 4 else "float64"),)


def _nearest_float32(x: float) -> float:
    if x == 0 or not math.isfinite(x):
        return x
    exponent = max(math.frexp(x)[1] - 24, -149)
    rounded = math.ldexp(round(math.ldexp(x, -exponent)), exponent)  # Python rounds ties to even
    return rounded if abs(rounded) < 2.0**128 else math.copysign(math.inf, x)
