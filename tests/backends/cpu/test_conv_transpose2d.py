"""Transposed convolution on the CPU: the transpose of convolution, and its gradients, against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.ops.conv_transpose2d import ConvTranspose2dResidual, conv_transpose2d_backward, conv_transpose2d_forward

pytest.importorskip("numba")

from refdet_numba.cpu import conv2d, conv_transpose2d

PARAMS: dict[str, dict[str, Any]] = {
    "doubling": {"stride": (2, 2), "padding": ((1, 1), (1, 1))},
    "output padding": {"stride": (3, 2), "output_padding": (2, 1)},
    "plain": {"padding": ((1, 1), (1, 1))},
    "dilation": {"padding": ((1, 2), (0, 1)), "dilation": (2, 2), "output_padding": (1, 0)},
    "cropped": {"padding": ((3, 0), (2, 4))},
    "groups": {"stride": (2, 1), "groups": 4},
}
PLAIN = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "output_padding": (0, 0), "dilation": (1, 1), "groups": 1}


@pytest.mark.parametrize("kernel", [(3, 3), (4, 4), (2, 5)])
@pytest.mark.parametrize("name", PARAMS)
def test_forward_and_gradients(name: str, kernel: tuple[int, int]) -> None:
    rng, params = np.random.default_rng(0), {**PLAIN, **PARAMS[name]}
    x, weight = rng.standard_normal((2, 16, 13, 10), "f4"), rng.standard_normal((16, 20, *kernel), "f4")
    bias = rng.standard_normal(20 * params["groups"], "f4")
    wide = [a.astype(np.float64) for a in (x, weight, bias)]
    y, residual = conv_transpose2d.forward(x, weight, bias, keep_residual=True, **params)
    exact, _ = conv_transpose2d_forward.reference(*wide, keep_residual=False, **params)
    assert residual is not None
    assert all(kept is given for kept, given in zip(residual, (x, weight, bias), strict=True))
    np.testing.assert_allclose(y, exact, rtol=0, atol=1e-4)
    dy, needs = rng.standard_normal(y.shape, "f4"), (True, True, True)
    found = conv_transpose2d.backward(residual, dy, needs=needs, **params)
    expected = conv_transpose2d_backward.reference(
        ConvTranspose2dResidual(*wide), dy.astype(np.float64), needs=needs, **params
    )
    for actual, gradient in zip(found, expected, strict=True):
        assert actual is not None
        assert gradient is not None
        np.testing.assert_allclose(actual, gradient, rtol=0, atol=2e-4)
    assert conv_transpose2d.backward(residual, dy, needs=(False, False, False), **params) == (None, None, None)


@pytest.mark.parametrize("name", ["doubling", "output padding", "plain", "cropped", "groups"])
def test_transpose_of_convolution(name: str) -> None:
    """⟨conv2d(x), y⟩ = ⟨x, conv_transpose2d(y)⟩."""
    rng, params = np.random.default_rng(1), {**PLAIN, **PARAMS[name]}
    y, weight = rng.standard_normal((1, 16, 9, 8)), rng.standard_normal((16, 18, 3, 3))
    spread, _ = conv_transpose2d.forward(y, weight, None, keep_residual=False, **params)
    x = rng.standard_normal(spread.shape)
    read, _ = conv2d.forward(
        x, weight, None, keep_residual=False, **{k: v for k, v in params.items() if k != "output_padding"}
    )
    assert read.shape == y.shape
    np.testing.assert_allclose(np.vdot(read, y), np.vdot(x, spread), rtol=1e-10)
