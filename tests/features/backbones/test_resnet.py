"""ResNet: the published sizes, every convention against the network written out once more, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refdet import ops
from refdet.autograd import Tensor, no_grad
from refdet.core.check import Array
from refdet.features.backbones.resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152

PARAMETERS = {
    resnet18: 11_689_512,
    resnet34: 21_797_672,
    resnet50: 25_557_032,
    resnet101: 44_549_160,
    resnet152: 60_192_808,
}


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def nothing_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make initial weights views of one zero, which take neither time nor memory."""

    def zeros(shape: tuple[int, ...], *, dtype: Any, **_: object) -> Array:
        return np.broadcast_to(np.zeros((), dtype), shape)

    monkeypatch.setattr("refdet.nn.init.he", zeros)


@pytest.mark.usefixtures("nothing_drawn")
@pytest.mark.parametrize(("make", "published"), PARAMETERS.items())
def test_number_of_parameters(make: Callable[..., ResNet], published: int) -> None:
    net = make(rng=rng())
    assert sum(p.size for p in net.parameters()) == published
    bottleneck = published > PARAMETERS[resnet34]
    assert net.out_channels == ((256, 512, 1024, 2048) if bottleneck else (64, 128, 256, 512))


@pytest.mark.usefixtures("nothing_drawn")
def test_stride_on_either_convolution_makes_the_same_parameters() -> None:
    def names(stride_on: str) -> list[tuple[str, tuple[int, ...]]]:
        net = resnet50(rng=rng(), stride_on=stride_on)
        return [(name, p.shape) for name, p in net.named_parameters()]

    assert names("1x1") == names("3x3")


def randomised(net: ResNet) -> ResNet:
    """Give the batch normalisations statistics, scales and shifts, as training would."""
    draw = np.random.default_rng(1)
    state = net.state_dict()
    for name, value in state.items():
        if ".bn" in name or name.startswith("bn") or ".downsample.1." in name:
            positive = name.endswith(("weight", "running_var"))
            state[name] = draw.uniform(0.5, 1, value.shape) if positive else draw.normal(0, 0.2, value.shape)
    net.load_state_dict(state)
    return net


def written_out(state: dict[str, Array], x: Array, n_blocks: tuple[int, ...], stride_on: str, stem: str) -> list[Array]:
    """Return C2 to C5 and the logits; `stride_on` says nothing of basic blocks."""

    def conv(name: str, x: Any, stride: int) -> Tensor:
        weight = state[f"{name}.weight"]
        return ops.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def norm(name: str, x: Tensor) -> Tensor:
        gamma, beta, mean, var = (
            state[f"{name}.{part}"][:, None, None] for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * gamma + beta

    y = ops.relu(norm("bn1", conv("conv1", x, 2)))
    if stem == "padded":
        y = ops.max_pool2d(np.pad(y.data, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf), 3, stride=2)[0]
    else:
        over = [(0, 0), (0, 0), *((0, (n - 3) % 2) for n in y.shape[2:])]
        y = ops.max_pool2d(np.pad(y.data, over, constant_values=-np.inf), 3, stride=2)[0]
    found = []
    for i_stage, count in enumerate(n_blocks, start=1):
        for i_block in range(count):
            block = f"layer{i_stage}.{i_block}"
            stride = 2 if i_stage > 1 and i_block == 0 else 1
            strides = [1, stride, 1] if stride_on == "3x3" else [stride, 1, 1]
            if f"{block}.conv3.weight" not in state:
                strides = [stride, 1]
            z = y
            for i, s in enumerate(strides, start=1):
                z = norm(f"{block}.bn{i}", conv(f"{block}.conv{i}", z, s))
                z = ops.relu(z) if i < len(strides) else z
            if f"{block}.downsample.0.weight" in state:
                y = norm(f"{block}.downsample.1", conv(f"{block}.downsample.0", y, stride))
            y = ops.relu(z + y)
        found.append(y.data)
    return [*found, found[-1].mean(axis=(2, 3)) @ state["fc.weight"].T + state["fc.bias"]]


@pytest.mark.parametrize("frozen_norm", [False, True])
@pytest.mark.parametrize(
    ("block", "stride_on", "stem"),
    [("basic", "3x3", "padded"), ("bottleneck", "3x3", "ceil"), ("bottleneck", "1x1", "padded")],
)
def test_equals_the_network_written_out(block: str, stride_on: str, stem: str, frozen_norm: bool) -> None:
    n_blocks = (1, 2, 1, 1)
    net = randomised(
        ResNet(
            block,
            n_blocks,
            5,
            width=1 / 16,
            stride_on=stride_on,
            stem_pooling=stem,
            frozen_norm=frozen_norm,
            rng=rng(),
            dtype=np.float64,
        )
    )
    x = np.random.default_rng(2).standard_normal((2, 3, 39, 54))  # conv1 makes 20 × 27 of it: an even and an odd side
    with no_grad():
        expected = written_out(net.state_dict(), x, n_blocks, stride_on, stem)
        maps = net.maps(Tensor(x), training=False, rng=None)
        for found, c, channels in zip(maps, expected[:-1], net.out_channels, strict=True):
            assert found.shape[1] == channels
            np.testing.assert_allclose(found.data, c, rtol=0, atol=1e-12)
        np.testing.assert_allclose(net(x).data, expected[-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("frozen_norm", [False, True])
def test_training_reaches_every_batch_normalisation(frozen_norm: bool) -> None:
    net = ResNet("bottleneck", (2, 1, 1, 1), 3, width=1 / 32, frozen_norm=frozen_norm, rng=rng())
    before = net.state_dict()
    x = np.random.default_rng(5).standard_normal((2, 3, 64, 64)).astype(np.float32)
    with no_grad():
        net(x, training=True)
    changed = {name for name, value in net.state_dict().items() if not np.array_equal(value, before[name])}
    statistics = {name for name in before if "running" in name}
    assert len(statistics) == 2 * (1 + 5 * 3 + 4)  # the stem, three in each of five blocks, four projections
    assert changed == (set() if frozen_norm else statistics)


def test_ceil_pooling_windows_begin_on_the_first_pixel() -> None:
    stem = np.arange(64.0).reshape(1, 1, 8, 8)
    padded, ceil = (
        resnet18(None, width=0.01, stem_pooling=s, rng=rng()).maxpool(stem).data[0, 0, 0] for s in ("padded", "ceil")
    )
    np.testing.assert_array_equal(padded, [9, 11, 13, 15])  # columns −1 … 1, 1 … 3, 3 … 5, 5 … 7
    np.testing.assert_array_equal(ceil, [18, 20, 22, 23])  # columns 0 … 2, 2 … 4, 4 … 6, 6 … 7


@pytest.mark.parametrize("frozen_norm", [False, True])
def test_zero_last_gamma_makes_every_block_its_shortcut(frozen_norm: bool) -> None:
    net = resnet18(width=1 / 16, frozen_norm=frozen_norm, zero_last_gamma=True, rng=rng())
    x = np.random.default_rng(3).standard_normal((1, 3, 32, 32)).astype(np.float32)
    pooled = net.maxpool(ops.relu(net.bn1(net.conv1(x))))
    np.testing.assert_array_equal(net.layer1(pooled).data, pooled.data)
    first, second = net.layer2
    np.testing.assert_array_equal(second(first(pooled)).data, first(pooled).data)
    assert not np.array_equal(resnet18(width=1 / 16, rng=rng()).layer1(pooled).data, pooled.data)


def test_width_scales_every_number_of_channels() -> None:
    net = resnet50(
        7, width=0.05, rng=rng()
    )  # 64, 128, 256 and 512 become 3, 6, 13 and 26; four times as many 13 to 102
    assert net.out_channels == (13, 26, 51, 102)
    shapes = {name: p.shape for name, p in net.named_parameters()}
    assert shapes["conv1.weight"] == (3, 3, 7, 7)
    assert shapes["layer2.0.conv1.weight"] == (6, 13, 1, 1)
    assert shapes["layer2.0.conv2.weight"] == (6, 6, 3, 3)
    assert shapes["layer2.0.downsample.0.weight"] == (26, 13, 1, 1)
    assert shapes["fc.weight"] == (7, 102)
    assert resnet18(width=1e-9, rng=rng()).out_channels == (1, 1, 1, 1)


def test_without_a_classifier_come_the_means_of_the_last_map() -> None:
    net = resnet18(None, width=1 / 16, rng=rng())
    x = np.random.default_rng(4).standard_normal((2, 3, 64, 64)).astype(np.float32)
    last = net.maps(Tensor(x), training=False, rng=None)[-1].data
    assert last.shape == (2, 32, 2, 2)
    np.testing.assert_allclose(net(x).data, last.mean(axis=(2, 3)), rtol=1e-5)
    assert not any(name.startswith("fc") for name in net.state_dict())


@pytest.mark.parametrize(
    ("n_trainable", "trained"),
    [(5, {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}), (1, {"layer4"}), (0, set())],
)
def test_freezing_the_first_stages(n_trainable: int, trained: set[str]) -> None:
    net = resnet18(None, width=1 / 64, rng=rng())
    net.freeze_all_but_last(n_trainable)
    assert {name.split(".")[0] for name, p in net.named_parameters() if p.requires_grad} == trained


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"ResNet: block must be .*basic.*got 'wide'"):
        ResNet("wide", (1, 1, 1, 1), rng=rng())
    with pytest.raises(ValueError, match=r"ResNet: n_blocks"):
        ResNet("basic", (1, 1, 1), rng=rng())
    with pytest.raises(ValueError, match=r"ResNet: stride_on must be .*got '2x2'"):
        resnet18(rng=rng(), width=0.01, stride_on="2x2")
    with pytest.raises(ValueError, match=r"ResNet: stem_pooling must be .*got 'floor'"):
        resnet18(rng=rng(), width=0.01, stem_pooling="floor")
    with pytest.raises(TypeError, match=r"stem_poling"):
        resnet18(rng=rng(), width=0.01, stem_poling="ceil")
    with pytest.raises(ValueError, match=r"width"):
        resnet18(rng=rng(), width=0)
    with pytest.raises(ValueError, match=r"eps"):
        resnet18(rng=rng(), width=0.01, norm_eps=0.0)
    with pytest.raises(ValueError, match=r"n_trainable must be at most 5 stages, got 6"):
        resnet18(rng=rng(), width=0.01).freeze_all_but_last(6)
