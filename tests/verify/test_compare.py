"""The classes of comparison: what each accepts, what each rejects, and what it says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refdet.verify.compare import (
    Mismatch,
    compare_tensor,
    error_bound,
    unit_in_last_place,
)

EXACT = {"kind": "exact"}
RULES = [EXACT, {"kind": "bound", "n": 10}, {"kind": "spread"}, {"kind": "ulp", "ulps": 4, "floor": 1e-6}]


def floats(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def exact(actual: Any, expected: Any) -> Mismatch | None:
    return compare_tensor(actual, expected, EXACT)


def bound(actual: Any, expected: Any, n: int, scale: Any) -> Mismatch | None:
    return compare_tensor(actual, expected, {"kind": "bound", "n": n}, scale)


def spread(actual: Any, expected: Any, tolerance: Any) -> Mismatch | None:
    return compare_tensor(actual, expected, {"kind": "spread"}, tolerance)


def ulp(actual: Any, expected: Any, ulps: int, floor: float) -> Mismatch | None:
    return compare_tensor(actual, expected, {"kind": "ulp", "ulps": ulps, "floor": floor})


def failed(mismatch: Mismatch | None) -> Mismatch:
    assert mismatch is not None
    return mismatch


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r["kind"])
class TestEveryClass:
    def compare(self, actual: Any, expected: Any, rule: Any) -> Mismatch | None:
        return compare_tensor(actual, expected, rule, np.ones(expected.shape, np.float32))

    def test_zeros_of_both_signs_are_equal(self, rule: Any) -> None:
        assert self.compare(floats(0.0, -0.0), floats(-0.0, 0.0), rule) is None

    def test_the_class_of_what_is_not_finite_must_match(self, rule: Any) -> None:
        special = floats(np.nan, np.inf, -np.inf, 1)
        assert self.compare(special.copy(), special, rule) is None
        for i, wrong in ((0, 1.0), (0, np.inf), (1, np.nan), (1, -np.inf), (1, 3e38), (2, np.inf), (3, np.nan)):
            actual = special.copy()
            actual[i] = wrong
            mismatch = failed(self.compare(actual, special, rule))
            assert mismatch.index == (i,)
            assert mismatch.n_wrong == 1

    def test_a_wider_float_is_welcome_and_a_narrower_one_is_not(self, rule: Any) -> None:
        assert self.compare(np.array([1.5, 2.0]), floats(1.5, 2.0), rule) is None
        sentence = str(failed(self.compare(np.array([1.5, 2.0], np.float16), floats(1.5, 2.0), rule)))
        assert sentence == "the dtype is float16, expected float32 or a wider float"
        assert "float32, expected float64 or a wider float" in str(failed(self.compare(floats(1), np.ones(1), rule)))

    def test_floats_are_not_integers(self, rule: Any) -> None:
        assert "the dtype is int64, expected float32" in str(failed(self.compare(np.array([1]), floats(1), rule)))

    def test_shape(self, rule: Any) -> None:
        sentence = str(failed(self.compare(np.ones((2, 1), np.float32), np.ones(2, np.float32), rule)))
        assert sentence == "the shape is (2, 1), expected (2,)"

    def test_nothing_and_a_number(self, rule: Any) -> None:
        assert self.compare(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), rule) is None
        assert self.compare(np.array(2.0, np.float32), np.array(2.0, np.float32), rule) is None
        mismatch = failed(self.compare(np.array(9.0, np.float32), np.array(2.0, np.float32), rule))
        assert mismatch.index == ()
        assert str(mismatch).startswith("the value is 9.0, expected 2.0")


def test_exact_holds_wider_floats_to_the_real_number() -> None:
    assert exact(np.array([1 + 2.0**-30]), floats(1)) is not None
    assert exact(np.array([1.0]), floats(1)) is None


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint64", ">i4"])
def test_any_integer_type_is_welcome(dtype: str) -> None:
    expected = np.array([0, 5, 100])
    assert exact(expected.astype(dtype), expected) is None
    mismatch = failed(exact((expected + 1).astype(dtype), expected))
    assert (mismatch.index, mismatch.expected, mismatch.got, mismatch.n_wrong) == ((0,), 0, 1, 3)


@pytest.mark.parametrize(
    ("got", "expected", "sentence"),
    [
        ([0, 2, 7], [0, 2], "(3,), expected (2,); the first difference is [2]: expected no more, got 7; extra: 7"),
        ([3], [0, 3, 3], "(1,), expected (3,); the first difference is [0]: expected 0, got 3; missing: 0, 3"),
        ([4, 5, 6], [5, 4], "(3,), expected (2,); the first difference is [0]: expected 5, got 4; extra: 6"),
        ([], [9], "(0,), expected (1,); the first difference is [0]: expected 9, got no more; missing: 9"),
    ],
)  # fmt: skip
def test_lists_of_different_lengths_say_what_is_extra_and_missing(
    got: list[int], expected: list[int], sentence: str
) -> None:
    assert str(failed(exact(np.array(got, np.int64), np.array(expected)))) == f"the shape is {sentence}"


def test_what_is_extra_is_counted_where_it_is_much() -> None:
    text = str(failed(exact(np.arange(100), np.arange(10))))
    assert text.endswith("extra: 10, 11, 12, 13, 14, 15 and 84 more")
    assert str(failed(exact(np.arange(10**5), np.arange(10)))) == "the shape is (100000,), expected (10,)"


def test_a_refused_dtype_is_told_from_a_wrong_value() -> None:
    assert failed(exact(np.zeros(0), np.zeros(0, np.int64))).is_dtype
    assert not failed(exact(np.zeros(1, np.int64), np.zeros(0, np.int64))).is_dtype
    assert not failed(exact(np.array([1]), np.array([2]))).is_dtype


def test_integers_do_not_wrap() -> None:
    """2⁶⁴ − 1 as unsigned is not −1."""
    assert exact(np.array([2**64 - 1], np.uint64), np.array([-1])) is not None


def test_floats_and_booleans_are_not_integers() -> None:
    assert "float64, expected integers" in str(failed(exact(np.array([1.0]), np.array([1]))))
    assert "bool, expected integers" in str(failed(exact(np.array([True]), np.array([1]))))
    assert "int64, expected booleans" in str(failed(exact(np.array([1]), np.array([True]))))


def test_the_first_wrong_element_in_row_major_order() -> None:
    expected = np.arange(6, dtype=np.float32).reshape(2, 3)
    actual = expected.copy()
    actual[0, 2], actual[1, 0] = 7, 8
    mismatch = failed(exact(actual, expected))
    assert (mismatch.index, mismatch.expected, mismatch.got) == ((0, 2), 2.0, 7.0)
    assert (mismatch.n_wrong, mismatch.n_elements, mismatch.tolerances) == (2, 6, None)
    assert str(mismatch) == "element [0, 2] is 7.0, expected 2.0; 2 of 6 elements are wrong"
    assert failed(exact(np.asfortranarray(actual), expected)).index == (0, 2)


def test_bound_is_gamma_times_scale() -> None:
    """γ₃ · S with S = 8: the largest distance that passes, and the next float64."""
    allowed = 3 * 2.0**-24 / (1 - 3 * 2.0**-24) * 8
    expected, scale = floats(1), floats(8)
    assert error_bound(3, np.dtype(np.float32)) * 8 == allowed
    assert bound(np.array([1 + 0.999 * allowed]), expected, 3, scale) is None
    mismatch = failed(bound(np.array([1 + 2 * allowed]), expected, 3, scale))
    assert mismatch.tolerances == pytest.approx(2)
    assert str(mismatch).endswith(", 2 tolerances away")


def test_bound_of_float64_is_tighter() -> None:
    assert error_bound(1, np.dtype(np.float64)) == 2.0**-53 / (1 - 2.0**-53)
    with pytest.raises(ValueError, match="16777216 rounding errors are too many for float32"):
        error_bound(2**24, np.dtype(np.float32))


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 200))
def test_every_order_of_summation_is_within_the_bound(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = (rng.standard_normal(n).astype(np.float32) for _ in range(2))
    exact = np.float32(math.fsum(float(a) * float(b) for a, b in zip(x, w, strict=True)))
    total = np.float32(0)
    for i in rng.permutation(n):
        total = total + x[i] * w[i]
    scale = np.array([np.abs(x.astype(float) * w).sum()], np.float32)
    assert bound(np.array([total]), np.array([exact]), n + 1, np.nextafter(scale, np.float32(np.inf))) is None


def test_spread_is_the_stored_tolerance() -> None:
    tolerance = floats(0.5, 0)
    assert spread(floats(1.5, 2), floats(1, 2), tolerance) is None
    assert failed(spread(floats(2, 2), floats(1, 2), tolerance)).tolerances == 2
    assert failed(spread(floats(1, 2.5), floats(1, 2), tolerance)).tolerances == math.inf


def test_ulp_or_floor_whichever_is_more() -> None:
    one_up = np.nextafter(np.float32(1), np.float32(2))
    assert ulp(np.array([one_up]), floats(1), 1, 0.0) is None
    assert ulp(np.array([np.nextafter(one_up, np.float32(2))]), floats(1), 1, 0.0) is not None
    assert ulp(floats(1e-7), floats(0), 4, 1e-6) is None
    assert ulp(floats(2e-6), floats(0), 4, 1e-6) is not None
    assert ulp(floats(1), floats(1), 0, 0.0) is None


def test_units_in_the_last_place() -> None:
    gaps = unit_in_last_place(floats(1, -4, 0, np.nan, np.inf))
    np.testing.assert_array_equal(gaps, [2.0**-23, 2.0**-21, 2.0**-149, 0, 0])


def test_what_the_manifest_may_not_say() -> None:
    with pytest.raises(ValueError, match="kind must be one of exact, bound, spread, ulp, got 'close'"):
        compare_tensor(floats(1), floats(1), {"kind": "close"})
    with pytest.raises(ValueError, match="the class 'spread' needs the tensor of tolerances"):
        compare_tensor(floats(1), floats(1), {"kind": "spread"})
