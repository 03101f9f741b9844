"""Files of tensors that an implementation under test wrote: `.safetensors` or `.npz`.

Nothing in such a file is believed. Whatever is wrong with it, the answer is a `TensorFileError` of one sentence that
begins with the file's name; a few times the size limit is all the memory that it can cost, and no code in it is run.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from refdet.core.check import Array
from refdet.verify.npz_bytes import parse_npz
from refdet.verify.safetensors_bytes import format_safetensors, parse_safetensors
from refdet.verify.tensor_elements import TensorFileError

__all__ = ["FORMATS", "LARGEST", "TensorFileError", "read_tensors", "write_tensors"]

FORMATS = (".safetensors", ".npz")
LARGEST = 256 << 20  # bytes of a file, and of what an npz file unpacks to


def read_tensors(path: Path, limit: int = LARGEST) -> dict[str, Array]:
    """Return the tensors of a file of at most `limit` bytes; its suffix says the format."""
    try:
        if path.suffix not in FORMATS:
            raise TensorFileError(f"tensors are read from {' and '.join(FORMATS)} files")
        content = _read_regular_file(path, limit)
        return parse_npz(content, limit) if path.suffix == ".npz" else parse_safetensors(content)
    except OSError as error:
        raise TensorFileError(f"{path.name}: {error.strerror or error}") from error
    except MemoryError as error:
        raise TensorFileError(f"{path.name}: it needs more memory than there is") from error
    except TensorFileError as error:
        raise TensorFileError(f"{path.name}: {error}") from error


def write_tensors(path: Path, tensors: Mapping[str, Array]) -> None:
    """Write a `.safetensors` file.

    It is not written atomically: who waits for it is told on another way when it is complete.
    """
    try:
        path.write_bytes(format_safetensors(tensors))
    except OSError as error:
        raise TensorFileError(f"{path.name}: {error.strerror or error}") from error


def _read_regular_file(path: Path, limit: int) -> bytes:
    """Read a file, but no device or pipe, which might never end."""
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise TensorFileError("it is no regular file")
        content = b"" if status.st_size > limit else file.read(limit + 1)
    if max(status.st_size, len(content)) > limit:
        raise TensorFileError(f"it has {max(status.st_size, len(content))} bytes; at most {limit} are read")
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe too opens at once, whether or not anybody writes to it."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
