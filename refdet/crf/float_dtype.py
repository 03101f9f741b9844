"""The dtype of what is built around a network's output: unary potentials, features and compatibilities have to agree.

Networks and their probabilities are float32; what is built from sizes and weights takes `dtype=unary.dtype`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.core.check import Array, check_choice

DTypeName = str | np.dtype[Any] | type[np.floating[Any]]


def float_dtype(op: str, dtype: DTypeName | None, *, like: Array | None = None) -> np.dtype[Any]:
    """Return float32 or float64, in native byte order, from its name, its type or the dtype of another array.

    None stands for the dtype of `like` if that is float32, and for float64 if it is anything else, integers say.

    >>> float_dtype("f", "float32"), float_dtype("f", np.zeros(1, ">f4").dtype)
    (dtype('float32'), dtype('float32'))
    >>> float_dtype("f", None, like=np.zeros(1, np.uint8))
    dtype('float64')
    """
    if dtype is None and like is not None:
        return np.dtype("float32" if like.dtype.name == "float32" else "float64")
    name = np.dtype(dtype).name if isinstance(dtype, (np.dtype, type)) else dtype
    check_choice(op, "dtype", name, ("float32", "float64"))
    return np.dtype(name)
