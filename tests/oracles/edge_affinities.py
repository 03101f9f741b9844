"""Affinities of the groups of edge pixels that meet.

With the sums over the pixels of group i, and E their edges:

    mass           m_i = sum E
    position       (X_i, Y_i) = sum E (x, y) / m_i
    orientation    t_i = atan2(sum E sin 2 theta / m_i, sum E cos 2 theta / m_i) / 2

all 0 where m_i = 0. Two groups i < j meet where a pixel of i, at least 2 away from the rim of the map, has a pixel of j
in the 5 x 5 square around it. The pairs (i, j) stand in the order in which they are found: pixels in scan order, x
outer and y inner; in the square dx outer and dy inner. A pair's affinity is

    a = |cos(t_i - f) cos(t_j - f)| ** gamma,    f = atan2(Y_i - Y_j, X_i - X_j) + pi / 2,    atan2(0, 0) = 0.

The theta are directions of the gradient, across the edge: f is across the line that joins the positions. The groups may
be any labelling, -1 for none; gamma < 0 is not defined.

Source: Zitnick and Dollár, "Edge boxes: locating object proposals from edges" (2014), section 3.1, equation 1; the
order, the radius, and the rim are those of the authors' program.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles._edge_groups import Pixel, members, neighbours, scan
from tests.oracles._sums import Array, Float64Array, exact_sum

Mean = tuple[float, float, float]  # X, Y and t


def forward(edges: Array, orientation: Array, groups: Array, *, gamma: float) -> tuple[NDArray[np.int64], Float64Array]:
    """Return (pairs, affinities), of shapes (P, 2) and (P,)."""
    means = {i: _mean(pixels, edges, orientation) for i, pixels in members(groups).items()}
    pairs: list[tuple[int, int]] = []
    for x, y in scan(groups.shape, border=2):
        i = int(groups[y, x])
        for u, v in neighbours((x, y), 2):
            j = int(groups[v, u])
            if 0 <= i < j and (i, j) not in pairs:
                pairs.append((i, j))
    affinities = [_affinity(means[i], means[j], gamma) for i, j in pairs]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), np.array(affinities, dtype=np.float64)


def _mean(pixels: list[Pixel], edges: Array, orientation: Array) -> Mean:
    weighted = [(float(edges[y, x]), x, y, 2 * float(orientation[y, x])) for x, y in pixels]
    mass = exact_sum(e for e, _, _, _ in weighted)
    if mass == 0:
        return 0.0, 0.0, 0.0
    mean_x = exact_sum(e * x for e, x, _, _ in weighted) / mass
    mean_y = exact_sum(e * y for e, _, y, _ in weighted) / mass
    sine = exact_sum(e * math.sin(doubled) for e, _, _, doubled in weighted) / mass
    cosine = exact_sum(e * math.cos(doubled) for e, _, _, doubled in weighted) / mass
    return mean_x, mean_y, math.atan2(sine, cosine) / 2


def _affinity(a: Mean, b: Mean, gamma: float) -> float:
    across = math.atan2(a[1] - b[1], a[0] - b[0]) + math.pi / 2
    return math.pow(abs(math.cos(a[2] - across) * math.cos(b[2] - across)), gamma)
