"""Build an array from a storage, an offset, sizes and strides, as `torch._utils._rebuild_tensor*` build tensors.

    tensor[i, j, ...] = storage[offset + i * stride[0] + j * stride[1] + ...]

All in elements. Everything is checked against the storage's real length before memory is touched or allocated.
Results are independent, C-contiguous copies: torch tensors that share a storage come back as arrays that do not.

Strides of 0 (`tensor.expand`) let a file of some bytes ask for an array of terabytes, and a thousand tensors can
share one storage. So all arrays of a file together have a budget: sixteen times the file's size, or 64 MiB where that
is more.
"""

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from refdet.nn.checkpoint.elements import STORED_TYPES, decode, result_dtype
from refdet.nn.checkpoint.errors import CheckpointError, described
from refdet.nn.checkpoint.storages import Storage, is_count

SMALLEST_BUDGET = 64 * 2**20
BUDGET_PER_FILE_BYTE = 16
MOST_DIMENSIONS = 64  # of an array since NumPy 2.0 (NPY_MAXDIMS)


class MemoryBudget:
    """Bytes that the objects of one file may take."""

    def __init__(self, n_file_bytes: int) -> None:
        self._limit = max(SMALLEST_BUDGET, BUDGET_PER_FILE_BYTE * n_file_bytes)
        self._used = 0

    def charge(self, n_bytes: int) -> None:
        """Take `n_bytes`, or refuse the file."""
        self._used += n_bytes
        if self._used > self._limit:
            raise CheckpointError(f"refuses to load: its contents would take more than {self._limit} bytes of memory")


class TensorBuilder:
    """The functions that rebuild tensors, for one file."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget

    def rebuild_v1(self, storage: object, offset: object, size: object, stride: object) -> NDArray[Any]:
        """`_rebuild_tensor`, of torch before 0.4."""
        return self._rebuild(_storage(storage), _storage(storage).storage_type.element_type, offset, size, stride)

    def rebuild_v2(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        requires_grad: object,
        backward_hooks: object,
        metadata: object = None,
    ) -> NDArray[Any]:
        """`_rebuild_tensor_v2`, of all usual tensors."""
        _check_no_hooks(backward_hooks)
        return _with_lazy_bits(self.rebuild_v1(storage, offset, size, stride), metadata)

    def rebuild_v3(
        self,
        storage: object,
        offset: object,
        size: object,
        stride: object,
        requires_grad: object,
        backward_hooks: object,
        dtype: object,
        metadata: object = None,
    ) -> NDArray[Any]:
        """`_rebuild_tensor_v3`, of types younger than the typed storages (uint16, uint32, uint64)."""
        _check_no_hooks(backward_hooks)
        element_type = dtype.removeprefix("torch.") if isinstance(dtype, str) else ""
        if element_type not in STORED_TYPES:
            raise CheckpointError(f"a tensor has no valid type: {described(dtype)}")
        return _with_lazy_bits(self._rebuild(_storage(storage), element_type, offset, size, stride), metadata)

    def rebuild_parameter(self, data: object, requires_grad: object, backward_hooks: object) -> NDArray[Any]:
        """`_rebuild_parameter`: the array of the parameter."""
        _check_no_hooks(backward_hooks)
        if not isinstance(data, np.ndarray):
            raise CheckpointError(f"a Parameter must hold a tensor, not a {type(data).__name__}")
        return data

    def rebuild_parameter_with_state(
        self, data: object, requires_grad: object, backward_hooks: object, state: object
    ) -> NDArray[Any]:
        """`_rebuild_parameter_with_state`, allowed where the state is empty."""
        if state not in (None, {}, (None, None), ({}, {}), ({}, None)):
            raise CheckpointError(
                "refuses to load: 'torch._utils._rebuild_parameter_with_state' would hang attributes on a Parameter"
            )
        return self.rebuild_parameter(data, requires_grad, backward_hooks)

    def _rebuild(
        self, storage: Storage, element_type: str, offset: object, size: object, stride: object
    ) -> NDArray[Any]:
        """Check the view against the storage and copy it."""
        elements = storage.elements(element_type)
        shape, strides, first = _checked_view(elements.size, offset, size, stride)
        self._budget.charge(math.prod(shape) * result_dtype(element_type).itemsize)
        if 0 in shape:
            try:
                return np.empty(shape, result_dtype(element_type))
            except ValueError as error:  # sizes that overflow beside the zero
                raise CheckpointError(f"a tensor has sizes that NumPy cannot hold: {error}") from error
        byte_strides = tuple(step * elements.itemsize for step in strides)
        return decode(as_strided(elements[first:], shape, byte_strides, writeable=False), element_type)


def _storage(storage: object) -> Storage:
    if not isinstance(storage, Storage):
        raise CheckpointError(f"a tensor must lie in a storage, not in a {type(storage).__name__}")
    return storage


def _checked_view(
    n_elements: int, offset: object, size: object, stride: object
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Shape, strides and offset of a view that lies within `n_elements`."""
    if not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
        raise CheckpointError("a tensor must have as many sizes as strides, both in tuples")
    if len(size) > MOST_DIMENSIONS:
        raise CheckpointError(f"a tensor has {len(size)} dimensions, more than {MOST_DIMENSIONS}")
    numbers = (offset, *size, *stride)
    for number in numbers:
        if not is_count(number):
            raise CheckpointError(f"a tensor has an impossible offset, size or stride: {described(number)}")
    first: int = numbers[0]
    # The stride of a dimension of size 1 is never used and may be anything.
    used_strides = tuple(step if length > 1 else 0 for length, step in zip(size, stride, strict=True))
    if 0 not in size:
        last = first + sum((length - 1) * step for length, step in zip(size, used_strides, strict=True))
        if last >= n_elements:
            raise CheckpointError(
                f"a tensor of size {size} and strides {stride} at offset {first} reaches element {last} of a storage "
                f"of {n_elements}"
            )
    return size, used_strides, first


def _check_no_hooks(backward_hooks: object) -> None:
    if backward_hooks is not None and not (isinstance(backward_hooks, dict) and not backward_hooks):
        raise CheckpointError("refuses to load: a tensor carries backward hooks, which are code")


def _with_lazy_bits(array: NDArray[Any], metadata: object) -> NDArray[Any]:
    """Carry out the conjugation and negation that torch leaves pending (`tensor.conj()`)."""
    if metadata is None:
        return array
    if not isinstance(metadata, dict) or not all(key in ("conj", "neg") for key in metadata):
        raise CheckpointError("a tensor has metadata other than 'conj' and 'neg'")
    if metadata.get("conj"):
        np.conjugate(array, out=array)  # in place: the array is our own copy
    if metadata.get("neg"):
        np.negative(array, out=array)
    return array
