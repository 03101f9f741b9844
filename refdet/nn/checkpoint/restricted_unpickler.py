"""Run a pickle that was scanned: names come from a list, storages from a function, and nothing is imported."""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refdet.nn.checkpoint.allowed_names import GlobalName, callable_names, refusal
from refdet.nn.checkpoint.errors import CheckpointError
from refdet.nn.checkpoint.pickle_scan import scan_pickle
from refdet.nn.checkpoint.storages import Storage, StorageType

LoadStorage = Callable[[object], Storage]

LEAVES = (bool, int, float, str, bytes, type(None), np.ndarray)
SEQUENCES = (list, tuple, set, frozenset)


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler whose `find_class` is a lookup in a table."""

    def __init__(self, content: bytes, names: Mapping[GlobalName, Any], load_storage: LoadStorage) -> None:
        # Checkpoints written by Python 2 hold byte strings where text is meant; torch.load decodes them as UTF-8.
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self._names = names
        self._load_storage = load_storage

    def find_class(self, module: str, name: str, /) -> Any:
        """Return what the name stands for in the table."""
        if (module, name) not in self._names:
            raise refusal(module, name)
        return self._names[module, name]

    def persistent_load(self, pid: object) -> Storage:
        """Return the storage that a persistent id refers to."""
        return self._load_storage(pid)


def load_pickle(
    content: bytes, start: int, names: Mapping[GlobalName, Any], load_storage: LoadStorage
) -> tuple[Any, int]:
    """Scan, run and check the pickle at byte `start`; return its object and where it ends."""
    end = scan_pickle(content, start, names, callable_names(names))
    try:
        loaded = RestrictedUnpickler(content[start:end], names, load_storage).load()
    except (CheckpointError, MemoryError):
        raise
    except Exception as error:  # "other exceptions may also be raised during unpickling" (documentation of pickle)
        raise CheckpointError(f"corrupt pickle: {error}") from error
    _check_plain(loaded)
    return loaded, end


def load_plain_pickle(content: bytes, start: int) -> tuple[Any, int]:
    """Load a pickle of numbers, strings and containers, which names nothing and refers to no storage."""

    def no_storage(saved_id: object) -> Storage:
        raise CheckpointError("corrupt pickle: a storage is referred to where only plain values can stand")

    return load_pickle(content, start, {}, no_storage)


def _check_plain(loaded: object) -> None:
    """Check that a pickle gave plain values and arrays, and neither functions nor bare storages.

    With a list and not by recursion, and each container once, since a pickle may nest and share as it likes.
    """
    pending: list[object] = [loaded]
    seen: set[int] = set()
    while pending:
        value = pending.pop()
        if type(value) in LEAVES or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, dict):
            pending.extend(value.keys())
            pending.extend(value.values())
        elif isinstance(value, SEQUENCES) and not isinstance(value, StorageType):  # which is a tuple too
            pending.extend(value)
        else:
            raise CheckpointError(
                f"refuses to load: it holds a bare {type(value).__name__}; arrays and plain values are read"
            )
