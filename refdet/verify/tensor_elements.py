"""One tensor from bytes that nobody vouches for.

A tensor is believed when its shape is a list of sizes, and shape and dtype together need exactly the bytes that are
there. What NumPy does not have (bfloat16, 8-bit floats) is refused and not widened: a bfloat16 that came back as
float32 would be judged by the tolerance of float32, and nobody could tell why it fails.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.nn.checkpoint.errors import described

MOST_AXES = 32  # NumPy 1 has no more

# Name in a safetensors header → NumPy's, which is also the name in the manifest and on the wire.
ELEMENT_TYPES = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}


NARROW = "F16"  # is read, and then refused where it is compared: no answer is that narrow


class TensorFileError(Exception):
    """A tensor, or a file of tensors, that cannot be read or written; one sentence says why."""


def element_type(name: str, code: object) -> np.dtype[Any]:
    """Return the dtype that a safetensors header calls `code`, for the tensor `name`."""
    if not isinstance(code, str) or code not in ELEMENT_TYPES:
        known = {word: code for code, word in ELEMENT_TYPES.items()}
        called = f"; {code} is called {known[code]} here" if isinstance(code, str) and code in known else ""
        allowed = ", ".join(name for name in ELEMENT_TYPES if name != NARROW)
        raise TensorFileError(
            f"tensor {described(name)} has the type {described(code)}{called}; write one of {allowed}"
        )
    return np.dtype(ELEMENT_TYPES[code])


def tensor_shape(name: str, shape: object) -> tuple[int, ...]:
    """Return the shape of the tensor `name`, once it is a list of sizes."""
    if not isinstance(shape, (list, tuple)) or not all(type(n) is int and 0 <= n < 2**63 for n in shape):
        shown = ", ".join(map(described, shape[:8])) if isinstance(shape, (list, tuple)) else described(shape)
        raise TensorFileError(f"tensor {described(name)} has the shape [{shown}], which is no list of sizes")
    if len(shape) > MOST_AXES:
        raise TensorFileError(f"tensor {described(name)} has {len(shape)} axes; at most {MOST_AXES} are read")
    return tuple(shape)


def tensor_of(name: str, dtype: np.dtype[Any], shape: object, data: bytes | memoryview, order: str = "C") -> Array:
    """Return the tensor whose elements, in the byte order of `dtype`, are `data`; it owns its memory.

    >>> tensor_of("y", np.dtype("<i2"), [2], bytes([1, 0, 0, 1]))
    array([  1, 256], dtype=int16)
    """
    sizes = tensor_shape(name, shape)
    if not name.isprintable():
        raise TensorFileError(f"the name of tensor {described(name)} has characters that cannot be printed")
    n_expected = math.prod(sizes) * dtype.itemsize
    if len(data) != n_expected:
        raise TensorFileError(
            f"tensor {described(name)} of type {dtype.name} and shape {list(sizes)} needs {described(n_expected)} "
            f"bytes and has {len(data)}"
        )
    if dtype.kind == "b" and np.any(np.ndarray(len(data), np.uint8, data) > 1):
        raise TensorFileError(f"tensor {described(name)} of booleans has a byte that is neither 0 nor 1")
    try:
        stored: Array = np.ndarray(sizes, dtype, data, order="F" if order == "F" else "C")
        return stored.astype(dtype.newbyteorder("="), order="C")
    except (ValueError, MemoryError) as error:  # sizes whose product overflows beside a zero
        raise TensorFileError(
            f"tensor {described(name)} has the shape {list(sizes)}, which NumPy cannot hold: {error}"
        ) from error
