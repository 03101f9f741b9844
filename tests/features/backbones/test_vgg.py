"""VGG: the published numbers of parameters, the sides of the maps, and what a response sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.features.backbones.vgg import VGG11, VGG16, vgg, vgg11, vgg13, vgg16, vgg19, vgg_features, vgg_windows
from refdet.features.backbones.windows import windows_until
from refdet.features.receptive_field import Window, alpha, beta, receptive_field_size
from tests.features.backbones.full_width import dropped, full_width_count, map_sides, parameter_count
from tests.features.backbones.sight import assert_sees_what_its_windows_say

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("build", "batch_norm", "published"),  # torchvision's documentation
    [
        (vgg11, False, 132_863_336),
        (vgg13, False, 133_047_848),
        (vgg16, False, 138_357_544),
        (vgg19, False, 143_667_240),
        (vgg11, True, 132_868_840),
        (vgg13, True, 133_053_736),
        (vgg16, True, 138_365_992),
        (vgg19, True, 143_678_248),
    ],
)
def test_parameters(build: Any, batch_norm: bool, published: int) -> None:
    assert full_width_count(lambda width: build(width=width, batch_norm=batch_norm, rng=RNG), 64) == published


def test_the_polynomial_of_the_width_counts_what_is_there() -> None:
    """At a sixteenth of the width, by adding up: weights and biases of every layer."""
    convolutions = [(3, 4), (4, 8), (8, 16), (16, 16), (16, 32), (32, 32), (32, 32), (32, 32)]
    by_hand = sum(9 * before * after + after for before, after in convolutions)
    by_hand += (32 * 49 + 1) * 256 + (256 + 1) * 256 + (256 + 1) * 10
    assert parameter_count(vgg11(10, width=1 / 16, rng=RNG)) == by_hand


def test_every_block_halves_the_map() -> None:
    sides = map_sides(vgg_features(VGG16, width=1 / 64, rng=RNG), 224)
    assert [sides[name] for name in ("2", "4", "9", "16", "23", "30")] == [224, 112, 56, 28, 14, 7]


def test_windows_by_the_papers_names() -> None:
    named = vgg_windows(vgg_features(VGG11, width=1 / 64, batch_norm=True, rng=RNG))
    assert list(named) == [
        "conv1_1", "pool1", "conv2_1", "pool2", "conv3_1", "conv3_2", "pool3",
        "conv4_1", "conv4_2", "pool4", "conv5_1", "conv5_2", "pool5",
    ]  # fmt: skip
    assert set(named.values()) == {Window(3, 1, 1), Window(2, 2)}


def test_receptive_fields_of_vgg16() -> None:
    """196 and 212; with the 3 × 3 convolution of an RPN 228, the number of the Faster R-CNN paper, §3.1."""
    named = vgg_windows(vgg_features(VGG16, width=1 / 64, rng=RNG))
    conv5_3 = windows_until(named, "conv5_3")
    assert receptive_field_size(conv5_3) == 196
    assert receptive_field_size(windows_until(named, "pool5")) == 212
    assert receptive_field_size([*conv5_3, Window(3, padding=1)]) == 228
    assert alpha(conv5_3) == 16
    assert beta(conv5_3) == 8.5  # four poolings move the centre by (1 + 2 + 4 + 8)/2


def test_conv5_3_sees_what_its_windows_say() -> None:
    features = vgg_features(VGG16, width=1 / 64, rng=RNG)
    assert_sees_what_its_windows_say(
        features[:-1], windows_until(vgg_windows(features), "conv5_3"), size=(16, 224), i=7
    )


def test_blocks_of_ones_own() -> None:
    net = vgg([(4, 1), (6, 2)], 5, hidden=8, map_size=2, in_channels=1, width=0.5, batch_norm=True, rng=RNG)
    assert {name: parameter.shape for name, parameter in net.named_parameters() if name.endswith("weight")} == {
        "features.0.weight": (2, 1, 3, 3),
        "features.1.weight": (2,),
        "features.4.weight": (3, 2, 3, 3),
        "features.5.weight": (3,),
        "features.7.weight": (3, 3, 3, 3),
        "features.8.weight": (3,),
        "classifier.0.weight": (4, 12),
        "classifier.3.weight": (4, 4),
        "classifier.6.weight": (5, 4),
    }


def test_dropout_falls_while_training_alone() -> None:
    net = vgg([(4, 1)], 5, hidden=64, map_size=1, rng=RNG)
    assert dropped(net) == {"classifier.2": 0.5, "classifier.5": 0.5}
    other = vgg([(4, 1)], 2, hidden=4, map_size=1, dropout=0.25, rng=RNG)
    assert dropped(other) == {"classifier.2": 0.25, "classifier.5": 0.25}
    x = RNG.standard_normal((1, 3, 8, 8)).astype(np.float32)
    assert np.array_equal(net(x).data, net(x).data)
    drawn = [net(x, training=True, rng=np.random.default_rng(seed)).data for seed in (0, 0, 1)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": []}, r"vgg: blocks must be pairs .* one or more, got \[\]"),
        ({"blocks": [64, 128]}, r"vgg: blocks must be pairs .* got \[64, 128\]"),
        ({"blocks": 64}, "vgg: blocks must be a sequence, got 64"),
        ({"blocks": [(0, 1)]}, "vgg: the channels of a block must be at least 1, got 0"),
        ({"blocks": [(4, 1.5)]}, "vgg: the convolutions of a block must be an integer, got 1.5"),
        ({"n_classes": 0}, "vgg: n_classes must be at least 1, got 0"),
        ({"batch_norm": "yes"}, "vgg: batch_norm must be True or False, got 'yes'"),
        ({"width": 0}, r"scaled: width must lie in \(0, inf\), got 0"),
        ({"rng": 0}, "rng must be a numpy.random.Generator"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    given = {"blocks": [(4, 1)], "n_classes": 2, "rng": RNG, **arguments}
    with pytest.raises((TypeError, ValueError), match=message):
        vgg(given.pop("blocks"), given.pop("n_classes"), **given)
