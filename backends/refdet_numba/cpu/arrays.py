"""What compiled code is given: contiguous arrays in the machine's byte order, of which one compilation serves all.

Numba compiles once more for every layout, and once more for arrays that cannot be written. Kernels never write their
inputs, so a read-only array is handed over as a writable view of the same memory.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from refdet.core.check import Array


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
