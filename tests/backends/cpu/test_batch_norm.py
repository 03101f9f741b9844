"""Frozen batch normalisation: its gradient is γ/√(σ² + ε)·dy whatever the pixels are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from refdet_numba.cpu import KERNELS as COMPILED

from refdet.core.kernel import KERNELS

FROZEN: dict[str, Any] = {"training": False, "momentum": 0.1, "eps": 1e-5, "convention": "torch"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_the_gradient_of_a_frozen_layer_does_not_read_the_pixels(bad: float, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4, 5)).astype(dtype)
    x[1, 2, 3, 4] = bad
    per_channel = [v.astype(dtype) for v in (*rng.standard_normal((3, 3)), rng.uniform(0.5, 2, 3))]
    _, residual = KERNELS["batch_norm.forward"].reference(x, *per_channel, keep_residual=True, **FROZEN)
    dy = rng.standard_normal(x.shape).astype(dtype)
    dy[0, 0, 0, :2] = 0.0, -0.0
    needs = (True, False, False, False, False)
    expected, *_ = KERNELS["batch_norm.backward"].reference(residual, dy, needs=needs, **FROZEN)
    found, *_ = COMPILED["batch_norm.backward"](residual, dy, needs=needs, **FROZEN)
    assert np.isfinite(found).all()
    assert found.tobytes() == expected.tobytes()
