"""Keys of every form: their gradients on `numba-cpu` are the reference's, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from refdet_numba.cpu import gather

from refdet.core.shaping import ShapingResidual, gather_backward
from tests.backends.gather_keys import KEYS, X


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_gradients_add_up_in_order(key: Any) -> None:
    dy = np.random.default_rng(0).standard_normal(X[key].shape).astype(np.float32)
    (expected,) = gather_backward.reference(ShapingResidual(X), dy, needs=(True,), key=key)
    (found,) = gather.backward(ShapingResidual(X), dy, needs=(True,), key=key)
    assert found is not None
    assert expected is not None
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
