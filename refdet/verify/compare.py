"""How an answer is compared with a golden one: the four classes, executed.

| class  | passes where | stored with it |
|---|---|---|
| exact  | y = ŷ as real numbers | |
| bound  | abs(y − ŷ) ≤ γ_n · S,  γ_n = n·u / (1 − n·u),  u = 2⁻²⁴ for float32 | n, and S as a tensor |
| spread | abs(y − ŷ) ≤ t | t as a tensor |
| ulp    | abs(y − ŷ) ≤ max(ulps · ulp(ŷ), floor), where ulp(ŷ) is the gap to the next float | ulps, floor |

Rules that all of them share:

- The shape must be the expected one. +0 and −0 are equal.
- Where ŷ is NaN, y must be NaN; where ŷ is ±∞, y must be the same infinity; and y may be neither where ŷ is finite.
- Integers may come in any integer type. Floats may come in the expected type or a wider one, and are not rounded
  before they are compared: a float64 answer to a float32 question is held against the tolerance as it is.
- Sums follow Higham, "Accuracy and Stability of Numerical Algorithms" (2002), section 3.1: γ_n · Σ abs(terms) bounds
  the error of a sum in every order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refdet.core.check import Array, shape_of

KINDS = ("exact", "bound", "spread", "ulp")
MOST_NAMED = 6  # elements that one of two lists lacks; more are counted
LONGEST_LIST = 4096  # elements, beyond which lists of different lengths are not compared


@dataclass(frozen=True)
class Mismatch:
    """Why an answer is not the golden one: a sentence about its form, or its first wrong element."""

    sentence: str
    index: tuple[int, ...] | None = None  # of the first wrong element, in row-major order
    expected: float | int | None = None
    got: float | int | None = None
    tolerances: float | None = (
        None  # the first wrong element's distance, in tolerances; None where nothing is tolerated
    )
    n_wrong: int = 0
    n_elements: int = 0
    is_dtype: bool = False  # whether the dtype is refused, so that no element was looked at

    def __str__(self) -> str:
        return self.sentence


def compare_tensor(
    actual: Array, expected: Array, rule: Mapping[str, Any], tolerance: Array | None = None
) -> Mismatch | None:
    """Return None if `actual` passes, else what is wrong with it.

    `rule` is what the manifest says of the tensor, such as `{"kind": "bound", "n": 73}`; `tolerance` is the tensor
    stored beside it, if its kind has one.
    """
    return compare_within(
        actual, expected, None if rule["kind"] == "exact" else tolerance_of(expected, rule, tolerance)
    )


def tolerance_of(expected: Array, rule: Mapping[str, Any], stored: Array | None = None) -> NDArray[np.float64]:
    """Return how far an answer may be from `expected`, element by element; `stored` is S, or the tolerances themselves.

    >>> tolerance_of(np.array([1, 0], np.float32), {"kind": "ulp", "ulps": 2, "floor": 2**-30}) == [2**-22, 2**-30]
    array([ True,  True])
    """
    kind = rule["kind"]
    if kind == "exact":
        return np.zeros(expected.shape)
    if kind == "ulp":
        return np.maximum(int(rule["ulps"]) * unit_in_last_place(expected), float(rule["floor"]))
    if kind not in KINDS:
        raise ValueError(f"compare: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if stored is None:
        raise ValueError(f"compare: the class {kind!r} needs the tensor of tolerances that is stored with the case")
    return stored.astype(np.float64) * (error_bound(rule["n"], expected.dtype) if kind == "bound" else 1.0)


def error_bound(n: int, dtype: np.dtype[Any]) -> float:
    """Return γ_n = n·u / (1 − n·u), u being half the gap between 1 and the next number of `dtype`.

    >>> error_bound(1, np.dtype(np.float32)) == 2**-24 / (1 - 2**-24)
    True
    """
    u = float(np.finfo(dtype).eps) / 2
    if n * u >= 1:
        raise ValueError(f"error_bound: {n} rounding errors are too many for {dtype}")
    return n * u / (1 - n * u)


def unit_in_last_place(x: Array) -> NDArray[np.float64]:
    """Return the gap between |x| and the next larger number of its dtype, in float64; 0 for NaN and ±∞.

    Above the largest number the gap is the one below it.

    >>> unit_in_last_place(np.array([1, -2, 0], np.float32)) == [2**-23, 2**-22, 2**-149]
    array([ True,  True,  True])
    """
    finite = np.where(np.isfinite(x), np.abs(x), np.zeros_like(x))
    if x.dtype.kind == "f":
        finite = np.minimum(finite, np.nextafter(np.finfo(x.dtype).max, x.dtype.type(0)))
    gap = np.spacing(finite).astype(np.float64)
    return np.where(np.isfinite(x), gap, 0.0)


def compare_within(actual: Array, expected: Array, tolerance: NDArray[np.float64] | None) -> Mismatch | None:
    """Compare form, then elements; a `tolerance` of None tolerates nothing, and no integer may differ."""
    sentence = _wrong_form(actual, expected)
    if sentence:
        size, is_dtype = int(expected.size), shape_of(actual) == shape_of(expected)
        return Mismatch(sentence, n_wrong=size, n_elements=size, is_dtype=is_dtype)
    if expected.dtype.kind in "iub":
        return _first_wrong(actual, expected, actual != expected, None)
    with np.errstate(invalid="ignore", over="ignore"):
        equal = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
        if tolerance is None:
            return _first_wrong(actual, expected, ~equal, None)
        distance = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
        both_finite = np.isfinite(actual) & np.isfinite(expected)
        return _first_wrong(actual, expected, ~(equal | (both_finite & (distance <= tolerance))), tolerance)


def _wrong_form(actual: Array, expected: Array) -> str:
    """Return what is wrong with the shape or the dtype, or nothing."""
    if shape_of(actual) != shape_of(expected):
        return f"the shape is {shape_of(actual)}, expected {shape_of(expected)}{_as_lists(actual, expected)}"
    kind, wanted = actual.dtype.kind, expected.dtype
    if wanted.kind in "iu" and kind not in "iu":
        return f"the dtype is {actual.dtype.name}, expected integers (of any width)"
    if wanted.kind == "b" and kind != "b":
        return f"the dtype is {actual.dtype.name}, expected booleans"
    if wanted.kind == "f" and (kind != "f" or actual.dtype.itemsize < wanted.itemsize):
        return f"the dtype is {actual.dtype.name}, expected {wanted.name} or a wider float"
    return ""


def _as_lists(actual: Array, expected: Array) -> str:
    """Return how two lists of integers of different lengths differ, as the end of a sentence; of others nothing."""
    are_lists = all(x.ndim == 1 and x.size <= LONGEST_LIST and x.dtype.kind in "iu" for x in (actual, expected))
    if not are_lists:
        return ""
    got, wanted = actual.tolist(), expected.tolist()
    n = min(len(got), len(wanted))
    at = next((i for i in range(n) if got[i] != wanted[i]), n)
    parts = [f"the first difference is [{at}]: expected {_at(wanted, at)}, got {_at(got, at)}"]
    surplus, lacking = Counter(got) - Counter(wanted), Counter(wanted) - Counter(got)
    parts += [f"{word}: {_named(found)}" for word, found in (("extra", surplus), ("missing", lacking)) if found]
    return "; " + "; ".join(parts)


def _at(values: list[int], i: int) -> str:
    return str(values[i]) if i < len(values) else "no more"


def _named(found: Counter[int]) -> str:
    names = [str(value) for value in found.elements()]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _first_wrong(
    actual: Array, expected: Array, wrong: NDArray[np.bool_], tolerance: NDArray[np.float64] | None
) -> Mismatch | None:
    n_wrong = int(np.count_nonzero(wrong))
    if not n_wrong:
        return None
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), wrong.shape))
    y, y_expected = actual[index].item(), expected[index].item()
    tolerances = None
    if tolerance is not None:
        allowed, distance = float(tolerance[index]), abs(float(y) - float(y_expected))
        measurable = math.isfinite(distance) and allowed > 0
        tolerances = distance / allowed if measurable else math.inf
    by = "" if tolerances is None else f", {tolerances:.3g} tolerances away"
    others = f"; {n_wrong} of {wrong.size} elements are wrong" if n_wrong > 1 else ""
    at = f"element {list(index)}" if index else "the value"
    return Mismatch(
        f"{at} is {y!r}, expected {y_expected!r}{by}{others}",
        index,
        y_expected,
        y,
        tolerances,
        n_wrong,
        int(wrong.size),
    )
