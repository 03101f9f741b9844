"""Save and load named arrays: `.safetensors` or `.npz`, chosen by the suffix.

Both hold the same things, so that one converts into the other: arrays of bool, signed and unsigned integers of 8
to 64 bits, float16, float32, float64 and complex64, of any shape, bit for bit (NaN payloads, -0.0), and one JSON
document of metadata. Neither ever holds or loads a pickle.

Conventions
- Arrays are stored little-endian in C order; loaded ones are native, C-contiguous, writable and own their memory.
- Names come back in sorted order. Equal content gives equal bytes, whatever the order of the mapping saved.
- A file is replaced whole or not at all (`atomic_file`).
- Every failure is a `CheckpointError`, a missing file included.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refdet.nn.checkpoint import npz_format, safetensors_format
from refdet.nn.checkpoint.atomic_file import write_atomically
from refdet.nn.checkpoint.errors import CheckpointError, errors_name_file

FORMATS: dict[str, ModuleType] = {".safetensors": safetensors_format, ".npz": npz_format}

# What both formats can hold: safetensors has no complex128.
SAVED_TYPES = frozenset(
    [
        "bool",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "complex64",
    ]
)

RESERVED_NAME = "__metadata__"  # the key of the metadata in a safetensors header; npz uses the same
LONGEST_NAME = 65_000  # bytes in UTF-8; a zip archive counts them in 16 bits, ".npy" included


def save_tensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, NDArray[Any]],
    *,
    metadata: Mapping[str, Any] | None = None,
) -> None:
    """Write named arrays, and optionally a JSON document, to one file.

    Parameters
    - path: ends in `.safetensors` or `.npz`; an existing file is replaced.
    - tensors: name -> array; any shape, strides and byte order. Object arrays and complex128 are refused.
    - metadata: must survive JSON unchanged: string keys, lists and not tuples, no NaN.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_tensors(f"{folder}/weights.npz", {"bias": np.array([1.0, 2.0])}, metadata={"epoch": 3})
    ...     load_tensors(f"{folder}/weights.npz"), load_metadata(f"{folder}/weights.npz")
    ({'bias': array([1., 2.])}, {'epoch': 3})
    """
    path = Path(path)
    with errors_name_file(path):
        file_format = _format_of(path)
        arrays = {name: _storable(name, tensors[name]) for name in sorted(_checked_names(tensors))}
        metadata_text = None if metadata is None else _metadata_text(metadata)
        write_atomically(path, lambda file: file_format.write(file, arrays, metadata_text))


def load_tensors(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read the arrays of a `.safetensors` or `.npz` file, in the order of their names.

    bfloat16 tensors of a safetensors file become float32, exactly. Compressed `.npz` files are refused.
    """
    path = Path(path)
    with errors_name_file(path):
        arrays: dict[str, NDArray[Any]] = _format_of(path).read_arrays(path)
    return {name: arrays[name] for name in sorted(arrays)}


def load_metadata(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read the metadata that `save_tensors` wrote; empty where it wrote none."""
    path = Path(path)
    with errors_name_file(path):
        text: str | None = _format_of(path).read_metadata_text(path)
        if text is None:
            return {}
        try:
            metadata = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(f"its metadata is not JSON: {error}") from error
        if not isinstance(metadata, dict):
            raise CheckpointError(f"its metadata must be a JSON object, and is a {type(metadata).__name__}")
        return metadata


def _format_of(path: Path) -> ModuleType:
    """The module that reads and writes files of this suffix."""
    try:
        return FORMATS[path.suffix]
    except KeyError:
        allowed = " or ".join(FORMATS)
        raise CheckpointError(f"the suffix chooses the format and must be {allowed}, not {path.suffix!r}") from None


def _checked_names(tensors: Mapping[str, NDArray[Any]]) -> list[str]:
    """The names, once each is known to survive in both formats."""
    for name in tensors:
        if not isinstance(name, str):
            raise CheckpointError(f"names of tensors must be strings, not {name!r}")
        if name == RESERVED_NAME:
            raise CheckpointError(f"the name {RESERVED_NAME!r} is reserved for the metadata")
        if "\0" in name:
            raise CheckpointError(f"the name {name!r} contains a NUL character, at which zip archives cut names off")
        try:
            n_bytes = len(name.encode())
        except UnicodeEncodeError as error:
            raise CheckpointError(f"the name {name!r} cannot be written as UTF-8") from error
        if n_bytes > LONGEST_NAME:
            raise CheckpointError(f"the name {name[:20]!r}... has {n_bytes} bytes, more than {LONGEST_NAME}")
    return list(tensors)


def _storable(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """The array in little-endian C order, once its type is known to be storable."""
    if not isinstance(array, np.ndarray):
        raise CheckpointError(f"tensor {name!r} must be a NumPy array, not a {type(array).__name__}")
    if isinstance(array, np.ma.MaskedArray):
        raise CheckpointError(f"tensor {name!r} is a masked array, whose mask would be lost; save both apart")
    if array.dtype.name not in SAVED_TYPES:
        allowed = ", ".join(sorted(SAVED_TYPES))
        raise CheckpointError(f"tensor {name!r} has dtype {array.dtype}, which cannot be stored; allowed: {allowed}")
    return np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")


def _metadata_text(metadata: Mapping[str, Any]) -> str:
    """The metadata as JSON with sorted keys; refused where reading it back would differ."""
    try:
        text = json.dumps(dict(metadata), sort_keys=True, allow_nan=False)
        unchanged = json.loads(text) == dict(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"metadata cannot be written as JSON: {error}") from error
    if not unchanged:
        raise CheckpointError("metadata does not survive JSON unchanged: use lists for tuples and strings for keys")
    return text
