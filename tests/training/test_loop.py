"""The loop: what a step computes, what may not change it, and what ends it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refdet import nn
from refdet.autograd.tensor import Tensor
from refdet.data import Sample, random_mirror
from refdet.training import DivergenceError, TrainingError, TrainingSettings, read_metrics, read_weights, train
from tests.training.tiny_run import TinyNet, bits, pictures, rates, run, sgd


def by_hand(n_steps: int) -> TinyNet:
    """Train from the definitions: PCG64 seeded by (seed, purpose, number), full batches across epochs, SGD."""

    def generator(purpose: int, number: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(4, spawn_key=(purpose, number)))

    model, samples = TinyNet(), pictures()
    visits = [i for epoch in range(3) for i in generator(0, epoch).permutation(5)]
    v = {name: np.zeros_like(p.data) for name, p in model.named_parameters()}
    for s in range(n_steps):
        rng = generator(1, s)
        batch = [random_mirror(samples[i], rng) for i in visits[2 * s : 2 * s + 2]]
        named = model.losses(batch, rng=generator(2, s))
        model.zero_grad()
        (named["class"] + named["width"]).backward()
        for name, p in model.named_parameters():
            assert p.grad is not None
            v[name] = 0.9 * v[name] + (p.grad + 1e-3 * p.data)
            p.data = p.data - rates(s) * v[name]
    return model


def test_steps_are_those_of_the_definition() -> None:
    model, result = run(seed=4)
    assert bits(model) == bits(by_hand(7))
    assert result.finished
    assert result.n_steps == 7
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("ahead", [1, 3])
def test_prefetching_changes_nothing(ahead: int) -> None:
    assert bits(run(ahead=ahead)[0]) == bits(run()[0])


def test_the_seed_changes_order_transforms_and_draws() -> None:
    assert bits(run(seed=1)[0]) != bits(run()[0])
    straight, other = run(transform=None)[0], run(transform=None, seed=1)[0]
    assert bits(straight) != bits(other)


def test_evaluation_does_not_disturb(tmp_path: Path) -> None:
    """It runs without gradients, its results are lines of their own, and it cannot change the model."""

    needs_gradient: list[bool] = []

    def clean(model: TinyNet) -> dict[str, float]:
        needs_gradient.append(model.head(np.ones((1, 48), np.float32)).requires_grad)
        return model.scores(pictures()) | {"AP of what is not there": math.nan}

    def careless(model: TinyNet) -> dict[str, float]:
        model.losses(pictures(2), rng=np.random.default_rng(0))  # moves the running statistics
        return {}

    model, result = run(tmp_path, evaluate=clean, evaluate_every=3)
    assert bits(model) == bits(run()[0])
    assert needs_gradient == [False, False, False]
    assert [line.step for line in result.history.evaluations] == [3, 6, 7]
    assert result.history.evaluations[-1].evaluation["accuracy"] == clean(model)["accuracy"]
    lines = [json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [("evaluation" in line, line["step"]) for line in lines[-3:]] == [(True, 6), (False, 7), (True, 7)]
    assert lines[-1]["evaluation"]["AP of what is not there"] is None
    with pytest.raises(TrainingError, match=r"evaluate changed body\.1\.running_mean of the model; .*training=False"):
        run(evaluate=careless, evaluate_every=3)


def test_metrics_say_what_happened(tmp_path: Path) -> None:
    seen: list[dict[str, float]] = []

    class Watched(TinyNet):
        def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
            named = super().losses(samples, rng=rng)
            seen.append({name: loss.item() for name, loss in named.items()})
            return named

    _, result = run(tmp_path, model=Watched(), max_gradient_norm=1e6)
    lines = [json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["losses"] for line in lines] == seen
    assert [line["step"] for line in lines] == list(range(1, 8))
    assert [line["lr"] for line in lines] == [rates(i) for i in range(7)]
    np.testing.assert_allclose([line["loss"] for line in lines], [sum(s.values()) for s in seen], rtol=1e-6)
    np.testing.assert_allclose([line["epoch"] for line in lines], [2 * (i + 1) / 5 for i in range(7)])
    assert all(line["gradient_norm"] > 0 for line in lines)
    seconds = np.array([line["seconds"] for line in lines])
    assert (np.diff(seconds) > 0).all()
    speeds = np.array([line["images_per_second"] for line in lines])
    np.testing.assert_allclose(2 / np.diff(seconds, prepend=0), speeds, rtol=1e-6)
    assert read_metrics(tmp_path / "metrics.jsonl") == result.history


def test_clipping_shortens_the_step() -> None:
    """Plain SGD at rate 1 moves the parameters by the gradients, here of joint norm 0.01."""
    before = TinyNet()

    def plain(model: nn.Module) -> nn.Optimiser:
        return nn.SGD(model.named_parameters(), lr=1)

    model, result = run(n_steps=1, optimiser=plain, schedule=lambda step: 1.0, max_gradient_norm=0.01)
    moved = [p.data - q.data for p, q in zip(model.parameters(), before.parameters(), strict=True)]
    assert math.sqrt(sum(float((m.astype(float) ** 2).sum()) for m in moved)) == pytest.approx(0.01, rel=1e-4)
    assert (result.history.steps[0].gradient_norm or 0) > 0.02


def test_frozen_parameters_and_multipliers() -> None:
    model, untouched = TinyNet(), TinyNet()
    model.body.freeze()
    multipliers = {"head.bias": nn.Multipliers(lr=0), "head.weight": nn.Multipliers(lr=2)}

    def optimiser(model: nn.Module) -> nn.Optimiser:
        return nn.SGD(model.named_parameters(), lr=1, multipliers=multipliers)

    run(n_steps=1, model=model, optimiser=optimiser)
    single = TinyNet()
    single.body.freeze()
    run(n_steps=1, model=single, optimiser=lambda m: nn.SGD(m.named_parameters(), lr=1))
    before, after, once = (net.state_dict() for net in (untouched, model, single))
    for name in ("body.0.weight", "body.0.bias", "body.1.weight", "head.bias"):
        assert after[name].tobytes() == before[name].tobytes(), name
    moved, moved_once = after["head.weight"] - before["head.weight"], once["head.weight"] - before["head.weight"]
    np.testing.assert_allclose(moved, 2 * moved_once, atol=1e-7)
    assert np.abs(moved_once).max() > 1e-3


def with_loss(change: Callable[[TinyNet], dict[str, Tensor]], at: int) -> dict[str, Any]:
    """Return a network, and its losses with others added at the `at`-th step."""
    model, calls = TinyNet(), 0

    def losses(samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        nonlocal calls
        calls += 1
        return {**model.losses(samples, rng=rng), **(change(model) if calls == at else {})}

    return {"model": model, "losses": losses}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite(tmp_path: Path, value: float) -> None:
    trained = with_loss(lambda model: {"width": Tensor(np.float32(value))}, at=6)
    with pytest.raises(DivergenceError) as caught:
        run(tmp_path, **trained)
    beside = caught.value.args[0].split("class ")[1].split(")")[0]
    assert str(caught.value) == (
        f"train: step 6: the loss 'width' is {value} (beside class {beside}); the parameters are those after step 5; "
        f"the last checkpoint is {tmp_path / 'last.safetensors'}, of step 3"
    )
    straight = run(n_steps=5)[0]
    for (name, p), q in zip(trained["model"].named_parameters(), straight.parameters(), strict=True):
        assert p.data.tobytes() == q.data.tobytes(), name
    assert bits(run(tmp_path)[0]) == bits(run()[0])  # and from there it can go on


def test_losses_that_find_something_not_finite(tmp_path: Path) -> None:
    def refuse(model: Any) -> Any:
        raise FloatingPointError("picture 3: 7 of 9 proposals are not finite")

    with pytest.raises(DivergenceError) as caught:
        run(tmp_path, **with_loss(refuse, at=2))
    assert str(caught.value) == (
        "train: step 2: picture 3: 7 of 9 proposals are not finite; the parameters are those after step 1; the last "
        f"checkpoint is {tmp_path / 'last.safetensors'}, of step 0"
    )


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_gradient_that_is_not_finite(clip: float | None) -> None:
    trained = with_loss(lambda model: {"root": (model.head.weight * 0).sqrt().sum()}, at=2)
    with np.errstate(all="ignore"), pytest.raises(DivergenceError) as caught:
        run(**trained, max_gradient_norm=clip)
    assert str(caught.value) == (
        "train: step 2: the gradient of head.weight is not finite; the parameters are those after step 1; nothing was "
        "saved, for there is no folder"
    )
    straight = run(n_steps=1, max_gradient_norm=clip)[0]
    for p, q in zip(trained["model"].parameters(), straight.parameters(), strict=True):
        assert p.data.tobytes() == q.data.tobytes()


def test_unusable_ground_truth_names_the_picture() -> None:
    samples = pictures()
    samples[3] = dataclasses.replace(samples[3], name="street.jpg", boxes=np.array([[1, 2, 1, 9]], np.float32))
    for ahead in (0, 2):
        with pytest.raises(ValueError, match=r"^street\.jpg: object 0 must have a finite box of positive area"):
            run(samples=samples, ahead=ahead)

    def mended(sample: Sample, rng: np.random.Generator) -> Sample:
        return dataclasses.replace(sample, boxes=np.array([[1, 2, 3, 9]], np.float32))

    with pytest.raises(ValueError, match=r"^street\.jpg: object 0 must have"):
        run(samples=samples, transform=mended)  # a fault of the data set is not for the transform to hide

    def shrink(sample: Sample, rng: np.random.Generator) -> Sample:
        return dataclasses.replace(sample, boxes=sample.boxes * 0)

    with pytest.raises(ValueError, match=r"^picture \d: object 0 must have a finite box of positive area"):
        run(transform=shrink)


def test_the_best_is_kept(tmp_path: Path) -> None:
    """Of equals the first; NaN never."""
    values = iter([math.nan, 0.5, 0.7, 0.7, 0.2])
    weights: dict[int, str] = {}

    def evaluate(model: TinyNet) -> dict[str, float]:
        weights[len(weights) + 1] = bits(model)
        return {"mAP": next(values)}

    _, result = run(tmp_path, n_steps=5, evaluate=evaluate, evaluate_every=1, keep_best="mAP")
    best = TinyNet(9)
    best.load_state_dict(read_weights(tmp_path, "best"))
    assert bits(best) == weights[3]
    assert result.best is not None
    assert (result.best.metric, result.best.value, result.best.step) == ("mAP", 0.7, 3)
    last = TinyNet(9)
    last.load_state_dict(read_weights(tmp_path))
    assert bits(last) == weights[5]
    with pytest.raises(ValueError, match="keep_best is 'AP', and evaluate gives mAP"):
        run(evaluate=lambda model: {"mAP": 1.0}, keep_best="AP")


def test_losses_without_a_gradient_change_nothing() -> None:
    model = TinyNet()
    run(model=model, losses=lambda samples, *, rng: {"none": Tensor(np.float32(0))})
    assert bits(model) == bits(TinyNet())


def test_a_model_in_float64_and_losses_of_one_element() -> None:
    """Shapes (1,) and () add up."""
    model = nn.Linear(1, 1, rng=np.random.default_rng(0), dtype=np.float64)
    weight = model.weight.data.copy()
    x = Tensor(np.ones((1, 1)))
    train(
        model, pictures(1), losses=lambda samples, *, rng: {"a": model(x).sum(), "b": model(x).reshape(1) * 2},
        optimiser=nn.SGD(model.named_parameters(), lr=1), schedule=lambda step: 0.25, settings=TrainingSettings(1),
    )  # fmt: skip
    np.testing.assert_array_equal(model.weight.data, weight - 0.25 * 3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"samples": []}, ValueError, "there must be at least one sample"),
        ({"samples": [1]}, TypeError, "must be a Sample, got int"),
        ({"losses": lambda samples, *, rng: {}}, TypeError, "mapping of names to Tensors, got an empty dict"),
        (
            {"losses": lambda samples, *, rng: {"a": 1.0}},
            TypeError,
            "the loss 'a' must be a Tensor of one element, got",
        ),
        ({"losses": None}, TypeError, "losses must be a function"),
        ({"schedule": 0.1}, TypeError, "schedule must be a function such as"),
        ({"schedule": lambda step: 1.0 - step}, ValueError, r"rate of step 2 must lie in \[0, inf\)"),
        ({"optimiser": lambda model: sgd(TinyNet())}, ValueError, "none of the model's: body.0.weight"),
        ({"optimiser": lambda model: None}, TypeError, "optimiser must be of type Optimiser, got NoneType"),
        ({"evaluate_every": 2}, ValueError, "keep_best and settings.evaluate_every need evaluate"),
        ({"evaluate": lambda model: 0.5}, TypeError, "evaluate must return a mapping of names to numbers, got float"),
        ({"transform": lambda sample, rng: None}, TypeError, "what transform returns for item . must be a Sample"),
        ({"batch_size": 0}, ValueError, "TrainingSettings: batch_size must be at least 1"),
        ({"max_gradient_norm": 0}, ValueError, r"max_gradient_norm must lie in \(0, inf\)"),
    ],
)
def test_wrong_use(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(**options)


def test_nothing_to_train() -> None:
    model = TinyNet()
    model.freeze()
    with pytest.raises(ValueError, match="holds no parameter that asks for a gradient: all are frozen"):
        run(model=model)
