"""Boxes and scores on which implementations differ, and a comparison that lets no bit pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.core.check import Array


def difficult_boxes(rng: np.random.Generator, n: int, dtype: str) -> Array:
    """Return boxes with many equal overlaps, some of them empty or inverted; a few have NaN, ±∞, or sides of 10²⁵."""
    start = rng.integers(0, 40, (n, 2))
    boxes = np.concatenate([start, start + rng.integers(-1, 12, (n, 2))], axis=1).astype(dtype)
    boxes += np.where(rng.random((n, 1)) < 0.3, rng.random((n, 4)), 0).astype(dtype)
    for value in (np.nan, np.inf, -np.inf, 1e25):
        boxes[rng.random(boxes.shape) < 0.005] = value
    return boxes


def difficult_scores(rng: np.random.Generator, n: int, dtype: str) -> Array:
    """Return scores with ties, a few of them NaN or infinite."""
    scores = (rng.integers(0, 50, n) / 50).astype(dtype)
    for value in (np.nan, np.inf, -np.inf, -0.0):
        scores[rng.random(n) < 0.01] = value
    return scores


def assert_identical(actual: Any, expected: Any) -> None:
    """Compare dtype, shape and every value; NaN equals NaN."""
    if isinstance(expected, tuple):
        assert len(actual) == len(expected)
        for a, e in zip(actual, expected, strict=True):
            assert_identical(a, e)
        return
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected, strict=True)
