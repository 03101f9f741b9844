"""What is said when the GPU fails in a function of the table: the op and what to do, instead of a driver's call.

    MemoryError     its memory does not suffice, wherever that was noticed: by CuPy, by its pool, or by numba-cuda
    RuntimeError    any other failure of the driver or of a kernel

The errors of CuPy and of numba-cuda are recognised by the names of their classes and of the codes in their messages, so
that neither package is needed to tell them. What they said themselves stays attached as the cause. Errors of compilers
stay what they are, and so does what happens outside the table, as in portable kernels: there CuPy's error, itself a
MemoryError, has no more to say than its amount.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

OUT_OF_MEMORY = "OutOfMemoryError"  # of CuPy's pool
DRIVER_ERRORS = {"CudaAPIError", "CUDAError", "CUDARuntimeError", "CUDADriverError", "CUBLASError", OUT_OF_MEMORY}
CODE = re.compile(
    r"cudaError[A-Z]|CUDA_ERROR_"
)  # in the RuntimeErrors of CuPy's sort, which have no class of their own
CODES_OF_MEMORY = ("CUDA_ERROR_OUT_OF_MEMORY", "cudaErrorMemoryAllocation", "CUBLAS_STATUS_ALLOC_FAILED")
OF_THE_SORT = "bad_alloc"  # in the MemoryError of CuPy's sort
LASTING = re.compile(  # after which every call fails; noticed later than it happened
    "illegal_?address|illegal_?instruction|misaligned_?address|launch_?fail|launch_?timeout|error_?assert",
    re.IGNORECASE,
)
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
    said = (str(error).strip() or type(error).__name__).splitlines()[0]
    if OUT_OF_MEMORY in names or any(code in said for code in (*CODES_OF_MEMORY, OF_THE_SORT)):
        return MemoryError(
            f"{kernel}: the memory of the GPU does not suffice{_amount(said)}; "
            "give it fewer or smaller images, regions or points at a time, "
            "let CuPy give back what it holds (cupy.get_default_memory_pool().free_all_blocks()), "
            f"or use {INSTEAD}"
        )
    if not names & DRIVER_ERRORS and not (isinstance(error, RuntimeError) and CODE.search(said)):
        return None
    if LASTING.search(said):
        return RuntimeError(
            f"{kernel}: the GPU failed ({said}), here or in a call before this one, and computes no more; "
            f"start a new process, with CUDA_LAUNCH_BLOCKING=1 to learn in which call, or use {INSTEAD}"
        )
    return RuntimeError(f"{kernel}: the GPU refused to compute it ({said}); use {INSTEAD}")


def _amount(said: str) -> str:
    """Return what CuPy says of how much was asked for.

    >>> _amount("Out of memory allocating 5,368,709,120 bytes (allocated so far: 1,073,741,824 bytes).")
    ': 5.37 GB were asked for, CuPy holds 1.07 GB'
    >>> _amount("Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY")
    ''
    """
    asked = re.search(r"allocating ([\d,]+) bytes", said)
    used = re.search(r"so far: ([\d,]+) bytes", said)
    parts = [(asked, "{:.2f} GB were asked for"), (used, "CuPy holds {:.2f} GB")]
    found = [words.format(int(match[1].replace(",", "")) / 1e9) for match, words in parts if match]
    return f": {', '.join(found)}" if found else ""
