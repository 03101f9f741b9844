"""The format of `torch.save` before 1.6, still written with `_use_new_zipfile_serialization=False`.

One after another:

    pickle     magic number 0x1950A86A20F9469CFC6C
    pickle     protocol version 1001
    pickle     system information: {"protocol_version": 1001, "little_endian": True, "type_sizes": {...}}
    pickle     the object; storages are persistent ids
    pickle     the list of storage keys
    per key    number of elements, int64 little-endian, then the elements

Source: torch/serialization.py, `_legacy_save` and `_legacy_load`; torch/csrc/serialization.cpp, `writeFileRaw`.

The elements are little-endian *always*: `writeFileRaw` swaps them on a big-endian machine. `little_endian` in the
system information tells of the machine and not of the file; torch ignores it, and so do we.

A persistent id may describe a view on a storage, (key of the view, offset, number of elements). Torch no longer writes
them; files older than 0.4 have them.

The bytes of a storage stand behind the object that refers to it, and only the object tells their element size. So the
object is unpickled twice: once with storages that are not looked at, to learn their sizes, and once in earnest.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refdet.nn.checkpoint.allowed_names import GlobalName, allowed_names
from refdet.nn.checkpoint.errors import CheckpointError, described
from refdet.nn.checkpoint.restricted_unpickler import load_pickle, load_plain_pickle
from refdet.nn.checkpoint.storages import Storage, StorageId, StorageType, checked_storage_id, is_count
from refdet.nn.checkpoint.tensors import MemoryBudget

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
PICKLE_PROTO = b"\x80"  # the opcode that begins every pickle since protocol 2
COUNT_BYTES = 8


def looks_legacy(beginning: bytes) -> bool:
    """Whether a file that begins so may be a legacy checkpoint: whether it is a pickle."""
    return beginning.startswith(PICKLE_PROTO)


def read_legacy(path: Path) -> Any:
    """Read the object of a legacy checkpoint."""
    content = path.read_bytes()
    object_start = _check_preamble(content)
    survey = _Survey()
    names = allowed_names(MemoryBudget(len(content)))
    _, object_end = load_pickle(content, object_start, _without_tensors(names), survey.load)
    keys, storages_start = load_plain_pickle(content, object_end)
    storages = _LegacyStorages(_read_storages(content, storages_start, keys, survey.storage_ids))
    loaded, _ = load_pickle(content, object_start, allowed_names(MemoryBudget(len(content))), storages.load)
    return loaded


def _check_preamble(content: bytes) -> int:
    """Check the three pickles before the object and return where it begins."""
    magic_number, position = load_plain_pickle(content, 0)
    if magic_number != MAGIC_NUMBER:
        raise CheckpointError("not a torch checkpoint: a pickle without torch's magic number")
    protocol_version, position = load_plain_pickle(content, position)
    if protocol_version != PROTOCOL_VERSION:
        raise CheckpointError(f"its protocol version must be {PROTOCOL_VERSION}, and is {described(protocol_version)}")
    system_information, position = load_plain_pickle(content, position)
    if not isinstance(system_information, dict):
        raise CheckpointError(f"its system information must be a dict, not a {type(system_information).__name__}")
    return position


class _Survey:
    """The first pass: note which storages there are."""

    def __init__(self) -> None:
        self.storage_ids: dict[str, StorageId] = {}

    def load(self, saved_id: object) -> Storage:
        """Note a persistent id; the storage returned is not looked at."""
        storage_id = checked_storage_id(saved_id, n_extra=1)
        first = self.storage_ids.setdefault(storage_id.key, storage_id)
        if first.n_bytes != storage_id.n_bytes:
            raise CheckpointError(
                f"storage {described(storage_id.key)} is said to have {first.n_bytes} and {storage_id.n_bytes} bytes"
            )
        return Storage(storage_id.storage_type, b"", "little")


def _without_tensors(names: Mapping[GlobalName, Any]) -> dict[GlobalName, Any]:
    """The allowed names, with functions that build nothing in place of those that build tensors."""

    def no_tensor(*arguments: object) -> None:
        """Stand for a tensor whose storage is not read yet."""

    return {name: no_tensor if name[0] == "torch._utils" else meaning for name, meaning in names.items()}


def _read_storages(
    content: bytes, position: int, keys: object, storage_ids: Mapping[str, StorageId]
) -> dict[str, memoryview]:
    """The bytes of each storage; together they must fill the file to its end."""
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise CheckpointError("its list of storage keys is not a list of strings")
    if len(set(keys)) != len(keys) or set(keys) != set(storage_ids):
        raise CheckpointError("its list of storage keys does not name each storage of its tensors once")
    view = memoryview(content)
    storages: dict[str, memoryview] = {}
    for key in keys:
        expected = storage_ids[key]
        begin = position + COUNT_BYTES
        if begin > len(content):
            raise CheckpointError(f"truncated: it ends before storage {described(key)}")
        n_elements = int.from_bytes(view[position:begin], "little", signed=True)
        if n_elements != expected.n_elements:
            raise CheckpointError(
                f"storage {described(key)} should have {expected.n_elements} elements, and states {n_elements}"
            )
        position = begin + expected.n_bytes
        if position > len(content):
            raise CheckpointError(f"truncated: storage {described(key)} lacks {position - len(content)} bytes")
        storages[key] = view[begin:position]
    if position != len(content):
        raise CheckpointError(f"it goes on for {len(content) - position} bytes after its last storage")
    return storages


class _LegacyStorages:
    """The second pass: return the storages."""

    def __init__(self, contents: Mapping[str, memoryview]) -> None:
        self._contents = contents

    def load(self, saved_id: object) -> Storage:
        """Return the storage of a persistent id, or the view on it."""
        storage_id = checked_storage_id(saved_id, n_extra=1)
        (view,) = storage_id.extra
        content = self._contents[storage_id.key]
        if view is not None:
            content = _view(content, storage_id.storage_type, view)
        return Storage(storage_id.storage_type, content, "little")


def _view(content: memoryview, storage_type: StorageType, view: object) -> memoryview:
    """The part of a storage that a view covers."""
    if not isinstance(view, tuple) or len(view) != 3 or not is_count(view[1]) or not is_count(view[2]):
        raise CheckpointError("a view on a storage must be (key, offset, number of elements)")
    _, offset, n_elements = view
    begin, end = (n * storage_type.element_size for n in (offset, offset + n_elements))
    if end > len(content):
        raise CheckpointError(f"a view on a storage reaches byte {end} of {len(content)}")
    return content[begin:end]
