"""A run that is stopped, saved and resumed gives the bits of a run that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet import nn, ops
from refdet.nn.checkpoint import CheckpointError, load_metadata, load_tensors, save_tensors
from refdet.nn.training_state import generator_state, load_training, restored_generator, save_training


def fresh(seed: int, kind: Any) -> tuple[nn.Sequential, Any]:
    rng = np.random.default_rng(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, rng=rng),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(64, 3, rng=rng),
    )
    options = {"momentum": 0.9} if kind is nn.SGD else {}
    return net, kind(net.named_parameters(), lr=0.05, **options)


def train(net: nn.Sequential, optimiser: nn.Optimiser, rng: np.random.Generator, steps: range) -> list[float]:
    losses = []
    for i_step in steps:
        x = rng.standard_normal((8, 1, 6, 6)).astype(np.float32)
        labels = rng.integers(0, 3, 8)
        loss = ops.softmax_cross_entropy(net(x, training=True, rng=rng), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step(lr=0.05 / (1 + i_step))
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_resumed_run_is_the_same_run(tmp_path: Path, kind: Any, suffix: str) -> None:
    """Weights, running statistics, momentum, step count and the draws of dropout and data all continue."""
    net, optimiser = fresh(0, kind)
    straight = train(net, optimiser, np.random.default_rng(1), range(8))

    first, first_optimiser = fresh(0, kind)
    rng = np.random.default_rng(1)
    losses = train(first, first_optimiser, rng, range(3))
    path = tmp_path / f"run{suffix}"
    save_training(path, module=first, optimiser=first_optimiser, rng=rng, progress={"i_step": 3})

    second, second_optimiser = fresh(99, kind)  # other weights, to be replaced
    progress, rng = load_training(path, module=second, optimiser=second_optimiser)
    losses += train(second, second_optimiser, rng, range(progress["i_step"], 8))

    assert losses == straight
    for name, value in net.state_dict().items():
        assert value.tobytes() == second.state_dict()[name].tobytes(), name
    for name, value in optimiser.state_dict().items():
        assert value.tobytes() == second_optimiser.state_dict()[name].tobytes(), name


def test_a_state_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    net, sgd = fresh(0, nn.SGD)
    train(net, sgd, np.random.default_rng(1), range(1))
    path = tmp_path / "run.safetensors"
    save_training(path, module=net, optimiser=sgd, rng=np.random.default_rng(0))
    other, adam = fresh(1, nn.Adam)
    before = other.state_dict()
    with pytest.raises(ValueError, match="Adam does not fit the state: unexpected momentum"):
        load_training(path, module=other, optimiser=adam)
    for name, value in other.state_dict().items():
        assert value.tobytes() == before[name].tobytes()


def test_weights_alone_are_not_a_training_state(tmp_path: Path) -> None:
    net, optimiser = fresh(0, nn.SGD)
    path = tmp_path / "weights.safetensors"
    save_tensors(path, net.state_dict())
    with pytest.raises(CheckpointError, match="is not a training state"):
        load_training(path, module=net, optimiser=optimiser)


@pytest.mark.parametrize(
    "damage",
    [
        {"progress": None},
        {"progress": [1]},
        {"generator": None},
        {"generator": 5},
        {"generator": {}},
        {"generator": {"bit_generator": "MT19937"}},
        {"generator": {"bit_generator": "PCG64"}},
        {"generator": {"bit_generator": "PCG64", "state": {"state": -1, "inc": 1}, "has_uint32": 0, "uinteger": 0}},
        {"generator": {"bit_generator": "PCG64", "state": {"state": "x", "inc": 1}, "has_uint32": 0, "uinteger": 0}},
    ],
)
def test_damaged_metadata_changes_nothing(tmp_path: Path, damage: dict[str, Any]) -> None:
    net, optimiser = fresh(0, nn.SGD)
    train(net, optimiser, np.random.default_rng(1), range(1))
    path = tmp_path / "run.safetensors"
    save_training(path, module=net, optimiser=optimiser, rng=np.random.default_rng(0))
    save_tensors(path, load_tensors(path), metadata={**load_metadata(path), **damage})
    other, other_optimiser = fresh(1, nn.SGD)
    before = other.state_dict()
    with pytest.raises(CheckpointError, match=r"run\.safetensors: its (progress|generator)"):
        load_training(path, module=other, optimiser=other_optimiser)
    for name, value in other.state_dict().items():
        assert value.tobytes() == before[name].tobytes()
    assert other_optimiser.n_steps == 0


def test_any_failure_of_the_optimiser_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, optimiser = fresh(0, nn.Adam)
    path = tmp_path / "run.npz"
    save_training(path, module=net, optimiser=optimiser, rng=np.random.default_rng(0))
    other, other_optimiser = fresh(1, nn.Adam)
    before = other.state_dict()

    def fail(state: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(other_optimiser, "load_state_dict", fail)
    with pytest.raises(MemoryError, match="no room"):
        load_training(path, module=other, optimiser=other_optimiser)
    for name, value in other.state_dict().items():
        assert value.tobytes() == before[name].tobytes()


def test_generator_goes_round() -> None:
    rng = np.random.default_rng(5)
    rng.standard_normal(7)
    twin = restored_generator(generator_state(rng))
    np.testing.assert_array_equal(rng.standard_normal(9), twin.standard_normal(9))
    with pytest.raises(ValueError, match="only PCG64"):
        generator_state(np.random.Generator(np.random.MT19937(0)))
    with pytest.raises(ValueError, match="needs a PCG64 state, got 'MT19937'"):
        restored_generator({"bit_generator": "MT19937"})
