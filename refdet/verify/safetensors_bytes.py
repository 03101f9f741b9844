"""The safetensors format, read with suspicion, and written; with NumPy alone.

    8 bytes    header length N, unsigned, little-endian
    N bytes    JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
    the rest   the elements, little-endian, in C order; offsets count from here

Source: https://github.com/huggingface/safetensors, README, "Format". The library of that project is not used, because
`refdet.verify.serve` also runs in interpreters that do not have it, and because its messages name no tensor. The tests
hold this reader against the library: what one accepts the other does, but for names that come twice, booleans other
than 0 and 1, and types that NumPy lacks, all of which are refused here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.nn.checkpoint.errors import described
from refdet.verify.tensor_elements import ELEMENT_TYPES, TensorFileError, element_type, tensor_of

LENGTH_BYTES = 8
LONGEST_HEADER = 4 << 20  # bytes; parsed JSON takes some twenty times as much memory
METADATA = "__metadata__"
CODES = {name: code for code, name in ELEMENT_TYPES.items()}


def parse_safetensors(content: bytes) -> dict[str, Array]:
    """Return the tensors of a file, in the order of its header.

    >>> parse_safetensors(format_safetensors({"y": np.array([1.0, 2.0])}))
    {'y': array([1., 2.])}
    """
    header, data = _split(content)
    spans = {name: _span(name, entry) for name, entry in header.items()}
    _check_that_spans_tile(spans, len(data))
    tensors = {}
    for name, (begin, end) in spans.items():
        dtype = element_type(name, header[name].get("dtype"))
        tensors[name] = tensor_of(name, dtype.newbyteorder("<"), header[name].get("shape"), data[begin:end])
    return tensors


def format_safetensors(tensors: Mapping[str, Array]) -> bytes:
    """Return the bytes of a file that holds `tensors`; the same for the same tensors in any order."""
    for name, x in tensors.items():
        if not isinstance(x, np.ndarray) or x.dtype.name not in CODES:
            what = x.dtype.name if isinstance(x, np.ndarray) else type(x).__name__
            raise TensorFileError(f"tensor {described(name)} is {what}; it must be an array of {', '.join(CODES)}")
        if name == METADATA:
            raise TensorFileError(f"no tensor may be called {METADATA}")
    header, parts, begin = {}, [], 0
    # The widest elements first, so that all are aligned.
    for name, x in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        part = x.astype(x.dtype.newbyteorder("<"), copy=False).tobytes("C")
        end = begin + len(part)
        header[name] = {"dtype": CODES[x.dtype.name], "shape": list(x.shape), "data_offsets": [begin, end]}
        parts.append(part)
        begin = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % LENGTH_BYTES)
    return b"".join([len(text).to_bytes(LENGTH_BYTES, "little"), text, *parts])


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object, refused where a key comes twice: parsers keep the last, silently."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in mapping if keys.count(key) > 1)
        raise ValueError(f"the key {described(twice)} comes twice")
    return mapping


def _split(content: bytes) -> tuple[dict[str, dict[str, Any]], memoryview]:
    """Return the header's entries of tensors, and the bytes behind it."""
    if len(content) < LENGTH_BYTES:
        raise TensorFileError(f"it has {len(content)} bytes, and a safetensors file begins with {LENGTH_BYTES}")
    n = int.from_bytes(content[:LENGTH_BYTES], "little")
    if n > len(content) - LENGTH_BYTES:
        raise TensorFileError(
            f"it announces a header of {n} bytes, and has {len(content) - LENGTH_BYTES} behind the length: it is "
            "truncated, or no safetensors file"
        )
    if n > LONGEST_HEADER:
        raise TensorFileError(f"its header has {n} bytes; at most {LONGEST_HEADER} are read")
    text = content[LENGTH_BYTES : LENGTH_BYTES + n]
    if not text.startswith(b"{"):
        raise TensorFileError(
            f"its header begins with {described(text[:1])}; it must be a JSON object, from its '{{' on"
        )
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=without_duplicates)
    except (ValueError, RecursionError) as error:
        raise TensorFileError(f"its header is not JSON: {error}") from error
    _check_metadata(header.pop(METADATA, {}))
    for name, entry in header.items():
        if not isinstance(entry, dict):
            raise TensorFileError(f"the header's entry of tensor {described(name)} is {described(entry)}, no object")
    return header, memoryview(content)[LENGTH_BYTES + n :]


def _check_metadata(metadata: object) -> None:
    """Refuse metadata that other readers of the format refuse."""
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise TensorFileError(f"its {METADATA} must be an object whose values are strings")


def _span(name: str, entry: dict[str, Any]) -> tuple[int, int]:
    """Return where the elements of one tensor begin and end."""
    offsets = entry.get("data_offsets")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(n) is int for n in offsets):
        raise TensorFileError(f"the data_offsets of tensor {described(name)} must be two integers, [begin, end]")
    begin, end = offsets
    if not 0 <= begin <= end:
        raise TensorFileError(
            f"tensor {described(name)} begins at byte {described(begin)} and ends at {described(end)}"
        )
    return begin, end


def _check_that_spans_tile(spans: dict[str, tuple[int, int]], n_bytes: int) -> None:
    """Refuse gaps, overlaps, and bytes that belong to no tensor."""
    reached = 0
    for name, (begin, end) in sorted(spans.items(), key=lambda item: item[1]):
        if begin != reached:
            what = "a gap before" if begin > reached else "an overlap with"
            raise TensorFileError(
                f"tensor {described(name)} begins at byte {described(begin)}, where byte {reached} comes next: "
                f"{what} it"
            )
        reached = end
        if end > n_bytes:
            raise TensorFileError(
                f"tensor {described(name)} ends at byte {described(end)} of the data, which has {n_bytes} bytes: the "
                "file is truncated, or its offsets are wrong"
            )
    if reached != n_bytes:
        raise TensorFileError(f"its tensors take {reached} bytes of the data, which has {n_bytes}")
