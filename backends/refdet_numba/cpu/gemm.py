"""Matrix products inside compiled code, by the BLAS that SciPy brings.

    gemm(a, b, c, beta):   c ← a · b + beta · c

The arrays are two-dimensional, of one dtype, and may be cut out of larger ones: of each, rows or columns must be
contiguous (a transposed view is fine), of c the rows. With beta = 0, c is not read, so it may hold anything.

`np.dot` would do for whole arrays; it neither adds to c nor takes a part of an array without copying it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numba.np.linalg import ensure_blas

NORMAL, TRANSPOSED = ord("n"), ord("t")
KIND = {types.float32: ord("s"), types.float64: ord("d")}


def gemm(a: Any, b: Any, c: Any, beta: float) -> None:
    """Compute c ← a · b + beta · c; for compiled code only."""
    raise TypeError("gemm is for compiled code; use NumPy's matmul")


@overload(gemm, jit_options={"nogil": True})  # type: ignore[untyped-decorator]
def _gemm(a: Any, b: Any, c: Any, beta: Any) -> Any:
    ensure_blas()
    dtype, kind = a.dtype, KIND[a.dtype]
    n_bytes = dtype.bitwidth // 8
    pointer, size = types.CPointer(dtype), types.intp
    xxgemm = types.ExternalFunction(  # by columns, as in Fortran: it sees the transpose of every row-wise matrix
        "numba_xxgemm",
        types.intc(
            *(types.char, types.char, types.char),  # kind, transposed a, transposed b
            *(size, size, size),  # rows of c, columns of c, terms of a sum
            *(pointer, pointer, size, pointer, size),  # alpha, a, its leading dimension, b, its leading dimension
            *(pointer, pointer, size),  # beta, c, its leading dimension
        ),
    )

    def multiply(a: Any, b: Any, c: Any, beta: Any) -> None:
        (m, k), n = a.shape, b.shape[1]
        if m == 0 or n == 0:
            return
        factors = np.array([1, beta], a.dtype)
        by_rows_a, by_rows_b = a.strides[1] == n_bytes or k == 1, b.strides[1] == n_bytes or n == 1
        step_a = a.strides[0] if by_rows_a else a.strides[1]
        step_b = b.strides[0] if by_rows_b else b.strides[1]
        xxgemm(
            kind,
            NORMAL if by_rows_b else TRANSPOSED,
            NORMAL if by_rows_a else TRANSPOSED,
            n,
            m,
            k,
            factors[0:].ctypes,
            b.ctypes,
            max(step_b // n_bytes, n if by_rows_b else k, 1),
            a.ctypes,
            max(step_a // n_bytes, k if by_rows_a else m, 1),
            factors[1:].ctypes,
            c.ctypes,
            max(c.strides[0] // n_bytes, n),
        )

    return multiply
