"""Batch normalisation as a constant: its numbers, and that nothing learns them."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.autograd import Tensor, gradients
from refdet.features.backbones.frozen_norm import FrozenBatchNorm2d
from refdet.nn import BatchNorm2d

STATE = {
    "weight": np.array([2.0, -1.0]),
    "bias": np.array([10.0, 0.5]),
    "running_mean": np.array([3.0, 1.0]),
    "running_var": np.array([16.0, 0.25]),
}
X = np.array([[[[3.0, 7.0]], [[1.0, 2.0]]]])


def test_by_hand() -> None:
    norm = FrozenBatchNorm2d(2, eps=0.0, dtype=np.float64)
    norm.load_state_dict(STATE)
    expected = [[[[10.0, 12.0]], [[0.5, -1.5]]]]  # 2 (7 − 3) / 4 + 10, and −(2 − 1) / 0.5 + 0.5
    np.testing.assert_array_equal(norm(X).data, expected)
    np.testing.assert_array_equal(norm(X, training=True).data, expected)
    assert {name: buffer.tolist() for name, buffer in norm.named_buffers()} == {k: v.tolist() for k, v in STATE.items()}


def test_agrees_with_batch_normalisation_at_rest() -> None:
    frozen, norm = FrozenBatchNorm2d(2, eps=0.1, dtype=np.float64), BatchNorm2d(2, eps=0.1, dtype=np.float64)
    frozen.load_state_dict(STATE)
    norm.load_state_dict(STATE)
    np.testing.assert_allclose(frozen(X).data, norm(X).data, rtol=1e-14)


def test_only_x_has_a_gradient() -> None:
    norm = FrozenBatchNorm2d(2, eps=0.0, dtype=np.float64)
    norm.load_state_dict(STATE)
    x = Tensor(X, requires_grad=True)
    (dx,) = gradients(norm(x).sum(), [x])
    np.testing.assert_array_equal(dx, [[[[0.5, 0.5]], [[-2.0, -2.0]]]])
    assert norm.parameters() == []


def test_a_channel_without_variance_needs_an_epsilon() -> None:
    norm = FrozenBatchNorm2d(2, eps=0.0)
    norm.load_state_dict({"running_var": np.array([1.0, 0.0])}, strict=False)
    with pytest.raises(ValueError, match=r"running_var \+ eps must be positive, got 0\.0 in channel 1"):
        norm(X.astype(np.float32))
    with pytest.raises(ValueError, match="eps"):
        FrozenBatchNorm2d(2, eps=-1.0)
