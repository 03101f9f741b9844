"""Parameters as JSON, and back.

| Python | JSON |
|---|---|
| None, bool, int, float, str | null, true or false, a number without a point, a number with one, a string |
| tuple | array |
| slice(a, b, c) | `{"slice": [a, b, c]}`, null where a part is absent |
| Ellipsis | `"..."` |
| array of integers or booleans | `{"array": "int64" or "bool", "shape": [...], "values": [...]}`, in row-major order |

Floats are written with the fewest digits that give the same float64 back. Arrays, slices, None as a new axis, and
Ellipsis occur in the `key` of `index` and `gather` alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import EllipsisType
from typing import Any

import numpy as np


def encode_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what JSON can hold; a key of `index` or `gather` is always a tuple of its parts.

    >>> encode_params({"axis": (0, 1), "key": slice(None, 2)})
    {'axis': [0, 1], 'key': [{'slice': [None, 2, None]}]}
    """
    return {
        name: _encode((value,) if name == "key" and not isinstance(value, tuple) else value)
        for name, value in params.items()
    }


def decode_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Python values of `encode_params`.

    >>> decode_params({"axis": [0, 1], "key": [{"slice": [None, 2, None]}, "..."]})
    {'axis': (0, 1), 'key': (slice(None, 2, None), Ellipsis)}
    """
    return {name: _decode(value) for name, value in params.items()}


def _encode(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_encode(v) for v in value]
    if isinstance(value, slice):
        return {"slice": [_encode(value.start), _encode(value.stop), _encode(value.step)]}
    if isinstance(value, EllipsisType):
        return "..."
    if isinstance(value, np.ndarray):
        dtype = "bool" if value.dtype.kind == "b" else "int64"
        return {"array": dtype, "shape": list(value.shape), "values": value.astype(dtype).ravel().tolist()}
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a parameter must be finite to be written as JSON, got {value}")
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a parameter of type {type(value).__name__} has no JSON form here: {value!r}")


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_decode(v) for v in value)
    if isinstance(value, dict) and "slice" in value:
        return slice(*value["slice"])
    if isinstance(value, dict) and "array" in value:
        return np.array(value["values"], value["array"]).reshape(value["shape"])
    return Ellipsis if value == "..." else value
