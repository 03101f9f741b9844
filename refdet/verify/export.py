"""Golden cases in other containers, for those who would rather not read safetensors.

    DIR/index.json               what is in the folder: the manifest's entry of every case, and the files of each
    DIR/ALGORITHM/NAME.npz       npz: one file per case, tensors inputs/x, answers/y, tolerances/y.bound, ...
    DIR/ALGORITHM/NAME.json      json: the bytes of the elements as hexadecimal digits, and as decimals for people
    DIR/ALGORITHM/NAME/x.bin     bin: the elements alone, little-endian, in row-major order
    DIR/ALGORITHM/NAME.h         c-header: arrays for C99 (`export_c_header.py`)

The same cases give the same bytes. A folder appears whole or not at all: it is written beside its place, and renamed.
It may replace an earlier export, which is told by its index; a folder that holds anything else is left alone.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.export_c_header import c_header, identifier
from refdet.verify.suite import StoredCase, tensor_bytes

INDEX = "index.json"
FORMAT = 1  # of the index
GROUPS = {
    "input": "inputs",
    "expected": "answers",
    "grad": "answers",
    "bound": "tolerances",
    "trace": "stages",
    "alt": "alternatives",
}  # by role, what a tensor is called in an export


class ExportError(ValueError):
    """A folder into which nothing is exported; the message is a sentence."""


@dataclass(frozen=True)
class Exported:
    """One case in a container."""

    files: Mapping[str, bytes]  # by path within the folder
    about: Mapping[str, Any]  # added to the case's entry in the index: where it is
    about_tensors: Mapping[str, Mapping[str, str]]  # likewise, by tensor


def as_npz(case: StoredCase) -> Exported:
    """Return the case as one file of arrays, whose bytes do not depend on the clock."""
    keys = {name: f"{group}/{name}" for name, group in _groups(case).items()}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, key in keys.items():
            array = io.BytesIO()
            np.lib.format.write_array(array, case.tensors[name], allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), array.getvalue())
    file = f"{case.id}.npz"
    return Exported({file: content.getvalue()}, {"file": file}, {name: {"key": key} for name, key in keys.items()})


def as_json(case: StoredCase) -> Exported:
    """Return the case as one JSON object, its tensors as hexadecimal digits and as decimals."""
    content: dict[str, Any] = {**_entry(case, {}), "tensors": {}}
    for (name, group), tensor in zip(_groups(case).items(), case.listing, strict=True):
        x = case.tensors[name]
        content["tensors"].setdefault(group, {})[name] = {
            "dtype": tensor["dtype"],
            "shape": tensor["shape"],
            "hex": tensor_bytes(x).hex(),
            "decimals": _decimals(x),
        }
    file = f"{case.id}.json"
    return Exported({file: _json_bytes(content)}, {"file": file}, {})


def as_bin(case: StoredCase) -> Exported:
    """Return the case as one file of elements for each tensor."""
    paths = {name: f"{case.id}/{name}.bin" for name in _groups(case)}
    files = {path: tensor_bytes(case.tensors[name]) for name, path in paths.items()}
    return Exported(files, {}, {name: {"file": path} for name, path in paths.items()})


def as_c_header(case: StoredCase) -> Exported:
    """Return the case as a header of C99."""
    file = f"{case.id}.h"
    names = {name: {"identifier": identifier(case.id, name)} for name in _groups(case)}
    return Exported({file: c_header(case).encode("ascii")}, {"file": file}, names)


FORMATS: dict[str, Callable[[StoredCase], Exported]] = {
    "npz": as_npz,
    "json": as_json,
    "bin": as_bin,
    "c-header": as_c_header,
}


def export(cases: Iterable[StoredCase], to: str, folder: Path, *, suite_version: str) -> int:
    """Write the cases into a folder in one of the FORMATS; return the number of files.

    Raises `ExportError` where the folder holds something else than an earlier export, `OSError` where it cannot be
    written.
    """
    folder = folder.resolve()
    check_replaceable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = folder.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        scratch.mkdir()
        index: dict[str, Any] = {"refdet_export": FORMAT, "format": to, "suite_version": suite_version, "cases": []}
        files: list[str] = []
        for case in cases:
            exported = FORMATS[to](case)
            for name, content in exported.files.items():
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                (scratch / name).write_bytes(content)
            files += exported.files
            index["cases"].append({**exported.about, **_entry(case, exported.about_tensors)})
        (scratch / INDEX).write_bytes(_json_bytes({**index, "files": files}))
        _take_place(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return len(files)


def check_replaceable(folder: Path) -> None:
    """Refuse a folder that is neither new, nor empty, nor an earlier export and nothing else."""
    if not folder.exists():
        return
    if Path.cwd().is_relative_to(folder):
        raise ExportError(f"{folder} would be replaced, and is where you are; name a folder inside it")
    if not folder.is_dir():
        raise ExportError(f"{folder} is a file; an export is a folder")
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if not present and not any(folder.iterdir()):
        return
    earlier = _files_of(folder / INDEX)
    if earlier is None:
        raise ExportError(f"{folder} is not empty, and is no earlier export; name a new folder")
    if foreign := sorted(present - earlier - {INDEX}):
        raise ExportError(f"{folder} is an earlier export that also holds {foreign[0]}, which would be lost; move it")


def _files_of(index: Path) -> set[str] | None:
    """Return the files that an index lists; None if it is not that of an export."""
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or "refdet_export" not in content or not isinstance(content.get("files"), list):
        return None
    return {str(name) for name in content["files"]}


def _take_place(new: Path, folder: Path) -> None:
    """Rename a folder to one that may exist; what was there before is gone only when the new one has its name."""
    if not folder.exists():
        os.rename(new, folder)
        return
    old = folder.with_name(f".{secrets.token_hex(8)}.tmp")
    os.rename(folder, old)
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(old, folder)
        raise
    shutil.rmtree(old)


def _groups(case: StoredCase) -> dict[str, str]:
    return {tensor["name"]: GROUPS[tensor["role"]] for tensor in case.listing}


def _entry(case: StoredCase, about_tensors: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return what the manifest says of a case; its tensors are elsewhere."""
    tensors = [
        {**{key: value for key, value in tensor.items() if key != "hex"}, **about_tensors.get(tensor["name"], {})}
        for tensor in case.listing
    ]
    return {**case.entry, "tensors": tensors}


def _decimals(x: Array) -> list[str]:
    """Return the elements in row-major order, each with the fewest digits that give it back in its own type.

    >>> _decimals(np.array([0.1, np.nan, -np.inf], np.float32))
    ['0.1', 'nan', '-inf']
    """
    return [str(element) for element in x.ravel()]


def _json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()
