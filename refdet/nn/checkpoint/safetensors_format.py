"""The safetensors format: a header of JSON, then raw little-endian bytes.

    8 bytes    header length N, unsigned, little-endian
    N bytes    JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
    the rest   the tensors; the offsets are relative to here

Source: https://github.com/huggingface/safetensors, README, "Format". The library of that project writes the file
and checks lengths, offsets, overlaps and holes when reading. Here we add what it leaves open: duplicate names are
refused (JSON parsers keep the last, silently), bfloat16 is widened, and the metadata is one key, because the
library keeps metadata in a hash map whose order, and so the bytes of the file, vary from run to run.
"""

import json
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from refdet.nn.checkpoint.elements import decode, stored_dtype
from refdet.nn.checkpoint.errors import CheckpointError

METADATA_KEY = "refdet"
LENGTH_BYTES = 8

ELEMENT_TYPES = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}


def write(file: BinaryIO, arrays: dict[str, NDArray[Any]], metadata_text: str | None) -> None:
    """Write arrays that are already little-endian and C-contiguous."""
    import safetensors.numpy

    metadata = None if metadata_text is None else {METADATA_KEY: metadata_text}
    file.write(safetensors.numpy.save(arrays, metadata))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of a file."""
    import safetensors

    content = path.read_bytes()
    _read_header(content)
    try:
        entries = safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"not a valid safetensors file: {error}") from error
    return {name: _array(name, entry["dtype"], entry["shape"], entry["data"]) for name, entry in entries}


def read_metadata_text(path: Path) -> str | None:
    """Read the JSON document stored beside the arrays, if any."""
    metadata = _read_header(path.read_bytes()).get("__metadata__", {})
    text = metadata.get(METADATA_KEY) if isinstance(metadata, dict) else None
    if text is not None and not isinstance(text, str):
        raise CheckpointError(f"its metadata must be text, and is a {type(text).__name__}")
    return text


def _array(name: str, dtype_code: str, shape: list[int], data: bytes) -> NDArray[Any]:
    """One tensor as an array."""
    if dtype_code not in ELEMENT_TYPES:
        raise CheckpointError(f"tensor {name!r} has the type {dtype_code}, which has no NumPy counterpart")
    element_type = ELEMENT_TYPES[dtype_code]
    stored = np.frombuffer(data, stored_dtype(element_type, "little"))
    try:
        return decode(stored.reshape(shape), element_type)
    except ValueError as error:  # more dimensions than NumPy has, or sizes that overflow beside a zero
        raise CheckpointError(f"tensor {name!r} has a shape that NumPy cannot hold: {error}") from error


def _read_header(content: bytes) -> dict[str, Any]:
    """Parse the JSON header; its tensors are checked by the library."""
    n_header_bytes = int.from_bytes(content[:LENGTH_BYTES], "little")
    n_available = len(content) - LENGTH_BYTES
    if n_available < n_header_bytes or n_available < 0:
        raise CheckpointError(
            f"not a valid safetensors file: it has {len(content)} bytes and announces a header of {n_header_bytes}"
        )
    text = content[LENGTH_BYTES : LENGTH_BYTES + n_header_bytes]
    try:
        header = json.loads(text, object_pairs_hook=_without_duplicates)
    except CheckpointError:
        raise
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"not a valid safetensors file: its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise CheckpointError(
            f"not a valid safetensors file: its header must be a JSON object, not a {type(header).__name__}"
        )
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, refused where a key comes twice."""
    mapping: dict[str, Any] = {}
    for key, value in pairs:
        if key in mapping:
            raise CheckpointError(f"not a valid safetensors file: its header has the key {key!r} twice")
        mapping[key] = value
    return mapping
