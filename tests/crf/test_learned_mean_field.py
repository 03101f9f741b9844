"""Mean field with learned filters: what it starts as, tied and loose steps, gradients, learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet import nn, ops
from refdet.autograd import Tensor, gradcheck
from refdet.crf.compatibility import potts
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.learned_filters import FilterLattice, gaussian_taps
from refdet.crf.learned_mean_field import LearnedMeanField
from tests.agreement import Array


def problem(
    seed: int = 0, L: int = 3, size: tuple[int, int] = (5, 6), **options: Any
) -> tuple[Array, list[FilterLattice]]:
    """Return unaries and the lattices of a spatial and a bilateral kernel of a small image."""
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 40, (*size, 3))
    features = [position_features(size, 2), bilateral_features(image, 4, 20)]
    return rng.standard_normal((size[0] * size[1], L)), [FilterLattice(f, **options) for f in features]


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    q: Array = e / e.sum(axis=1, keepdims=True)
    return q


def randomise(layer: nn.Module, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data = parameter.data + 0.2 * rng.standard_normal(parameter.shape)


@pytest.mark.parametrize("offset", ["diagonal", "none"])
@pytest.mark.parametrize("groups", [None, 1])
@pytest.mark.parametrize("neighbourhood", [1, 2])
def test_a_new_layer_is_plain_mean_field_with_the_gaussian_filter(
    offset: str, groups: int | None, neighbourhood: int
) -> None:
    """As written down: q = softmax(−ψ), then twice q ← softmax(−ψ − Σ_m (K q) μᵀ) with the matrices of the filters."""
    unary, lattices = problem(neighbourhood=neighbourhood)
    layer = LearnedMeanField(
        3, (2, 5), steps=2, weights=(0.5, 2), neighbourhood=neighbourhood, offset=offset, groups=groups, dtype="float64"
    )
    matrices = [
        lattice.filter(np.eye(30), np.tile(gaussian_taps(lattice.d, neighbourhood), (30, 1, 1)), groups=30).data
        for lattice in lattices
    ]
    q = softmax(-unary)
    for _ in range(2):
        pairwise = sum(K @ q @ potts(3, w).T for K, w in zip(matrices, (0.5, 2), strict=True))
        q = softmax(-unary - pairwise)
    np.testing.assert_allclose(ops.softmax(layer(unary, lattices), axis=1).data, q, atol=1e-14)


def test_an_update_by_its_formula() -> None:
    """−ψ − Σ_m (F q) μᵀ, where neither μ nor the filters are symmetric any more."""
    unary, lattices = problem(8)
    layer = LearnedMeanField(3, (2, 5), dtype="float64")
    randomise(layer)
    step: Any = layer.steps[0]
    expected = -unary
    for m, lattice in enumerate(lattices):
        message = step.filters[m](softmax(-unary), lattice).data
        for i, label in np.ndindex(unary.shape):
            expected[i, label] -= sum(
                step.compatibility.data[m, label, other] * message[i, other] for other in range(3)
            )
    np.testing.assert_allclose(layer(unary, lattices).data, expected, atol=1e-13)


def test_one_step_tied_or_loose_is_the_same() -> None:
    unary, lattices = problem(1)
    tied, loose = (LearnedMeanField(3, (2, 5), tied=tied, dtype="float64") for tied in (True, False))
    np.testing.assert_array_equal(tied(unary, lattices).data, loose(unary, lattices).data)


def test_tied_steps_share_their_parameters() -> None:
    """Twice one step, the second from the first's q: what a loose layer does whose steps have equal parameters."""
    unary, lattices = problem(2)
    tied = LearnedMeanField(3, (2, 5), steps=2, dtype="float64")
    randomise(tied)
    names = ["steps.0.compatibility", "steps.0.filters.0.weight", "steps.0.filters.1.weight"]
    assert sorted(tied.state_dict()) == names
    loose = LearnedMeanField(3, (2, 5), steps=2, tied=False, dtype="float64")
    assert sorted(loose.state_dict()) == names + [name.replace("steps.0", "steps.1") for name in names]
    state = tied.state_dict()
    loose.load_state_dict(state | {name.replace("steps.0", "steps.1"): x for name, x in state.items()})
    np.testing.assert_array_equal(tied(unary, lattices).data, loose(unary, lattices).data)
    for layer in (tied, loose):
        (layer(unary, lattices) ** 2).sum().backward()
    gradient = {name: parameter.grad for name, parameter in loose.named_parameters()}
    for name, parameter in tied.named_parameters():  # the gradients of the two uses add up
        first, second = gradient[name], gradient[name.replace("steps.0", "steps.1")]
        assert first is not None
        assert second is not None
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad, first + second, rtol=1e-12, atol=1e-12)
        assert np.any(first != second)


def test_loose_steps_differ_once_they_have_learned() -> None:
    unary, lattices = problem(3)
    loose = LearnedMeanField(3, (2, 5), steps=2, tied=False, dtype="float64")
    first, second = (dict(loose.named_parameters())[f"steps.{t}.compatibility"].data for t in range(2))
    assert not np.shares_memory(first, second)
    before = loose(unary, lattices).data
    parameter = dict(loose.named_parameters())["steps.1.filters.1.weight"]
    parameter.data = parameter.data + 0.1
    after = loose(unary, lattices).data
    assert np.max(np.abs(after - before)) > 1e-3
    one_step = LearnedMeanField(3, (2, 5), dtype="float64")  # the first step did not change
    q = ops.softmax(one_step(unary, lattices), axis=1)
    last: Any = loose.steps[1]
    np.testing.assert_allclose(last.update(q, Tensor(unary), lattices).data, after, atol=1e-13)


@pytest.mark.parametrize("tied", [True, False])
def test_gradient(tied: bool) -> None:
    """Unaries, filters and compatibilities, through two steps."""
    unary, lattices = problem(4, L=2, size=(3, 4))
    layer = LearnedMeanField(2, (2, 5), steps=2, tied=tied, groups=1, dtype="float64")
    randomise(layer)
    parameters = dict(layer.named_parameters())
    rng = np.random.default_rng(5)

    def refined(psi: Tensor, *values: Tensor) -> Tensor:
        for path, value in zip(parameters, values, strict=True):
            *modules, name = path.split(".")
            owner: Any = layer
            for module in modules:
                owner = getattr(owner, module)
            setattr(owner, name, value)
        return layer(psi, lattices)

    gradcheck(refined, [unary, *(parameter.data for parameter in parameters.values())], rng=rng)


def test_learning_lowers_the_loss() -> None:
    """Labels in two halves under noisy unaries: a few steps of gradient descent on filters and compatibilities."""
    size = (6, 8)
    labels = np.repeat(np.arange(8) // 4, 6).reshape(8, 6).T.ravel()
    rng = np.random.default_rng(6)
    unary = -(2.0 * np.eye(2)[labels] + 1.5 * rng.standard_normal((48, 2)))
    lattices = [FilterLattice(position_features(size, 2))]
    layer = LearnedMeanField(2, (2,), steps=2, tied=False, dtype="float64")
    optimiser = nn.SGD(layer.named_parameters(), lr=0.5)
    losses = []
    for _ in range(8):
        loss = ops.softmax_cross_entropy(layer(unary, lattices, training=True), labels)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.9 * losses[0]


def test_without_kernels_nothing_happens() -> None:
    np.testing.assert_array_equal(LearnedMeanField(2, (), dtype="float64")(np.array([[1.0, 2.0]]), []).data, [[-1, -2]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"weights": (1.0,)}, "weights must be one number for each of 2 kernels"),
        ({"offset": "full"}, "offset must be one of 'diagonal', 'none', got 'full'"),
        ({"groups": 2}, "groups must divide"),
        ({"neighbourhood": -1}, "neighbourhood must be at least 0"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LearnedMeanField(3, (2, 5), **options)


def test_inputs_that_do_not_fit() -> None:
    unary, lattices = problem(7)
    layer = LearnedMeanField(3, (2, 5), dtype="float64")
    with pytest.raises(ValueError, match=r"unary must have a column for each of 3 labels, got \(30, 2\)"):
        layer(unary[:, :2], lattices)
    with pytest.raises(ValueError, match="lattices must be one for each of 2 kernels, got 1"):
        layer(unary, lattices[:1])
    with pytest.raises(ValueError, match=r"lattices\[0\] must have the 29 points of unary, got 30 and 30"):
        layer(unary[1:], lattices)
