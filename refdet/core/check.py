"""Input checks whose messages name the op, the argument, what was expected and what came.

They read shapes and dtypes only, never values, so that they cost nothing and run on any array type.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Numbers = Sequence[float] | Array
LARGEST_INTEGER = 2**63 - 1  # that int64 holds


def check_floating(op: str, *, optional: Collection[str] = (), **arrays: Array | None) -> None:
    """Refuse arrays that are not float32 or float64, or that differ in that; only `optional` ones may be None."""
    first: tuple[str, Any] | None = None
    for name, x in arrays.items():
        if x is None and name in optional:
            continue
        if x is None or not is_array(x):
            raise not_an_array(op, name, x)
        if x.dtype.kind != "f" or x.dtype.itemsize not in (4, 8):
            raise TypeError(f"{op}: {name} must be float32 or float64, got {x.dtype.name}; convert it with astype")
        if first is None:
            first = (name, x.dtype)
        elif x.dtype.itemsize != first[1].itemsize:
            raise TypeError(
                f"{op}: {first[0]} is {first[1].name} but {name} is {x.dtype.name}; convert one of them with astype"
            )


def check_integer(op: str, **arrays: Array | None) -> None:
    """Refuse arrays that do not hold integers (booleans are not integers here); None passes."""
    for name, x in arrays.items():
        if x is None:
            continue
        if not is_array(x):
            raise not_an_array(op, name, x)
        if x.dtype.kind not in "iu":
            raise TypeError(f"{op}: {name} must be an integer array, got {x.dtype.name}")


def check_booleans(op: str, **arrays: Array | None) -> None:
    """Refuse arrays that do not hold booleans; None passes."""
    for name, flags in arrays.items():
        if flags is None:
            continue
        if not is_array(flags):
            raise not_an_array(op, name, flags)
        if flags.dtype.kind != "b":
            raise TypeError(f"{op}: {name} must be a boolean array, got {flags.dtype.name}")


def check_rank(op: str, name: str, x: Array, layout: str) -> None:
    """Refuse `x` unless it has one axis per comma-separated name of `layout`, e.g. `"N, C, H, W"`."""
    if not is_array(x):
        raise not_an_array(op, name, x)
    rank = layout.count(",") + 1
    if x.ndim != rank:
        raise ValueError(f"{op}: {name} must have rank {rank} ({layout}), got rank {x.ndim} with shape {shape_of(x)}")


def check_shape(op: str, name: str, x: Array, expected: tuple[int, ...], because: str) -> None:
    """Refuse `x` unless it has the `expected` shape, which holds `because` of something said in words."""
    if not is_array(x):
        raise not_an_array(op, name, x)
    if shape_of(x) != expected:
        raise ValueError(f"{op}: {name} must have shape {expected} ({because}), got {shape_of(x)}")


def check_gradient(op: str, dy: Array, shape: tuple[int, ...], like: Array) -> None:
    """Refuse an incoming gradient that does not have the output's shape and dtype."""
    check_floating(op, output=like, dy=dy)
    check_shape(op, "dy", dy, tuple(shape), "the shape of the output")


def check_choice(op: str, name: str, value: object, choices: Collection[str]) -> None:
    """Refuse a convention that is not one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{op}: {name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_number(
    op: str,
    name: str,
    value: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    open_low: bool = False,
    infinite: bool = False,
) -> float:
    """Return `value` as a float; refuse what is not a finite number in [low, high], or (low, high] with `open_low`.

    With `infinite`, ±∞ are numbers too. A float of Python's takes the dtype of the array it meets, a scalar of NumPy's
    may change it.
    """
    try:
        is_number = not isinstance(value, bool) and isinstance(value, numbers.Real) and not math.isnan(value)
        finite = is_number and math.isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        is_number = finite = False
    if infinite and not is_number:
        raise ValueError(f"{op}: {name} must be a number, got {value!r}")
    if not infinite and not finite:
        raise ValueError(f"{op}: {name} must be a finite number, got {value!r}")
    if value < low or value > high or (open_low and value == low):
        interval = f"{'(' if open_low or low == -math.inf else '['}{low:g}, {high:g}{')' if high == math.inf else ']'}"
        raise ValueError(f"{op}: {name} must lie in {interval}, got {value!r}")
    return float(value)


def check_flag(op: str, name: str, value: object) -> bool:
    """Return a truth value; refuse anything else, which might be meant otherwise than Python reads it."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{op}: {name} must be True or False, got {value!r}")
    return bool(value)


def check_generator(op: str, rng: object) -> None:
    """Refuse what is not a numpy.random.Generator, a bare seed for instance."""
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{op}: rng must be a numpy.random.Generator such as numpy.random.default_rng(0), got {type(rng).__name__}"
        )


def check_axis(op: str, axis: int, ndim: int) -> int:
    """Return `axis` counted from the front."""
    i_axis = as_index(axis)
    if i_axis is None:
        raise TypeError(f"{op}: axis must be an integer, got {axis!r}")
    if not -ndim <= i_axis < ndim:
        raise ValueError(f"{op}: axis {i_axis} does not exist in an array of rank {ndim}")
    return i_axis % ndim


def integer(op: str, name: str, value: Any, *, low: int, int64: bool = False) -> int:
    """Return a single integer; refuse anything below `low`, and with `int64` what that does not hold."""
    index = as_index(value)
    if index is None:
        raise TypeError(f"{op}: {name} must be an integer, got {value!r}")
    if index < low:
        raise ValueError(f"{op}: {name} must be at least {low}, got {value!r}")
    if int64:
        check_int64(op, name, index)
    return index


def integers(op: str, name: str, value: Any, *, count: int, low: int, int64: bool = True) -> tuple[int, ...]:
    """Return one integer for each of `count` axes from an int or a sequence; refuse anything below `low`.

    No axis is longer than `int64` holds; what else may be, such as a seed, is asked for without it.
    """
    several = value.ndim == 1 if isinstance(value, np.ndarray) else isinstance(value, Sequence)
    values = list(value) if several and not isinstance(value, (str, bytes)) else [value] * count
    if len(values) != count:
        raise ValueError(f"{op}: {name} must be an integer or {count} of them, got {value!r}")
    found = [i for i in map(as_index, values) if i is not None]
    if len(found) < count:
        raise TypeError(f"{op}: {name} must hold integers, got {value!r}")
    if min(found, default=low) < low:
        raise ValueError(f"{op}: {name} must be at least {low}, got {value!r}")
    if int64:
        check_int64(op, name, max(found, default=low))
    return tuple(found)


def check_int64(op: str, name: str, value: int) -> None:
    """Refuse an integer above the largest that int64 holds; digits that nobody would read are not shown."""
    if value > LARGEST_INTEGER:
        shown = str(value) if value.bit_length() <= 128 else f"one of {value.bit_length()} bits"
        raise ValueError(f"{op}: {name} must fit into int64, got {shown}")


def check_sequence(op: str, name: str, values: Any) -> None:
    """Refuse what is no list, tuple or array, such as a single number, and text."""
    single = values.ndim == 0 if isinstance(values, np.ndarray) else not isinstance(values, Sequence)
    if single or isinstance(values, (str, bytes)):
        raise TypeError(f"{op}: {name} must be a sequence, got {values!r}")


def sequence(op: str, name: str, values: Any) -> list[Any]:
    """Return the entries of a list, tuple or array; refuse a single number, and text."""
    check_sequence(op, name, values)
    return list(values)


def positive_numbers(op: str, name: str, values: Numbers) -> tuple[float, ...]:
    """Return any number of positive floats."""
    return tuple(check_number(op, name, v, low=0, open_low=True) for v in sequence(op, name, values))


def as_index(value: Any) -> int | None:
    """Return a Python or NumPy integer as an int; None for anything else, truth values included."""
    if type(value) is int:  # nearly always, and much faster than the rest
        return value
    if isinstance(value, (bool, np.bool_)) or getattr(value, "ndim", 0) > 0:
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def is_array(x: object) -> bool:
    """Say whether x has what makes an array, of NumPy's type or another."""
    return hasattr(x, "dtype") and hasattr(x, "shape")


def not_an_array(op: str, name: str, x: object) -> TypeError:
    """Return the error that an argument is no array."""
    return TypeError(f"{op}: {name} must be an array, got {type(x).__name__}")


def shape_of(x: Array) -> tuple[int, ...]:
    """Return the shape as plain integers, for messages and comparisons."""
    return tuple(int(n) for n in x.shape)


def shapes_of(arrays: Mapping[str, Array | None]) -> str:
    """Return `"x (2, 3), y (4,)"`, for messages."""
    return ", ".join(f"{name} {shape_of(x)}" for name, x in arrays.items() if x is not None)
