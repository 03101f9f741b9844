"""Affinities of edge groups: the search for neighbouring groups, compiled.

    for each pixel p, 2 or more from the border, in scan order, in a group i:
        for its 5 × 5 neighbours in scan order, in a group j > i:    note the contact (i, j)

A contact that repeats the one before it of the same group is not noted, so that few are left among which the first of
each pair has to be found. Sines, arctangents and powers are NumPy's, of one number per edge pixel, group, or pair: so
they are the reference's to the last bit.

Workspace: 8 bytes per group, and 16 bytes per contact; at most 25 contacts per pixel in a group.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.proposals.edge_affinities import RADIUS
from refdet.proposals.edge_maps import count_groups, in_scan_order, rounded
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled


def edge_affinities(edges: Array, orientation: Array, groups: Array, *, gamma: float) -> tuple[Array, Array]:
    """Return the pairs of neighbouring groups and their affinities, as the reference does."""
    label = native(groups, np.int64)
    n_groups = count_groups(label)
    x, y, theta = _means(in_scan_order(edges), in_scan_order(orientation), in_scan_order(label), n_groups, len(edges))
    contacts = _contacts(label, n_groups, RADIUS)
    _, first = np.unique(contacts @ np.array([n_groups, 1]), return_index=True)
    pairs = contacts[np.sort(first)]
    i, j = pairs.T
    half_pi = theta.dtype.type(math.pi) / 2
    theta_ij = rounded(np.arctan2, y[i] - y[j], x[i] - x[j]) + half_pi
    cosines = rounded(np.cos, theta[i] - theta_ij) * rounded(np.cos, theta[j] - theta_ij)
    return pairs, rounded(lambda c: c ** float(gamma), np.abs(cosines))


def _means(m: Array, theta: Array, label: Array, n_groups: int, H: int) -> tuple[Array, Array, Array]:
    """Return x, y and orientation of each group, means weighted by magnitude, (G,) each."""
    pixels = np.flatnonzero(label >= 0)
    m, doubled = m[pixels], 2 * theta[pixels]
    mass, *sums = _sums(pixels, label[pixels], m, rounded(np.sin, doubled), rounded(np.cos, doubled), n_groups, H)
    mass[mass == 0] = 1
    mean_x, mean_y, sine, cosine = (added / mass for added in sums)
    return mean_x, mean_y, rounded(np.arctan2, sine, cosine) / 2


@compiled
def _sums(pixels: Any, label: Any, m: Any, sine: Any, cosine: Any, n_groups: Any, H: Any) -> Any:
    """Return Σ m, Σ m x, Σ m y, Σ m sin 2θ, Σ m cos 2θ over each group, pixel after pixel."""
    sums = np.zeros((5, n_groups), m.dtype)
    for p in range(len(pixels)):
        group = label[p]
        sums[0, group] += m[p]
        sums[1, group] += m[p] * m.dtype.type(pixels[p] // H)
        sums[2, group] += m[p] * m.dtype.type(pixels[p] % H)
        sums[3, group] += m[p] * sine[p]
        sums[4, group] += m[p] * cosine[p]
    return sums


@compiled
def _contacts(groups: Any, n_groups: Any, radius: Any) -> Any:
    """Return (i, j), i < j, in the order in which groups meet, with repetitions."""
    H, W = groups.shape
    last_met = np.full(n_groups, -1, np.int64)
    contacts = np.empty((1024, 2), np.int64)
    n_contacts = 0
    for x in range(radius, W - radius):
        for y in range(radius, H - radius):
            group = groups[y, x]
            if group < 0:
                continue
            for dx in range(-radius, radius + 1):
                for dy in range(-radius, radius + 1):
                    other = groups[y + dy, x + dx]
                    if other <= group or other == last_met[group]:
                        continue
                    last_met[group] = other
                    if n_contacts == len(contacts):
                        contacts = np.concatenate((contacts, np.empty_like(contacts)))
                    contacts[n_contacts] = group, other
                    n_contacts += 1
    return contacts[:n_contacts]
