"""AlexNet: the published numbers of parameters, the sides of the maps, and what a response sees."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.features.backbones.alexnet import VARIANTS, alexnet, alexnet_features, alexnet_windows
from refdet.features.backbones.windows import windows_until
from refdet.features.receptive_field import alpha, beta, receptive_field_size
from refdet.nn import Sequential
from tests.features.backbones.full_width import dropped, full_width_count, map_sides, parameter_count
from tests.features.backbones.sight import assert_sees_what_its_windows_say

RNG = np.random.default_rng(0)
OF_CAFFE = ("paper", "bvlc_alexnet", "caffenet")


@pytest.mark.parametrize(
    ("variant", "divisor", "published"),  # Caffe's files and torchvision's documentation
    [("paper", 16, 60_965_224), ("torchvision", 64, 61_100_840)],
)
def test_parameters(variant: str, divisor: int, published: int) -> None:
    assert full_width_count(lambda width: alexnet(variant=variant, width=width, rng=RNG), divisor) == published


def test_the_variants_of_caffe_have_the_same_parameters() -> None:
    shapes = [
        {name: array.shape for name, array in alexnet(variant=variant, width=1 / 48, rng=RNG).state_dict().items()}
        for variant in OF_CAFFE
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_groups_keep_even_numbers_of_channels() -> None:
    """A forty-eighth: 2, 5⅓, 8, 8 and 5⅓ channels, of which 5⅓ becomes 6."""
    net = alexnet(10, width=1 / 48, rng=RNG)
    convolutions = [(3, 2, 121), (1, 6, 25), (6, 8, 9), (4, 8, 9), (4, 6, 9)]  # inputs of a group, outputs, taps
    by_hand = sum((before * taps + 1) * after for before, after, taps in convolutions)
    by_hand += (6 * 36 + 1) * 85 + (85 + 1) * 85 + (85 + 1) * 10
    assert parameter_count(net) == by_hand


@pytest.mark.parametrize("variant", OF_CAFFE)
def test_map_sides(variant: str) -> None:
    sides = map_sides(alexnet_features(variant=variant, width=1 / 48, rng=RNG), 227)
    assert [sides[name] for name in ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")] == [
        55, 27, 27, 13, 13, 13, 13, 6,
    ]  # fmt: skip


def test_map_sides_of_torchvisions() -> None:
    sides = map_sides(alexnet_features(variant="torchvision", width=1 / 64, rng=RNG), 224)
    assert [sides[name] for name in ("0", "2", "3", "5", "10", "12")] == [55, 27, 27, 13, 13, 6]


def test_where_the_variants_normalise() -> None:
    def names(features: Sequential) -> list[str]:
        return [name for name, _ in features.parts()]

    assert names(alexnet_features(variant="paper", width=1 / 48, rng=RNG))[:5] == [
        "conv1", "relu1", "norm1", "pool1", "conv2",
    ]  # fmt: skip
    assert names(alexnet_features(variant="caffenet", width=1 / 48, rng=RNG))[:5] == [
        "conv1", "relu1", "pool1", "norm1", "conv2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "k", "alpha_of_one"),
    [
        ("paper", 2, 1e-4),
        ("bvlc_alexnet", 1, 1e-4 / 5),
        ("caffenet", 1, 1e-4 / 5),
    ],
)
def test_how_the_variants_normalise(variant: str, k: float, alpha_of_one: float) -> None:
    """Channels 0 and 6 of 7, of which five are summed, as far as there are so many."""
    norm = dict(alexnet_features(variant=variant, width=1 / 48, rng=RNG).parts())["norm2"]
    x = RNG.uniform(50, 100, (1, 7, 1, 1)).astype(np.float32)
    found, a = norm(x).data.ravel(), x.ravel().astype(float)
    assert found[0] == pytest.approx(a[0] / (k + alpha_of_one * (a[:3] ** 2).sum()) ** 0.75, rel=1e-5)
    assert found[3] == pytest.approx(a[3] / (k + alpha_of_one * (a[1:6] ** 2).sum()) ** 0.75, rel=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_receptive_fields(variant: str) -> None:
    named = alexnet_windows(alexnet_features(variant=variant, width=1 / 64, rng=RNG))
    sizes = {name: receptive_field_size(windows_until(named, name)) for name in named}
    assert sizes == {
        "conv1": 11, "pool1": 19, "conv2": 51, "pool2": 67, "conv3": 99, "conv4": 131, "conv5": 163, "pool5": 195,
    }  # fmt: skip


def test_the_centre_of_the_first_response() -> None:
    """β = 18 with 227 pixels and no padding in conv1; torchvision's padding of 2 moves it by 2."""
    for variant, first in (("paper", 18), ("torchvision", 16)):
        named = alexnet_windows(alexnet_features(variant=variant, width=1 / 64, rng=RNG))
        conv5 = windows_until(named, "conv5")
        assert alpha(conv5) == 16
        assert beta(conv5) == first


@pytest.mark.parametrize("variant", ["caffenet", "torchvision"])
def test_conv5_sees_what_its_windows_say(variant: str) -> None:
    features = alexnet_features(variant=variant, width=1 / 64, rng=RNG)
    found = windows_until(alexnet_windows(features), "conv5")
    assert_sees_what_its_windows_say(features[:-1], found, size=(67, 227), i=6)


def test_dropout() -> None:
    for variant in OF_CAFFE:
        net = alexnet(2, variant=variant, width=1 / 64, rng=RNG)
        assert dropped(net) == {"classifier.drop6": 0.5, "classifier.drop7": 0.5}
    torchvisions = alexnet(2, variant="torchvision", width=1 / 64, rng=RNG)
    assert dropped(torchvisions) == {"classifier.0": 0.5, "classifier.3": 0.5}


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"alexnet: variant must be one of 'paper', 'bvlc_alexnet', .* got 'caffe'"):
        alexnet(variant="caffe", width=1 / 64, rng=RNG)
    with pytest.raises(ValueError, match="alexnet: n_classes must be at least 1, got 0"):
        alexnet(0, rng=RNG)
    with pytest.raises(ValueError, match="leaves a map of 6 × 6 pixels, got one that leaves 5 × 6"):
        alexnet(2, width=1 / 64, rng=RNG)(np.zeros((1, 3, 195, 211), np.float32))
