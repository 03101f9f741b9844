"""What is tied to the boundary of a box."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from refdet.proposals.edge_ties import Boundary, neighbours_of, tied_groups
from tests.agreement import seeds


def test_what_crosses_in_the_order_of_the_sides() -> None:
    """Top, bottom, left, right; corners twice, and nothing of what lies inside or outside."""
    groups = np.array([[9, -1, 0, 9], [-1, 1, 8, -1], [3, 8, 8, 2], [4, -1, 5, 6]])
    (crossing,) = Boundary.of(groups).crossing(np.array([[0, 1, 3, 3]]))
    assert crossing == [1, 8, 4, 5, 6, 3, 4, 2, 6]


@given(seed=seeds)
def test_what_crosses_pixel_by_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(-6, 4, (7, 9)).clip(-1)
    x0, y0 = rng.integers(0, [9, 7])
    x1, y1 = rng.integers([x0, y0], [9, 7])
    (crossing,) = Boundary.of(groups).crossing(np.array([[x0, y0, x1, y1]]))
    sides = [*groups[[y0, y1], x0 : x1 + 1], *groups[y0 : y1 + 1, [x0, x1]].T]
    assert crossing == [group for side in sides for group in side.tolist() if group >= 0]


def test_neighbours_in_the_order_of_the_pairs() -> None:
    """An affinity of exactly 0.05 may still lead from a group that crosses; one below leads nowhere."""
    pairs, affinities = np.array([[0, 2], [0, 1], [1, 2]]), np.array([0.5, 0.05, 0.049])
    assert neighbours_of(4, pairs, affinities) == [[(2, 0.5), (1, 0.05)], [(0, 0.05)], [(0, 0.5)], []]


def test_the_earliest_group_whose_tie_is_renewed_goes_on() -> None:
    """0 crosses. 1 and 2 are found from it, 3 from 1; then 2 strengthens 1, and 1 in turn 3."""
    pairs = np.array([[0, 1], [0, 2], [1, 3], [1, 2]])
    neighbours = neighbours_of(4, pairs, np.array([0.25, 1.0, 0.5, 0.75]))
    ties = tied_groups([0, 0], (0, 0, 9, 9), [(5, 5)] * 4, neighbours, lambda product: product)
    assert list(ties.items()) == [(0, 1.0), (1, 0.75), (2, 1.0), (3, 0.375)]


@given(seed=seeds)
def test_ties_do_not_depend_on_the_order_of_neighbours(seed: int) -> None:
    """In float32 a product grows with its factors, so the strongest path is the same; only the discovery differs."""
    rng = np.random.default_rng(seed)
    n = 12
    pairs = [(i, j) for i in range(n) for j in range(i) if rng.random() < 0.3]
    affinity = {pair: float(np.float32(rng.random())) for pair in pairs}
    located = [(int(x), 5) for x in rng.integers(0, 12, n)]

    def ties(order: list[int]) -> dict[int, float]:
        neighbours: list[list[tuple[int, float]]] = [[] for _ in range(n)]
        for k in order:
            i, j = pairs[k]
            neighbours[i].append((j, affinity[pairs[k]]))
            neighbours[j].append((i, affinity[pairs[k]]))
        return tied_groups([0, 1, 0], (0, 0, 9, 9), located, neighbours, lambda a: float(np.float32(a)))

    forward = list(range(len(pairs)))
    assert ties(forward) == ties(forward[::-1])
    assert list(ties(forward))[:2] == [0, 1]
