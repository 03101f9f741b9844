"""What detectors take of a network: one map, its stride and channels, and where its responses look."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet import nn
from refdet.autograd import Tensor
from refdet.autograd.gradcheck import gradcheck
from refdet.core.check import Array
from refdet.features.backbones.average_bins import AverageBins, average_bins
from refdet.features.backbones.classifier import Pyramid, SameSize
from refdet.features.backbones.googlenet import googlenet
from refdet.features.backbones.maps import FeatureMaps, OneMap
from refdet.features.backbones.vgg import VGG16, vgg_features
from refdet.features.backbones.width import scaled
from refdet.features.backbones.windows import windows, windows_until
from refdet.features.receptive_field import Window

RNG = np.random.default_rng(0)


def test_one_map_leaves_out_the_pooling_at_the_end_and_shares_the_rest() -> None:
    features = vgg_features([(4, 1), (6, 2)], rng=RNG)
    backbone = OneMap(features)
    assert isinstance(backbone, FeatureMaps)
    assert (backbone.out_channels, backbone.strides) == ((6,), (2,))
    assert [name for name, _ in backbone.named_parameters()] == [
        f"features.{i}.{kind}" for i in (0, 3, 5) for kind in ("weight", "bias")
    ]
    assert backbone.features[0] is features[0]
    x = Tensor(RNG.standard_normal((2, 3, 8, 12)).astype(np.float32))
    (found,) = backbone.maps(x, training=False, rng=None)
    expected = x
    for layer in list(features)[:-1]:
        expected = layer(expected)
    np.testing.assert_array_equal(found.data, expected.data)
    np.testing.assert_array_equal(features(x).data, nn.MaxPool2d(2)(found).data)


def test_one_map_of_vgg16_is_that_of_relu5_3() -> None:
    backbone = OneMap(vgg_features(VGG16, width=1 / 64, rng=RNG))
    assert (backbone.out_channels, backbone.strides) == ((8,), (16,))
    assert list(dict(backbone.features.parts()))[-2:] == ["28", "29"]


def test_one_map_without_a_pooling_at_the_end_takes_all_layers() -> None:
    block = nn.Sequential(nn.Conv2d(3, 5, 3, stride=3, rng=RNG), nn.BatchNorm2d(5), nn.ReLU())
    layers = nn.Sequential(nn.Conv2d(3, 3, 1, rng=RNG), nn.MaxPool2d(2), block, nn.Dropout())
    backbone = OneMap(layers)
    assert backbone.features is layers
    assert (backbone.out_channels, backbone.strides) == ((5,), (6,))


def test_one_map_of_googlenet_ends_with_any_inception_module() -> None:
    net = googlenet(2, width=1 / 16, rng=RNG)
    backbone = OneMap(net.trunk("inception4e"))
    assert (backbone.out_channels, backbone.strides) == ((52,), (16,))
    assert OneMap(net.trunk("maxpool4")).strides == (16,)
    assert OneMap(net.trunk()).strides == (32,)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (nn.Conv2d(3, 2, 1, rng=RNG), "OneMap: features must be a Sequential, got Conv2d"),
        (nn.Sequential(nn.ReLU()), "OneMap: features must contain a convolution"),
        (nn.Sequential(), "OneMap: features must contain a convolution"),
        (nn.Sequential(nn.Conv2d(3, 2, 1, rng=RNG), nn.Flatten()), "windows: what _flatten slides .* is not known"),
        (nn.Sequential(nn.Conv2d(3, 2, 1, rng=RNG), nn.Linear(2, 2, rng=RNG)), "what Linear slides"),
    ],
)
def test_one_map_refuses_what_gives_no_map(features: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        OneMap(features)


def test_windows_are_read_off_the_layers() -> None:
    layers = (
        nn.Conv2d(3, 2, 5, stride=2, padding=((1, 1), (1, 1)), dilation=3, rng=RNG),
        nn.BatchNorm2d(2),
        nn.LeakyReLU(),
        nn.LocalResponseNorm(),
        nn.Dropout(),
        nn.Sequential(nn.AvgPool2d(4), nn.Sequential(nn.AvgPool2d(3, stride=1, padding=(1, 1)))),
        nn.MaxPool2d(3, stride=None, padding=1, dilation=2),
        nn.Conv2d(2, 2, 2, padding="valid", rng=RNG),
    )
    assert windows(*layers) == [
        Window(5, 2, 1, 3),
        Window(4, 4, 0, 1),
        Window(3, 1, 1, 1),
        Window(3, 3, 1, 2),
        Window(2, 1, 0, 1),
    ]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.Conv2d(3, 2, (3, 5), rng=RNG), r"a Conv2d must have one window for both axes.* got kernel \(3, 5\)"),
        (nn.Conv2d(3, 2, 3, stride=(1, 2), rng=RNG), r"stride \(1, 2\)"),
        (nn.MaxPool2d(3, padding=((0, 1), (0, 1))), r"as much padding before as after.*\(\(0, 1\), \(0, 1\)\)"),
        (nn.Conv2d(3, 2, 3, padding="same_upper", rng=RNG), "padding of a layer must be a number, got 'same_upper'"),
    ],
)
def test_windows_that_are_not_square_are_refused(layer: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        windows(layer)


def test_windows_until_names_what_there_is() -> None:
    with pytest.raises(ValueError, match="last must be one of conv1, pool1, got 'fc6'"):
        windows_until({"conv1": Window(3), "pool1": Window(2)}, "fc6")


@pytest.mark.parametrize(
    ("channels", "width", "multiple", "expected"),
    [
        (64, 1.0, 1, 64),
        (5, 0.5, 1, 3),  # a half is rounded up
        (3, 0.5, 1, 2),
        (64, 1 / 200, 1, 1),  # at least one
        (64, 2.0, 1, 128),
        (96, 1 / 32, 2, 4),  # 3 is as far from 2 as from 4
        (96, 1 / 1000, 2, 2),
        (96, 1.0, 2, 96),
    ],
)
def test_scaled_channels(channels: int, width: float, multiple: int, expected: int) -> None:
    assert scaled(channels, width, multiple=multiple) == expected


@pytest.mark.parametrize("width", [0, -1.0, float("nan"), float("inf"), "1"])
def test_a_width_must_be_a_positive_number(width: Any) -> None:
    with pytest.raises(ValueError, match="scaled: width must"):
        scaled(8, width)


def naive_average_bins(x: Array, P: int) -> Array:
    """The definition, bin by bin."""
    N, C, H, W = x.shape
    y = np.empty((N, C, P, P))
    for p in range(P):
        for q in range(P):
            rows = range(int(np.floor(p * H / P)), int(np.ceil((p + 1) * H / P)))
            columns = range(int(np.floor(q * W / P)), int(np.ceil((q + 1) * W / P)))
            y[:, :, p, q] = x[:, :, rows.start : rows.stop, columns.start : columns.stop].mean(axis=(2, 3))
    return y


@pytest.mark.parametrize(("H", "W", "P"), [(7, 7, 7), (1, 2, 7), (9, 4, 3), (5, 3, 1), (13, 6, 6), (2, 11, 4)])
def test_average_bins_are_their_definition(H: int, W: int, P: int) -> None:
    x = RNG.standard_normal((2, 3, H, W))
    np.testing.assert_allclose(average_bins(Tensor(x), P).data, naive_average_bins(x, P), rtol=0, atol=1e-14)
    gradcheck(lambda t: average_bins(t, P), [x], rng=RNG)


def test_average_bins_leave_a_map_of_their_size_alone() -> None:
    x = Tensor(np.array([[[[1.0, np.nan], [np.inf, 2.0]]]]))
    assert AverageBins(2)(x) is x


def test_average_bins_refuse_an_empty_map() -> None:
    with pytest.raises(ValueError, match=r"average_bins: x must be maps .* got shape \(1, 2, 0, 3\)"):
        average_bins(Tensor(np.zeros((1, 2, 0, 3))), 2)


def test_a_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves a map of 6 × 6 pixels, got one that leaves 6 × 5"):
        SameSize(6)(np.zeros((1, 2, 6, 5)))


def test_a_pyramid_takes_the_largest_of_every_bin() -> None:
    pyramid = Pyramid([2, 1])
    assert pyramid.n_bins == 5
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    assert pyramid(x).data.tolist() == [[4, 5, 7, 8, 8]]
