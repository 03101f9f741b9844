"""Alpha-expansion, its moves found by trying them all instead of by a minimum cut: for at most ten points or so.

For alpha = 0, 1, .., L - 1, again and again: every point keeps its label (x_i = 0) or takes alpha (x_i = 1). With
theta_e(a, b) = weight_e compatibility[a, b], an edge e = (i, j) has the four costs

    A = theta(l_i, l_j),  B = theta(l_i, alpha),  C = theta(alpha, l_j),  D = theta(alpha, alpha)
    cost(x_i, x_j) = A + (C - A) x_i + (D - C) x_j + (B + C - A - D) (1 - x_i) x_j

so that a move costs, up to a constant,

    sum over i of d_i x_i + sum over edges of c_e (1 - x_i) x_j,    c_e = B + C - A - D
    d_i = unary[i, alpha] - unary[i, l_i] + sum of C - A over edges (i, .) + sum of D - C over edges (., i)

A minimum cut needs integers: c_e and d_i are first multiplied by `scale` and rounded, a half to the even neighbour.
(As capacities: source -> i of max(0, d_i), i -> sink of max(0, -d_i), i -> j of c_e, source side = keep. Rounding is
odd, so rounding the capacities or d_i is one thing.) The move is the cheapest in these integers.

Of equally cheap ones, that in which the fewest points keep their label. It is well defined: minimum cuts are closed
under intersection of their source sides, so the points that any cheapest move changes can all change at once. And it is
the one that max-flow finds: what the source reaches in the residual graph is the smallest source side. A point that
already has label alpha has d_i = 0 and only edges of c_e = 0; it is left alone.

The move is made if it lowers the energy itself, not rounded, by more than 1e-9; otherwise all labels stay, those with a
tie too. It ends after a cycle without a move, or after `cycles`.

Source: Boykov, Veksler and Zabih, "Fast Approximate Energy Minimization via Graph Cuts", section 5; Kolmogorov
and Zabih, "What Energy Functions Can Be Minimized via Graph Cuts?", section 4.
"""

import itertools

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array, Float64Array, exact_sum
from tests.oracles.crf_energy import energy


def forward(
    unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array, *, cycles: int, scale: float
) -> tuple[NDArray[np.int64], Float64Array]:
    """Return (labels, energy)."""
    now = [int(label) for label in labels]
    lowest = energy(unary, edges, weights, compatibility, now)
    for _ in range(cycles):
        moved = False
        for alpha in range(unary.shape[1]):
            proposed = _expand(unary, edges, weights, compatibility, now, alpha, scale)
            reached = energy(unary, edges, weights, compatibility, proposed)
            if lowest - reached > 1e-9:
                now, lowest, moved = proposed, reached, True
        if not moved:
            break
    return np.array(now, dtype=np.int64), np.array(lowest)


def _expand(
    unary: Array, edges: Array, weights: Array, compatibility: Array, labels: list[int], alpha: int, scale: float
) -> list[int]:
    """Return the labels after the cheapest move, of equal ones that which changes most."""
    terms = {i: [float(unary[i, alpha]), -float(unary[i, label])] for i, label in enumerate(labels)}
    couplings: list[tuple[int, int, int]] = []
    for (i, j), weight in zip(edges.tolist(), weights, strict=True):
        pairs = ((labels[i], labels[j]), (labels[i], alpha), (alpha, labels[j]), (alpha, alpha))
        a, b, c, d = (float(weight) * float(compatibility[pair]) for pair in pairs)
        terms[i] += [c, -a]
        terms[j] += [d, -c]
        couplings.append((i, j, round(exact_sum((b, c, -a, -d)) * scale)))
    differences = {i: round(exact_sum(terms_here) * scale) for i, terms_here in terms.items()}

    free = [i for i, label in enumerate(labels) if label != alpha]
    best: tuple[int, int, list[int]] | None = None
    for choice in itertools.product((0, 1), repeat=len(free)):
        takes = dict.fromkeys(range(len(labels)), 1) | dict(zip(free, choice, strict=True))
        cost = sum(differences[i] * takes[i] for i in takes)
        cost += sum(coupling * (1 - takes[i]) * takes[j] for i, j, coupling in couplings)
        move = [alpha if takes[i] else label for i, label in enumerate(labels)]
        if best is None or (cost, -sum(choice)) < best[:2]:
            best = (cost, -sum(choice), move)
    return labels if best is None else best[2]
