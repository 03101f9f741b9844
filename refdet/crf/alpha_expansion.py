"""α-expansion: moves in which any set of points may take the label α, the best of them found by a minimum cut.

For each label α in turn, x_i = 0 keeps the label l_i of a point and x_i = 1 takes α. An edge then costs, with w_ij and

    A = μ(l_i, l_j)    B = μ(l_i, α)    C = μ(α, l_j)    D = μ(α, α) = 0

A + (C − A) x_i + (D − C) x_j + (B + C − A − D) (1 − x_i) x_j. The last coefficient is ≥ 0 if μ is a metric, and then
the energy of a move is, but for a constant, the cut of a graph on whose source side the points keep their labels:

    i → j         w_ij (B + C − A − D)
    source → i    the coefficient of x_i in all, where it is positive: what taking α costs
    i → sink      its negative, where it is negative: what keeping costs

Boykov, Veksler & Zabih, "Fast approximate energy minimization via graph cuts", PAMI 2001. The graph, which needs no
auxiliary points, is that of Kolmogorov & Zabih, "What energy functions can be minimized via graph cuts?", PAMI 2004.
The model is deck 004's, "Adjacency CRFs". Once a whole cycle brings no move, and but for the rounding below, the result
is exact for two labels; and with Potts its energy is at most twice the lowest if all unary potentials are ≥ 0.

Conventions:

- Maximum flow is SciPy's (Dinic), which counts in 32-bit integers: capacities are multiplied by `scale` and rounded,
  half to even. The coefficient of x_i is added up before; edges between the same points are rounded one by one.
  A capacity above 2³¹ − 1 is refused. SciPy would let it wrap around and return another flow. The flow as a whole may
  be larger: it is never counted.
- Of all minimum cuts that one in which the fewest points keep: those that the source reaches in the residual graph.
- A move is accepted iff it lowers the energy, that of the costs themselves, in float64, by more than 10⁻⁹.
- α = 0, 1, …, L − 1; cycles are repeated until a whole one brings no accepted move, at most `cycles` times.
- μ must be a metric: 0 on the diagonal, symmetric, μ(a, c) ≤ μ(a, b) + μ(b, c) up to rounding. It may be 0 elsewhere.
- The graph is that of `refdet.crf.crf_energy`, its weights ≥ 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refdet.core.check import Array, check_number, integer, shape_of
from refdet.core.kernel import kernel
from refdet.crf.crf_energy import (
    cheapest_labels,
    check_graph,
    check_label_values,
    check_labels,
    check_values,
    energy_in_float64,
)

LARGEST_CAPACITY = 2**31 - 1
LEAST_DECREASE = 1e-9
LARGEST_SCALE = 1e9  # costs below LEAST_DECREASE do not count


def _check(
    unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array, *, cycles: int, scale: float
) -> None:
    check_graph("alpha_expansion", unary, edges, weights, compatibility)
    check_labels("alpha_expansion", labels, unary)
    integer("alpha_expansion", "cycles", cycles, low=0)
    check_number("alpha_expansion", "scale", scale, low=0, high=LARGEST_SCALE, open_low=True)


def check_metric(op: str, compatibility: Array) -> None:
    """Refuse a symmetric compatibility that is no metric, naming the labels."""
    mu = compatibility.astype(np.float64) + 0.0  # no −0 in messages
    if np.diagonal(mu).any():
        a = int(np.flatnonzero(np.diagonal(mu))[0])
        raise ValueError(f"{op}: compatibility must be 0 on the diagonal, got {mu[a, a]:g} for label {a}")
    rounding = 4 * np.finfo(compatibility.dtype.name).eps * np.abs(mu).max()
    for b in range(len(mu)):
        bad = mu > mu[:, b, None] + mu[b] + rounding  # (L, L): a, c
        if bad.any():
            a, c = (int(i) for i in np.argwhere(bad)[0])
            raise ValueError(
                f"{op}: compatibility must be a metric, but μ({a}, {c}) = {mu[a, c]:g} is greater than "
                f"μ({a}, {b}) + μ({b}, {c}) = {mu[a, b] + mu[b, c]:g}"
            )


@kernel("alpha_expansion", check=_check)
def alpha_expansion_kernel(
    unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array, *, cycles: int, scale: float
) -> tuple[Array, Array]:
    """Return the labels, (N,) int64, and their energy, shape ()."""
    psi, w, mu = (x.astype(np.float64) for x in (unary, weights, compatibility))
    # i < j in every edge, so that two edges between the same points are two of the same arc.
    ends = np.sort(edges.astype(np.int64), axis=1)
    y = labels.astype(np.int64)
    energy = energy_in_float64(psi, ends, w, mu, y)
    for _ in range(cycles):
        before = energy
        for alpha in range(len(mu)):
            taking, pairs = _move(psi, ends, w, mu, y, alpha)
            moved = np.where(_keeping(taking, pairs, ends, float(scale)), y, alpha)
            energy_of_move = energy_in_float64(psi, ends, w, mu, moved)
            if energy_of_move < energy - LEAST_DECREASE:
                y, energy = moved, energy_of_move
        if energy == before:
            break
    return y, np.array(energy, np.result_type(unary))


def _move(psi: Array, edges: Array, w: Array, mu: Array, y: Array, alpha: int) -> tuple[Array, Array]:
    """Return the coefficients of x_i, (N,), and those of (1 − x_i) x_j, (E,)."""
    i, j = edges.T
    a, b, c, d = mu[y[i], y[j]], mu[y[i], alpha], mu[alpha, y[j]], mu[alpha, alpha]
    taking = psi[:, alpha] - psi[np.arange(len(y)), y]
    taking += np.bincount(i, w * (c - a), len(y)) + np.bincount(j, w * (d - c), len(y))
    return taking, w * (b + c - a - d)


def _keeping(taking: Array, pairs: Array, edges: Array, scale: float) -> Array:
    """Return which points are on the source side of the minimum cut with the fewest of them, (N,) bool."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    n = len(taking)
    source, sink = n, n + 1
    costly, gainful = np.flatnonzero(taking > 0), np.flatnonzero(taking < 0)
    starts = np.concatenate([edges[:, 0], np.full(len(costly), source), gainful])
    ends = np.concatenate([edges[:, 1], costly, np.full(len(gainful), sink)])
    # A metric that holds but for rounding makes pairs that are a little below 0.
    costs = np.concatenate([np.maximum(pairs, 0), taking[costly], -taking[gainful]])
    with np.errstate(over="ignore"):  # what is infinite does not fit, either
        scaled = np.rint(costs * scale)
    capacities: Any = csr_matrix((scaled, (starts, ends)), (n + 2, n + 2))  # adds up parallel edges
    capacities.data = _in_32_bits(capacities.data, scale)
    residual = capacities - maximum_flow(capacities, source, sink, method="dinic").flow
    residual.eliminate_zeros()  # a full arc leads nowhere
    reached = np.zeros(n + 2, bool)
    reached[breadth_first_order(residual, source, return_predecessors=False)] = True
    return reached[:n]


def _in_32_bits(capacities: Array, scale: float) -> Array:
    """Return capacities as int32; refuse what does not fit, and say which scale would."""
    largest = float(capacities.max(initial=0))
    if largest > LARGEST_CAPACITY:
        fitting = LARGEST_CAPACITY / largest * scale
        advice = f"use scale={10.0 ** math.floor(math.log10(fitting)):g}" if fitting else "make all costs smaller"
        raise ValueError(
            f"alpha_expansion: capacities must stay below 2**31, as SciPy's maximum flow counts in 32 bits, but the "
            f"largest is {largest:g}, a cost of {largest / scale:g} times scale={scale:g}; {advice}"
        )
    return capacities.astype(np.int32)


def alpha_expansion(
    unary: Array,
    edges: Array,
    weights: Array,
    compatibility: Array,
    labels: Array | None = None,
    *,
    cycles: int = 100,
    scale: float = 1e6,
) -> tuple[Array, float]:
    """Lower the energy of a labelling by moves of many points at once, until no expansion of a label lowers it.

    Args:
        unary: (N, L), float32 or float64, as are weights and compatibility: what each label costs each point.
        edges: (E, 2) integers, the ends of each edge.
        weights: (E,), ≥ 0.
        compatibility: (L, L), a metric on the labels, such as that of `potts`.
        labels: (N,) integers in 0 … L − 1 to start from; None for the lowest unary potentials, the first of equals.
        cycles: through the labels, at most.
        scale: what a cost is multiplied by before it is rounded to an integer, in (0, 10⁹].

    Returns:
        The labels, (N,) int64, and their energy. SciPy has to be installed.

    Four points in a row prefer 0 1 1 0, the middle two by 1 each, against edges of weight 3/2 at both ends. No single
    change helps, as the edge in the middle weighs 9; taking 0 for both at once does:

    >>> unary = np.array([[0.0, 5.0], [1.0, 0.0], [1.0, 0.0], [0.0, 5.0]])
    >>> edges, weights = np.array([[0, 1], [1, 2], [2, 3]]), np.array([1.5, 9.0, 1.5])
    >>> alpha_expansion(unary, edges, weights, np.array([[0.0, 1.0], [1.0, 0.0]]))
    (array([0, 0, 0, 0]), 2.0)
    """
    check_graph("alpha_expansion", unary, edges, weights, compatibility)
    check_values("alpha_expansion", unary, edges, weights, compatibility)
    if (weights < 0).any():
        e = int(np.flatnonzero(weights < 0)[0])
        raise ValueError(f"alpha_expansion: weights must be at least 0, got {weights[e]:g} for edge {e}")
    check_metric("alpha_expansion", compatibility)
    if labels is None:
        labels = cheapest_labels(unary)
    check_labels("alpha_expansion", labels, unary)
    check_label_values("alpha_expansion", labels, shape_of(unary)[1])
    found, energy = alpha_expansion_kernel(unary, edges, weights, compatibility, labels, cycles=cycles, scale=scale)
    return found, float(energy)
