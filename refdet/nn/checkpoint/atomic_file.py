"""Write a file so that a reader sees the old one or the new one, never half of either.

The content goes to a temporary file in the same directory (a rename is atomic only within one file system), is
flushed to the disk, and takes the final name by `os.replace`; then the directory itself is flushed, since the
rename is a change of the directory (POSIX `rename`, `fsync`; Pillai et al., OSDI 2014, "All File Systems Are Not
Created Equal", on what goes wrong without). An exception in the middle removes the temporary file. A power cut may
leave it behind; its name is `.`, 16 random hexadecimal digits, `.tmp`.
"""

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, write_content: Callable[[BinaryIO], object]) -> None:
    """Create or replace `path` by what `write_content` writes, all or nothing.

    Where `path` is a symbolic link, the file that it leads to is replaced, and the link stays. Links in a circle lead
    to no file: they are an `OSError`, as when such a file is opened. The temporary file is named in no `OSError`.
    """
    given, path = path, Path(os.path.realpath(path))  # Path.resolve makes a RuntimeError of links in a circle
    if path.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(given))
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            write_content(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:  # KeyboardInterrupt too must leave nothing behind
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, temporary, str(temporary)):
            error.filename = str(given)  # of a full disk it is None
        raise
    _flush_directory(path.parent)


def write_bytes_atomically(path: Path | str, content: bytes) -> None:
    """Create or replace `path` by some bytes, all or nothing."""
    write_atomically(Path(path), lambda file: file.write(content))


def _flush_directory(directory: Path) -> None:
    """Wait until the directory's entries are on the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
