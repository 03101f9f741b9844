"""Layers do what their ops do, and keep no state but their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet import nn, ops
from refdet.autograd import Tensor

NOT_A_GENERATOR: Any = 0
NOT_A_FUNCTION: Any = 3
FLOAT: Any = 4.0
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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(0, 4, 3, rng=rng()), "Conv2d: in_channels must be at least 1, got 0"),
        (lambda: nn.Conv2d(4, FLOAT, 3, rng=rng()), "Conv2d: out_channels must be an integer, got 4.0"),
        (lambda: nn.Conv2d(4, 4, 3, rng=rng(), groups=0), "Conv2d: groups must be at least 1, got 0"),
        (lambda: nn.Conv2d(4, 4, 0, rng=rng()), "Conv2d: kernel_size must be at least 1, got 0"),
        (lambda: nn.Conv2d(4, 4, 3, rng=NOT_A_GENERATOR), "Conv2d: rng must be a numpy.random.Generator"),
        (lambda: nn.Conv2d(4, 4, 3, rng=rng(), dtype=np.int32), "Conv2d: dtype must be float32 or float64, got int32"),
        (lambda: nn.Conv2d(4, 4, 3, rng=rng(), stride=0), "conv2d: stride must be at least 1, got 0"),
        (lambda: nn.Conv2d(4, 4, 3, rng=rng(), dilation=0), "Conv2d: dilation must be at least 1, got 0"),
        (lambda: nn.Conv2d(4, 4, 3, rng=rng(), padding="same"), "conv2d: padding must be one of"),
        (lambda: nn.ConvTranspose2d(4, 0, 3, rng=rng()), "ConvTranspose2d: out_channels must be at least 1"),
        (lambda: nn.ConvTranspose2d(4, 4, 3, rng=NOT_A_GENERATOR), "ConvTranspose2d: rng must be"),
        (lambda: nn.ConvTranspose2d(4, 4, 3, rng=rng(), stride=0), "ConvTranspose2d: stride must be at least 1"),
        (lambda: nn.ConvTranspose2d(4, 4, 3, rng=rng(), padding="valid"), "padding must be given in pixels"),
        (lambda: nn.ConvTranspose2d(4, 4, 3, rng=rng(), output_padding=1), "output_padding must be smaller than"),
        (lambda: nn.Linear(0, 3, rng=rng()), "Linear: in_features must be at least 1"),
        (lambda: nn.Linear(3, True, rng=rng()), "Linear: out_features must be an integer"),
        (lambda: nn.Linear(3, 3, rng=NOT_A_GENERATOR), "Linear: rng must be .* got int"),
        (lambda: nn.BatchNorm2d(0), "BatchNorm2d: n_channels must be at least 1"),
        (lambda: nn.BatchNorm2d(3, dtype=np.float16), "BatchNorm2d: dtype must be float32 or float64, got float16"),
        (lambda: nn.BatchNorm2d(3, eps=-1), "batch_norm: eps must lie in"),
        (lambda: nn.BatchNorm2d(3, momentum=2), "batch_norm: momentum must lie in"),
        (lambda: nn.BatchNorm2d(3, convention="caffe"), "batch_norm: convention must be one of"),
        (lambda: nn.L2Normalize(0), "L2Normalize: n_channels must be at least 1"),
        (lambda: nn.L2Normalize(3, scale=np.nan), "L2Normalize: scale must be a finite number"),
        (lambda: nn.L2Normalize(3, eps=-1), "l2_normalize: eps must lie in"),
        (lambda: nn.Dropout(2), "dropout: p must lie in"),
        (lambda: nn.Dropout(convention="torch"), "dropout: convention must be one of"),
        (lambda: nn.LeakyReLU(np.nan), "leaky_relu: negative_slope must be a finite number"),
        (lambda: nn.LocalResponseNorm(size=0), "local_response_norm: size"),
        (lambda: nn.LocalResponseNorm(n=5), "local_response_norm.* unexpected keyword argument 'n'"),
        (lambda: nn.MaxPool2d(0), "MaxPool2d: kernel_size must be at least 1"),
        (lambda: nn.MaxPool2d(2, foo=1), "max_pool2d.* unexpected keyword argument 'foo'"),
        (lambda: nn.MaxPool2d(2, stride=0), "max_pool2d: stride must be at least 1"),
        (lambda: nn.MaxPool2d(2, padding=2), "max_pool2d: padding must be smaller than the extent"),
        (lambda: nn.AvgPool2d(2, stride=0), "avg_pool2d: stride must be at least 1"),
        (lambda: nn.AvgPool2d(2, dilation=2), "avg_pool2d.* unexpected keyword argument 'dilation'"),
        (lambda: nn.Apply(NOT_A_FUNCTION), "Apply: function must be callable, got int"),
    ],
)
def test_options_are_refused_at_construction(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_unusual_options_are_accepted() -> None:
    """The dry run at construction must not refuse what the op takes."""
    nn.Conv2d(4, 4, (5, 1), rng=rng(), dilation=(2, 3), padding="same_upper", stride=2)
    nn.ConvTranspose2d(1, 1, 2, rng=rng(), stride=(2, 1), padding=((3, 0), (0, 5)))
    nn.MaxPool2d((2, 3), dilation=2, padding=2, ceil_mode=True, convention="caffe")
    nn.AvgPool2d(2, padding="same_lower", count_include_pad=False)
    nn.LocalResponseNorm(size=4, k=0.0, beta=1.0, convention="onnx")
    nn.L2Normalize(3, eps=0.0, convention="outside")
    nn.Dropout(1.0, convention="original")


def test_he_of_a_transposed_convolution_keeps_the_variance() -> None:
    """Away from the borders Cin/g · kh · kw / (sh · sw) products meet in a pixel: y has twice the variance of x."""
    layer = nn.ConvTranspose2d(32, 16, 4, rng=rng(), stride=2, groups=2, dtype=np.float64)
    assert layer.weight.data.std() == pytest.approx(np.sqrt(2 / (16 * 4)), rel=0.05)
    x = np.random.default_rng(2).standard_normal((4, 32, 16, 16))
    inside = layer(x).data[:, :, 2:-2, 2:-2]
    assert inside.var() == pytest.approx(2, rel=0.1)


def test_flatten_needs_an_axis_to_flatten() -> None:
    with pytest.raises(
        ValueError, match=r"Flatten: x must have rank 2 or more \(N, \.\.\.\), got rank 1 with shape \(3,\)"
    ):
        nn.Flatten()(np.zeros(3))
