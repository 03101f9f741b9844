"""Arrays that refuse what CuPy's do not know, as far as the kernels come near it, and what it does by way of the host.

Of NumPy's functions they know those of FUNCTIONS, with the options that CuPy 13 and 14 have; no ufunc takes `where` or
is reduced; no array of NumPy's comes near one of them, but numbers do. Nothing turns one into a number but `item`,
which waits for the device, as do the functions of WAITING and a boolean array as an index: all are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.duck import DuckArray, unwrapped

LIKE = {"dtype", "order", "shape"}
FUNCTIONS = {  # and the options that CuPy has of each
    "any": {"axis", "out", "keepdims"},
    "arange": {"dtype"},
    "argsort": {"axis", "kind"},
    "concatenate": {"axis"},
    "copy": {"order"},
    "cumsum": {"axis", "dtype", "out"},
    "empty_like": LIKE,
    "expand_dims": {"axis"},
    "full_like": LIKE,
    "hstack": set(),
    "max": {"axis", "out", "keepdims"},
    "ones_like": LIKE,
    "reshape": {"order"},
    "split": {"axis"},
    "stack": {"axis", "out"},
    "sum": {"axis", "dtype", "out", "keepdims"},
    "transpose": {"axes"},
    "unique": {"return_index", "return_inverse", "return_counts", "axis", "equal_nan"},
    "where": set(),
    "zeros_like": LIKE,
}
WAITING = {"unique"}
METHODS = ("copy", "max", "min", "reshape", "sum", "swapaxes", "transpose")
OF_UFUNCS = {"out", "dtype", "casting"}


class CupyLike(DuckArray):
    """An array on a pretended device; `waits` says what has waited for any of them."""

    waits: list[str] = []  # noqa: RUF012 - shared by all

    flags = property(lambda self: self._values.flags)
    T = property(lambda self: CupyLike(self._values.T))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__" or options.keys() - OF_UFUNCS:
            raise TypeError(f"CuPy has no {ufunc.__name__} by {method} with {sorted(options)}")
        refuse_host_arrays(inputs)
        refuse_host_arrays(options)
        return on_device(ufunc(*unwrapped(inputs), **unwrapped(options)))

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        name = function.__name__
        if name not in FUNCTIONS or options.keys() - FUNCTIONS[name]:
            raise TypeError(f"CuPy has no {name} with {sorted(options)}")
        if name == "argsort" and options.get("kind") not in (None, "stable"):
            raise TypeError(f"CuPy does not sort by {options['kind']!r}")
        if name == "where" and len(arguments) < 3:
            raise TypeError("CuPy counts what a condition alone selects, and waits")
        if name in WAITING:
            self.waits.append(name)
        refuse_host_arrays(arguments)
        refuse_host_arrays(options)
        return on_device(function(*unwrapped(arguments), **unwrapped(options)))

    def __getitem__(self, key: Any) -> Any:
        self._check_key(key)
        return on_device(self._values[unwrapped(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._check_key(key)
        refuse_host_arrays(value)
        self._values[unwrapped(key)] = unwrapped(value)

    def _check_key(self, key: Any) -> None:
        refuse_host_arrays(key)
        parts = key if isinstance(key, tuple) else (key,)
        if any(isinstance(part, list) for part in parts):
            raise TypeError("a list as an index goes to the device first")
        if any(isinstance(part, CupyLike) and part.dtype.kind == "b" for part in parts):
            self.waits.append("index")

    def astype(self, dtype: Any, copy: bool = True) -> CupyLike:
        """Return the array in another dtype."""
        return CupyLike(self._values.astype(dtype, copy=copy))

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        if self.ndim < 2:
            raise TypeError("a loop over numbers of the device")
        return (self[i] for i in range(len(self)))

    def item(self) -> Any:
        """Return the only element."""
        self.waits.append("item")
        return self._values.item()


def _method(name: str) -> Any:
    def call(self: CupyLike, *arguments: Any, **options: Any) -> Any:
        if name in ("max", "min") and options.keys() - FUNCTIONS["max"]:
            raise TypeError(f"CuPy has no {name} with {sorted(options)}")
        return on_device(getattr(self._values, name)(*arguments, **options))

    return call


for _name in METHODS:
    setattr(CupyLike, _name, _method(_name))


def refuse_host_arrays(value: Any) -> None:
    """Raise a TypeError if there is an array of NumPy's in `value`, even one of a single number."""
    if isinstance(value, np.ndarray):
        raise TypeError("an array of NumPy's meets one of the device")
    if isinstance(value, (tuple, list)):
        for item in value:
            refuse_host_arrays(item)
    elif isinstance(value, dict):
        refuse_host_arrays(list(value.values()))


def on_device(value: Any) -> Any:
    """Replace what NumPy returned; a number is an array without axes there."""
    if isinstance(value, tuple):  # of arrays, perhaps with names
        return tuple(on_device(item) for item in value)
    if isinstance(value, list):
        return [on_device(item) for item in value]
    return CupyLike(value) if isinstance(value, (np.ndarray, np.generic)) else value


def to_device(value: Any) -> Any:
    """Return an array of NumPy's on the device; the way there that is meant."""
    return CupyLike(value) if isinstance(value, np.ndarray) else value


def to_host(value: Any) -> Any:
    """Return what an array of the device holds; the way back that is meant, which waits."""
    if isinstance(value, CupyLike):
        CupyLike.waits.append("to_host")
    return unwrapped(value)


def argument(value: Any) -> Any:
    """Return what the simulator computes with; a kernel on a device would copy an array of NumPy's there and back."""
    refuse_host_arrays(value)
    if isinstance(value, CupyLike) and not value.flags.c_contiguous:
        raise TypeError("kernels are compiled for arrays in row-major order")
    return unwrapped(value)
