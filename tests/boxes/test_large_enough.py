"""large_enough: where the three conventions differ, NaN, rounding, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.large_enough import CONVENTIONS, large_enough
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import large_enough as oracle


@pytest.mark.parametrize(
    ("convention", "kept"),
    [
        ("torchvision", [True, False, False]),  # 16 ≥ 16
        ("detectron2", [False, False, False]),  # 16 > 16
        ("py-faster", [True, True, False]),  # 15 + 1 ≥ 16
    ],
)
def test_hand_example(convention: str, kept: list[bool]) -> None:
    """Boxes of 16, 15 and 14 by 20."""
    boxes = np.array([[0.0, 0, 16, 20], [0, 0, 15, 20], [0, 0, 14, 20]])
    result = large_enough(boxes, 16, convention=convention)
    assert result.dtype == np.bool_
    np.testing.assert_array_equal(result, kept)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_both_sides_must_be(convention: str) -> None:
    boxes = np.array([[0.0, 0, 50, 2], [0, 0, 2, 50], [0, 0, 50, 50]])
    np.testing.assert_array_equal(large_enough(boxes, 10, convention=convention), [False, False, True])


@given(
    convention=st.sampled_from(CONVENTIONS),
    min_size=st.sampled_from([0.0, 0.5, 1.0, 4.0]),
    seed=seeds,
    n=st.integers(0, 6),
    dtype=dtypes,
    layout=layouts,
)
def test_against_the_definition(convention: str, min_size: float, seed: int, n: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    values = np.array([-1.0, 0.0, 0.5, 1.0, 3.5, 4.0, 5.0, 8.0, np.nan, np.inf])
    boxes = in_layout(rng.choice(values, (n, 4)).astype(dtype), layout)
    assert_agrees("large_enough", oracle, [boxes], rng=rng, params={"min_size": min_size, "convention": convention})


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_nan_is_not_large_enough(convention: str) -> None:
    boxes = np.array([[0.0, 0, np.nan, 9], [np.nan, 0, 9, 9], [0, 0, 9, np.nan]])
    assert not large_enough(boxes, 0, convention=convention).any()


def test_a_box_that_runs_backwards() -> None:
    """Not even 0 is as small as its width; the legacy width is 0 if it runs backwards by one pixel."""
    boxes = np.array([[1.0, 0, 0, 9]])
    assert not large_enough(boxes, 0)
    assert not large_enough(boxes, 0, convention="detectron2")
    assert large_enough(boxes, 0, convention="py-faster")
    assert not large_enough(boxes, 0.25, convention="py-faster")
    assert large_enough(boxes + np.array([[0, 0, 0.25, 0]]), 0.25, convention="py-faster")


def test_a_side_that_overflows() -> None:
    assert large_enough(np.array([[-1.5e308, 0, 1.5e308, 9]]), 9)


def test_the_least_size_is_rounded_to_the_dtype_of_the_boxes() -> None:
    """0.7 in float32 is less than 0.7 in float64; a side of it is enough all the same."""
    boxes = np.array([[0, 0, 0.7, 0.7]], np.float32)
    assert large_enough(boxes, 0.7)
    assert large_enough(boxes, np.float64(0.7))
    assert not large_enough(boxes.astype(np.float64), 0.7)


@pytest.mark.parametrize(
    ("boxes", "min_size", "convention", "error", "message"),
    [
        (np.zeros((4, 1)), 1, "torchvision", ValueError, r"large_enough: boxes must have shape \(N, 4\), .*\(4, 1\)"),
        (np.zeros((1, 4), int), 1, "torchvision", TypeError, "boxes must be float32 or float64, got int64"),
        (np.zeros((1, 4)), -1, "torchvision", ValueError, r"large_enough: min_size must lie in \[0, inf\), got -1"),
        (np.zeros((1, 4)), np.nan, "torchvision", ValueError, "min_size must be a finite number, got nan"),
        (np.zeros((1, 4)), 1, "caffe", ValueError, "convention must be one of 'torchvision', .*, got 'caffe'"),
    ],
)
def test_bad_input(boxes: Any, min_size: float, convention: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        large_enough(boxes, min_size, convention=convention)
