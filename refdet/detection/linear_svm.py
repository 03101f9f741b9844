"""The linear support vector machine of R-CNN: hinge loss, the bias regularised too, solved to a known distance.

    minimise over w, b    P = ½‖w‖² + ½(b/B)² + C (a Σ_positives max(0, 1 − z) + Σ_negatives max(0, 1 + z))
    z = wᵀx + b,          C = 0.001, a = 2, B = 10

b/B is the weight of a feature that is B everywhere. With y = ±1, rows z_i = y_i (x_i, B), and U_i = a C or C, this is

    P(v) = ½‖v‖² + Σ U_i max(0, 1 − z_iᵀv)        D(α) = Σ α_i − ½‖Σ α_i z_i‖²,  0 ≤ α_i ≤ U_i

and P(v) ≥ P(best) = D(best) ≥ D(α) for all v and α: the difference P(v) − D(α), the duality gap, says how far v can be
from the best. Training ends when it is at most `tolerance` · P. At the solution v = Σ α_i z_i.

D is maximised by an interior-point method: Newton's steps towards α_i λ_i = (U_i − α_i) ν_i = μ, where λ and ν are the
multipliers of the two bounds, and μ → 0, with Mehrotra's predictor and corrector (SIAM J. Optimization, 1992). With
θ = λ/α + ν/(U − α), the steps of α and v are

    θ_i dα_i + z_iᵀdv = r_i,    dv = Σ dα_i z_i − (v − Σ α_i z_i),    r_i = μ/α_i − μ/(U_i − α_i) − (z_iᵀv − 1)

one system of as many equations as there are examples or features, whichever is less. v is kept beside α: of examples at
the margin θ → 0, so that dα is known to few digits, and Σ α_i z_i with it, but not dv. Ten to forty steps are usual.
Examples that lie all but at the margin take more: 104 were counted where 57,000 negatives did, as the features of their
positives told little, and w was small.

Girshick et al., "Rich feature hierarchies" (2014), and its code, `rcnn_train.m`, which calls liblinear with
-s 3 -c 0.001 -w1 2 -B 10; Hsieh et al., "A dual coordinate descent method" (2008), for the dual. The same minimum has
scikit-learn's LinearSVC(loss="hinge", C=1e-3, intercept_scaling=10, class_weight={1: 2, -1: 1}).

Conventions: everything is computed in float64, and nothing depends on chance. The best v is unique. Without positives,
or without negatives, the machine is what the equation says; without any example it is 0. A problem that float64 cannot
solve to the tolerance is an error, not a bad machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, check_floating, check_number, check_rank, shape_of

FINEST = 1e-10  # tolerance; from about 1e-11 on the rounding of float64 may keep the gap from becoming smaller
MAX_STEPS = 500  # far more than was ever counted
START = 1e-3  # of the greatest gradient: the multipliers at the start, if that is more than 1
TO_THE_BORDER = 0.995  # of the way to the nearest bound that a step may go

System = Callable[[Array], tuple[Array, Array]]


class LinearSVM(NamedTuple):
    """The margin of an example x is weightᵀx + bias."""

    weight: Array  # (F,) float64
    bias: float


class Solution(NamedTuple):
    """What the dual says of the examples, the positives first, and how good it is."""

    machine: LinearSVM
    alpha: Array  # (P + N,), in 0 … U
    primal: float
    dual: float


def train_linear_svm(
    positives: Array,
    negatives: Array,
    *,
    C: float = 1e-3,
    positive_weight: float = 2.0,
    bias_feature: float = 10.0,
    tolerance: float = 1e-8,
) -> LinearSVM:
    """Train a machine that gives positives a margin of at least 1, and negatives of at most −1, as far as it can.

    Args:
        positives: (P, F), float32 or float64.
        negatives: (N, F), likewise.
        C: weight of the loss of a negative.
        positive_weight: a, by which the loss of a positive weighs more.
        bias_feature: B; the larger, the freer is the bias.
        tolerance: of the duality gap, relative to the objective; at least 1e-10.

    Returns:
        weight, (F,) float64, and bias.

    1 and −1 on a line, C so large that no loss is worth it: the margin is x itself.

    >>> svm = train_linear_svm(np.array([[1.0]]), np.array([[-1.0]]), C=100.0)
    >>> svm.weight.round(6), abs(svm.bias) < 1e-6
    (array([1.]), True)
    """
    return solve_linear_svm(
        positives,
        negatives,
        C=C,
        positive_weight=positive_weight,
        bias_feature=bias_feature,
        tolerance=tolerance,
    ).machine


def solve_linear_svm(
    positives: Array,
    negatives: Array,
    *,
    C: float = 1e-3,
    positive_weight: float = 2.0,
    bias_feature: float = 10.0,
    tolerance: float = 1e-8,
) -> Solution:
    """Return the machine with the solution of the dual; the arguments are those of `train_linear_svm`."""
    op = "train_linear_svm"
    check_floating(op, positives=positives)
    check_floating(op, negatives=negatives)
    check_rank(op, "positives", positives, "P, F")
    check_rank(op, "negatives", negatives, "N, F")
    if positives.shape[1] != negatives.shape[1]:
        raise ValueError(
            f"{op}: positives and negatives must have equally many features, got shapes {shape_of(positives)} and "
            f"{shape_of(negatives)}"
        )
    check_number(op, "C", C, low=0, open_low=True)
    check_number(op, "positive_weight", positive_weight, low=0, open_low=True)
    B = check_number(op, "bias_feature", bias_feature, low=0, open_low=True)
    check_number(op, "tolerance", tolerance, low=FINEST)

    x = np.concatenate([positives, negatives]).astype(np.float64)
    if not np.isfinite(x).all():
        raise ValueError(f"{op}: example {int(np.argwhere(~np.isfinite(x))[0, 0])} is not finite")
    y = np.repeat([1.0, -1.0], [len(positives), len(negatives)])
    z = y[:, None] * np.concatenate([x, np.full((len(x), 1), B)], axis=1)  # (n, F + 1)
    U = C * np.where(y > 0, positive_weight, 1.0)
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is seen
        v, alpha = _maximised(z, U, tolerance) if len(z) else (np.zeros(z.shape[1]), np.zeros(0))
    return Solution(LinearSVM(v[:-1], float(v[-1] * B)), alpha, *_objectives(z, U, v, alpha))


def _objectives(z: Array, U: Array, v: Array, alpha: Array) -> tuple[float, float]:
    """Return P(v) and D(α)."""
    sums = alpha @ z
    primal = 0.5 * float(v @ v) + float(U @ np.maximum(1 - z @ v, 0))
    return primal, float(alpha.sum()) - 0.5 * float(sums @ sums)


class _Point(NamedTuple):
    """v, and four vectors that stay positive: α, U − α, the multipliers of α ≥ 0 and of α ≤ U; or a step of all."""

    v: Array
    alpha: Array
    slack: Array  # kept beside α, as U − α would be rounded to 0
    lam: Array
    nu: Array

    def products(self) -> float:
        """Return Σ α λ + Σ (U − α) ν, which is 0 at the solution."""
        return float(self.alpha @ self.lam + self.slack @ self.nu)

    def after(self, step: _Point, t: float) -> _Point:
        """Return the point t steps further."""
        return _Point(*(x + t * dx for x, dx in zip(self, step, strict=True)))

    def longest(self, step: _Point) -> float:
        """Return the most steps, at most 1, after which none of the four is negative."""
        t = 1.0
        for x, dx in zip(self[1:], step[1:], strict=True):
            falling = dx < 0
            t = min(t, float(np.min(-x[falling] / dx[falling], initial=1.0)))
        return t


def _maximised(z: Array, U: Array, tolerance: float) -> tuple[Array, Array]:
    """Return v and α, 0 ≤ α ≤ U, of a duality gap of at most `tolerance` relative to the objective."""
    alpha, smallest = U / 2, math.inf
    v = alpha @ z
    multipliers = np.full(len(U), max(1.0, START * np.abs(z @ v - 1).max()))
    at = _Point(v, alpha, alpha, multipliers, multipliers)
    for _ in range(MAX_STEPS):
        alpha = np.minimum(at.alpha, U)
        primal, dual = _objectives(z, U, at.v, alpha)
        if not math.isfinite(primal - dual):
            break  # features that overflow
        smallest = min(smallest, (primal - dual) / primal)
        if primal - dual <= tolerance * primal:
            return at.v, alpha
        solve = _newton_system(z, at.lam / at.alpha + at.nu / at.slack, at.v - at.alpha @ z)
        gradient = z @ at.v - 1  # of −D
        products = at.products()
        straight = _step(at, solve, gradient, 0.0, 0.0)  # the predictor, to μ = 0
        left = at.after(straight, at.longest(straight)).products() / products
        target = left**3 * products / (2 * len(U))
        step = _step(  # the corrector adds the product of the predicted changes, which Newton's step leaves out
            at, solve, gradient, target - straight.alpha * straight.lam, target - straight.slack * straight.nu
        )
        at = at.after(step, min(1.0, TO_THE_BORDER * at.longest(step)))
    raise ArithmeticError(
        f"train_linear_svm: the duality gap was at best {smallest:.1e} of the objective, asked for was "
        f"{tolerance:.1e}; scale the features, or allow a greater tolerance"
    )


def _step(at: _Point, solve: System, gradient: Array, low: Array | float, high: Array | float) -> _Point:
    """Return Newton's step to a zero of the Lagrangian's gradient, αλ = `low` and (U − α)ν = `high`."""
    dv, d_alpha = solve(low / at.alpha - high / at.slack - gradient)
    d_lam, d_nu = (low - at.lam * d_alpha) / at.alpha - at.lam, (high + at.nu * d_alpha) / at.slack - at.nu
    return _Point(dv, d_alpha, -d_alpha, d_lam, d_nu)


def _newton_system(z: Array, theta: Array, residual: Array) -> System:
    """Return r ↦ (dv, dα), from the smaller of two systems; `residual` is v − Σ α_i z_i."""
    n, F = z.shape
    if n <= F:
        matrix = z @ z.T + np.diag(theta)

        def by_examples(r: Array) -> tuple[Array, Array]:
            d_alpha = np.linalg.solve(matrix, r + z @ residual)
            return d_alpha @ z - residual, d_alpha

        return by_examples
    over = z / theta[:, None]
    matrix = np.eye(F) + z.T @ over

    def by_features(r: Array) -> tuple[Array, Array]:
        dv = np.linalg.solve(matrix, over.T @ r - residual)
        return dv, (r - z @ dv) / theta

    return by_features
