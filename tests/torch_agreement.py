"""A function and its gradients compared with torch's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor, gradients
from tests.agreement import Array


def assert_same_as_torch(ours: Callable[..., Tensor], theirs: Callable[..., Any], inputs: Sequence[Array]) -> None:
    """Compare the values and, for a random dy, the gradient of every input; meant for float64."""
    torch = pytest.importorskip("torch", reason="torch, which is compared with, is not installed")
    tensors = [Tensor(x, requires_grad=True) for x in inputs]
    leaves = [torch.tensor(x, requires_grad=True) for x in inputs]
    y, y_torch = ours(*tensors), theirs(*leaves)
    np.testing.assert_allclose(y.data, y_torch.detach().numpy(), rtol=1e-12, atol=1e-13)
    dy = np.random.default_rng(7).standard_normal(y.shape)
    y_torch.backward(torch.tensor(dy))
    for dx, leaf in zip(gradients(y, tensors, dy), leaves, strict=True):
        np.testing.assert_allclose(dx, leaf.grad.numpy(), rtol=1e-12, atol=1e-12)
