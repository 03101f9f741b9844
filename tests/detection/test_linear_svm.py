"""The machine is the minimum of its objective: by hand, by the gap to the dual, and by looking around."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.detection.linear_svm import LinearSVM, solve_linear_svm, train_linear_svm
from tests.agreement import seeds


def objective(
    machine: LinearSVM, positives: Array, negatives: Array, *, C: float = 1e-3, a: float = 2.0, B: float = 10.0
) -> float:
    """Return ½‖w‖² + ½(b/B)² + C (a Σ max(0, 1 − z) + Σ max(0, 1 + z)), term by term."""
    w, b = machine
    loss = sum(a * max(0.0, 1 - (float(x @ w) + b)) for x in positives)
    loss += sum(max(0.0, 1 + (float(x @ w) + b)) for x in negatives)
    return 0.5 * float(w @ w) + 0.5 * (b / B) ** 2 + C * loss


def examples(seed: int, P: int, N: int, F: int, *, like_features: bool = True) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    towards = rng.standard_normal(F)
    x = rng.standard_normal((P + N, F))
    x[:P] += 0.5 * towards
    if like_features:  # behind a ReLU, of mean norm 20
        x = np.maximum(x, 0)
        x *= 20 / max(1.0, float(np.linalg.norm(x, axis=1).sum()) / max(1, P + N))
    return x[:P], x[P:]


def test_by_hand() -> None:
    """x = 1 against x = −1. With a large C no loss is worth it: w = 1, b = 0. With a small one both losses remain.

    Then P = ½w² + ½(b/10)² + 0.001 (2 (1 − w − b) + 1 − w + b), least at w = 0.003 and b = 100 · 0.001.
    """
    one = np.array([[1.0]])
    w, b = train_linear_svm(one, -one, C=100.0)
    np.testing.assert_allclose([w[0], b], [1, 0], rtol=0, atol=1e-6)
    w, b = train_linear_svm(one, -one, C=1e-3, positive_weight=2.0, bias_feature=10.0)
    np.testing.assert_allclose([w[0], b], [0.003, 0.1], rtol=0, atol=1e-5)


@settings(max_examples=10)
@given(seeds, st.integers(0, 6), st.integers(0, 30), st.integers(1, 40), st.sampled_from([1e-4, 1e-3, 1.0]))
def test_gap_and_optimality(seed: int, P: int, N: int, F: int, C: float) -> None:
    """P(v) − D(α) ≤ 1e-8 · P, of a feasible α; and every α is at the bound that its margin says."""
    positives, negatives = examples(seed, P, N, F)
    machine, alpha, primal, dual = solve_linear_svm(positives, negatives, C=C)
    upper = np.repeat([2 * C, C], [P, N])
    assert ((alpha >= 0) & (alpha <= upper)).all()
    assert primal - dual <= 1e-8 * primal
    assert primal == pytest.approx(objective(machine, positives, negatives, C=C), rel=1e-12)
    y = np.repeat([1.0, -1.0], [P, N])
    x = np.concatenate([positives, negatives])
    np.testing.assert_allclose(machine.weight, (alpha * y) @ x, rtol=0, atol=1e-12)
    assert machine.bias == pytest.approx(100 * float(alpha @ y), abs=1e-10)
    margins = y * (x @ machine.weight + machine.bias)
    room = 1e-3 + 1e-3 * np.abs(margins)
    assert (alpha[margins > 1 + room] <= 1e-3 * C).all()
    assert (alpha[margins < 1 - room] >= 0.998 * upper[margins < 1 - room]).all()


def test_no_step_makes_it_better() -> None:
    positives, negatives = examples(5, 20, 80, 12)
    machine = train_linear_svm(positives, negatives, C=0.01)
    best = objective(machine, positives, negatives, C=0.01)
    rng = np.random.default_rng(0)
    for size in (1e-1, 1e-3):
        for _ in range(20):
            moved = LinearSVM(machine.weight + size * rng.standard_normal(12), machine.bias + size * rng.normal())
            assert objective(moved, positives, negatives, C=0.01) > best


def test_both_systems_give_the_same() -> None:
    """A feature that is 0 everywhere turns the smaller of the two systems into the larger one, and changes nothing."""
    positives, negatives = examples(2, 6, 14, 15)
    padded = [np.concatenate([x, np.zeros((len(x), 10))], axis=1) for x in (positives, negatives)]
    machine, wide = train_linear_svm(positives, negatives, tolerance=1e-10), train_linear_svm(*padded, tolerance=1e-10)
    np.testing.assert_allclose(wide.weight[:15], machine.weight, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(wide.weight[15:], 0)


def test_features_of_any_size() -> None:
    for scale in (1e-3, 1e3):
        positives, negatives = examples(3, 10, 60, 6, like_features=False)
        solution = solve_linear_svm(scale * positives, scale * negatives)
        assert solution.primal - solution.dual <= 1e-8 * solution.primal


@pytest.mark.parametrize("C", [1.0, 10.0, 1e4])
@pytest.mark.parametrize("like_features", [True, False])
def test_losses_that_weigh_much(C: float, like_features: bool) -> None:
    """Of examples at the margin α is known to fewer digits the greater C is; v is not."""
    positives, negatives = examples(7, 20, 500, 30, like_features=like_features)
    machine, alpha, primal, dual = solve_linear_svm(positives, negatives, C=C, tolerance=1e-10)
    assert ((alpha >= 0) & (alpha <= np.repeat([2 * C, C], [20, 500]))).all()
    assert 0 <= primal - dual <= 1e-10 * primal
    assert primal == pytest.approx(objective(machine, positives, negatives, C=C), rel=1e-12)


def test_few_examples() -> None:
    none = np.zeros((0, 3))
    w, b = train_linear_svm(none, none)
    assert (w.tolist(), b) == ([0, 0, 0], 0)
    w, b = train_linear_svm(none, np.ones((4, 3)), C=1.0)  # the shortest (w, b/10) with 3w + b = −1
    np.testing.assert_allclose([*w, b], [-1 / 103, -1 / 103, -1 / 103, -100 / 103], rtol=0, atol=1e-4)
    w, b = train_linear_svm(np.ones((5, 2)), np.ones((5, 2)))  # v = 0.001 (2 · 5 − 5) (1, 1, 10)
    np.testing.assert_allclose([*w, b], [0.005, 0.005, 0.5], rtol=0, atol=1e-4)


def test_deterministic_and_pure() -> None:
    positives, negatives = (x.astype(np.float32) for x in examples(4, 5, 30, 8))
    before = positives.copy(), negatives.copy()
    first, second = train_linear_svm(positives, negatives), train_linear_svm(positives, negatives)
    np.testing.assert_array_equal(first.weight, second.weight)
    assert first.bias == second.bias
    np.testing.assert_array_equal(positives, before[0])
    np.testing.assert_array_equal(negatives, before[1])


def test_bad_input() -> None:
    one = np.ones((1, 2))
    with pytest.raises(ValueError, match=r"equally many features, got shapes \(1, 2\) and \(1, 3\)"):
        train_linear_svm(one, np.ones((1, 3)))
    with pytest.raises(ValueError, match="example 1 is not finite"):
        train_linear_svm(one, np.array([[0.0, np.nan]]))
    with pytest.raises(ValueError, match=r"tolerance must lie in \[1e-10, inf\)"):
        train_linear_svm(one, one, tolerance=1e-15)
    with pytest.raises(ValueError, match=r"C must lie in \(0, inf\)"):
        train_linear_svm(one, one, C=0)
    with pytest.raises(TypeError, match="positives must be float32 or float64, got int64"):
        train_linear_svm(np.ones((1, 2), np.int64), one)
    with pytest.raises(ValueError, match="positives must have rank 2"):
        train_linear_svm(np.ones(2), one)
    for shape in ((33, 2), (4, 50)):
        with pytest.raises(ArithmeticError, match=r"the duality gap was at best inf .* scale the features"):
            train_linear_svm(np.full(shape, 1e160), np.full(shape, 1e160))
