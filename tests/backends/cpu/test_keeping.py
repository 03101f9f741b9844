"""The digest of compiled code covers every file whose contents become part of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from refdet_numba.cpu import keeping

import refdet

CPU = keeping.PACKAGE / "cpu"
FILES = sorted(file for file in CPU.glob("*.py") if file.name != "__init__.py")


def test_what_a_file_imports_of_this_package_directly_or_not() -> None:
    behind = keeping.files_behind(CPU / "conv2d.py")
    assert {CPU / f"{name}.py" for name in ("conv2d", "correlate", "direct", "register_tile", "gemm")} <= behind


def test_what_it_imports_of_refdet_where_constants_come_from() -> None:
    home = Path(refdet.__file__).parent
    assert home / "crf" / "lattice_index.py" in keeping.files_behind(CPU / "lattice_blur.py")


WHOLE_MODULES = {"compiling", "mean_field"}  # which use them in Python only


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_import_is_written_so_that_it_is_found(file: Path) -> None:
    for line in re.findall(r"^[ \t]*(?:from|import) refdet.*", file.read_text(encoding="utf-8"), re.MULTILINE):
        match = keeping.IMPORT.match(line)
        assert match or line == "import refdet", line
        if match and match[1] == "refdet_numba.cpu":
            assert file.stem in WHOLE_MODULES, line
