"""Keys of arrays, and which axes of an array they reach into."""

from __future__ import annotations

from typing import Any

import numpy as np


def parts_of(key: Any) -> list[Any]:
    """Return the parts of a key; lists become arrays."""
    parts = key if isinstance(key, tuple) else (key,)
    return [np.array(part) if isinstance(part, list) else part for part in parts]


def is_mask(part: Any) -> bool:
    """Return whether a part of a key is an array of booleans."""
    return hasattr(part, "dtype") and part.dtype.kind == "b"


def n_axes(part: Any) -> int:
    """Return how many axes of x a part of a key names; Ellipsis none."""
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    return int(part.ndim) if is_mask(part) else 1


def n_named_axes(key: Any, ndim: int) -> int:
    """Return how many leading axes a key reaches into; all of them if it has an Ellipsis."""
    parts = parts_of(key)
    return ndim if any(part is Ellipsis for part in parts) else sum(map(n_axes, parts))
