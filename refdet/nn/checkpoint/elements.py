"""Turn stored bytes into NumPy arrays: the element types, and the two that need more than a view.

Every reader of this package ends here. An element type is called by its usual name ("float32"), and

- bfloat16, which NumPy lacks, becomes float32. It is the upper half of a float32 (same sign, same 8 exponent
  bits, 7 of 23 fraction bits), so 16 zero bits appended give the same number exactly, NaN payloads included;
- bool is stored as one byte. 0 is False; any other byte is True, and is stored as 1 in the array, because
  NumPy computes with the byte and a stray 2 would make `mask.view(uint8).sum()` and `mask.sum()` differ.

All other types are copied bit for bit into native byte order.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ByteOrder = Literal["little", "big"]

# Element type -> the NumPy type of its stored bits. For bfloat16 and bool that is not the type of the result.
STORED_TYPES = {
    "bool": "u1",
    "int8": "i1",
    "int16": "i2",
    "int32": "i4",
    "int64": "i8",
    "uint8": "u1",
    "uint16": "u2",
    "uint32": "u4",
    "uint64": "u8",
    "float16": "f2",
    "bfloat16": "u2",
    "float32": "f4",
    "float64": "f8",
    "complex64": "c8",
    "complex128": "c16",
}


def stored_dtype(element_type: str, byte_order: ByteOrder) -> np.dtype[Any]:
    """Return the dtype under which the stored bytes of an element type are read."""
    return np.dtype(STORED_TYPES[element_type]).newbyteorder("<" if byte_order == "little" else ">")


def result_dtype(element_type: str) -> np.dtype[Any]:
    """Return the dtype of the array that `decode` makes."""
    return np.dtype("float32" if element_type == "bfloat16" else element_type)


def decode(stored: NDArray[Any], element_type: str) -> NDArray[Any]:
    """Copy stored elements, of any strides, into a native C-contiguous array.

    >>> decode(np.array([0x3F80, 0xC000], "<u2"), "bfloat16")
    array([ 1., -2.], dtype=float32)
    """
    result = np.empty(stored.shape, result_dtype(element_type))
    if element_type == "bool":
        np.not_equal(stored, 0, out=result)
    elif element_type == "bfloat16":
        np.left_shift(stored, 16, out=result.view(np.uint32), dtype=np.uint32)
    else:
        result[...] = stored
    return result
