"""Reading and writing files of data as a whole, with a reason where that fails."""

from __future__ import annotations

from pathlib import Path

from refdet.nn.checkpoint.atomic_file import write_bytes_atomically

MOST_SIDE = 1_000_000  # pixels of a picture's height or width that a file may claim


def read_bytes(path: Path, error: type[ValueError]) -> bytes:
    """Return the content of a file, or raise `error`, which names the file and what is in the way."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as problem:  # ValueError: a path with a NUL in it
        raise error(f"{path}: {why_unreadable(problem)}") from None


def write_bytes(path: Path | str, content: bytes, error: type[ValueError]) -> None:
    """Create or replace a file, all or nothing, or raise `error`, which names the file and what is in the way."""
    path = Path(path)
    try:
        write_bytes_atomically(path, content)
    except (OSError, ValueError) as problem:
        raise error(f"{path}: {_why_unwritable(path, problem)}") from None


def make_folder(path: Path, error: type[ValueError]) -> None:
    """Make a folder, and those above it, unless it is there, or raise `error`, which says what is in the way."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as problem:
        raise error(f"{path}: the folder cannot be made: {_in_words(problem)}") from None


def why_unreadable(problem: Exception) -> str:
    """Return in words why a file could not be read."""
    if isinstance(problem, FileNotFoundError):
        return "there is no such file"
    if isinstance(problem, IsADirectoryError):
        return "is a directory, not a file"
    return f"cannot be read: {_in_words(problem)}"


def _why_unwritable(path: Path, problem: Exception) -> str:
    """Return in words why a file could not be written."""
    if isinstance(problem, (FileNotFoundError, NotADirectoryError)) and not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    if isinstance(problem, IsADirectoryError):
        return "is a directory, not a file"
    return f"cannot be written: {_in_words(problem)}"


def _in_words(problem: Exception) -> str:
    """Return what the operating system says, without the path, which may be that of a temporary file."""
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
