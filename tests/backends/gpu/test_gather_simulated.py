"""Keys of every form: their gradients, and the indices that a device would wrap into an axis."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from refdet.core.shaping import ShapingResidual, gather_backward
from tests.backends.gather_keys import ALL, KEYS, MASK, X

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("needs NUMBA_ENABLE_CUDASIM=1 before Numba is imported", allow_module_level=True)

from refdet_numba.gpu import gather


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_gradients_add_up_in_order(key: Any) -> None:
    dy = np.random.default_rng(0).standard_normal(X[key].shape).astype(np.float32)
    (expected,) = gather_backward(ShapingResidual(X), dy, needs=(True,), key=key)
    (found,) = gather.backward(ShapingResidual(X), dy, needs=(True,), key=key)
    assert found is not None
    assert expected is not None
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("key", "axis"),
    [
        (np.array([0, 3]), 0),
        (np.array([0, -4]), 0),
        ((ALL, np.array([4], np.uint8)), 1),
        ((..., np.array([2])), 2),
        ((MASK, np.array([4])), 1),
        ((np.ones((3, 4), bool), [2]), 2),
        ((None, [-4]), 0),
    ],
    ids=str,
)
def test_an_index_outside_of_its_axis_is_refused(key: Any, axis: int) -> None:
    with pytest.raises(IndexError, match=f"does not fit x of shape .* out of bounds for axis {axis} with size"):
        gather.refuse_outside(X.shape, key)


@pytest.mark.parametrize("key", [(MASK, np.array([-4])), (..., np.array([1])), np.zeros((2, 0), np.int64)], ids=str)
def test_an_index_at_the_border_is_not(key: Any) -> None:
    gather.refuse_outside(X.shape, key)
