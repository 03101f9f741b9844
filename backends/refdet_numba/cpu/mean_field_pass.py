"""The half of an iteration of mean-field inference that is over the points; the other is `mean_field_vertices`.

    for each part of the points (in parallel):
        gather        z of the part's own vertices, next to each other
        for each 64 points:
            slice     p_i(l) = Σ_m n^α Σ over corners of weight · z⁽ᵐ⁾(l)
            energy    F += Σ_l q log q + ψ q + ½ q p                             of the old q
            update    q ← δ q + (1 − δ) · 1/Z exp(−ψ − p)
            splat     z' += n^β · weight · q                                     on the part's own vertices

so that the energies and probabilities of a point are read and written once an iteration; while 64 points are sliced,
those of the next 64 are fetched into the cache.

log q is not computed: it is x − m − log Z of the update, x the logits and m the largest. The Z, which lie between 1 and
L, are multiplied over 64 points before their logarithm is taken. With damping q has its own logarithm.

Rows are labels, padded to a multiple of eight. The logit of a padded label is −∞ (`closed`), so that its q is 0. Parts
and their order depend on the number of points alone, and so does every sum; energies are summed in float64.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.exponential import exponential
from refdet_numba.cpu.lane_operations import at_least, every, larger, largest, magnitude, multiply_add, total
from refdet_numba.cpu.lanes import lanes_of, load, store
from refdet_numba.cpu.mean_field_vertices import fetch_row

TILE = 64  # points, whose partition functions are multiplied: at most L each, so that L < 2¹⁶ labels never overflow
ENERGY, ENTROPY, CHANGE, IS_NAN = range(4)  # columns of `results`


@compiled_parallel
def pass_over_points(
    psi: Any,
    q: Any,
    new_q: Any,
    updates: Any,
    given: Any,
    corners: Any,
    out_weights: Any,
    in_weights: Any,
    first_slot: Any,
    vertex_of: Any,
    z: Any,
    slots: Any,
    own_z: Any,
    closed: Any,
    pairwise: Any,
    scalars: Any,
    damping: Any,
    begins: Any,
    ends: Any,
    results: Any,
) -> None:
    """Go over all points; `begins`: from the softmax of −ψ; `ends`: the energy only. Shapes: `mean_field.Inference`."""
    n_points, width = psi.shape
    lanes = lanes_of(psi)
    n_parts = len(results)
    size = -(-n_points // n_parts)
    for part in prange(n_parts):
        none, own = every(psi.dtype.type(0)), own_z[get_thread_id()]
        for slot in range(first_slot[part], first_slot[part + 1]):
            v = np.int64(vertex_of[slot])
            for b in range(0, width, lanes):
                store(slots, (slot, b), none)
                if not begins:
                    store(own, (slot - first_slot[part], b), load(z, (v, b)))
        last = min(n_points, (part + 1) * size)
        for first in range(part * size, last, TILE):
            n = min(TILE, last - first)
            row = part * TILE
            if not begins:
                _slice(psi, q, corners, out_weights, own, given, pairwise, first, n, row)
                _measure(psi, q, pairwise, damping, first, n, row, results, part)
            if not ends:
                _update(
                    *(psi, q, new_q, updates, pairwise, closed, scalars, damping, begins),
                    *(first, n, row, results, part),
                )
                _splat(new_q, corners, in_weights, first_slot[part], slots, first, n)


@compiled
def _slice(
    psi: Any,
    q: Any,
    corners: Any,
    weights: Any,
    z: Any,
    given: Any,
    pairwise: Any,
    first: Any,
    n: Any,
    row: Any,
) -> None:
    """The pairwise energies of n points, three vectors of labels at a time; `given` is what other filters cause.

    Indices are unsigned where they are many, or each is looked at whether it counts from the end.
    """
    lanes, width = lanes_of(z), z.shape[1]
    none = every(z.dtype.type(0))
    for t in range(n):
        i, to = np.uint64(first + t), row + t
        fetch_row(psi, first + t + TILE)
        fetch_row(q, first + t + TILE)
        fetch_row(corners, first + t + TILE)
        fetch_row(weights, first + t + TILE)
        for b in range(0, width - 2 * lanes, 3 * lanes):
            x, y, w = none, none, none
            for k in range(np.uint64(corners.shape[1])):
                weight, v = every(weights[i, k]), np.int64(corners[i, k])
                x = multiply_add(weight, load(z, (v, b)), x)
                y = multiply_add(weight, load(z, (v, b + lanes)), y)
                w = multiply_add(weight, load(z, (v, b + 2 * lanes)), w)
            store(pairwise, (to, b), x)
            store(pairwise, (to, b + lanes), y)
            store(pairwise, (to, b + 2 * lanes), w)
        for b in range(width - width % (3 * lanes), width, lanes):
            x = none
            for k in range(np.uint64(corners.shape[1])):
                v = np.int64(corners[i, k])
                x = multiply_add(every(weights[i, k]), load(z, (v, b)), x)
            store(pairwise, (to, b), x)
        if len(given):
            for b in range(0, width, lanes):
                store(pairwise, (to, b), load(pairwise, (to, b)) + load(given, (i, b)))


@compiled
def _measure(
    psi: Any, q: Any, pairwise: Any, damping: Any, first: Any, n: Any, row: Any, results: Any, part: Any
) -> None:
    """Add Σ ψ q + ½ q p; with damping Σ q log q as well."""
    lanes = lanes_of(psi)
    half = every(psi.dtype.type(0.5))
    energy = 0.0
    for t in range(n):
        terms = every(psi.dtype.type(0))
        for b in range(0, psi.shape[1], lanes):
            old = load(q, (first + t, b))
            terms = multiply_add(old, load(psi, (first + t, b)), terms)
            terms = multiply_add(old * half, load(pairwise, (row + t, b)), terms)
        energy += total(terms)
        if damping:
            for label in range(psi.shape[1]):
                share = q[first + t, label]
                energy += share * math.log(share) if share != 0 else share
    results[part, ENERGY] += energy


@compiled
def _update(
    psi: Any,
    q: Any,
    new_q: Any,
    updates: Any,
    pairwise: Any,
    closed: Any,
    scalars: Any,
    damping: Any,
    begins: Any,
    first: Any,
    n: Any,
    row: Any,
    results: Any,
    part: Any,
) -> None:
    """q ← δ q + (1 − δ) softmax(−ψ − p); add Σ q log q, note the largest |Δq|; the logits take the place of p.

    Three loops, as many points wait for the largest of their logits, or their sum, at a time.
    """
    number = psi.dtype.type
    lanes, width = lanes_of(psi), psi.shape[1]
    none, lowest = every(number(0)), every(number(-87.9) if psi.itemsize == 4 else number(-800))
    for t in range(n):
        top = every(number(-np.inf))
        for b in range(0, width, lanes):
            x = load(closed, (0, b)) - load(psi, (first + t, b))
            if not begins:
                x = x - load(pairwise, (row + t, b))
            store(pairwise, (row + t, b), x)
            top = larger(x, top)
        scalars[row + t, 0] = largest(top)
    for t in range(n):
        top, mass, logarithms = every(scalars[row + t, 0]), none, none
        for b in range(0, width, lanes):
            below = at_least(load(pairwise, (row + t, b)) - top, lowest)
            e = exponential(below)
            mass = mass + e
            logarithms = multiply_add(e, below, logarithms)
            store(pairwise, (row + t, b), e)
        scalars[row + t, 0], scalars[row + t, 1] = total(mass), total(logarithms)
    old_share, new_share = every(number(damping)), every(number(1 - damping))
    change, entropy, product = none, 0.0, 1.0
    for t in range(n):
        i, z = first + t, scalars[row + t, 0]
        entropy += scalars[row + t, 1] / z
        product *= z
        inverse = every(number(1) / z)
        for b in range(0, width, lanes):
            share = load(pairwise, (row + t, b)) * inverse
            if len(updates):
                store(updates, (i, b), share)
            if not begins:
                old = load(q, (i, b))
                if damping:
                    share = old_share * old + new_share * share
                change = larger(magnitude(share - old), change)
            store(new_q, (i, b), share)
    results[part, ENTROPY] += entropy - math.log(product)
    results[part, CHANGE] = max(results[part, CHANGE], np.float64(largest(change)))
    if product != product:
        results[part, IS_NAN] = 1


@compiled
def _splat(q: Any, corners: Any, weights: Any, slot: Any, slots: Any, first: Any, n: Any) -> None:
    """Hand the q of n points to the slots of their part."""
    lanes, width = lanes_of(q), q.shape[1]
    for i in range(np.uint64(first), np.uint64(first + n)):
        for b in range(0, width - 2 * lanes, 3 * lanes):
            x, y, w = load(q, (i, b)), load(q, (i, b + lanes)), load(q, (i, b + 2 * lanes))
            for k in range(np.uint64(corners.shape[1])):
                weight, s = every(weights[i, k]), slot + corners[i, k]
                store(slots, (s, b), multiply_add(weight, x, load(slots, (s, b))))
                store(slots, (s, b + lanes), multiply_add(weight, y, load(slots, (s, b + lanes))))
                store(slots, (s, b + 2 * lanes), multiply_add(weight, w, load(slots, (s, b + 2 * lanes))))
        for b in range(width - width % (3 * lanes), width, lanes):
            x = load(q, (i, b))
            for k in range(np.uint64(corners.shape[1])):
                s = slot + corners[i, k]
                store(slots, (s, b), multiply_add(every(weights[i, k]), x, load(slots, (s, b))))
