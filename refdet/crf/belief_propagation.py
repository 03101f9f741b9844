"""Min-sum belief propagation: points tell their neighbours what each label of theirs would cost.

    h_i→j(l') = ψ_u(l') at i + Σ_{k ∈ N(i), k ≠ j} m_k→i(l')        what i has heard from all but j
    m_i→j(l)  = min_l' ( h_i→j(l') + w_ij μ(l', l) )                less its minimum over l
    belief_i(l) = ψ_u(l) + Σ_{k ∈ N(i)} m_k→i(l),    y_i = argmin_l belief_i(l)

Pearl, "Probabilistic reasoning in intelligent systems", 1988; on pictures, Felzenszwalb & Huttenlocher, "Efficient
belief propagation for early vision", IJCV 2006. After as many iterations as the longest path has edges the labels of a
chain or tree are optimal, if the optimum is unique and nothing is damped. On a graph with loops it is a heuristic that
need not converge.

Conventions:

- Messages begin at 0. In an iteration all are computed from those of the last one.
- Damping d: m ← (1 − d) · computed + d · last, where what is computed has had its minimum subtracted.
- The first of equal beliefs is the label. Without an iteration the beliefs are the unary potentials.
- Two edges between the same points are two paths: what arrives along one is passed back along the other.
- Messages are float64 whatever the dtype; beliefs are rounded once, after the labels are read from them.
- The graph is that of `refdet.crf.crf_energy`; here μ[l, l'] is read as μ[l', l].

Memory: a few arrays of (2E, L), as the minimum over l' is taken for one l at a time.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_number, integer
from refdet.core.kernel import kernel
from refdet.crf.crf_energy import cheapest_labels, check_graph, check_values


def _check(
    unary: Array, edges: Array, weights: Array, compatibility: Array, *, iterations: int, damping: float
) -> None:
    check_graph("belief_propagation", unary, edges, weights, compatibility)
    integer("belief_propagation", "iterations", iterations, low=0)
    if check_number("belief_propagation", "damping", damping, low=0) >= 1:
        raise ValueError(f"belief_propagation: damping must lie in [0, 1), got {damping!r}")


@kernel("belief_propagation", check=_check)
def belief_propagation_kernel(
    unary: Array, edges: Array, weights: Array, compatibility: Array, *, iterations: int, damping: float
) -> tuple[Array, Array]:
    """Return the labels, (N,) int64, and the beliefs, (N, L)."""
    psi, w, mu = (x.astype(np.float64) for x in (unary, weights, compatibility))
    both_ways = np.concatenate([edges, edges[:, ::-1]]).astype(np.int64)  # (2E, 2)
    sender, receiver = both_ways.T  # message e is answered by e ± E
    w = np.concatenate([w, w])[:, None]
    damping = float(damping)
    messages = np.zeros((len(sender), len(mu)))  # (2E, L)
    for _ in range(iterations):
        answers = np.roll(messages, len(edges), axis=0)
        heard = (psi + _received(messages, receiver, len(psi)))[sender] - answers
        computed = np.empty_like(messages)
        for l, costs in enumerate(mu):
            computed[:, l] = np.min(heard + w * costs, axis=1)
        computed -= np.min(computed, axis=1, keepdims=True)
        messages = (1 - damping) * computed + damping * messages
    beliefs = psi + _received(messages, receiver, len(psi))
    return cheapest_labels(beliefs), beliefs.astype(np.result_type(unary))


def _received(messages: Array, receiver: Array, n_points: int) -> Array:
    """Return the sum of the messages that each point receives, (N, L)."""
    sums = [np.bincount(receiver, of_label, n_points) for of_label in messages.T]
    return np.stack(sums, axis=1)


def belief_propagation(
    unary: Array,
    edges: Array,
    weights: Array,
    compatibility: Array,
    *,
    iterations: int = 50,
    damping: float = 0.5,
) -> tuple[Array, Array]:
    """Label points by messages between neighbours.

    Args:
        unary: (N, L), float32 or float64, as are weights and compatibility: what each label costs each point.
        edges: (E, 2) integers, the ends of each edge.
        weights: (E,).
        compatibility: (L, L), symmetric: what a pair of labels costs an edge of weight 1.
        iterations: of all messages at once.
        damping: in [0, 1): how much of the last message stays.

    Returns:
        The labels, (N,) int64, and the beliefs, (N, L): on a tree, up to a constant, the lowest energy with that label.

    The second point would take either label; the first prefers label 1 by 4, of which an edge of weight 3 passes 3 on:

    >>> unary, edges, weights = np.array([[4.0, 0.0], [0.0, 0.0]]), np.array([[0, 1]]), np.array([3.0])
    >>> belief_propagation(unary, edges, weights, np.array([[0.0, 1.0], [1.0, 0.0]]), iterations=1, damping=0)
    (array([1, 1]), array([[4., 0.],
           [3., 0.]]))
    """
    _check(unary, edges, weights, compatibility, iterations=iterations, damping=damping)
    check_values("belief_propagation", unary, edges, weights, compatibility)
    return belief_propagation_kernel(unary, edges, weights, compatibility, iterations=iterations, damping=damping)
