"""What is said when the GPU fails: one sentence, with the op and what to do, instead of the name of a driver's call.

    MemoryError     its memory does not suffice, wherever that was noticed: by CuPy, by its pool, or by numba-cuda
    RuntimeError    any other failure of the driver or of a kernel

The errors of CuPy and of numba-cuda are recognised by the names of their classes and of the codes in their messages, so
that neither package is needed to tell them. What they said themselves stays attached as the cause.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

OUT_OF_MEMORY = "OutOfMemoryError"  # of CuPy's pool
DRIVER_ERRORS = {"CudaAPIError", "CUDAError", "CUDARuntimeError", "CUDADriverError", "CUBLASError", OUT_OF_MEMORY}
CODES_OF_MEMORY = ("CUDA_ERROR_OUT_OF_MEMORY", "cudaErrorMemoryAllocation", "CUBLAS_STATUS_ALLOC_FAILED")
INSTEAD = "the backend numba-cpu or reference"


def explained(kernel: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function of a kernel, with failures of the GPU put into words."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            failure = explanation(kernel, error)
            if failure is None:
                raise
            raise failure from error

    return call


def explanation(kernel: str, error: Exception) -> Exception | None:
    """Return the error to raise instead; None if it was not the GPU that failed."""
    names = {cls.__name__ for cls in type(error).__mro__}
    if not names & DRIVER_ERRORS:
        return None
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if OUT_OF_MEMORY in names or any(code in said for code in CODES_OF_MEMORY):
        return MemoryError(
            f"{kernel}: the memory of the GPU does not suffice{_amount(said)}; "
            f"give it fewer or smaller images, regions or points at a time, or use {INSTEAD}"
        )
    return RuntimeError(
        f"{kernel}: the GPU failed ({said}), here or in a call before this one; "
        f"start a new process, with CUDA_LAUNCH_BLOCKING=1 to learn in which call, or use {INSTEAD}"
    )


def _amount(said: str) -> str:
    """Return what CuPy says of how much was asked for.

    >>> _amount("Out of memory allocating 5,368,709,120 bytes (allocated so far: 1,073,741,824 bytes).")
    ': 5.37 GB were asked for, 1.07 GB are in use'
    >>> _amount("Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
    ''
    """
    asked = re.search(r"allocating ([\d,]+) bytes", said)
    used = re.search(r"so far: ([\d,]+) bytes", said)
    parts = [(asked, "were asked for"), (used, "are in use")]
    found = [f"{int(match[1].replace(',', '')) / 1e9:.2f} GB {what}" for match, what in parts if match]
    return f": {', '.join(found)}" if found else ""
