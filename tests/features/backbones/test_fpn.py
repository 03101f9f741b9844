"""The feature pyramid: by hand, against loops over pixels, and its place on a residual network."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.autograd import Tensor
from refdet.core.check import Array
from refdet.features.backbones.fpn import FPN, ResNetFPN, resnet_fpn
from refdet.features.backbones.maps import FeatureMaps
from refdet.features.backbones.resnet import resnet18
from refdet.nn import Conv2d


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def tensors(*maps: Array) -> list[Tensor]:
    return [Tensor(m) for m in maps]


def test_by_hand() -> None:
    fpn = FPN([1, 1], 1, rng=rng(), dtype=np.float64)
    centre = np.zeros((1, 1, 3, 3))
    centre[0, 0, 1, 1] = 1
    state = {name: np.zeros(p.shape) for name, p in fpn.named_parameters()}
    state |= {
        "inner_blocks.0.0.weight": np.full((1, 1, 1, 1), 10.0),
        "inner_blocks.1.0.weight": np.ones((1, 1, 1, 1)),
        "layer_blocks.0.0.weight": centre,
        "layer_blocks.1.0.weight": centre,
        "layer_blocks.1.0.bias": np.full(1, 0.5),
    }
    fpn.load_state_dict(state)
    fine, coarse = np.arange(9.0).reshape(1, 1, 3, 3), np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    p2, p3, p4 = fpn.pyramid(tensors(fine, coarse))
    # rows and columns 0, 1, 2 of the fine map lie below 0, 0, 1 of the coarse one: ⌊k · 2/3⌋
    np.testing.assert_array_equal(p2.data[0, 0], [[1, 11, 22], [31, 41, 52], [63, 73, 84]])
    np.testing.assert_array_equal(p3.data[0, 0], [[1.5, 2.5], [3.5, 4.5]])
    np.testing.assert_array_equal(p4.data[0, 0], [[1.5]])


def test_extra_map_takes_every_second_pixel_of_the_coarsest() -> None:
    fpn = FPN([3], 2, rng=rng())
    p, q = fpn.pyramid(tensors(np.random.default_rng(1).standard_normal((2, 3, 5, 4)).astype(np.float32)))
    np.testing.assert_array_equal(q.data, p.data[:, :, ::2, ::2])


def naive_pyramid(state: dict[str, Array], below: list[Array]) -> list[Array]:
    """Go through the maps from the coarsest, pixel by pixel; (C, H, W) in and out."""
    found: list[Array] = []
    above: Array | None = None
    for level in reversed(range(len(below))):
        inner_weight, inner_bias, layer_weight, layer_bias = (
            state[f"{kind}_blocks.{level}.0.{name}"] for kind in ("inner", "layer") for name in ("weight", "bias")
        )
        _, H, W = below[level].shape
        merged = np.zeros((len(inner_bias), H, W))
        for y in range(H):
            for x in range(W):
                merged[:, y, x] = inner_weight[:, :, 0, 0] @ below[level][:, y, x] + inner_bias
                if above is not None:
                    merged[:, y, x] += above[:, y * above.shape[1] // H, x * above.shape[2] // W]
        p = np.zeros_like(merged)
        for y in range(H):
            for x in range(W):
                p[:, y, x] = layer_bias
                for dy in (-1, 0, 1):
                    for dx in (-1, 0, 1):
                        if 0 <= y + dy < H and 0 <= x + dx < W:
                            p[:, y, x] += layer_weight[:, :, dy + 1, dx + 1] @ merged[:, y + dy, x + dx]
        found.insert(0, p)
        above = merged
    return found


@pytest.mark.parametrize("sizes", [((8, 12), (4, 6), (2, 3)), ((7, 5), (4, 3), (2, 2)), ((3, 3), (3, 3), (1, 1))])
def test_equals_loops_over_pixels(sizes: tuple[tuple[int, int], ...]) -> None:
    draw = np.random.default_rng(2)
    fpn = FPN([2, 3, 4], 3, extra="none", rng=rng(), dtype=np.float64)
    fpn.load_state_dict({name: draw.standard_normal(value.shape) for name, value in fpn.state_dict().items()})
    below = [draw.standard_normal((C, *size)) for C, size in zip((2, 3, 4), sizes, strict=True)]
    maps = fpn.pyramid(tensors(*(c[None] for c in below)))
    for found, expected in zip(maps, naive_pyramid(fpn.state_dict(), below), strict=True):
        np.testing.assert_allclose(found.data[0], expected, rtol=0, atol=1e-13)


def test_weights_keep_the_variance() -> None:
    fpn = FPN([400], 300, rng=rng())
    for blocks in (fpn.inner_blocks, fpn.layer_blocks):
        (conv,) = (part for _, part in blocks.named_modules() if isinstance(part, Conv2d))
        fan_in = conv.weight.size // 300
        assert conv.weight.data.std() == pytest.approx(fan_in**-0.5, rel=0.02)
        assert conv.bias is not None
        assert not conv.bias.data.any()


def test_pyramid_over_a_residual_network() -> None:
    backbone = resnet_fpn(resnet18, width=1 / 16, rng=rng())
    assert isinstance(backbone, FeatureMaps)
    assert backbone.out_channels == (16,) * 5
    assert backbone.strides == (4, 8, 16, 32, 64)
    x = Tensor(np.random.default_rng(3).standard_normal((1, 3, 64, 64)).astype(np.float32))
    maps = backbone.maps(x, training=False, rng=None)
    expected = backbone.fpn.pyramid(backbone.body.maps(x, training=False, rng=None))
    for stride, p, q in zip(backbone.strides, maps, expected, strict=True):
        assert p.shape == (1, 16, 64 // stride, 64 // stride)
        np.testing.assert_array_equal(p.data, q.data)
    without = resnet_fpn(resnet18, width=1 / 16, extra="none", rng=rng())
    assert without.strides == (4, 8, 16, 32)
    assert without.out_channels == (16,) * 4
    assert not [name for name, _ in backbone.named_parameters() if ".bn" in name or ".fc" in name]


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"FPN: extra must be .*got 'p6'"):
        FPN([1], 1, extra="p6", rng=rng())
    with pytest.raises(ValueError, match=r"FPN: in_channels"):
        FPN([], 1, rng=rng())
    with pytest.raises(ValueError, match=r"FPN: expected 2 maps, got 1"):
        FPN([1, 1], 1, rng=rng()).pyramid(tensors(np.zeros((1, 1, 2, 2), np.float32)))
    with pytest.raises(TypeError, match=r"ResNetFPN: body must be a ResNet, got FPN"):
        ResNetFPN(FPN([1], 1, rng=rng()), rng=rng())  # type: ignore[arg-type]
