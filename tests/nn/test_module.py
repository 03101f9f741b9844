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


@pytest.mark.parametrize("name", ["forward", "parts", "_buffers", "__class__", "a.b", "", "1a"])
def test_names_of_parts(name: str) -> None:
    with pytest.raises(ValueError, match=r"Sequential: (the name of a part|a part cannot be named)"):
        nn.Sequential(**{name: nn.ReLU()})


def test_a_position_and_a_keyword_of_one_name() -> None:
    with pytest.raises(ValueError, match="Sequential: a part cannot be named 0"):
        nn.Sequential(nn.ReLU(), **{"0": nn.ReLU()})


def test_sequential_is_a_sequence() -> None:
    net = small_net()
    assert len(net) == 4
    assert list(net) == [net[i] for i in range(4)]
    assert net[-1] is net[np.int64(3)]  # type: ignore[call-overload]
    tail = net[2:]
    assert isinstance(tail, nn.Sequential)
    assert [name for name, _ in tail.parts()] == ["2", "head"]
    assert tail[0] is net[2]
    with pytest.raises(IndexError, match="Sequential: position 4 does not exist among 4 parts"):
        net[4]
    name: Any = "head"
    with pytest.raises(TypeError, match="Sequential: the position must be an integer or a slice, got 'head'"):
        net[name]


@pytest.mark.parametrize(
    "container", [[nn.ReLU()], (nn.ReLU(),), {"a": nn.ReLU()}, [[nn.Parameter(np.zeros(1))]], {"a": [nn.ReLU()]}]
)
def test_parts_inside_a_container_are_refused(container: Any) -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = container

    walks: list[Any] = [nn.Module.parameters, nn.Module.state_dict, nn.Module.freeze, nn.Module.zero_grad]
    for walk in walks:
        with pytest.raises(TypeError, match=r"Holder: part\.blocks is a \w+ that holds .* use Sequential"):
            walk(nn.Sequential(part=Holder()))


def test_a_module_inside_itself_is_refused() -> None:
    net: Any = small_net()
    net.head.me = net
    with pytest.raises(ValueError, match=r"Sequential: the module contains itself, as its part head\.me"):
        net.state_dict()
    assert "(me): Sequential(...)" in repr(net)


def test_a_forgotten_initialiser() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(np.zeros(1))

    message = r"Forgetful: its __init__ must call super\(\)\.__init__\(\) first"
    for walk in (Forgetful.parameters, Forgetful.state_dict, lambda m: m.add_buffer("mean", np.zeros(1))):
        with pytest.raises(RuntimeError, match=message):
            walk(Forgetful())


def test_buffers_are_new_arrays() -> None:
    module: Any = nn.BatchNorm2d(2)
    for name in ("running_mean", "weight", "forward"):
        with pytest.raises(ValueError, match=f"add_buffer: BatchNorm2d already has an attribute {name}"):
            module.add_buffer(name, np.zeros(1))
    with pytest.raises(ValueError, match=r"add_buffer: the name must be an identifier, got 'a\.b'"):
        module.add_buffer("a.b", np.zeros(1))
    for value in ([0.0], Tensor(np.zeros(1))):
        with pytest.raises(TypeError, match="add_buffer: extra must be an array, got"):
            module.add_buffer("extra", value)
    assert len(module.state_dict()) == 4


def test_unfreezing() -> None:
    net = small_net()
    net.freeze()
    net.unfreeze()
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_repr_shows_the_tree() -> None:
    assert repr(small_net()).splitlines() == [
        "Sequential(",
        "  (0): Conv2d(weight (2, 1, 3, 3), bias (2,))",
        "  (1): BatchNorm2d(weight (2,), bias (2,))",
        "  (2): ReLU()",
        "  (head): Sequential(",
        "    (0): Flatten()",
        "    (1): Linear(weight (3, 32), bias (3,))",
        "  )",
        ")",
    ]


@pytest.mark.parametrize("dtype", [np.float16, np.int64, None, "complex64"])
def test_astype_takes_two_dtypes(dtype: Any) -> None:
    net = small_net()
    with pytest.raises(TypeError, match="astype: dtype must be float32 or float64"):
        net.astype(dtype)
    assert {value.dtype for value in net.state_dict().values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (np.array(["1.5", "2"]), "has dtype <U3, which does not convert to float32"),
        (np.array([1, None]), "has dtype object"),
        (np.ones(2, complex), "has dtype complex128"),
        (np.ones(2, bool), "has dtype bool"),
        ([1.0, 2.0], "is not an array but list"),
        (nn.Parameter(np.ones(2)), "is not an array but Parameter"),
    ],
)
def test_values_that_do_not_convert_change_nothing(value: Any, problem: str) -> None:
    net = small_net()
    before = net.state_dict()
    state = {name: array + 1 for name, array in before.items()} | {"head.1.bias": np.zeros(3), "1.bias": value}
    with pytest.raises(ValueError, match=f"Sequential does not fit the state: 1.bias {problem}"):
        net.load_state_dict(state)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_loading_rounds_but_never_cuts() -> None:
    net = small_net()
    net.load_state_dict({"0.bias": np.array([0.1, 0.2])}, strict=False)
    np.testing.assert_array_equal(net.state_dict()["0.bias"], np.array([0.1, 0.2], np.float32))
    net.add_buffer("n_batches", np.array(3))
    with pytest.raises(ValueError, match="n_batches has dtype float64, which does not convert to int64"):
        net.load_state_dict({"n_batches": np.array(4.5)}, strict=False)
