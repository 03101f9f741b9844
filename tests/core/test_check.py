"""The messages of the input checks."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.core import check


def test_floating() -> None:
    check.check_floating("op", optional=("y",), x=np.zeros(2), y=None, z=np.zeros((), np.float64))
    with pytest.raises(TypeError, match="op: y must be an array, got NoneType"):
        check.check_floating("op", x=np.zeros(2), y=None)
    with pytest.raises(TypeError, match="op: x must be float32 or float64, got int64; convert it with astype"):
        check.check_floating("op", x=np.zeros(2, np.int64))
    with pytest.raises(TypeError, match="op: x must be float32 or float64, got float16"):
        check.check_floating("op", x=np.zeros(2, np.float16))
    with pytest.raises(TypeError, match="op: x is float32 but w is float64; convert one of them"):
        check.check_floating("op", x=np.zeros(2, np.float32), w=np.zeros(2))
    with pytest.raises(TypeError, match="op: x must be an array, got list"):
        check.check_floating("op", x=[1.0])  # type: ignore[arg-type]


def test_big_endian_is_the_same_dtype() -> None:
    check.check_floating("op", x=np.zeros(2, ">f4"), y=np.zeros(2, "<f4"))


def test_integer() -> None:
    check.check_integer("op", labels=np.zeros(2, np.uint8), absent=None)
    with pytest.raises(TypeError, match="op: labels must be an integer array, got float64"):
        check.check_integer("op", labels=np.zeros(2))
    with pytest.raises(TypeError, match="op: labels must be an integer array, got bool"):
        check.check_integer("op", labels=np.zeros(2, bool))


def test_generator() -> None:
    check.check_generator("op", np.random.default_rng(0))
    for rng, kind in ((0, "int"), (None, "NoneType"), (np.random.RandomState(0), "RandomState")):
        expected = rf"op: rng must be a numpy\.random\.Generator such as numpy\.random\.default_rng\(0\), got {kind}"
        with pytest.raises(TypeError, match=expected):
            check.check_generator("op", rng)


def test_booleans() -> None:
    check.check_booleans("op", same=np.zeros(2, bool), absent=None)
    with pytest.raises(TypeError, match="op: same must be a boolean array, got uint8"):
        check.check_booleans("op", absent=None, same=np.zeros(2, np.uint8))
    with pytest.raises(TypeError, match="op: same must be an array, got list"):
        check.check_booleans("op", same=[True])  # type: ignore[arg-type]


def test_rank_shape_gradient_choice() -> None:
    with pytest.raises(ValueError, match=r"op: x must have rank 2 \(N, C\), got rank 1 with shape \(3,\)"):
        check.check_rank("op", "x", np.zeros(3), "N, C")
    with pytest.raises(ValueError, match=r"op: b must have shape \(2,\) \(one per channel\), got \(3,\)"):
        check.check_shape("op", "b", np.zeros(3), (2,), "one per channel")
    with pytest.raises(ValueError, match=r"op: dy must have shape \(2,\) \(the shape of the output\), got \(3,\)"):
        check.check_gradient("op", np.zeros(3), (2,), np.zeros(1))
    with pytest.raises(ValueError, match="op: convention must be one of 'a', 'b', got 'c'"):
        check.check_choice("op", "convention", "c", ("a", "b"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True, None])
def test_not_a_number(value: object) -> None:
    with pytest.raises(ValueError, match="op: lr must be a finite number, got"):
        check.check_number("op", "lr", value)  # type: ignore[arg-type]


def test_number_in_an_interval() -> None:
    check.check_number("op", "p", float(np.float32(0.5)), low=0, high=1)
    with pytest.raises(ValueError, match=r"op: p must lie in \[0, 1\], got 1\.5"):
        check.check_number("op", "p", 1.5, low=0, high=1)
    with pytest.raises(ValueError, match=r"op: eps must lie in \(0, inf\), got 0"):
        check.check_number("op", "eps", 0, low=0, open_low=True)


def test_axis() -> None:
    assert check.check_axis("op", -1, 3) == 2
    with pytest.raises(ValueError, match="op: axis 3 does not exist in an array of rank 3"):
        check.check_axis("op", 3, 3)
    with pytest.raises(TypeError, match=r"op: axis must be an integer, got 1\.0"):
        check.check_axis("op", 1.0, 3)  # type: ignore[arg-type]


def test_arrays_of_integers_are_sequences_and_nothing_else_is_an_integer() -> None:
    assert check.integers("op", "stride", np.array([1, 2]), count=2, low=1) == (1, 2)
    assert check.integers("op", "stride", np.int8(3), count=2, low=1) == (3, 3)
    for value in (np.array([1.0, 2.0]), np.True_, None, "12", np.array([[1, 2]])):
        with pytest.raises(TypeError, match="op: stride must hold integers"):
            check.integers("op", "stride", value, count=2, low=1)


def test_integers_that_int64_does_not_hold() -> None:
    assert check.integers("op", "size", (2**63 - 1, 0), count=2, low=0) == (2**63 - 1, 0)
    assert check.integers("op", "seed", (2**63, 10**400), count=2, low=0, int64=False) == (2**63, 10**400)
    assert check.integer("op", "seed", 10**400, low=0) == 10**400
    with pytest.raises(ValueError, match=r"op: size must fit into int64, got 9223372036854775808$"):
        check.integers("op", "size", (1, 2**63), count=2, low=0)
    for value in (10**400, 10**5000):  # of the latter Python makes no text
        expected = f"op: size must fit into int64, got one of {value.bit_length()} bits$"
        with pytest.raises(ValueError, match=expected):
            check.integers("op", "size", value, count=2, low=0)
        with pytest.raises(ValueError, match=expected):
            check.integer("op", "size", value, low=0, int64=True)


def test_ragged_lists_are_no_integers() -> None:
    assert check.as_index([[1, 2], [3]]) is None
    assert check.as_index(np.array([3])) is None
    with pytest.raises(TypeError, match=r"op: k must be an integer, got \[\[1, 2\], \[3\]\]"):
        check.integer("op", "k", [[1, 2], [3]], low=0)
    with pytest.raises(TypeError, match=r"op: stride must hold integers, got \[\[1, 2\], \[3\]\]"):
        check.integers("op", "stride", [[1, 2], [3]], count=2, low=0)


def test_numbers_that_may_be_infinite() -> None:
    for value in (-np.inf, np.inf, 0.5, 3):
        assert check.check_number("op", "min_score", value, infinite=True) == value
    for bad in (np.nan, None, "0.5", True, 10**400, np.zeros(1)):
        with pytest.raises(ValueError, match="op: min_score must be a number, got "):
            check.check_number("op", "min_score", bad, infinite=True)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"op: min_score must lie in \[0, inf\), got -inf"):
        check.check_number("op", "min_score", -np.inf, low=0, infinite=True)


def test_one_integer() -> None:
    assert check.integer("op", "k", np.int16(3), low=3) == 3
    for value in (3.0, True, "3", [3], np.array([3]), None):
        with pytest.raises(TypeError, match="op: k must be an integer, got "):
            check.integer("op", "k", value, low=0)
    with pytest.raises(ValueError, match="op: k must be at least 4, got 3"):
        check.integer("op", "k", 3, low=4)


def test_a_sequence_is_no_number_and_no_text() -> None:
    assert check.sequence("op", "sizes", np.array([1, 2])) == [1, 2]
    assert check.positive_numbers("op", "sizes", (1, 0.5)) == (1.0, 0.5)
    for value in (3, "12", np.array(3), None):
        with pytest.raises(TypeError, match="op: sizes must be a sequence, got "):
            check.sequence("op", "sizes", value)
        with pytest.raises(TypeError, match="op: sizes must be a sequence, got "):
            check.check_sequence("op", "sizes", value)
    with pytest.raises(ValueError, match=r"op: sizes must lie in \(0, inf\), got 0"):
        check.positive_numbers("op", "sizes", (1, 0))


def test_what_is_no_array_is_named() -> None:
    with pytest.raises(TypeError, match="op: x must be an array, got NoneType"):
        check.check_rank("op", "x", None, "N, C")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="op: labels must be an array, got list"):
        check.check_integer("op", labels=[1])  # type: ignore[arg-type]


def test_a_number_too_large_for_a_float() -> None:
    with pytest.raises(ValueError, match="op: lr must be a finite number"):
        check.check_number("op", "lr", 10**400)


def test_numbers_come_back_as_floats_of_pythons() -> None:
    assert type(check.check_number("op", "momentum", np.float64(0.9))) is float


def test_flags() -> None:
    assert check.check_flag("op", "training", np.True_) is True
    for value in ("no", 1, None):
        with pytest.raises(TypeError, match="op: training must be True or False"):
            check.check_flag("op", "training", value)
