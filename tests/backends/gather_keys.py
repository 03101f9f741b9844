"""Keys of every form that has an array."""

from __future__ import annotations

from typing import Any

import numpy as np

X = np.zeros((3, 4, 2), np.float32)
ROWS, MASK = np.array([2, -3, 2, 0]), np.array([True, False, True])
ALL = slice(None)

KEYS: list[Any] = [
    ROWS,
    ROWS[:0],
    np.array(1),
    [0, 0, 2],
    MASK,
    (ALL, ROWS),
    (ROWS, ALL, 0),
    (ROWS, slice(1, 3)),
    (..., np.array([1, 1])),
    (ROWS, ..., np.array([1, 1, 0, 1])),
    (None, ROWS, None),
    (MASK, np.array([3, 1])),
    np.ones((3, 4), bool),
    np.ones((3, 4, 2), bool),
]
