"""Layers do what their ops do, and keep no state but their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet import nn, ops
from refdet.autograd import Tensor

X = np.random.default_rng(0).standard_normal((2, 4, 8, 8)).astype(np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.mark.parametrize(
    ("layer", "op"),
    [
        (nn.ReLU(), lambda x: ops.relu(x)),
        (nn.LeakyReLU(0.2), lambda x: ops.leaky_relu(x, negative_slope=0.2)),
        (nn.Sigmoid(), lambda x: ops.sigmoid(x)),
        (nn.Tanh(), lambda x: ops.tanh(x)),
        (nn.MaxPool2d(3, stride=2, ceil_mode=True), lambda x: ops.max_pool2d(x, 3, stride=2, ceil_mode=True)[0]),
        (nn.AvgPool2d(2), lambda x: ops.avg_pool2d(x, 2)),
        (nn.GlobalAvgPool2d(), lambda x: x.mean(axis=(2, 3))),
        (nn.Flatten(), lambda x: x.reshape(2, 256)),
        (nn.LocalResponseNorm(size=3, alpha=1.0), lambda x: ops.local_response_norm(x, size=3, alpha=1.0)),
        (nn.L2Normalize(4, scale=2.0), lambda x: ops.l2_normalize(x, np.full(4, 2, np.float32))),
        (nn.Dropout(0.3), lambda x: x),
    ],
)
def test_layer_is_its_op(layer: nn.Module, op: Any) -> None:
    np.testing.assert_allclose(layer(X).data, op(Tensor(X)).data, rtol=1e-6, atol=1e-7)


def test_conv_options_reach_the_op() -> None:
    layer = nn.Conv2d(4, 6, (3, 2), rng=rng(), stride=2, padding=((1, 0), (0, 1)), dilation=(1, 2), groups=2)
    layer.bias = nn.Parameter(np.arange(6, dtype=np.float32))
    expected = ops.conv2d(X, layer.weight, layer.bias, stride=2, padding=((1, 0), (0, 1)), dilation=(1, 2), groups=2)
    np.testing.assert_array_equal(layer(X).data, expected.data)
    assert nn.Conv2d(4, 6, 1, rng=rng(), bias=False).bias is None


def test_transposed_conv_and_linear() -> None:
    layer = nn.ConvTranspose2d(4, 6, 3, rng=rng(), stride=2, padding=1, output_padding=1, groups=2)
    assert layer(X).shape == (2, 6, 16, 16)
    dense = nn.Linear(8, 3, rng=rng())
    np.testing.assert_allclose(dense(X).data, X @ dense.weight.data.T, rtol=1e-5, atol=1e-5)


def test_batch_norm_changes_its_statistics_only_when_training() -> None:
    layer = nn.BatchNorm2d(4)
    layer(X)
    np.testing.assert_array_equal(layer.running_mean, np.zeros(4))
    layer(X, training=True)
    np.testing.assert_allclose(layer.running_mean, 0.1 * X.mean(axis=(0, 2, 3)), rtol=1e-4, atol=1e-7)
    unbiased = X.var(axis=(0, 2, 3), ddof=1)
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * unbiased, rtol=1e-5)
    frozen = nn.BatchNorm2d(4, frozen=True)
    np.testing.assert_array_equal(frozen(X, training=True).data, frozen(X).data)
    np.testing.assert_array_equal(frozen.running_mean, np.zeros(4))


def test_dropout_draws_from_the_generator_it_is_given() -> None:
    net = nn.Sequential(nn.Dropout(0.5))
    a, b = (net(X, training=True, rng=np.random.default_rng(3)).data for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert 0.4 < np.mean(a == 0) < 0.6
    with pytest.raises(TypeError, match=r"dropout: .*rng"):
        net(X, training=True)


def test_groups_that_do_not_divide() -> None:
    with pytest.raises(ValueError, match="Conv2d: groups must divide in_channels 4 and out_channels 6, got 4"):
        nn.Conv2d(4, 6, 3, rng=rng(), groups=4)
    with pytest.raises(ValueError, match="ConvTranspose2d: groups must divide"):
        nn.ConvTranspose2d(4, 6, 3, rng=rng(), groups=3)
