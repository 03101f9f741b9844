"""Reading files of data as a whole, with a reason where that fails."""

from __future__ import annotations

from pathlib import Path

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
