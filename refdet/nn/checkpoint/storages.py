"""A torch storage: a flat run of elements of one type, on which tensors are views.

The pickle of a checkpoint holds no numbers of tensors; it refers to storages by *persistent ids*,

    ("storage", storage type, key, location, number of elements)                  zip format
    ("storage", storage type, key, location, number of elements, view or None)    legacy format

and the bytes stand elsewhere in the file under that key. `location` is the device it was saved from ("cpu",
"cuda:0"); here everything is loaded to memory and it is ignored.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refdet.nn.checkpoint.elements import STORED_TYPES, ByteOrder, stored_dtype
from refdet.nn.checkpoint.errors import CheckpointError, described


class StorageType(NamedTuple):
    """A class of storages, such as `torch.FloatStorage`."""

    name: str
    element_type: str

    @property
    def element_size(self) -> int:
        """Bytes per element."""
        return np.dtype(STORED_TYPES[self.element_type]).itemsize


class StorageId(NamedTuple):
    """A persistent id, checked."""

    storage_type: StorageType
    key: str
    n_elements: int
    extra: tuple[Any, ...]  # what the legacy format adds: (view or None,)

    @property
    def n_bytes(self) -> int:
        """Bytes that the storage must have."""
        return self.n_elements * self.storage_type.element_size


@dataclass(frozen=True)
class Storage:
    """The bytes of a storage and how to read them."""

    storage_type: StorageType
    content: bytes | memoryview
    byte_order: ByteOrder

    def elements(self, element_type: str) -> NDArray[Any]:
        """View the bytes as stored elements of a type; a remainder at the end is left out."""
        dtype = stored_dtype(element_type, self.byte_order)
        return np.frombuffer(self.content, dtype, count=len(self.content) // dtype.itemsize)


def checked_storage_id(saved_id: object, n_extra: int) -> StorageId:
    """Read a persistent id, which ends in `n_extra` fields of the format's own."""
    expected = "('storage', type, key, location, number of elements" + (", view)" if n_extra else ")")
    if not isinstance(saved_id, tuple) or len(saved_id) != 5 + n_extra or saved_id[0] != "storage":
        raise CheckpointError(f"a persistent id must be {expected}; came {_described_id(saved_id)}")
    _, storage_type, key, _, n_elements, *extra = saved_id
    if not isinstance(storage_type, StorageType):
        raise CheckpointError(f"a storage must have a type of torch's, not {described(storage_type)}")
    if not isinstance(key, str):
        raise CheckpointError(f"the key of a storage must be a string, not {described(key)}")
    if not is_count(n_elements):
        raise CheckpointError(f"storage {described(key)} has an impossible number of elements: {described(n_elements)}")
    return StorageId(storage_type, key, n_elements, tuple(extra))


def is_count(value: object) -> bool:
    """Whether a value is an integer (no bool) that torch can hold as a size: 0 <= value < 2^63."""
    return type(value) is int and 0 <= value < 2**63


def _described_id(saved_id: object) -> str:
    """A persistent id in the words of an error message."""
    if not isinstance(saved_id, tuple):
        return described(saved_id)
    return f"({', '.join(described(part) for part in saved_id[:8])})"
