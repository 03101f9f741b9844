"""ZF-5: number of parameters, the sides of the maps, and what a response sees."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.features.backbones.classifier import Pyramid
from refdet.features.backbones.windows import windows_until
from refdet.features.backbones.zf import PADDINGS, zf, zf_features, zf_windows
from refdet.features.receptive_field import Window, alpha, beta, receptive_field_size
from refdet.nn import MaxPool2d
from tests.features.backbones.full_width import dropped, full_width_count, map_sides
from tests.features.backbones.sight import assert_sees_what_its_windows_say

RNG = np.random.default_rng(0)


def test_parameters() -> None:
    """Layer by layer: five convolutions with biases, then 36 bins of 256 channels into 4096, 4096 and 1000."""
    layers = [(3 * 49, 96), (96 * 25, 256), (256 * 9, 384), (384 * 9, 384), (384 * 9, 256)]
    layers += [(256 * 36, 4096), (4096, 4096), (4096, 1000)]
    by_hand = sum((inputs + 1) * outputs for inputs, outputs in layers)
    assert by_hand == 62_357_608
    assert full_width_count(lambda width: zf(width=width, rng=RNG), 32) == by_hand


def test_a_pyramid_has_as_many_inputs_as_bins() -> None:
    """SPP-net, §2.3: 50 bins of 256 channels are 12 800 numbers."""
    net = zf(pyramid=(6, 3, 2, 1), width=1 / 32, rng=RNG)
    assert net.classifier.state_dict()["fc6.weight"].shape == (4096 // 32, 12_800 // 32)


@pytest.mark.parametrize(
    ("variant", "expected"), [("spp", [110, 55, 26, 13, 13, 13, 13]), ("faster", [112, 57, 29, 15, 15, 15, 15])]
)
def test_map_sides(variant: str, expected: list[int]) -> None:
    features = zf_features(variant=variant, width=1 / 96, rng=RNG)
    sides = map_sides(features, 224)
    assert [sides[name] for name in zf_windows(features)] == expected


def test_six_by_six_bins_of_13_pixels_are_the_plain_networks_pooling() -> None:
    x = RNG.standard_normal((2, 3, 13, 13))
    plain = MaxPool2d(3, stride=2, ceil_mode=True)(x)
    np.testing.assert_array_equal(Pyramid((6,))(x).data, plain.data.reshape(2, -1))


@pytest.mark.parametrize("variant", PADDINGS)
def test_receptive_fields(variant: str) -> None:
    """139; with the 3 × 3 convolution of an RPN 171, the number of the Faster R-CNN paper, §3.1."""
    conv5 = windows_until(zf_windows(zf_features(variant=variant, width=1 / 96, rng=RNG)), "conv5")
    assert receptive_field_size(conv5) == 139
    assert receptive_field_size([*conv5, Window(3, padding=1)]) == 171
    assert alpha(conv5) == 16


def test_the_centre_of_the_first_response() -> None:
    for variant, first in (("spp", 21), ("faster", 1)):
        conv5 = windows_until(zf_windows(zf_features(variant=variant, width=1 / 96, rng=RNG)), "conv5")
        assert beta(conv5) == first


@pytest.mark.parametrize("variant", PADDINGS)
def test_conv5_sees_what_its_windows_say(variant: str) -> None:
    """The windows leave normalisation out, whose neighbours no lit pixel can make answer: zero stays zero."""
    features = zf_features(variant=variant, width=1 / 96, rng=RNG)
    found = windows_until(zf_windows(features), "conv5")
    assert_sees_what_its_windows_say(features, found, size=(40, 224), i=6)


def test_normalisation_within_a_channel() -> None:
    """The middle of 3 × 3 pixels is divided by (1 + 5e-5/9 · the sum of their squares) to the power 0.75."""
    layers = dict(zf_features(width=1 / 32, rng=RNG).parts())
    x = RNG.uniform(100, 200, (1, 2, 3, 3)).astype(np.float32)
    squares = (x.astype(float) ** 2).sum(axis=(2, 3))
    for name in ("norm1", "norm2"):
        found = layers[name](x).data[:, :, 1, 1]
        np.testing.assert_allclose(found, x[:, :, 1, 1] / (1 + 5e-5 / 9 * squares) ** 0.75, rtol=1e-5)


def test_dropout() -> None:
    assert dropped(zf(2, width=1 / 96, rng=RNG)) == {"classifier.drop6": 0.5, "classifier.drop7": 0.5}


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="zf: variant must be one of 'spp', 'faster', got 'paper'"):
        zf(variant="paper", width=1 / 96, rng=RNG)
    with pytest.raises(ValueError, match="zf: n_classes must be at least 1, got 0"):
        zf(0, rng=RNG)
    with pytest.raises(ValueError, match="Pyramid: levels must be at least 1, got 0"):
        zf(pyramid=(6, 0), width=1 / 96, rng=RNG)
