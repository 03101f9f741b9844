"""A picture in several sizes: each map is what the plain network makes of the resized picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.features.backbones.image_pyramid import ImagePyramid
from refdet.features.backbones.vgg import vgg_features
from refdet.nn import BatchNorm2d, Conv2d

BLOCKS = [(4, 1), (5, 1), (6, 2)]


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pyramid(scales: Any = (2.0, 1.0, 0.5), early: int = 2) -> ImagePyramid:
    return ImagePyramid(vgg_features(BLOCKS, batch_norm=True, rng=rng()), early=early, scales=scales)


def halved(x: Any) -> Any:
    """The mean of every 2 × 2 pixels is bilinear interpolation at half the size, half-pixel centres."""
    return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).mean((3, 5))


def test_each_scale_is_the_plain_network_on_the_resized_picture() -> None:
    net, x = pyramid((1.0, 0.5)), rng().standard_normal((2, 3, 16, 24)).astype(np.float32)
    maps = net.maps(Tensor(x), training=False, rng=None)
    assert net.strides == (2, 4, 4, 8)
    assert net.out_channels == (5, 5, 6, 6)
    layers = list(net.features)
    for early, late, picture in zip(maps[:2], maps[2:], (x, halved(x)), strict=True):
        y = Tensor(picture)
        for i, layer in enumerate(layers):
            if i == net.split:
                np.testing.assert_allclose(early.data, y.data, atol=1e-5)
            y = layer(y)
        np.testing.assert_allclose(late.data, y.data, atol=1e-5)


def test_responses_are_a_stride_apart_whatever_the_size_of_the_picture() -> None:
    """The map of a ramp, of which each pixel says where it is, says where its responses are, to the far end."""
    net = ImagePyramid(vgg_features([(3, 1), (3, 1)], rng=rng()), early=1, scales=(1.0, 0.5, 0.25))
    convolution = net.early_layers[0]
    assert isinstance(convolution, Conv2d)
    convolution.weight.data[...] = 0
    convolution.weight.data[range(3), range(3), 1, 1] = 1  # the identity
    ramp = np.broadcast_to(np.arange(171, dtype=np.float32), (1, 3, 129, 171))
    early = net.maps(Tensor(ramp.copy()), training=False, rng=None)[:3]
    for x, stride in zip(early, (1, 2, 4), strict=True):
        found = x.data[0, 0, 64 // stride]
        assert len(found) == 171 // stride
        np.testing.assert_allclose(found, (np.arange(len(found)) + 0.5) * stride - 0.5, atol=1e-4)


def test_without_late_maps() -> None:
    """The early ones are the same, and stand alone."""
    features, x = vgg_features(BLOCKS, rng=rng()), Tensor(rng().standard_normal((1, 3, 16, 16)).astype(np.float32))
    both = ImagePyramid(features, early=2, scales=(1.0, 0.5))
    net = ImagePyramid(features, early=2, scales=(1.0, 0.5), with_late=False)
    assert (net.strides, net.out_channels) == ((2, 4), (5, 5))
    maps = net.maps(x, training=False, rng=None)
    for early, expected in zip(maps, both.maps(x, training=False, rng=None)[:2], strict=True):
        np.testing.assert_array_equal(early.data, expected.data)


def test_statistics_stay_in_training_and_everything_learns() -> None:
    net = pyramid()
    before = {name: array.copy() for name, array in net.state_dict().items()}
    maps = net.maps(Tensor(rng().standard_normal((1, 3, 16, 16)).astype(np.float32)), training=True, rng=rng())
    sum((x * x).sum() for x in maps).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None for p in net.parameters())
    assert any(isinstance(layer, BatchNorm2d) for layer in net.features)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"early": 3}, "ImagePyramid: early must be one of the first 2 blocks, got 3"),
        ({"early": 0}, "ImagePyramid: early must be at least 1"),
        ({"scales": (1.0, 2.0)}, "the largest first"),
        ({"scales": ()}, "ImagePyramid: scales must be positive"),
        ({"scales": (4.0,)}, "ImagePyramid: strides must be whole numbers of pixels"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pyramid(**options)
