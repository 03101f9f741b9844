"""Files of data as a whole: read, with a reason where that fails, and written all or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from refdet.nn.checkpoint.atomic_file import write_atomically

MOST_SIDE = 1_000_000  # pixels of a picture's height or width that a file may claim


def read_bytes(path: Path, error: type[ValueError]) -> bytes:
    """Return the content of a file, or raise `error`, which names the file and what is in the way."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as problem:  # ValueError: a path with a NUL in it
        raise error(f"{path}: {why_unreadable(problem)}") from None


def why_unreadable(problem: Exception) -> str:
    """Return in words why a file could not be read."""
    if isinstance(problem, FileNotFoundError):
        return "there is no such file"
    if isinstance(problem, IsADirectoryError):
        return "is a directory, not a file"
    return f"cannot be read: {getattr(problem, 'strerror', None) or problem}"


def write_bytes(path: Path | str, content: bytes) -> None:
    """Create or replace a file, all or nothing."""

    def put(file: BinaryIO) -> None:
        file.write(content)

    write_atomically(Path(path), put)
