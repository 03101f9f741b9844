"""Outputs agree within a share of their magnitude, or the row has no ratio."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.bench.agreement import compare


def test_difference_is_relative_to_the_largest_magnitude() -> None:
    y, z = np.array([[1.0, 8.0]]), np.array([[1.5, 8.0]])
    assert compare([y], [z], tolerance=0.0625) == (0.5 / 8, None)
    assert compare([y, y], [y, z], tolerance=0.06).problem == (
        "output 1 differs by 0.062 of its magnitude, allowed is 0.06, worst at (0, 0): 1.0 and 1.5"
    )


def test_nan_and_infinity_must_match() -> None:
    y = np.array([np.nan, np.inf, -np.inf, 2.0])
    assert compare([y], [y.copy()], tolerance=0.0) == (0.0, None)
    for i in range(4):
        z = y.copy()
        z[i] = np.nan if i else 0.0
        agreement = compare([y], [z], tolerance=1e9)
        assert agreement.difference is None
        assert agreement.problem is not None
        assert f"worst at ({i},)" in agreement.problem


def test_zeros_and_empties() -> None:
    zero, one = np.zeros(2), np.array([0.0, 1.0])
    assert compare([zero], [-zero], tolerance=0.0) == (0.0, None)
    assert compare([zero], [one], tolerance=0.5).difference == 1.0
    assert compare([np.zeros((0, 4))], [np.zeros((0, 4))], tolerance=0.0) == (0.0, None)


@pytest.mark.parametrize(
    ("y", "z", "problem"),
    [
        (np.array([1, 2, 3]), np.array([1, 3, 2]), "output 0 differs in 2 of 3 elements"),
        (np.zeros(3), np.zeros((3, 1)), r"output 0 is float64 (3,) against float64 (3, 1)"),
        (np.zeros(3), np.zeros(3, np.float32), "output 0 is float64 (3,) against float32 (3,)"),
    ],
)
def test_what_can_never_agree(y: np.ndarray, z: np.ndarray, problem: str) -> None:
    assert compare([y], [z], tolerance=1e9) == (None, problem)
    assert compare([y], [], tolerance=1e9) == (None, "1 outputs against 0")
