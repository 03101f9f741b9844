"""Deviations of inference on a graph: iterated conditional modes, α-expansion, belief propagation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.wrapping import setting
from refdet.core.check import Array
from refdet.crf.alpha_expansion import LEAST_DECREASE, _move
from refdet.crf.crf_energy import cheapest_labels, energy_in_float64
from refdet.verify.deviation import Body, Deviation

DIPY = "dipy/dipy, dipy/segment/mrf.pyx, IteratedConditionalModes.icm_ising"


def _neighbours(n_points: int, edges: Array, weights: Array) -> list[list[tuple[int, float]]]:
    neighbours: list[list[tuple[int, float]]] = [[] for _ in range(n_points)]
    for (i, j), w in zip(edges.tolist(), weights.astype(np.float64).tolist(), strict=True):
        neighbours[i].append((j, w))
        neighbours[j].append((i, w))
    return neighbours


def _icm(
    unary: Array,
    edges: Array,
    weights: Array,
    compatibility: Array,
    labels: Array,
    *,
    sweeps: int,
    lowest: bool = False,  # of equally cheap labels, also where the current one is among them
    at_once: bool = False,
    from_unary: bool = False,
) -> tuple[Array, Array]:
    """Sweep over the points, with one thing or another done otherwise."""
    psi, mu = unary.astype(np.float64), compatibility.astype(np.float64)
    y = cheapest_labels(unary) if from_unary else labels.astype(np.int64)
    neighbours = _neighbours(len(y), edges, weights)
    energies = [energy_in_float64(unary, edges, weights, compatibility, y)]
    for _ in range(sweeps):
        before = y.copy()
        seen = before if at_once else y
        for i in range(len(y)):
            costs = sum((w * mu[seen[j]] for j, w in neighbours[i]), start=psi[i])
            if lowest or costs.min() < costs[y[i]]:
                y[i] = np.argmin(costs)
        energies.append(energy_in_float64(unary, edges, weights, compatibility, y))
        if np.array_equal(y, before):
            break
    return y, np.array(energies, np.result_type(unary))


def _sweeping(**choice: Any) -> Callable[[Body], Body]:
    """Sweep like that, with a choice added to those that were made before."""

    def wrap(body: Body) -> Body:
        return functools.partial(body if isinstance(body, functools.partial) else _icm, **choice)

    return wrap


def _equal_cuts_keep(body: Body) -> Body:
    def alpha_expansion(
        unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array, *, cycles: int, scale: float
    ) -> tuple[Array, Array]:
        psi, w, mu = (x.astype(np.float64) for x in (unary, weights, compatibility))
        ends, y = np.sort(edges.astype(np.int64), axis=1), labels.astype(np.int64)
        energy = energy_in_float64(psi, ends, w, mu, y)
        for _ in range(cycles):
            before = energy
            for alpha in range(len(mu)):
                taking, pairs = _move(psi, ends, w, mu, y, alpha)
                moved = np.where(_reaching_the_sink(taking, pairs, ends, float(scale)), alpha, y)
                energy_of_move = energy_in_float64(psi, ends, w, mu, moved)
                if energy_of_move < energy - LEAST_DECREASE:
                    y, energy = moved, energy_of_move
            if energy == before:
                break
        return y, np.array(energy, np.result_type(unary))

    return alpha_expansion


def _reaching_the_sink(taking: Array, pairs: Array, edges: Array, scale: float) -> Array:
    """Return from which points the residual graph leads to the sink: only these take α."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    n = len(taking)
    points, source, sink = np.arange(n), np.full(n, n), np.full(n, n + 1)
    starts, ends = np.concatenate([edges[:, 0], source, points]), np.concatenate([edges[:, 1], points, sink])
    costs = np.concatenate([np.maximum(pairs, 0), np.maximum(taking, 0), np.maximum(-taking, 0)])
    capacities: Any = csr_matrix((np.rint(costs * scale).astype(np.int32), (starts, ends)), (n + 2, n + 2))
    residual = capacities - maximum_flow(capacities, n, n + 1, method="dinic").flow
    residual.eliminate_zeros()
    reaching = np.zeros(n + 2, bool)
    reaching[breadth_first_order(residual.T.tocsr(), n + 1, return_predecessors=False)] = True
    return reaching[:n]


def _messages_without_mean(body: Body) -> Body:
    def belief_propagation(unary: Array, *arrays: Array, **params: Any) -> tuple[Array, Array]:
        labels, beliefs = body(unary, *arrays, **params)
        received = beliefs.astype(np.float64) - unary
        return labels, (unary + received - np.mean(received, axis=1, keepdims=True)).astype(beliefs.dtype)

    return belief_propagation


def _newest_messages(body: Body) -> Body:
    def belief_propagation(
        unary: Array, edges: Array, weights: Array, compatibility: Array, *, iterations: int, damping: float
    ) -> tuple[Array, Array]:
        psi, mu, E = unary.astype(np.float64), compatibility.astype(np.float64), len(edges)
        sender, receiver = np.concatenate([edges, edges[:, ::-1]]).T
        w = np.concatenate([weights, weights]).astype(np.float64)
        messages = np.zeros((2 * E, len(mu)))
        for _ in range(iterations):
            for i in range(len(psi)):
                for e in np.flatnonzero(sender == i):
                    answer = (e + E) % (2 * E)
                    heard = psi[i] + messages[receiver == i].sum(axis=0) - messages[answer]
                    computed = np.min(heard + w[e] * mu, axis=1)
                    messages[e] = (1 - damping) * (computed - computed.min()) + damping * messages[e]
        beliefs = np.array([psi[i] + messages[receiver == i].sum(axis=0) for i in range(len(psi))])
        beliefs = beliefs.reshape(psi.shape)
        return cheapest_labels(beliefs), beliefs.astype(np.result_type(unary))

    return belief_propagation


DEVIATIONS = [
    Deviation(
        key="icm.equals=lowest",
        title="a tie goes to the lowest label, also against the current one",
        effect="A point changes its label although that saves nothing.",
        who=(DIPY,),
        change="Change a label only if the new one is strictly cheaper.",
        kernels={"icm": _sweeping(lowest=True)},
    ),
    Deviation(
        key="icm.update=at_once",
        title="all points choose at once, by the old labels of their neighbours",
        effect="The energy may rise, and two neighbours may exchange their labels for ever.",
        who=(DIPY,),
        change="Let each point see the newest labels of its neighbours.",
        kernels={"icm": _sweeping(at_once=True)},
    ),
    Deviation(
        key="icm.start=unary",
        title="it starts from the cheapest unary potentials, whatever labels are given",
        effect="The argument `labels` is not read.",
        who=("UGMep, a variant of M. Schmidt's UGM, UGM_Decode_ICM.m, whose test of nargin is always true",),
        change="Start from the labels that are given.",
        kernels={"icm": _sweeping(from_unary=True)},
    ),
    Deviation(
        key="alpha.tie=keep",
        title="of equal minimum cuts that is chosen in which most points keep their label",
        effect="Points for which taking α and keeping cost the same keep, where a move is made at all.",
        who=("pmneila/PyMaxflow, maxflow/src/fastmin.cpp, aexpansion_grid, on the maxflow library of Kolmogorov",),
        change="Let only those points keep their label that the source reaches in the residual graph.",
        kernels={"alpha_expansion": _equal_cuts_keep},
    ),
    Deviation(
        key="bp.normalise=mean",
        title="messages lose their mean instead of their minimum",
        effect="Labels are the same; beliefs differ by a constant for each point.",
        who=("P. Felzenszwalb's belief propagation code, stereo.cpp and restore.cpp, msg",),
        change="Subtract its minimum from every message.",
        kernels={"belief_propagation": _messages_without_mean},
    ),
    Deviation(
        key="bp.based_on=newest",
        title="a message sees those that were computed before it in the same iteration",
        effect="Messages travel further in one iteration in the order of the points than against it.",
        who=("sth4nth/VarBayes, UGM/belProp.m: for i = 1:n, with the newest mu",),
        change="Compute all messages of an iteration from those of the last one.",
        kernels={"belief_propagation": _newest_messages},
    ),
    Deviation(
        key="bp.damping=none",
        title="messages are not damped",
        effect="The parameter `damping` is not read: the new message replaces the old one.",
        who=(
            "P. Felzenszwalb's belief propagation code, stereo.cpp and restore.cpp, msg",
            "sth4nth/VarBayes, UGM/belProp.m",
        ),
        change="Mix: m = (1 − damping) · computed + damping · last.",
        kernels={"belief_propagation": setting(damping=0.0)},
    ),
]
