"""Where compiled code is kept.

Numba notices that the file of a function has changed, not that a file which the function calls into has (numba#1833):
an edit of `gemm.py` would leave every convolution with the old product. So each file's compiled code is kept in a
folder whose name holds a digest of that file, of the files of this package that it imports, directly or not, and of
Numba's version; different code never meets.

The folder lies in `$NUMBA_CACHE_DIR`, else `$XDG_CACHE_HOME/refdet`, else `~/.cache/refdet`; where none of these can be
written, code is compiled anew in every process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import llvmlite
import numba
from numba.core import config

PACKAGE = Path(__file__).parents[1]
IMPORT = re.compile(r"^from refdet_numba\.([\w.]+) import", re.MULTILINE)


@functools.cache
def place() -> Path | None:
    """Return the folder of all compiled code, None if there is none that can be written."""
    for parent in (os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME"), "~/.cache"):
        if not parent:
            continue
        try:
            folder = Path(parent).expanduser() / "refdet"
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except (OSError, RuntimeError):  # RuntimeError: there is no home
            continue
    return None


@contextlib.contextmanager
def in_folder_of(file: Path, options: str) -> Iterator[bool]:
    """Have Numba keep the functions of `file` that are decorated inside the `with` block; False if it cannot.

    Functions that are compiled with other options need another folder: Numba would load the one for the other.
    """
    folder, before = place(), config.CACHE_DIR
    config.CACHE_DIR = str(folder / f"{file.stem}-{_digest(file)}" / options) if folder else before
    try:
        yield folder is not None
    finally:
        config.CACHE_DIR = before


@functools.cache
def _digest(file: Path) -> str:
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    for imported in sorted(_behind(file, set())):
        digest.update(imported.name.encode() + b"\0" + imported.read_bytes())
    return digest.hexdigest()[:16]


def _behind(file: Path, found: set[Path]) -> set[Path]:
    """Return `file` and what it imports of this package."""
    if file not in found and file.is_file():
        found.add(file)
        for name in IMPORT.findall(file.read_text(encoding="utf-8")):
            _behind(PACKAGE / f"{name.replace('.', '/')}.py", found)
    return found
