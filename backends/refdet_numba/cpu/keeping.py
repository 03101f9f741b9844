"""Where compiled code is kept.

Numba notices that the file of a function has changed, not that a file which the function calls into has (numba#1833):
an edit of `gemm.py` would leave every convolution with the old product. So each file's compiled code is kept in a
folder whose name holds a digest of that file, of the files of this package that it imports, directly or not, of those
of refdet that these import (whose constants become part of the code), of Numba's version, and of the processor, for
which some files choose the width of their vectors. Different code never meets.

The folder lies in `$NUMBA_CACHE_DIR`, else `$XDG_CACHE_HOME/refdet`, else `~/.cache/refdet`; where none of these can be
written, code is compiled anew in every process. Nothing is ever removed from it; it may be deleted at any time.
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
import llvmlite.binding
import numba
from numba.core import config

import refdet

PACKAGE = Path(__file__).parents[1]
IMPORT = re.compile(r"^from (refdet(?:_numba)?\.[\w.]+) import", re.MULTILINE)


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
    processor = llvmlite.binding.get_host_cpu_features().flatten()
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {processor}".encode())
    for imported in sorted(files_behind(file)):
        digest.update(imported.name.encode() + b"\0" + imported.read_bytes())
    return digest.hexdigest()[:16]


def files_behind(file: Path) -> set[Path]:
    """Return `file`, what it imports of this package, directly or not, and what all of these import of refdet."""
    found: set[Path] = set()
    to_read = {file}
    while to_read:
        reading = to_read.pop()
        found.add(reading)
        if PACKAGE in reading.parents or reading == file:
            names = IMPORT.findall(reading.read_text(encoding="utf-8"))
            files = {_file_of(name) for name in names}
            to_read |= {other for other in files if other is not None} - found
    return found


def _file_of(module: str) -> Path | None:
    """Return the file of a module, None for a package."""
    package, *names = module.split(".")
    folder = PACKAGE if package == PACKAGE.name else Path(refdet.__file__).parent
    file = folder.joinpath(*names).with_suffix(".py")
    return file if file.is_file() else None
