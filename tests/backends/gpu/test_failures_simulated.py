"""What the user reads when the GPU fails; the errors are stand-ins of the same names as CuPy's and numba-cuda's."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from refdet.boxes import box_iou
from refdet.core.kernel import Backend, use_backend
from tests.duck import DuckArray

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("needs NUMBA_ENABLE_CUDASIM=1 before Numba is imported", allow_module_level=True)

from refdet_numba.gpu.backend import KERNELS as TABLE
from refdet_numba.gpu.failures import explained


class OutOfMemoryError(MemoryError):
    """As `cupy.cuda.memory.OutOfMemoryError`."""


class CUDARuntimeError(RuntimeError):
    """As `cupy_backends.cuda.api.runtime.CUDARuntimeError`."""


class CudaDriverError(Exception):
    """As `numba.cuda.cudadrv.error.CudaDriverError`, which is also raised where nothing but its use is wrong."""


class CudaAPIError(CudaDriverError):
    """As `numba.cuda.cudadrv.driver.CudaAPIError`."""

    def __str__(self) -> str:
        code, message = self.args
        return f"[{code}] {message}"


FROM_THE_POOL = OutOfMemoryError("Out of memory allocating 5,368,709,120 bytes (allocated so far: 21,000,000 bytes).")
MEMORY = "op: the memory of the GPU does not suffice{}; give it fewer or smaller images, regions or points at a time"


def failing(error: Exception) -> Any:
    def function() -> None:
        raise error

    return explained("op", function)


@pytest.mark.parametrize(
    ("error", "amount"),
    [
        (FROM_THE_POOL, ": 5.37 GB were asked for, CuPy holds 0.02 GB"),
        (CUDARuntimeError("cudaErrorMemoryAllocation: out of memory"), ""),
        (RuntimeError("radix_sort: failed to get memory buffer: cudaErrorMemoryAllocation: out of memory"), ""),
        (MemoryError("std::bad_alloc"), ""),
        (CudaAPIError(2, "Call to cuMemAlloc results in CUDA_ERROR_OUT_OF_MEMORY"), ""),
    ],
)
def test_out_of_memory(error: Exception, amount: str) -> None:
    with pytest.raises(MemoryError, match=MEMORY.format(amount)) as raised:
        failing(error)()
    assert type(raised.value) is MemoryError
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            CudaAPIError(701, "Call to cuLaunchKernel results in CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"),
            "refused to compute",
        ),
        (CUDARuntimeError("cudaErrorInsufficientDriver: driver version is insufficient"), "refused to compute"),
        (RuntimeError("radix_sort: failed on 2nd step: cudaErrorInvalidValue: invalid argument"), "refused to compute"),
        (CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered"), "start a new process"),
        (CUDARuntimeError("cudaErrorLaunchFailure: unspecified launch failure"), "start a new process"),
        (CudaAPIError(719, "Call to cuMemcpyDtoH results in CUDA_ERROR_LAUNCH_FAILED"), "start a new process"),
        (CudaAPIError(710, "Call to cuCtxSynchronize results in CUDA_ERROR_ASSERT"), "start a new process"),
    ],
)
def test_other_failures(error: Exception, words: str) -> None:
    with pytest.raises(RuntimeError, match=f"op: the GPU .*{words}.* use the backend numba-cpu") as raised:
        failing(error)()
    assert str(error) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [ValueError("a switch"), MemoryError("of the host"), RuntimeError("of ours"), CudaDriverError("forked")]
)
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        failing(error)()
    assert raised.value is error


class Exhausted(DuckArray):
    """An array of a device on which nothing more can be allocated."""

    def __array_function__(self, *args: Any) -> Any:
        raise FROM_THE_POOL


def test_every_function_of_the_backend_explains() -> None:
    """Also where an allocation fails in the middle of a public op."""
    assert all(function.__code__ is explained("", print).__code__ for function in TABLE.values())
    boxes: Any = Exhausted(np.zeros((2, 4), np.float32))
    with use_backend(Backend("numba-cuda", TABLE, "error")), pytest.raises(MemoryError, match="box_iou: the memory of"):
        box_iou(boxes, boxes)
