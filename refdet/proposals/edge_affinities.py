"""Affinities of edge groups: how well one continues the other.

    a(i, j) = |cos(θ_i − θ_ij) · cos(θ_j − θ_ij)|^γ

θ_i is the mean orientation of group i and θ_ij the direction of the line that joins the mean positions. Two pieces of
one straight contour have affinity 1, two parallel contours side by side 0.

Zitnick & Dollár, "Edge Boxes", ECCV 2014, §3.1, equation (1). Conventions:

- The maps hold normals (`refdet.proposals.edge_maps`), so θ_ij is the direction of the joining line plus π/2.
- Means are weighted by magnitude; that of the orientation is taken over doubled angles, as θ and θ + π are the same.
- Groups are neighbours if a pixel of the lower-numbered one, at least 2 pixels away from the border of the map, has a
  pixel of the other at most 2 columns and 2 rows away. (The paper says "separated by more than 2 pixels"; what the
  border leaves out, and only on one side, is the code's.)
- Pairs come in the order in which they are found: pixels of the lower group in scan order, and around each its 5 × 5
  neighbours in scan order. A pair is found once.
- Means are added in scan order, in the dtype of the maps; sines, arctangents and powers are computed in float64 and
  rounded to it. A group without magnitude has its mean at (0, 0). atan2(0, 0) is 0.
- The paper stores only affinities above 0.05. All are returned here; what is small is cut where it is used.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.core.check import Array, check_number
from refdet.core.kernel import kernel
from refdet.proposals.edge_maps import (
    check_edge_maps,
    check_edge_values,
    check_group_numbers,
    check_groups,
    count_groups,
    in_scan_order,
    rounded,
)

RADIUS = 2  # of the neighbourhood in which groups meet


def _check(edges: Array, orientation: Array, groups: Array, *, gamma: float) -> None:
    check_edge_maps("edge_affinities", edges, orientation)
    check_groups("edge_affinities", groups, edges)
    check_number("edge_affinities", "gamma", gamma, low=0)


@kernel("edge_affinities", check=_check)
def edge_affinities_kernel(edges: Array, orientation: Array, groups: Array, *, gamma: float) -> tuple[Array, Array]:
    """Return the pairs of neighbouring groups, (P, 2) int64, and their affinities, (P,)."""
    x, y, theta = _means(edges, orientation, groups)
    pairs = _neighbouring_pairs(groups)
    i, j = pairs.T
    half_pi = theta.dtype.type(math.pi) / 2
    theta_ij = rounded(np.arctan2, y[i] - y[j], x[i] - x[j]) + half_pi
    cosines = rounded(np.cos, theta[i] - theta_ij) * rounded(np.cos, theta[j] - theta_ij)
    return pairs, rounded(lambda c: c ** float(gamma), np.abs(cosines))


def _means(edges: Array, orientation: Array, groups: Array) -> tuple[Array, Array, Array]:
    """Return x, y and orientation of each group, means weighted by magnitude, (G,) each."""
    label, m, theta = (in_scan_order(field) for field in (groups, edges, orientation))
    pixels = np.flatnonzero(label >= 0)
    label, m, theta = label[pixels], m[pixels], theta[pixels]
    x, y = np.divmod(pixels, max(1, edges.shape[0]))

    def added(terms: Array) -> Array:
        sums = np.zeros(count_groups(groups), m.dtype)
        np.add.at(sums, label, terms)  # pixel after pixel
        return sums

    mass = added(m)
    mass[mass == 0] = 1
    mean_x, mean_y = (added(m * place.astype(m.dtype)) / mass for place in (x, y))
    sine, cosine = (added(m * rounded(f, 2 * theta)) / mass for f in (np.sin, np.cos))
    return mean_x, mean_y, rounded(np.arctan2, sine, cosine) / 2


def _neighbouring_pairs(groups: Array) -> Array:
    """Return (i, j) with i < j, in the order of their first meeting."""
    H, W = groups.shape
    offsets = range(-RADIUS, RADIUS + 1)
    if min(H, W) <= 2 * RADIUS:
        return np.zeros((0, 2), np.int64)
    lower = groups[RADIUS : H - RADIUS, RADIUS : W - RADIUS]
    around = [groups[RADIUS + dy : H - RADIUS + dy, RADIUS + dx : W - RADIUS + dx] for dx in offsets for dy in offsets]
    met = np.stack([field.T.ravel() for field in around], axis=1)  # (pixels in scan order, 25 neighbours)
    here = np.broadcast_to(lower.T.reshape(-1, 1), met.shape)
    found = (here >= 0) & (met > here)
    pairs = np.stack([here[found], met[found]], axis=1).astype(np.int64)
    _, first = np.unique(pairs @ np.array([count_groups(groups), 1]), return_index=True)
    return pairs[np.sort(first)]


def edge_affinities(edges: Array, orientation: Array, groups: Array, *, gamma: float = 2.0) -> tuple[Array, Array]:
    """Say for neighbouring edge groups how well they continue each other.

    Args:
        edges: (H, W) magnitudes in [0, 1], float32 or float64.
        orientation: (H, W), of the same dtype, in [0, π]: the normal of the edge.
        groups: (H, W) integers: 0, 1, … for the groups, −1 (or any negative number) elsewhere.
        gamma: sharpness γ: how fast the affinity falls with the angle.

    Returns:
        The pairs (i, j), i < j, of groups that are neighbours, (P, 2) int64, and their affinities in [0, 1], (P,).

    A horizontal contour in two pieces, one continuing the other:

    >>> edges, groups = np.zeros((5, 8)), np.full((5, 8), -1)
    >>> edges[2, 1:7], groups[2, 1:4], groups[2, 4:7] = 1, 0, 1
    >>> edge_affinities(edges, np.full((5, 8), np.pi / 2), groups)
    (array([[0, 1]]), array([1.]))
    """
    check_edge_maps("edge_affinities", edges, orientation)
    check_edge_values("edge_affinities", edges, orientation)
    check_groups("edge_affinities", groups, edges)
    check_group_numbers("edge_affinities", groups)
    return edge_affinities_kernel(edges, orientation, groups, gamma=gamma)
