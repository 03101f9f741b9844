"""Modules: names, state, strict loading."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet import nn
from refdet.autograd import Tensor


def small_net(seed: int = 0) -> nn.Sequential:
    rng = np.random.default_rng(seed)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3, rng=rng, padding=1),
        nn.BatchNorm2d(2),
        nn.ReLU(),
        head=nn.Sequential(nn.Flatten(), nn.Linear(2 * 4 * 4, 3, rng=rng)),
    )


NAMES = ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "head.1.weight", "head.1.bias"]


def test_names_follow_attributes_in_order() -> None:
    net = small_net()
    assert list(net.state_dict()) == NAMES
    assert [name for name, _ in net.named_parameters()] == [n for n in NAMES if "running" not in n]
    assert [name for name, _ in net.named_buffers()] == ["1.running_mean", "1.running_var"]


def test_state_goes_round() -> None:
    source, target = small_net(0), small_net(1)
    x = np.random.default_rng(2).standard_normal((2, 1, 4, 4)).astype(np.float32)
    source(x, training=True)  # moves the running statistics
    target.load_state_dict(source.state_dict())
    np.testing.assert_array_equal(source(x).data, target(x).data)


def test_state_is_a_copy() -> None:
    net = small_net()
    net.state_dict()["0.bias"][:] = 7
    np.testing.assert_array_equal(net.state_dict()["0.bias"], [0, 0])


def test_strict_loading_lists_everything_at_once_and_changes_nothing() -> None:
    net = small_net()
    before = net.state_dict()
    state = net.state_dict()
    del state["0.bias"], state["1.running_var"]
    state |= {"extra": np.zeros(1), "0.weight": np.zeros((2, 1, 5, 5)), "head.1.bias": np.ones(3)}
    with pytest.raises(ValueError, match="Sequential does not fit the state") as caught:
        net.load_state_dict(state)
    for part in (
        "missing 0.bias",
        "missing 1.running_var",
        "unexpected extra",
        "0.weight has shape (2, 1, 5, 5), expected (2, 1, 3, 3)",
    ):
        assert part in str(caught.value)
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_loading_part_of_a_state() -> None:
    net = small_net()
    net.load_state_dict({"0.bias": np.array([1.0, 2.0]), "extra": np.zeros(3)}, strict=False)
    np.testing.assert_array_equal(net.state_dict()["0.bias"], [1, 2])
    assert net.state_dict()["0.bias"].dtype == np.float32
    with pytest.raises(ValueError, match=r"0.bias has shape \(3,\), expected \(2,\)"):
        net.load_state_dict({"0.bias": np.zeros(3)}, strict=False)


def test_a_shared_parameter_is_one_parameter_with_two_names() -> None:
    net = small_net()
    twin = nn.Sequential(a=net, b=net)
    assert len(twin.parameters()) == len(net.parameters())
    assert len(twin.state_dict()) == 2 * len(net.state_dict())
    twin.load_state_dict(twin.state_dict())


def test_frozen_parameters_get_no_gradient() -> None:
    net = small_net()
    net.freeze()
    loss = net(Tensor(np.ones((2, 1, 4, 4), np.float32), requires_grad=True), training=True).sum()
    loss.backward()
    assert all(parameter.grad is None for parameter in net.parameters())


def test_astype_changes_the_whole_tree() -> None:
    net = small_net()
    assert net.astype(np.float64) is net
    assert {value.dtype for value in net.state_dict().values()} == {np.dtype(np.float64)}
    assert net(np.ones((1, 1, 4, 4))).dtype == np.float64


def test_forward_must_be_defined() -> None:
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match="Empty does not define forward"):
        Empty()(np.ones(1))


def test_sequential_takes_modules_only() -> None:
    not_a_module: Any = np.tanh
    with pytest.raises(TypeError, match="Sequential: part 0 must be a Module, got ufunc"):
        nn.Sequential(not_a_module)
