"""An array type that is not NumPy's: it speaks NumPy's dispatch protocols and refuses to be converted.

It stands for arrays on a device. Whatever runs on it needs no NumPy array in between.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from refdet.core.kernel import Backend


class DuckArray(NDArrayOperatorsMixin):
    """Holds an array that only `values_of` gives out."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    shape = property(lambda self: self._values.shape)
    dtype = property(lambda self: self._values.dtype)
    ndim = property(lambda self: self._values.ndim)
    size = property(lambda self: self._values.size)
    itemsize = property(lambda self: self._values.itemsize)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("this array refuses to become a NumPy array")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        return wrapped(getattr(ufunc, method)(*unwrapped(inputs), **unwrapped(options)))

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        return wrapped(function(*unwrapped(arguments), **unwrapped(options)))

    def __getitem__(self, key: Any) -> Any:
        return wrapped(self._values[unwrapped(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._values[unwrapped(key)] = unwrapped(value)

    def astype(self, dtype: Any, copy: bool = True) -> DuckArray:
        return DuckArray(self._values.astype(dtype, copy=copy))

    def __len__(self) -> int:
        return len(self._values)

    def __bool__(self) -> bool:
        raise TypeError("this array refuses to decide a Python branch")

    __iter__ = None  # no element-by-element loops over a device


def unwrapped(value: Any) -> Any:
    """Replace every duck array in `value` by its NumPy array."""
    if isinstance(value, DuckArray):
        return value._values
    if isinstance(value, (tuple, list)):
        return type(value)(unwrapped(v) for v in value)
    if isinstance(value, dict):
        return {k: unwrapped(v) for k, v in value.items()}
    return value


def wrapped(value: Any) -> Any:
    """Replace every NumPy array and scalar in `value` by a duck array."""
    if isinstance(value, (np.ndarray, np.generic)):
        return DuckArray(value)
    if isinstance(value, (tuple, list)):
        return tuple(wrapped(v) for v in value)
    return value


# A backend that owns these arrays and has no kernels: what is not portable makes a round trip.
DUCKS = Backend("ducks", {"array.to_host": unwrapped, "array.to_device": wrapped}, "reference")


def values_of(value: Any) -> Any:
    """Return the NumPy arrays inside, for a test to compare; residuals keep their type."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(values_of(v) for v in value))
    return unwrapped(value)
