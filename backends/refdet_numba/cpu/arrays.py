"""What compiled code is given: contiguous arrays in the machine's byte order, of which one compilation serves all.

Numba compiles once more for every layout, and once more for arrays that cannot be written. Kernels never write their
inputs, so a read-only array is handed over as a writable view of the same memory. Work spaces begin with a line of the
cache; where their rows are whole lines too, no vector lies on two.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from refdet.core.check import Array

LINE = 64  # bytes of a line of the cache


def native(x: Array, dtype: Any = None) -> Array:
    """Return x contiguous, in the machine's byte order, and by its type writable; copied only if it must be."""
    wanted = np.dtype(dtype or x.dtype).newbyteorder("=")
    found = np.ascontiguousarray(x, dtype=wanted).reshape(x.shape)
    if found.flags.writeable or found.size == 0:
        return found if found.flags.writeable else np.empty(found.shape, wanted)
    memory = (ctypes.c_char * found.nbytes).from_address(found.ctypes.data)
    setattr(memory, "owner", found)  # noqa: B010 - which keeps the memory as long as the view lives
    view: Array = np.frombuffer(memoryview(memory), wanted).reshape(found.shape)
    return view


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array, unset, that begins with a line of the cache."""
    n, n_bytes = math.prod(shape), np.dtype(dtype).itemsize
    memory = np.empty(n + LINE // n_bytes, dtype)
    first = -memory.ctypes.data % LINE // n_bytes
    return memory[first : first + n].reshape(shape)


def whole_lines(n: int) -> int:
    """Return how many numbers a row of n may take, so that the next one begins with a line: a multiple of 16."""
    return -(-n // 16) * 16
