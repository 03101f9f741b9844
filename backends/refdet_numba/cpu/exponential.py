"""e^x of `lanes` x ≤ 0, for compiled code.

float32, by Cephes (Moshier, Methods and Programs for Mathematical Functions, 1989; `expf`):

    n = x / ln 2, rounded;    r = x − n ln 2, |r| ≤ ½ ln 2;    e^x = 2ⁿ e^r,    e^r ≈ 1 + r + r² P(r)

P has degree 5. ln 2 is subtracted in two parts; the first has so few bits that n times it is exact. Rounding is the
addition of 1.5 · 2²³ + 127, next to which float32 are 1 apart: what is left in the lowest bits is n + 127, which is 2ⁿ
once it is shifted to the place of the exponent. The error is below 1 ulp (tests/backends/cpu/test_dense_crf.py goes
through the float32), as far as the answer is a normal number; from −87.69 down the answer is 0. NaN stays NaN.

float64: the exponential of the C library, lane by lane.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from refdet_numba.cpu.lane_operations import by_name

LOWEST = -87.9  # n + 127 is 0 here, and so is what it is shifted to
SHIFT = 1.5 * 2**23 + 127
LOG2_E = 1.44269504088896341
LN2 = 0.693359375, -2.12194440e-4
P = 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1


@intrinsic  # type: ignore[untyped-decorator]
def exponential(typing_context: Any, x: Any) -> Any:
    def single(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (given,) = arguments
        vector = given.type
        integers = ir.VectorType(ir.IntType(32), vector.count)

        def number(value: float) -> Any:
            return ir.Constant(vector, [value] * vector.count)

        def multiply_add(a: Any, b: Any, c: Any) -> Any:
            return by_name("fmuladd", builder, a, b, c)

        low = builder.fcmp_ordered("<", given, number(_float32(LOWEST)))
        clipped = builder.select(low, number(_float32(LOWEST)), given)  # NaN is not below
        shifted = multiply_add(clipped, number(_float32(LOG2_E)), number(SHIFT))
        n = builder.fsub(shifted, number(SHIFT))
        r = multiply_add(n, number(-LN2[0]), clipped)
        r = multiply_add(n, number(_float32(-LN2[1])), r)
        polynomial = number(_float32(P[0]))
        for coefficient in P[1:]:
            polynomial = multiply_add(polynomial, r, number(_float32(coefficient)))
        e_to_r = builder.fadd(number(1.0), multiply_add(builder.fmul(r, r), polynomial, r))
        bits = builder.shl(builder.bitcast(shifted, integers), ir.Constant(integers, [23] * vector.count))
        return builder.fmul(e_to_r, builder.bitcast(bits, vector))

    def double(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return by_name("exp", builder, *arguments)

    return x(x), single if x.dtype == types.float32 else double


def _float32(value: float) -> float:
    """Return the float32 closest to a number; LLVM takes no others for one."""
    import numpy as np

    return float(np.float32(value))
