"""The hourglass: every place knows all of the crop, and its own value most exactly."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.detection.hourglass import Hourglass
from refdet.nn import BatchNorm2d


def hourglass(blocks: list[tuple[int, int]], *, batch_norm: bool = False) -> Hourglass:
    return Hourglass(2, blocks, 3, batch_norm=batch_norm, rng=np.random.default_rng(0), dtype=np.float64)


def test_it_adds_what_was_pooled() -> None:
    """By hand: convolutions that leave what they see are x and its maxima of 2 × 2 and 4 × 4 pixels, repeated."""
    net = Hourglass(1, [(1, 1), (1, 1)], 1, rng=np.random.default_rng(0), dtype=np.float64)
    for parameter in net.parameters():
        parameter.data = np.zeros_like(parameter.data)
        if parameter.ndim == 4:
            parameter.data[0, 0, parameter.shape[2] // 2, parameter.shape[3] // 2] = 1
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    pooled = np.array([[5.0, 5, 7, 7], [5, 5, 7, 7], [13, 13, 15, 15], [13, 13, 15, 15]])
    np.testing.assert_array_equal(net(Tensor(x), training=False).data[0, 0], x[0, 0] + pooled + 15)


def test_every_place_knows_all_of_the_crop() -> None:
    """Down to 2 × 2 places, any change anywhere moves every place: seven convolutions alone reach 7 of 32 places."""
    side = 32
    net = hourglass([(8, 2), (8, 2), (8, 2), (8, 1)])
    x = np.random.default_rng(1).standard_normal((1, 2, side, side))
    before = net(Tensor(x), training=False).data
    for row, column in ((0, 0), (side - 1, 0), (side // 2, side - 1)):
        y = x.copy()
        y[:, :, row, column] += 100.0
        assert (net(Tensor(y), training=False).data != before).any(axis=1).all()


@pytest.mark.parametrize("side", [7, 14, 16])
def test_sides_and_gradients(side: int) -> None:
    net = hourglass([(4, 1), (5, 2)])
    y = net(Tensor(np.random.default_rng(1).standard_normal((3, 2, side, side))), training=True)
    assert y.shape == (3, 3, side, side)
    (y * y).sum().backward()
    assert not [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]


def test_statistics_are_learned_where_there_are_some() -> None:
    """A normalisation of a single value is 0, of none undefined: the estimates are taken then, and stay."""
    net = hourglass([(4, 1), (5, 1)], batch_norm=True)
    norms = [layer for layer in net.features if isinstance(layer, BatchNorm2d)]
    before = [norm.running_mean.copy() for norm in norms]
    assert net(Tensor(np.zeros((0, 2, 4, 4))), training=True).shape == (0, 3, 4, 4)
    one = Tensor(np.random.default_rng(1).standard_normal((1, 2, 4, 4)))
    np.testing.assert_array_equal(net(one, training=True).data, net(one, training=False).data)
    assert all(np.array_equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True))
    two = Tensor(np.random.default_rng(1).standard_normal((2, 2, 4, 4)))
    assert not np.array_equal(net(two, training=True).data, net(two, training=False).data)
    assert not any(np.array_equal(norm.running_mean, mean) for norm, mean in zip(norms, before, strict=True))


def test_crops_must_be_large_enough() -> None:
    with pytest.raises(ValueError, match=r"Hourglass: crops must have a place left after 2 poolings, got shape"):
        hourglass([(4, 1), (5, 1)])(Tensor(np.zeros((1, 2, 3, 3))), training=False)
