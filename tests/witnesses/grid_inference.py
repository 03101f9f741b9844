"""Witnesses of inference on a graph: iterated conditional modes, belief propagation, α-expansion; a switch each.

Scalar loops over the points and their edges. The minimum cut is by augmenting paths, of integers.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Cut = Callable[[list[float], list[tuple[int, int, float]]], list[bool]]  # which points keep their label


class Graph:
    """The arguments of a question, as Python numbers."""

    def __init__(self, question: Question) -> None:
        arguments = {name: None if a is None else a.tolist() for name, a in question.arguments.items()}
        self.unary: list[list[float]] = arguments["unary"]  # type: ignore[assignment]
        self.mu: list[list[float]] = arguments["compatibility"]  # type: ignore[assignment]
        self.edges = [(i, j, w) for (i, j), w in zip(arguments["edges"], arguments["weights"], strict=True)]  # type: ignore[arg-type]
        self.labels = range(len(self.mu))
        self.start: list[int] | None = arguments.get("labels")

    def cheapest(self) -> list[int]:
        """Return the label of the lowest unary potential for each point, the first of equals."""
        return [min(self.labels, key=costs.__getitem__) for costs in self.unary]

    def energy(self, y: list[int]) -> float:
        """Return the energy of a labelling, each edge once."""
        alone = sum(costs[label] for costs, label in zip(self.unary, y, strict=True))
        return float(alone + sum(w * self.mu[y[i]][y[j]] for i, j, w in self.edges))


def answer_icm(
    question: Question, *, lowest: bool = False, from_unary: bool = False, at_once: bool = False
) -> Mapping[str, Any]:
    """Each point takes the cheapest label; a tie keeps the current one, or goes to the `lowest` of all."""
    graph = Graph(question)
    y = graph.cheapest() if graph.start is None or from_unary else list(graph.start)
    energies = [graph.energy(y)]
    for _ in range(question.params["sweeps"]):
        before = list(y)
        for point, costs in enumerate(graph.unary):
            seen = before if at_once else y
            local = [costs[label] for label in graph.labels]
            for i, j, w in graph.edges:
                if point in (i, j):
                    other = seen[j if i == point else i]
                    local = [c + w * graph.mu[label][other] for label, c in enumerate(local)]
            best = local.index(min(local))
            y[point] = best if lowest or local[best] < local[before[point]] else before[point]
        energies.append(graph.energy(y))
        if y == before:
            break
    return {"found": np.array(y, np.int64), "energies": np.array(energies, np.float64)}


def answer_belief_propagation(
    question: Question, *, newest: bool = False, damped: bool = True, mean: bool = False
) -> Mapping[str, Any]:
    """Messages from each point in turn, along its edges; of the last iteration, or the `newest` there are."""
    graph = Graph(question)
    damping = question.params["damping"] if damped else 0.0
    ends = [(i, j) for i, j, _ in graph.edges] + [(j, i) for i, j, _ in graph.edges]
    count = len(graph.edges)
    messages = [[0.0 for _ in graph.labels] for _ in ends]
    for _ in range(question.params["iterations"]):
        read = messages if newest else [list(message) for message in messages]
        for point, costs in enumerate(graph.unary):
            for m, (sender, _receiver) in enumerate(ends):
                if sender != point:
                    continue
                heard = [k for k, (_, to) in enumerate(ends) if to == point and k != (m + count) % (2 * count)]
                h = [costs[b] + sum(read[k][b] for k in heard) for b in graph.labels]
                w = graph.edges[m % count][2]
                new = [min(h[b] + w * graph.mu[b][a] for b in graph.labels) for a in graph.labels]
                less = sum(new) / len(new) if mean else min(new)
                messages[m] = [(1 - damping) * (a - less) + damping * b for a, b in zip(new, messages[m], strict=True)]
    beliefs = [
        [
            costs[a] + sum(message[a] for message, (_, to) in zip(messages, ends, strict=True) if to == point)
            for a in graph.labels
        ]
        for point, costs in enumerate(graph.unary)
    ]
    shape = (len(graph.unary), len(graph.labels))
    return {
        "labels": np.array([belief.index(min(belief)) for belief in beliefs], np.int64),
        "beliefs": np.array(beliefs, np.float64).reshape(shape),
    }


def cut_by_paths(costs: list[float], edges: list[tuple[int, int, float]], *, most_keep: bool = False) -> list[bool]:
    """Cut by shortest augmenting paths; of equal cuts that with the fewest points on the source's side, or the most."""
    source, sink = len(costs), len(costs) + 1
    left: list[dict[int, int]] = [{} for _ in range(sink + 1)]

    def add(i: int, j: int, capacity: float) -> None:
        left[i][j] = left[i].get(j, 0) + int(capacity)
        left[j].setdefault(i, 0)

    for i, cost in enumerate(costs):
        add(*((source, i) if cost > 0 else (i, sink)), abs(cost))
    for i, j, capacity in edges:
        add(i, j, capacity)

    def reached(start: int, forwards: bool) -> dict[int, int]:
        """Return, for what there is a path to (or from) in the residual graph, the point before it."""
        before, queue = {start: start}, deque([start])
        while queue:
            i = queue.popleft()
            for j in left[i]:
                if j not in before and (left[i][j] if forwards else left[j][i]) > 0:
                    before[j] = i
                    queue.append(j)
        return before

    while sink in (before := reached(source, True)):
        path, at = [], sink
        while at != source:
            path.append((before[at], at))
            at = before[at]
        flow = min(left[i][j] for i, j in path)
        for i, j in path:
            left[i][j] -= flow
            left[j][i] += flow
    if most_keep:
        ends = reached(sink, False)
        return [i not in ends for i in range(len(costs))]
    return [i in before for i in range(len(costs))]


def cut_by_maxflow(costs: list[float], edges: list[tuple[int, int, float]]) -> list[bool]:
    """Cut by PyMaxflow, whose α-expansion gives α to the segment of the sink."""
    import maxflow

    if not costs:
        return []
    graph = maxflow.GraphInt()
    points = graph.add_nodes(len(costs))
    for i, cost in enumerate(costs):
        graph.add_tedge(points[i], int(max(cost, 0)), int(max(-cost, 0)))
    for i, j, capacity in edges:
        graph.add_edge(points[i], points[j], int(capacity), 0)
    graph.maxflow()
    return [graph.get_segment(point) == 0 for point in points]


def answer_alpha_expansion(question: Question, *, cut: Cut) -> Mapping[str, Any]:
    """Moves in which any points take α, accepted if they lower the energy by more than 10⁻⁹."""
    graph, scale = Graph(question), question.params["scale"]
    mu = graph.mu
    y = graph.cheapest() if graph.start is None else list(graph.start)
    energy = graph.energy(y)
    for _ in range(question.params["cycles"]):
        moved = False
        for alpha in graph.labels:
            costs = [unary[alpha] - unary[label] for unary, label in zip(graph.unary, y, strict=True)]
            edges = []
            for i, j, w in graph.edges:
                a, b, c, d = mu[y[i]][y[j]], mu[y[i]][alpha], mu[alpha][y[j]], mu[alpha][alpha]
                costs[i] += w * (c - a)
                costs[j] += w * (d - c)
                edges.append((i, j, float(round(scale * w * (b + c - a - d)))))
            keeps = cut([math.copysign(round(abs(scale * cost)), cost) for cost in costs], edges)
            after = [label if keep else alpha for label, keep in zip(y, keeps, strict=True)]
            if graph.energy(after) < energy - 1e-9:
                y, energy, moved = after, graph.energy(after), True
        if not moved:
            break
    return {"found": np.array(y, np.int64), "energy": np.array(energy, np.float64)}


CONFORMING: list[tuple[str, Callable[[Question], Mapping[str, Any]]]] = [
    ("icm", answer_icm),
    ("belief_propagation", answer_belief_propagation),
    ("alpha_expansion", partial(answer_alpha_expansion, cut=cut_by_paths)),
]

_DIPY = "dipy, dipy/segment/mrf.pyx, icm_ising"

WITNESSES = [
    Witness(
        "alpha.tie=keep",
        "alpha_expansion",
        "what cannot reach the sink keeps, as in Kolmogorov's maxflow",
        partial(answer_alpha_expansion, cut=partial(cut_by_paths, most_keep=True)),
    ),
    Witness(
        "bp.based_on=newest",
        "belief_propagation",
        "sth4nth/VarBayes, UGM/belProp.m: senders in ascending order",
        partial(answer_belief_propagation, newest=True),
    ),
    Witness(
        "bp.damping=none", "belief_propagation", "the definition", partial(answer_belief_propagation, damped=False)
    ),
    Witness("bp.normalise=mean", "belief_propagation", "the definition", partial(answer_belief_propagation, mean=True)),
    Witness("icm.equals=lowest", "icm", _DIPY, partial(answer_icm, lowest=True)),
    Witness("icm.start=unary", "icm", "the definition, labels=None", partial(answer_icm, from_unary=True)),
    Witness("icm.update=at_once", "icm", _DIPY, partial(answer_icm, at_once=True)),
]

if find_spec("maxflow"):
    WITNESSES += [
        Witness("alpha.tie=keep", "alpha_expansion", "PyMaxflow", partial(answer_alpha_expansion, cut=cut_by_maxflow))
    ]
