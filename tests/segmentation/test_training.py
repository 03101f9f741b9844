"""Training: one step by hand, what is frozen, the course of the stages, and that one seed gives one run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor
from refdet.data import Shapes
from refdet.data.sample import Sample
from refdet.nn import Multipliers
from refdet.nn.schedules import step_decay
from refdet.segmentation.fcn import AT_ONCE_SCALES, FCN
from refdet.segmentation.prediction import predict
from refdet.segmentation.training import (
    REFERENCE_MEAN_BGR,
    REFERENCE_RATES,
    Pair,
    Recipe,
    Step,
    bias_multipliers,
    pixel_loss,
    train,
    train_in_stages,
    training_pair,
)
from tests.agreement import Array
from tests.segmentation.nets import SMALL, make, picture

QUICK = Recipe(lr=0.01, n_steps=3, momentum=0.9, normalize="valid")


def samples(n: int = 3, side: int = 12) -> list[Pair]:
    rng = np.random.default_rng(5)
    return [(picture(side, side, seed=i)[0], rng.choice([0, 1, 2, 255], (side, side))) for i in range(n)]


def test_normalisers_by_hand() -> None:
    """Equal logits of two classes: log 2 for each of the 3 pixels that count, of 4 in 2 images."""
    labels = np.array([[[0, 255]], [[1, 1]]])
    for normalize, divisor in (("sum", 1), ("valid", 3), ("full", 4), ("batch", 2)):
        loss = pixel_loss(np.zeros((2, 2, 1, 2)), labels, normalize=normalize)
        assert loss.item() == pytest.approx(3 * np.log(2) / divisor)


@pytest.mark.parametrize(("normalize", "divisor"), [("sum", 1), ("valid", 3), ("full", 4), ("batch", 2)])
def test_the_gradient_is_p_minus_one_hot(normalize: str, divisor: int) -> None:
    logits = Tensor(np.zeros((2, 2, 1, 2)), requires_grad=True)
    pixel_loss(logits, np.array([[[0, 255]], [[1, 1]]]), normalize=normalize).backward()
    assert logits.grad is not None
    first_class = np.array([[[-0.5, 0]], [[0.5, 0.5]]]) / divisor
    np.testing.assert_allclose(logits.grad, np.stack([first_class, -first_class], axis=1))


def test_all_pixels_ignored_cost_nothing() -> None:
    for normalize in ("sum", "valid", "full", "batch"):
        assert pixel_loss(np.ones((1, 2, 1, 1)), np.array([[[255]]]), normalize=normalize).item() == 0


def test_one_image_has_one_sum() -> None:
    """What the authors write, `normalize: false`, divides by the number of images, which is 1 in their training."""
    logits, labels = np.random.default_rng(0).standard_normal((1, 3, 4, 5)), np.ones((1, 4, 5), np.uint8)
    assert pixel_loss(logits, labels, normalize="batch").item() == pixel_loss(logits, labels).item()


@pytest.mark.parametrize("size", [(1, 1), (1, 60), (7, 90)])
@pytest.mark.parametrize("n_classes", [1, 3])
def test_images_of_any_size(size: tuple[int, int], n_classes: int) -> None:
    """With all pixels ignored nothing moves; else, with more than one class, all but the frozen upsampling does."""
    image = np.abs(picture(*size)[0])
    for label, moves in ((255, False), (0, n_classes > 1)):
        fcn = make("2s", n_classes=n_classes)
        before = fcn.state_dict()
        recipe = Recipe(lr=1e-3, n_steps=2, momentum=0.9, weight_decay=0.0)
        losses = train(fcn, [(image, np.full(size, label, np.uint8))], recipe, rng=np.random.default_rng(0))
        assert [loss > 0 for loss in losses] == [moves, moves]
        changed = {name for name, value in fcn.state_dict().items() if not np.array_equal(value, before[name])}
        assert ({"score_fr.bias", "skips.pool1.score.bias"} <= changed) == moves
        assert bool(changed) == moves


def test_an_interrupted_run_leaves_the_model_as_the_last_step_left_it() -> None:
    def stop(step: Step) -> None:
        if step.i_step == 1:
            raise KeyboardInterrupt

    whole, interrupted = make("4s"), make("4s")
    train(whole, samples(), replace(QUICK, n_steps=2), rng=np.random.default_rng(0))
    with pytest.raises(KeyboardInterrupt):
        train(interrupted, samples(), QUICK, rng=np.random.default_rng(0), on_step=stop)
    for name, value in interrupted.state_dict().items():
        np.testing.assert_array_equal(value, whole.state_dict()[name])


def test_a_label_that_is_no_class_changes_nothing() -> None:
    fcn = make("4s")
    before = fcn.state_dict()
    with pytest.raises(ValueError, match="label 3 at index"):
        train(fcn, [(IMAGE, LABELS + 3)], QUICK, rng=np.random.default_rng(0))
    for name, value in fcn.state_dict().items():
        np.testing.assert_array_equal(value, before[name])


def test_no_gradient_is_left_behind() -> None:
    fcn = make("4s")
    train(fcn, samples(), QUICK, rng=np.random.default_rng(0))
    assert all(parameter.grad is None for parameter in fcn.parameters())


def test_the_authors_numbers() -> None:
    """Of their solver and net files; momentum and weight decay are a recipe's own."""
    recipe = Recipe(lr=REFERENCE_RATES["32s"], n_steps=1)
    assert (recipe.momentum, recipe.weight_decay, recipe.batch_size, recipe.normalize) == (0.99, 5e-4, 1, "sum")
    assert recipe.ignore_label == 255
    assert list(REFERENCE_RATES.items()) == [("32s", 1e-10), ("16s", 1e-12), ("8s", 1e-14)]
    assert REFERENCE_MEAN_BGR == (104.00699, 116.66877, 122.67892)
    assert AT_ONCE_SCALES == (0.01, 0.0001)
    scene = Shapes(1, seed=0, size=(32, 32))[0]
    image, label_map = training_pair(scene, mean=REFERENCE_MEAN_BGR, order="BGR")
    blue = scene.image[:, :, 2].astype(np.float32) - np.float32(104.00699)
    np.testing.assert_array_equal(image[0], blue)
    np.testing.assert_array_equal(label_map, scene.label_map)


def test_one_step_by_hand() -> None:
    """Weights: −ε (g + λ w). Biases: −2 ε g."""
    (sample,) = samples(1)
    fcn = make("4s")
    before = fcn.state_dict()
    pixel_loss(fcn(sample[0][None]), sample[1][None]).backward()
    gradients = {name: p.grad for name, p in fcn.named_parameters() if p.grad is not None}
    recipe = Recipe(lr=1e-4, n_steps=1, weight_decay=0.5)
    losses = train(fcn, [sample], recipe, rng=np.random.default_rng(0))
    assert losses == [pixel_loss(make("4s")(sample[0][None]), sample[1][None]).item()]
    assert set(gradients) == {name for name in before if "up" not in name}
    for name, g in gradients.items():
        w = before[name]
        move = 2 * g if name.endswith("bias") else g + 0.5 * w
        np.testing.assert_allclose(fcn.state_dict()[name], w - 1e-4 * move, rtol=1e-12)


def test_two_steps_with_momentum() -> None:
    """v₁ = g₁, v₂ = μ v₁ + g₂: the second step goes on with a share of the first."""

    def gradients(fcn: FCN) -> dict[str, Array]:
        pixel_loss(fcn(sample[0][None]), sample[1][None]).backward()
        return {name: p.grad for name, p in fcn.named_parameters() if p.grad is not None}

    (sample,) = samples(1)
    recipe = Recipe(lr=1e-5, n_steps=1, momentum=0.25, weight_decay=0.0)
    once, twice = make("4s"), make("4s")
    first = gradients(make("4s"))
    train(once, [sample], recipe, rng=np.random.default_rng(0))
    train(twice, [sample], replace(recipe, n_steps=2), rng=np.random.default_rng(0))
    after_one = once.state_dict()
    for name, g in gradients(once).items():
        rate = 2e-5 if name.endswith("bias") else 1e-5
        expected = after_one[name] - rate * (0.25 * first[name] + g)
        np.testing.assert_allclose(twice.state_dict()[name], expected, rtol=1e-11, atol=1e-13)


def test_biases_learn_twice_as_fast_and_do_not_decay() -> None:
    multipliers = bias_multipliers(make("4s"))
    assert "skips.pool2.score.bias" in multipliers
    assert all(name.endswith(".bias") for name in multipliers)
    assert set(multipliers.values()) == {Multipliers(lr=2.0, weight_decay=0.0)}


def test_given_multipliers_take_the_place_of_those_of_biases() -> None:
    """Of the score layer: the bias as a weight is by default, (1, 1), the weight stays; other biases are as ever."""
    (sample,) = samples(1)
    usual, other = make("4s"), make("4s")
    before = usual.state_dict()
    recipe = Recipe(lr=1e-4, n_steps=1, weight_decay=0.0)
    given = {"score_fr.bias": Multipliers(), "score_fr.weight": Multipliers(lr=0.0)}
    train(usual, [sample], recipe, rng=np.random.default_rng(0))
    train(other, [sample], recipe, rng=np.random.default_rng(0), multipliers=given)
    for name, value in other.state_dict().items():
        share = {"score_fr.bias": 0.5, "score_fr.weight": 0.0}.get(name, 1.0)
        move = usual.state_dict()[name] - before[name]
        np.testing.assert_allclose(value - before[name], share * move, rtol=1e-9, atol=1e-15)
    with pytest.raises(ValueError, match=r"multipliers name parameters that do not exist: crf\.compatibility"):
        train(other, [sample], recipe, rng=np.random.default_rng(0), multipliers={"crf.compatibility": Multipliers()})


@pytest.mark.parametrize(
    ("normalize", "advice"),
    [("sum", "try normalize='valid' with its usual rates, or a smaller rate"), ("valid", "try a smaller rate")],
)
def test_a_run_that_diverges_says_what_to_do(normalize: str, advice: str) -> None:
    """A rate at which the first step leaves weights of 1e200, whose products are infinite."""
    recipe = Recipe(lr=1e200, n_steps=3, normalize=normalize)
    expected = (
        rf"train: step 1, lr=1e\+200, normalize='{normalize}': SGD: the gradient of .* is not finite; .*{advice}$"
    )
    with np.errstate(all="ignore"), pytest.raises(FloatingPointError, match=expected):
        train(make("4s"), samples(1), recipe, rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("learned", "moved"),
    [
        ("none", set()),
        ("intermediate", {"skips.pool2.upsample.weight"}),
        ("all", {"skips.pool2.upsample.weight", "upscore.x4.weight"}),
    ],
)
def test_which_upsampling_learns(learned: str, moved: set[str]) -> None:
    fcn = make("4s", learned_upsampling=learned)
    before = fcn.state_dict()
    train(fcn, samples(), replace(QUICK, n_steps=2), rng=np.random.default_rng(0))
    changed = {name for name, value in fcn.state_dict().items() if not np.array_equal(value, before[name])}
    assert {name for name in changed if "up" in name} == moved
    assert {name for name in before if "up" not in name} <= changed


def test_one_seed_gives_one_run() -> None:
    def run(seed: int) -> tuple[list[float], dict[str, Array]]:
        fcn = make("4s", replace(SMALL, dropout=0.5))
        return train(fcn, samples(), QUICK, rng=np.random.default_rng(seed)), fcn.state_dict()

    (first, parameters), (second, same), (other, _) = run(0), run(0), run(1)
    assert first == second
    assert all(np.array_equal(value, same[name]) for name, value in parameters.items())
    assert first != other


def test_what_the_generator_decides() -> None:
    """The order of the samples; and with one sample and dropout, what is dropped. Without either, nothing."""

    def losses(n: int, dropout: float, seed: int) -> list[float]:
        fcn = make("4s", replace(SMALL, dropout=dropout))
        return train(fcn, samples(n), QUICK, rng=np.random.default_rng(seed))

    assert losses(3, 0.0, 0) != losses(3, 0.0, 1)
    assert losses(1, 0.5, 0) != losses(1, 0.5, 1)
    assert losses(1, 0.0, 0) == losses(1, 0.0, 1)


@pytest.mark.parametrize("ignore_label", [1, None])
def test_which_label_is_ignored(ignore_label: int | None) -> None:
    (image, _) = samples(1)[0]
    labels = np.arange(144).reshape(12, 12) % 3
    recipe = replace(QUICK, n_steps=1, normalize="sum", ignore_label=ignore_label)
    losses = train(make("4s"), [(image, labels)], recipe, rng=np.random.default_rng(0))
    expected = pixel_loss(make("4s")(image[None]), np.where(labels == 1, 255, labels)[None]).item()
    if ignore_label is None:
        expected += pixel_loss(make("4s")(image[None]), np.where(labels == 1, 1, 255)[None]).item()
    assert losses == [pytest.approx(expected, rel=1e-12)]


def test_samples_come_all_before_any_comes_again() -> None:
    class Counted(list[Pair]):
        asked: list[int] = []  # noqa: RUF012  (one instance)

        def __getitem__(self, i: Any) -> Any:
            self.asked.append(i)
            return super().__getitem__(i)

    counted = Counted(samples(3))
    train(make("8s"), counted, replace(QUICK, n_steps=3, batch_size=2), rng=np.random.default_rng(0))
    assert sorted(counted.asked[:3]) == sorted(counted.asked[3:]) == [0, 1, 2]


def test_a_schedule_sets_the_rate() -> None:
    """A rate of 0 from step 1 on leaves the parameters where step 0 put them."""
    nets = [make("8s"), make("8s")]
    stopped = replace(QUICK, lr=step_decay(0.01, every=[1], factor=0.0))
    for fcn, recipe in zip(nets, (replace(QUICK, n_steps=1), stopped), strict=True):
        train(fcn, samples(1), recipe, rng=np.random.default_rng(0))
    one, several = (fcn.state_dict() for fcn in nets)
    assert all(np.array_equal(value, several[name]) for name, value in one.items())


def shapes(n: int) -> list[Pair]:
    pairs = (training_pair(scene, mean=(128, 128, 128)) for scene in Shapes(n, seed=0, size=(32, 32)))
    return [(image / np.float32(64), label_map) for image, label_map in pairs]


def test_stages_go_on_from_each_other() -> None:
    """It learns; each stage starts from the parameters that the one before ended with."""
    plan = replace(SMALL, blocks=((8, 1), (12, 1), (16, 1)), fc_channels=24)
    fcn = FCN(7, variant="8s", plan=plan, rng=np.random.default_rng(0))
    recipe = Recipe(lr=0.02, n_steps=25, momentum=0.9, normalize="valid")
    seen: list[Step] = []
    recipes = {"2s": replace(recipe, n_steps=10), "8s": recipe, "4s": replace(recipe, n_steps=10)}
    stages = train_in_stages(fcn, shapes(2), recipes, rng=np.random.default_rng(1), on_step=seen.append)
    assert [(name, net.variant) for name, net in stages.items()] == [("8s", "8s"), ("4s", "4s"), ("2s", "2s")]
    assert stages["8s"] is fcn
    assert [step.model for step in seen] == [stages["8s"]] * 25 + [stages["4s"]] * 10 + [stages["2s"]] * 10
    assert [step.i_step for step in seen] == [*range(25), *range(10), *range(10)]
    losses = [step.loss for step in seen]
    assert losses[0] == pytest.approx(np.log(7))  # the scores start at 0
    assert np.mean(losses[-4:]) < 0.75 * losses[0]
    before, after = stages["8s"].state_dict(), stages["4s"].state_dict()
    assert not np.array_equal(before["score_fr.weight"], after["score_fr.weight"])
    continued = np.mean(losses[25:27])
    assert abs(continued - np.mean(losses[23:25])) < 0.35 * losses[0]


def test_at_once() -> None:
    plan = replace(SMALL, blocks=((8, 1), (12, 1), (16, 1)), fc_channels=24)
    fcn = FCN(7, variant="2s", plan=plan, pool_scales=AT_ONCE_SCALES, rng=np.random.default_rng(0))
    losses = train(fcn, shapes(2), replace(QUICK, lr=0.02, n_steps=30), rng=np.random.default_rng(1))
    assert np.mean(losses[-4:]) < 0.8 * losses[0]
    assert predict(fcn, [shapes(1)[0][0]])[0].shape == (32, 32)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"lr": -1.0}, ValueError, "Recipe: lr must lie in"),
        ({"n_steps": 1.5}, TypeError, "Recipe: n_steps must be an integer, got 1.5"),
        ({"momentum": float("nan")}, ValueError, "Recipe: momentum must be a finite number, got nan"),
        ({"weight_decay": -1}, ValueError, "Recipe: weight_decay must lie in"),
        ({"batch_size": 0}, ValueError, "Recipe: batch_size must be at least 1, got 0"),
        ({"ignore_label": 255.0}, TypeError, "Recipe: ignore_label must be an integer or None, got 255.0"),
        ({"normalize": "none"}, ValueError, "Recipe: normalize must be one of 'sum', 'valid', 'full', 'batch', got"),
    ],
)
def test_bad_recipes(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        replace(QUICK, **change)


IMAGE, LABELS = np.zeros((3, 12, 12)), np.zeros((12, 12), np.int64)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([], ValueError, "train: there must be at least one sample"),
        ([(IMAGE[0], LABELS)], ValueError, "train: image of sample 0 must have rank 3"),
        (
            [(IMAGE.astype(np.uint8), LABELS)],
            TypeError,
            "train: image of sample 0 must be float32 or float64, got uint8",
        ),
        ([IMAGE], TypeError, r"train: sample 0 must be a pair \(image, label map\), .* got ndarray"),
        (Shapes(1, seed=0), TypeError, "train: sample 0 must be a pair .*, as training_pair returns it, got Scene"),
        (iter([(IMAGE, LABELS)]), TypeError, "train: samples must be a sequence, got list_iterator"),
        ([(IMAGE, LABELS * 1.0)], TypeError, "train: label map of sample 0 must be an integer array, got float64"),
        (
            [(IMAGE, LABELS[:5])],
            ValueError,
            r"train: label map of sample 0 must have shape \(12, 12\) .* got \(5, 12\)",
        ),
        ([(IMAGE, LABELS + 3)], ValueError, r"label 3 at index \(0, 0, 0\) is not a class in \[0, 3\)"),
        ([(IMAGE, LABELS), (IMAGE[:, 1:], LABELS[1:])], ValueError, "train: images of one batch must be of one size"),
    ],
)
def test_bad_samples(given: list[Pair], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        train(make("8s"), given, replace(QUICK, batch_size=2), rng=np.random.default_rng(0))


def test_arguments_of_the_wrong_kind() -> None:
    with pytest.raises(TypeError, match="train: model must be a Module, got str"):
        train("8s", samples(), QUICK, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="train: recipe must be a Recipe, got float"):
        train(make("8s"), samples(), 0.1, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="train_in_stages: coarsest must be an FCN, got str"):
        train_in_stages("8s", samples(), {"8s": QUICK}, rng=np.random.default_rng(0))  # type: ignore[arg-type]


def test_a_seed_is_no_generator() -> None:
    with pytest.raises(TypeError, match=r"train: rng must be a numpy\.random\.Generator"):
        train(make("8s"), samples(), QUICK, rng=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [(), ("4s",), ("8s", "2s"), ("8s", "4s", "2s", "1s")])
def test_stages_with_a_gap(names: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="train_in_stages: recipes must be for '8s' and the variants that follow it"):
        train_in_stages(make("8s"), samples(), dict.fromkeys(names, QUICK), rng=np.random.default_rng(0))


def test_a_sample_without_a_label_map() -> None:
    nothing = np.zeros(0, np.int64)
    sample = Sample("a.jpg", np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4), np.float32), nothing, nothing == 1)
    with pytest.raises(ValueError, match=r"training_pair: sample 'a\.jpg' has no label map"):
        training_pair(sample, mean=(0, 0, 0))
