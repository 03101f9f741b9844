"""The zip format of `torch.save`, the default since torch 1.6.

    NAME/data.pkl             the object, pickled; storages are persistent ids
    NAME/byteorder            "little" or "big"; absent before torch 2.0, and then little
    NAME/version              version of the file format, a decimal number
    NAME/data/KEY             the bytes of the storage KEY
    NAME/.format_version, NAME/.storage_alignment, NAME/.data/serialization_id     not needed here

NAME is any word. Source: torch/serialization.py, `_save` and `_load`; caffe2/serialize/inline_container.h for the
versions. A TorchScript archive looks alike and adds NAME/constants.pkl; it holds a program, and is refused.
"""

from pathlib import Path
from typing import Any

from refdet.nn.checkpoint.allowed_names import SAVE_THE_STATE_DICT, allowed_names
from refdet.nn.checkpoint.elements import ByteOrder
from refdet.nn.checkpoint.errors import CheckpointError, described
from refdet.nn.checkpoint.restricted_unpickler import load_pickle
from refdet.nn.checkpoint.storages import Storage, checked_storage_id
from refdet.nn.checkpoint.tensors import MemoryBudget
from refdet.nn.checkpoint.zip_members import ZipMembers

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_NAME = "/data.pkl"
KNOWN_VERSIONS = range(1, 11)  # kMinSupportedFileFormatVersion to kMaxSupportedFileFormatVersion


def read_zip(path: Path) -> Any:
    """Read the object of a zip checkpoint."""
    with path.open("rb") as file:
        members = ZipMembers(file)
        root = _root(members)
        _check_version(members, root)
        storages = _ZipStorages(members, root)
        names = allowed_names(MemoryBudget(path.stat().st_size))
        loaded, _ = load_pickle(members.read(root + PICKLE_NAME), 0, names, storages.load)
        return loaded


class _ZipStorages:
    """The storages of an archive, each read once."""

    def __init__(self, members: ZipMembers, root: str) -> None:
        self._members = members
        self._root = root
        self._byte_order = _byte_order(members, root)
        self._contents: dict[str, bytes] = {}

    def load(self, saved_id: object) -> Storage:
        """Return the storage of a persistent id."""
        storage_id = checked_storage_id(saved_id, n_extra=0)
        if storage_id.key not in self._contents:
            self._contents[storage_id.key] = self._members.read(f"{self._root}/data/{storage_id.key}")
        content = self._contents[storage_id.key]
        if len(content) != storage_id.n_bytes:
            raise CheckpointError(
                f"storage {described(storage_id.key)} should have {storage_id.n_elements} elements of "
                f"{storage_id.storage_type.element_size} bytes, and has {len(content)} bytes"
            )
        return Storage(storage_id.storage_type, content, self._byte_order)


def _root(members: ZipMembers) -> str:
    """The directory of the archive that holds everything."""
    roots = [name.removesuffix(PICKLE_NAME) for name in members.names if name.endswith(PICKLE_NAME)]
    roots = [root for root in roots if "/" not in root]
    if len(roots) != 1:
        raise CheckpointError(f"not a torch checkpoint: a zip archive with {len(roots)} members called NAME/data.pkl")
    if f"{roots[0]}/constants.pkl" in members.names:
        raise CheckpointError(f"refuses to load: a TorchScript archive holds a program; {SAVE_THE_STATE_DICT}")
    return roots[0]


def _check_version(members: ZipMembers, root: str) -> None:
    text = members.read(f"{root}/version").strip()
    if not text.isdigit() or len(text) > 4 or int(text) not in KNOWN_VERSIONS:
        expected = f"{KNOWN_VERSIONS[0]} to {KNOWN_VERSIONS[-1]}"
        raise CheckpointError(f"its format version is {text[:20]!r}; known are {expected}")


def _byte_order(members: ZipMembers, root: str) -> ByteOrder:
    name = f"{root}/byteorder"
    content = members.read(name) if name in members.names else b"little"
    if content == b"little":
        return "little"
    if content == b"big":
        return "big"
    raise CheckpointError(f"its byte order must be 'little' or 'big', and is {content[:20]!r}")
