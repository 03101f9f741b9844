"""Muon against singular value decompositions, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refdet import nn
from refdet.core.check import Array
from refdet.nn.muon import orthogonalised


def by_singular_values(G: Array) -> Array:
    """U f(Σ) Vᵀ, f the polynomial a σ + b σ³ + c σ⁵ five times, from σ / ‖σ‖₂."""
    U, singular, Vt = np.linalg.svd(G.astype(np.float64), full_matrices=False)
    sigma = singular / math.sqrt(float((singular**2).sum()))
    for _ in range(5):
        sigma = 3.4445 * sigma - 4.775 * sigma**3 + 2.0315 * sigma**5
    product: Array = (U * sigma) @ Vt
    return product


@pytest.mark.parametrize("shape", [(5, 7), (7, 5), (1, 9), (9, 1), (6, 6), (16, 27)])
def test_the_iteration_moves_singular_values_and_nothing_else(shape: tuple[int, int]) -> None:
    G = np.random.default_rng(0).standard_normal(shape) * 1e3
    np.testing.assert_allclose(orthogonalised(G), by_singular_values(G), atol=1e-10)
    np.testing.assert_allclose(orthogonalised(G.astype(np.float32)), by_singular_values(G), atol=1e-4)


def test_singular_values_come_near_one() -> None:
    rng = np.random.default_rng(0)
    U, V = (np.linalg.qr(rng.standard_normal((40, 8)))[0] for _ in range(2))
    sigma = np.geomspace(1, 0.02, 8)
    found = np.linalg.svd(orthogonalised((U * sigma) @ V.T), compute_uv=False)[:8]
    assert 0.67 < found.min() <= found.max() < 1.22


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("dtype", "exponents"), [("float32", (-120, -80, 66, 126)), ("float64", (-1000, -600, 600, 1000))]
)
@pytest.mark.parametrize("shape", [(3, 5), (5, 3)])
def test_the_step_does_not_depend_on_the_scale(shape: tuple[int, int], dtype: str, exponents: tuple[int, ...]) -> None:
    G = np.clip(np.random.default_rng(0).standard_normal(shape), -1.9, 1.9).astype(dtype)
    expected = orthogonalised(G)
    for exponent in exponents:
        np.testing.assert_array_equal(orthogonalised(np.ldexp(G, exponent)), expected)
    for g in (1e20, 1e-20, 1e-24, 1e-45):
        found = orthogonalised(np.array(g, dtype) * np.eye(*shape, dtype=dtype))
        np.testing.assert_allclose(found, orthogonalised(np.eye(*shape, dtype=dtype)), rtol=1e-6)


def without_the_power_of_two(G: Array) -> Array:
    """`orthogonalised`, but that G is divided by its norm alone."""
    X = G.T if G.shape[0] > G.shape[1] else G
    X = X / np.linalg.norm(X)
    gram = X @ X.T
    identity = np.eye(len(gram), dtype=gram.dtype)
    Q = identity
    for _ in range(5):
        P = 3.4445 * identity - 4.775 * gram + 2.0315 * (gram @ gram)
        Q, gram = P @ Q, P @ gram @ P
    product: Array = Q @ X
    return product.T if G.shape[0] > G.shape[1] else product


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 9), (16, 27), (27, 16), (64, 576), (256, 64)])
def test_the_power_of_two_changes_no_bit(shape: tuple[int, int], dtype: str) -> None:
    rng = np.random.default_rng(0)
    for scale in (1e-7, 1e-3, 1.0, 30.0, 1e4):
        G = (scale * rng.standard_normal(shape) * 10.0 ** rng.uniform(-6, 0, shape)).astype(dtype)
        G[rng.random(shape) < 0.2] = 0
        np.testing.assert_array_equal(orthogonalised(G), without_the_power_of_two(G))


def test_two_steps_of_a_convolution_and_a_bias() -> None:
    rng = np.random.default_rng(0)
    weight, bias = nn.Parameter(rng.standard_normal((6, 2, 1, 2))), nn.Parameter(np.array([1.0, -2.0]))
    twin = nn.Parameter(bias.data.copy())
    optimiser = nn.Muon([("weight", weight), ("bias", bias)], lr=0.5, adam_lr=0.01, momentum=0.8)
    adam = nn.Adam([("bias", twin)], lr=0.01)
    expected, momentum = weight.data.copy(), np.zeros((6, 4))
    for rate in (0.5, 0.25):
        g = rng.standard_normal(weight.data.shape)
        weight.grad, bias.grad = g, np.array([0.5, 3.0])
        twin.grad = bias.grad
        optimiser.step(lr=rate)
        adam.step(lr=rate / 50)
        momentum = 0.8 * momentum + g.reshape(6, 4)
        step = math.sqrt(6 / 4) * by_singular_values(g.reshape(6, 4) + 0.8 * momentum)
        expected = expected - rate * step.reshape(expected.shape)
        np.testing.assert_allclose(weight.data, expected, atol=1e-12)
        np.testing.assert_allclose(bias.data, twin.data, rtol=1e-14)


def test_no_gradient_no_step() -> None:
    weight = nn.Parameter(np.ones((3, 2, 3, 3), np.float32))
    optimiser = nn.Muon([("weight", weight)])
    weight.grad = np.zeros_like(weight.data)
    optimiser.step()
    np.testing.assert_array_equal(weight.data, 1)
    assert weight.data.dtype == np.float32


def test_going_on_from_its_state() -> None:
    rng = np.random.default_rng(0)
    start = [rng.standard_normal((4, 3, 3, 3)), rng.standard_normal(4)]
    gradients = [[rng.standard_normal(w.shape) for w in start] for _ in range(3)]

    def optimiser_of(values: list[Array]) -> nn.Muon:
        return nn.Muon([(name, nn.Parameter(w)) for name, w in zip(("weight", "bias"), values, strict=True)])

    def take(optimiser: nn.Muon, steps: list[list[Array]]) -> list[Array]:
        for step in steps:
            for parameter, g in zip(optimiser.parameters.values(), step, strict=True):
                parameter.grad = g
            optimiser.step()
        return [p.data for p in optimiser.parameters.values()]

    whole = take(optimiser_of(start), gradients)
    first = optimiser_of(start)
    after_two = take(first, gradients[:2])
    second = optimiser_of(after_two)
    second.load_state_dict(first.state_dict())
    for a, b in zip(take(second, gradients[2:]), whole, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_numbers() -> None:
    weight = [("weight", nn.Parameter(np.ones((1, 1, 1, 1))))]
    with pytest.raises(ValueError, match="Muon: lr must be above 0"):
        nn.Muon(weight, lr=0.0)
    with pytest.raises(ValueError, match="Muon: momentum"):
        nn.Muon(weight, momentum=1.0)
    with pytest.raises(ValueError, match="Muon: adam_lr"):
        nn.Muon(weight, adam_lr=-1.0)
